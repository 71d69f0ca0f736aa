"""The steps beside the convolution, compiled (kernels.c). They are optional: without them those of torch serve."""

import ctypes
import functools
from typing import NamedTuple

import torch
from torch import Tensor

from .convolution import Convolution
from .library import Array, Int, Long, Pointer, array, load_library, taps_pointer
from .prepared import PreparedLayer
from .workspace import Workspace


class _Normalize(ctypes.Structure):
    _fields_ = (
        *(("x", Array), ("out", Array)),
        *((name, Pointer) for name in ("mean", "scale", "shift")),
        *((name, Long) for name in ("rows", "width", "channels")),
    )


class _Epilogue(ctypes.Structure):
    _fields_ = (
        *(("x", Array), ("out", Array)),
        *(("noise", Pointer), ("noise_image", Long)),
        *((name, Pointer) for name in ("strength", "bias", "taps", "sums")),
        *((name, Long) for name in ("rows", "width", "channels")),
        *(("slope", ctypes.c_float), ("first", Int), ("last", Int)),
    )


class _Rgb(ctypes.Structure):
    _fields_ = (
        ("x", Array),
        *((name, Pointer) for name in ("weight", "bias", "out")),
        *((name, Long) for name in ("out_image", "out_channel", "rows", "width", "channels", "img_channels")),
    )


class _Winograd(ctypes.Structure):
    _fields_ = (
        ("x", Array),
        *((name, Pointer) for name in ("weight", "out", "scratch")),
        *((name, Long) for name in ("images", "rows", "width", "in", "out_rows", "out_width", "channels")),
        *(("taps", Int), ("panel", Int)),
    )


class _Filter(NamedTuple):
    """The separable filter after enlarging; None = none. first, last: the band begins, ends at the border."""

    taps: tuple[float, float, float] | None
    first: bool
    last: bool


class NativeKernels:
    """Kernels, compiled. Features may be float32 or bfloat16; all else is float32."""

    def __init__(self, library: ctypes.CDLL):
        self._library = library
        self._has_winograd = bool(library.stylegan_has_winograd())
        if self._has_winograd:
            library.stylegan_winograd_scratch.restype = Long

    def convolve(self, convolution: Convolution, x: Tensor, workspace: Workspace) -> Tensor:
        if not self._has_winograd or not pays_by_winograd(convolution):
            return convolution(x)
        n, rows, width, channels = x.shape
        out = torch.empty(n, rows - convolution.taps + 1, width + convolution.up, convolution.out_channels)
        args = _Winograd(
            *(array(x), convolution.winograd.data_ptr(), out.data_ptr(), None, n, rows, width, channels),
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
        args = _Normalize(array(x), array(out), *vectors, rows, width, channels)
        self._library.stylegan_normalize(ctypes.byref(args), Long(n), torch.get_num_threads())

    def epilogue(self, layer: PreparedLayer, x: Tensor, noise: Tensor | None, out: Tensor) -> Tensor:
        return self.activate(x, layer.bias, noise, layer.noise_strength, layer.negative_slope, out)

    def up_epilogue(
        self, layer: PreparedLayer, windows: Tensor, noise: Tensor | None, out: Tensor, *, first: bool, last: bool
    ) -> Tensor:
        filtered = _Filter(layer.blur_taps, first, last)
        return self.activate(windows, layer.bias, noise, layer.noise_strength, layer.negative_slope, out, up=filtered)

    def activate(
        self,
        x: Tensor,
        bias: Tensor,
        noise: Tensor | None,
        strength: Tensor | None,
        slope: float,
        out: Tensor,
        *,
        up: _Filter | None = None,
    ) -> Tensor:
        """out = activation(x + noise * strength + bias), after the filter if x is windows; the sums as `epilogue`."""
        x = x.contiguous()
        n, rows, width, channels = out.shape
        sums = torch.empty(n, rows, 2, channels, dtype=torch.float64)
        noise_args: tuple[int | None, ...] = (None, 0, None)
        if noise is not None and strength is not None:
            noise_args = (noise.data_ptr(), noise.stride(0) if len(noise) > 1 else 0, strength.data_ptr())
        filtered = up or _Filter(None, False, False)
        args = _Epilogue(
            *(array(x), array(out), *noise_args, bias.data_ptr(), taps_pointer(filtered.taps), sums.data_ptr()),
            *(rows, width, channels, slope, filtered.first, filtered.last),
        )
        self._library.stylegan_epilogue(ctypes.byref(args), Long(n), up is not None, torch.get_num_threads())
        return sums.sum(dim=1).transpose(0, 1)

    def to_rgb(self, x: Tensor, weight: Tensor, bias: Tensor, out: Tensor) -> None:
        n, rows, width, channels = x.shape
        args = _Rgb(
            *(array(x), weight.data_ptr(), bias.data_ptr(), out.data_ptr()),
            *(out.stride(0), out.stride(1), rows, width, channels, weight.shape[1]),
        )
        self._library.stylegan_rgb(ctypes.byref(args), Long(n), torch.get_num_threads())


def pays_by_winograd(convolution: Convolution) -> bool:
    """Whether winograd.c can do it, and faster than oneDNN: small features
    have too few tiles for the size of the weights, and few channels too little work for the transforms.
    """
    whole_vectors = convolution.in_channels % 16 == 0 and convolution.out_channels % 16 == 0
    many = convolution.resolution >= 32 and min(convolution.in_channels, convolution.out_channels) >= 32
    return whole_vectors and many and convolution.dtype == torch.float32


@functools.cache
def native_kernels() -> NativeKernels | None:
    """The compiled kernels, if there are any here."""
    library = load_library()
    return None if library is None else NativeKernels(library)
