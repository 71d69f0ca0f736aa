"""The compiled kernels (kernels.c), by ctypes. They are optional: without them the operations of torch serve.

They run on the threads of the OpenMP runtime that torch has loaded, as many as torch.get_num_threads(): threads of
their own would wait for torch's, which spin for a while after each operation.
"""

import ctypes
import functools
import importlib.util
import logging

import torch
from torch import Tensor

from .convolution import Convolution
from .prepared import PreparedLayer
from .workspace import Workspace

_Pointer, _Long, _Int = ctypes.c_void_p, ctypes.c_long, ctypes.c_int


class _Array(ctypes.Structure):
    _fields_ = (("data", _Pointer), ("image", _Long), ("bfloat16", _Int))


class _Normalize(ctypes.Structure):
    _fields_ = (
        *(("x", _Array), ("out", _Array)),
        *((name, _Pointer) for name in ("mean", "scale", "shift")),
        *((name, _Long) for name in ("rows", "width", "channels")),
    )


class _Epilogue(ctypes.Structure):
    _fields_ = (
        *(("x", _Array), ("out", _Array)),
        *(("noise", _Pointer), ("noise_image", _Long)),
        *((name, _Pointer) for name in ("strength", "bias", "taps", "sums")),
        *((name, _Long) for name in ("rows", "width", "channels")),
        *(("slope", ctypes.c_float), ("first", _Int), ("last", _Int)),
    )


class _Rgb(ctypes.Structure):
    _fields_ = (
        ("x", _Array),
        *((name, _Pointer) for name in ("weight", "bias", "out")),
        *((name, _Long) for name in ("out_image", "out_channel", "rows", "width", "channels", "img_channels")),
    )


class _Winograd(ctypes.Structure):
    _fields_ = (
        ("x", _Array),
        *((name, _Pointer) for name in ("weight", "out", "scratch")),
        *((name, _Long) for name in ("images", "rows", "width", "in", "out_rows", "out_width", "channels")),
        *(("taps", _Int), ("panel", _Int)),
    )


class NativeKernels:
    """Kernels, compiled. Features may be float32 or bfloat16; all else is float32."""

    def __init__(self, library: ctypes.CDLL):
        self._library = library
        self._has_winograd = bool(library.stylegan_has_winograd())
        if self._has_winograd:
            library.stylegan_winograd_scratch.restype = _Long

    def convolve(self, convolution: Convolution, x: Tensor, workspace: Workspace) -> Tensor:
        if not self._has_winograd or not pays_by_winograd(convolution):
            return convolution(x)
        n, rows, width, channels = x.shape
        out = torch.empty(n, rows - convolution.taps + 1, width + convolution.up, convolution.out_channels)
        args = _Winograd(
            *(_array(x), convolution.winograd.data_ptr(), out.data_ptr(), None, n, rows, width, channels),
            *(*out.shape[1:], convolution.taps, convolution.panel),
        )
        threads = torch.get_num_threads()
        scratch = self._library.stylegan_winograd_scratch(ctypes.byref(args)) * threads
        args.scratch = workspace.take("winograd", (scratch,), torch.float32, x.device).data_ptr()
        self._library.stylegan_winograd(ctypes.byref(args), threads)
        return out

    def normalize(self, x: Tensor, mean: Tensor, scale: Tensor, shift: Tensor, out: Tensor) -> None:
        n, rows, width, channels = x.shape
        vectors = (mean.data_ptr(), scale.data_ptr(), shift.data_ptr())
        args = _Normalize(_array(x), _array(out), *vectors, rows, width, channels)
        self._library.stylegan_normalize(ctypes.byref(args), _Long(n), torch.get_num_threads())

    def epilogue(self, layer: PreparedLayer, x: Tensor, noise: Tensor | None, out: Tensor) -> Tensor:
        return self._epilogue(layer, x, noise, out, up=False)

    def up_epilogue(
        self, layer: PreparedLayer, windows: Tensor, noise: Tensor | None, out: Tensor, *, first: bool, last: bool
    ) -> Tensor:
        return self._epilogue(layer, windows, noise, out, up=True, first=first, last=last)

    def _epilogue(
        self,
        layer: PreparedLayer,
        x: Tensor,
        noise: Tensor | None,
        out: Tensor,
        *,
        up: bool,
        first: bool = False,
        last: bool = False,
    ) -> Tensor:
        x = x.contiguous()
        n, rows, width, channels = out.shape
        sums = torch.empty(n, rows, 2, channels, dtype=torch.float64)
        noise_args: tuple[int | None, ...] = (None, 0, None)
        if noise is not None and layer.noise_strength is not None:
            noise_args = (noise.data_ptr(), noise.stride(0) if len(noise) > 1 else 0, layer.noise_strength.data_ptr())
        taps = None if layer.blur_taps is None else ctypes.cast((ctypes.c_float * 3)(*layer.blur_taps), _Pointer)
        args = _Epilogue(
            *(_array(x), _array(out), *noise_args, layer.bias.data_ptr(), taps, sums.data_ptr()),
            *(rows, width, channels, layer.negative_slope, first, last),
        )
        self._library.stylegan_epilogue(ctypes.byref(args), _Long(n), int(up), torch.get_num_threads())
        return sums.sum(dim=1).transpose(0, 1)

    def to_rgb(self, x: Tensor, weight: Tensor, bias: Tensor, out: Tensor) -> None:
        n, rows, width, channels = x.shape
        args = _Rgb(
            *(_array(x), weight.data_ptr(), bias.data_ptr(), out.data_ptr()),
            *(out.stride(0), out.stride(1), rows, width, channels, weight.shape[1]),
        )
        self._library.stylegan_rgb(ctypes.byref(args), _Long(n), torch.get_num_threads())


def pays_by_winograd(convolution: Convolution) -> bool:
    """Whether winograd.c can do it, and faster than oneDNN: small features
    have too few tiles for the size of the weights, and few channels too little work for the transforms.
    """
    whole_vectors = convolution.in_channels % 16 == 0 and convolution.out_channels % 16 == 0
    many = convolution.resolution >= 32 and min(convolution.in_channels, convolution.out_channels) >= 32
    return whole_vectors and many and convolution.dtype == torch.float32


def _array(x: Tensor) -> _Array:
    return _Array(x.data_ptr(), x.stride(0), x.dtype == torch.bfloat16)


@functools.cache
def native_kernels() -> NativeKernels | None:
    """The compiled kernels, if they were built when the package was installed and can be loaded."""
    spec = importlib.util.find_spec("stylegan.fast._kernels")
    if spec is None or spec.origin is None:
        logging.getLogger(__name__).info("no compiled kernels here: images take the path 'fast', not 'native'")
        return None
    try:
        library = ctypes.CDLL(spec.origin)
        library.stylegan_use_parallel.argtypes = [_Pointer]
        library.stylegan_use_parallel(_parallel())
    except (OSError, AttributeError) as error:
        logging.getLogger(__name__).warning("the compiled kernels cannot be loaded, the path is 'fast': %s", error)
        return None
    return NativeKernels(library)


def _parallel() -> ctypes.c_void_p | None:
    """GOMP_parallel of the OpenMP runtime that torch runs on, which GNU's and LLVM's have; None = no threads."""
    try:
        return ctypes.cast(ctypes.CDLL(None).GOMP_parallel, _Pointer)
    except (AttributeError, TypeError, OSError):
        return None
