"""The compiled library (the files in C), by ctypes. It is optional.

Its work runs on the threads of the OpenMP runtime that torch has loaded, as many as torch.get_num_threads(): threads
of its own would wait for torch's, which spin for a while after each operation.
"""

import ctypes
import functools
import importlib.util
import logging

import torch
from torch import Tensor

Pointer, Long, Int = ctypes.c_void_p, ctypes.c_long, ctypes.c_int


class Array(ctypes.Structure):
    """Features in memory, [N, rows, W, C], float32 or bfloat16."""

    _fields_ = (("data", Pointer), ("image", Long), ("bfloat16", Int))


def array(x: Tensor) -> Array:
    """A tensor as the library takes it; rows must lie together."""
    return Array(x.data_ptr(), x.stride(0), x.dtype == torch.bfloat16)


def taps_pointer(taps: tuple[float, float, float] | None) -> ctypes.c_void_p | None:
    """The taps of a filter as the library takes them."""
    return None if taps is None else ctypes.cast((ctypes.c_float * 3)(*taps), Pointer)


@functools.cache
def load_library() -> ctypes.CDLL | None:
    """The library, if it was built when the package was installed and can be loaded."""
    spec = importlib.util.find_spec("stylegan.fast._kernels")
    if spec is None or spec.origin is None:
        logging.getLogger(__name__).info("no compiled kernels here: images take the path 'fast', not 'native'")
        return None
    try:
        library = ctypes.CDLL(spec.origin)
        library.stylegan_use_parallel.argtypes = [Pointer]
        library.stylegan_use_parallel(_parallel())
    except (OSError, AttributeError) as error:
        logging.getLogger(__name__).warning("the compiled kernels cannot be loaded, the path is 'fast': %s", error)
        return None
    return library


def _parallel() -> ctypes.c_void_p | None:
    """GOMP_parallel of the OpenMP runtime that torch runs on, which GNU's and LLVM's have; None = no threads."""
    try:
        return ctypes.cast(ctypes.CDLL(None).GOMP_parallel, Pointer)
    except (AttributeError, TypeError, OSError):
        return None
