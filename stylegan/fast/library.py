"""The compiled library (the files in C), by ctypes. It is optional.

It runs on torch.get_num_threads() threads of the OpenMP runtime that torch has loaded: its own would wait for torch's,
which spin for a while after each operation.
"""

import ctypes
import functools
import logging
import os
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

Pointer, Long, Int = ctypes.c_void_p, ctypes.c_long, ctypes.c_int

# Where setup.py puts it, for any version of Python.
LIBRARY = Path(__file__).with_name("_kernels.so")

# Types that features may have.
FEATURES = (torch.float32, torch.bfloat16)


class Array(ctypes.Structure):
    """Features in memory, [N, rows, W, C], float32 or bfloat16."""

    _fields_ = (("data", Pointer), ("image", Long), ("bfloat16", Int))


def check(
    x: Tensor, shape: Sequence[int], dtypes: Sequence[torch.dtype] = (torch.float32,), *, steps: int = 0
) -> Tensor:
    """Return a tensor that compiled code reads by its address, after checking type, shape and layout.

    steps: how many of the first dimensions may have any stride; the others must be contiguous.
    Raises ValueError otherwise: the code would read memory that is not this tensor's.
    """
    fits = x.dtype in dtypes and x.shape == tuple(shape) and x.layout == torch.strided
    # Slicing a tensor costs more than everything else here.
    if fits and (x.is_contiguous() or (steps and x[(0,) * steps].is_contiguous())):
        return x
    kinds = " or ".join(str(dtype).removeprefix("torch.") for dtype in dtypes)
    raise ValueError(
        f"compiled code takes {kinds} {list(shape)}, dense; got {x.dtype} {list(x.shape)} in steps {list(x.stride())}"
    )


def pointer(x: Tensor, *shape: int, dtype: torch.dtype = torch.float32, steps: int = 0) -> int:
    """The address of a tensor of this shape and type, checked as `check` does."""
    return check(_on_cpu(x), shape, (dtype,), steps=steps).data_ptr()


def array(x: Tensor, *shape: int, dtype: torch.dtype | None = None) -> Array:
    """The library's argument for features of this shape; dtype: None = either of its types."""
    check(_on_cpu(x), shape, FEATURES if dtype is None else (dtype,), steps=1)
    return Array(x.data_ptr(), x.stride(0), x.dtype == torch.bfloat16)


def _on_cpu(x: Tensor) -> Tensor:
    if not x.is_cpu:
        raise ValueError(f"compiled code takes tensors on the CPU, got one on {x.device}")
    return x


def taps_pointer(taps: tuple[float, float, float] | None) -> ctypes.c_void_p | None:
    """The library's argument for the taps of a filter."""
    return None if taps is None else ctypes.cast((ctypes.c_float * 3)(*taps), Pointer)


@functools.cache
def load_library() -> ctypes.CDLL | None:
    """The library, if the installed wheel has it and it loads."""
    if not LIBRARY.is_file():
        logging.getLogger(__name__).info("no compiled kernels here: images take the path 'fast', not 'native'")
        return None
    try:
        library = ctypes.CDLL(str(LIBRARY))
        library.stylegan_use_parallel.argtypes = [Pointer]
        library.stylegan_use_parallel(_parallel())
        library.stylegan_use_capability(_capability())
    except (OSError, AttributeError) as error:
        logging.getLogger(__name__).warning("the compiled kernels cannot be loaded, the path is 'fast': %s", error)
        return None
    return library


# Instruction sets by torch's names, as the library counts them.
CAPABILITIES = {"default": 0, "avx2": 1, "avx512": 2}


def _capability() -> int:
    """The largest instruction set to use: STYLEGAN_CPU_CAPABILITY, or else what torch uses here."""
    asked = os.environ.get("STYLEGAN_CPU_CAPABILITY", "").lower()
    if asked and asked not in CAPABILITIES:
        message = "STYLEGAN_CPU_CAPABILITY is %r; expected one of %s"
        logging.getLogger(__name__).warning(message, asked, ", ".join(CAPABILITIES))
    return CAPABILITIES.get(asked, CAPABILITIES.get(torch.backends.cpu.get_cpu_capability().lower(), 0))


def _parallel() -> ctypes.c_void_p | None:
    """GOMP_parallel of torch's OpenMP runtime, GNU's or LLVM's; None = no threads."""
    try:
        return ctypes.cast(ctypes.CDLL(None).GOMP_parallel, Pointer)
    except (AttributeError, TypeError, OSError):
        return None
