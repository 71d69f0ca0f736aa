"""The compiled library (the files in C), by ctypes. It is optional.

Its work runs on the threads of the OpenMP runtime that torch has loaded, as many as torch.get_num_threads(): threads
of its own would wait for torch's, which spin for a while after each operation.
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

# Where setup.py puts it, whatever the version of Python.
LIBRARY = Path(__file__).with_name("_kernels.so")

# Types that features may have.
FEATURES = (torch.float32, torch.bfloat16)


class Array(ctypes.Structure):
    """Features in memory, [N, rows, W, C], float32 or bfloat16."""

    _fields_ = (("data", Pointer), ("image", Long), ("bfloat16", Int))


def check(
    x: Tensor, shape: Sequence[int], dtypes: Sequence[torch.dtype] = (torch.float32,), *, steps: int = 0
) -> Tensor:
    """Return a tensor that compiled code reads by its address, if it is what that code takes it for.

    steps: how many of the first dimensions may lie at any distance; the others lie together, in order.
    Raises ValueError for another type, shape or layout: what is read then would be no number of this tensor.
    """
    fits = x.dtype in dtypes and x.shape == tuple(shape) and x.layout == torch.strided
    # To take a part of a tensor costs more than all else here.
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
    """Features of this shape as the library takes them; dtype: None = either of its types."""
    check(_on_cpu(x), shape, FEATURES if dtype is None else (dtype,), steps=1)
    return Array(x.data_ptr(), x.stride(0), x.dtype == torch.bfloat16)


def _on_cpu(x: Tensor) -> Tensor:
    if not x.is_cpu:
        raise ValueError(f"compiled code takes tensors on the CPU, got one on {x.device}")
    return x


def taps_pointer(taps: tuple[float, float, float] | None) -> ctypes.c_void_p | None:
    """The taps of a filter as the library takes them."""
    return None if taps is None else ctypes.cast((ctypes.c_float * 3)(*taps), Pointer)


@functools.cache
def load_library() -> ctypes.CDLL | None:
    """The library, if the installed wheel has it and it can be loaded."""
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


# Instruction sets, as torch names them and as the library counts them.
CAPABILITIES = {"default": 0, "avx2": 1, "avx512": 2}


def _capability() -> int:
    """The most that the library may use: what STYLEGAN_CPU_CAPABILITY says, or else what torch uses here."""
    asked = os.environ.get("STYLEGAN_CPU_CAPABILITY", "").lower()
    if asked and asked not in CAPABILITIES:
        message = "STYLEGAN_CPU_CAPABILITY is %r; expected one of %s"
        logging.getLogger(__name__).warning(message, asked, ", ".join(CAPABILITIES))
    return CAPABILITIES.get(asked, CAPABILITIES.get(torch.backends.cpu.get_cpu_capability().lower(), 0))


def _parallel() -> ctypes.c_void_p | None:
    """GOMP_parallel of the OpenMP runtime that torch runs on, which GNU's and LLVM's have; None = no threads."""
    try:
        return ctypes.cast(ctypes.CDLL(None).GOMP_parallel, Pointer)
    except (AttributeError, TypeError, OSError):
        return None
