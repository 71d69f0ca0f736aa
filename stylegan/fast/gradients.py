"""Training kernels of the compiled library: gradients.c.

Features are [N, rows, W, C], all of one type, float32 or bfloat16; sums are float64, everything else float32.
"""

import ctypes

import torch
from torch import Tensor

from .autograd import Factors
from .library import Array, Long, Pointer, array, pointer, taps_pointer


class _Moments(ctypes.Structure):
    _fields_ = (
        *(("gradient", Array), ("y", Array)),
        *(("mean", Pointer), ("sums", Pointer)),
        *((name, Long) for name in ("rows", "width", "channels")),
    )


class _Gradient(ctypes.Structure):
    _fields_ = (
        *((name, Array) for name in ("gradient", "y", "out")),
        *((name, Pointer) for name in ("mean", "by_gradient", "by_y", "shift", "noise")),
        *(("noise_image", Long), ("sums", Pointer)),
        *((name, Long) for name in ("rows", "width", "channels")),
        ("slope", ctypes.c_float),
    )


class _Blur(ctypes.Structure):
    _fields_ = (
        *(("x", Array), ("out", Array), ("taps", Pointer)),
        *((name, Long) for name in ("rows", "width", "channels")),
    )


class NativeGradients:
    """Compiled training kernels."""

    def __init__(self, library: ctypes.CDLL):
        self._library = library

    def moments(self, gradient: Tensor, y: Tensor, mean: Tensor) -> Tensor:
        """The sums over the pixels of gradient and of gradient * (y - mean): [2, N, C]; mean: [N, C]."""
        n, rows, width, channels = y.shape
        sums = torch.empty(n, rows, 2, channels, dtype=torch.float64, device="cpu")
        args = _Moments(
            *(array(gradient, *y.shape, dtype=y.dtype), array(y, *y.shape), pointer(mean, n, channels)),
            *(pointer(sums, *sums.shape, dtype=torch.float64), rows, width, channels),
        )
        self._library.stylegan_moments(ctypes.byref(args), Long(n), torch.get_num_threads())
        return sums.sum(dim=1).transpose(0, 1)

    def gradient(
        self, gradient: Tensor, y: Tensor, factors: Factors, noise: Tensor | None, slope: float
    ) -> tuple[Tensor, Tensor]:
        """The gradient given by the factors, times the slope where y is not positive.

        y: the activation's output; noise: [N or 1, rows, W].
        Returns it, like y, and its sums over the pixels, plain and times the noise: [2, N, C].
        """
        n, rows, width, channels = y.shape
        out, sums = torch.empty_like(y), torch.empty(n, rows, 2, channels, dtype=torch.float64, device="cpu")
        noise_args: tuple[int | None, int] = (None, 0)
        if noise is not None:
            images = n if len(noise) > 1 else 1
            noise_args = pointer(noise, images, rows, width, steps=1), noise.stride(0) if images > 1 else 0
        args = _Gradient(
            *(array(gradient, *y.shape, dtype=y.dtype), array(y, *y.shape), array(out, *y.shape)),
            *(pointer(t, n, channels) for t in factors),
            *(*noise_args, pointer(sums, *sums.shape, dtype=torch.float64), rows, width, channels, slope),
        )
        self._library.stylegan_gradient(ctypes.byref(args), Long(n), torch.get_num_threads())
        return out, sums.sum(dim=1).transpose(0, 1)

    def filter(self, x: Tensor, taps: tuple[float, float, float]) -> Tensor:
        """Filter every channel along both sides, zeros beyond the border."""
        n, rows, width, channels = x.shape
        out = torch.empty_like(x)
        args = _Blur(array(x, *x.shape), array(out, *x.shape), taps_pointer(taps), rows, width, channels)
        self._library.stylegan_blur(ctypes.byref(args), Long(n), torch.get_num_threads())
        return out
