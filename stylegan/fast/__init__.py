"""Fast inference and training: prepared weights, few passes over memory and reused buffers.

    choice.py     which path a call takes: plain, fast or native
    trust.py      on a GPU, whether that path computes what the modules define
    prepared.py   weights prepared for inference, again when parameters change
    workspace.py  buffers that calls reuse, one set per running call
    renderer.py   what a network keeps between calls, and groups of images
    bands.py      one call: a band of rows at a time, normalize -> convolve -> activate
    kernels.py    everything except convolution, as a protocol, and a list of its implementations
    library.py    the compiled library
    graphs.py     calls on a GPU captured as CUDA graphs
    frozen.py     fixed convolutions of perceptual networks, with gradients of the input

The modules in `networks` remain the definition; results here equal theirs up to rounding.

May import: errors, runtime, networks.
"""

from typing import TYPE_CHECKING

from ..runtime.lazy import lazy_names

if TYPE_CHECKING:
    from .choice import RENDER_PATHS, check_path, resolve_path
    from .compiled import CompiledKernels
    from .convolution import has_fast_bfloat16
    from .native import native_kernels, native_or_torch_kernels
    from .prepared import is_supported
    from .renderer import Renderer

__all__ = [
    "RENDER_PATHS",
    "CompiledKernels",
    "Renderer",
    "check_path",
    "has_fast_bfloat16",
    "is_supported",
    "native_kernels",
    "native_or_torch_kernels",
    "resolve_path",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    dict.fromkeys(("RENDER_PATHS", "check_path", "resolve_path"), "choice")
    | {
        "CompiledKernels": "compiled",
        "has_fast_bfloat16": "convolution",
        "Renderer": "renderer",
        "is_supported": "prepared",
    }
    | dict.fromkeys(("native_kernels", "native_or_torch_kernels"), "native"),
)
