"""Fast inference: the synthesis network with prepared weights, few passes over memory and reused buffers.

    choice.py     which path a call takes: plain, fast or native
    trust.py      on a GPU, whether that path computes what the modules define
    prepared.py   the weights as inference wants them, made once and again when parameters change
    workspace.py  buffers that calls reuse, one set for each call under way
    renderer.py   a band of rows at a time: normalize -> convolve -> epilogue
    kernels.py    the steps beside the convolution, as operations of torch
    native.py     the same steps, compiled for CPUs: kernels.c
    gradients.py  what training needs of the compiled library: gradients.c
    library.py    the compiled library itself
    triton_kernels.py  and for GPUs
    graphs.py     calls on a GPU recorded once and launched as a whole

The modules in `layers` and `synthesis` stay the definition: what is computed here equals them but for rounding.

May import: errors, runtime, networks.
"""

from .choice import RENDER_PATHS, check_path, is_supported, resolve_path
from .convolution import has_fast_bfloat16
from .gradients import native_gradients
from .native import native_kernels
from .prepared import negative_slope, separate
from .renderer import Renderer

__all__ = [
    "RENDER_PATHS",
    "Renderer",
    "check_path",
    "has_fast_bfloat16",
    "is_supported",
    "native_gradients",
    "native_kernels",
    "negative_slope",
    "resolve_path",
    "separate",
]
