"""Everything except convolution on GPUs, in Triton, one pass over memory each. Convolutions are cuDNN's.

All arithmetic is float32, whatever the type of the features. Each program handles a tile of pixels and channels of one
image, and writes its own sums, which are added in a fixed order: no atomics, and tiles that do not depend on the batch,
so that a call gives the same bits on every run.
"""

# mypy: disable-error-code="no-untyped-def"

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from .compiled import CompiledKernels
from .convolution import Convolution
from .prepared import PreparedLayer
from .workspace import Workspace

# Values of a tile, and its most channels.
_TILE = 2048
_CHANNELS = 128

# Fused multiply-add, which rounds less often. (Some versions warn if this is not set.)
_OPTIONS = {"enable_fp_fusion": True}


@triton.jit
def _tile(pixels, channels, PIXELS: tl.constexpr, CHANNELS: tl.constexpr):
    """This program's image and tile number; its pixels [PIXELS, 1], channels [1, CHANNELS], and the valid ones."""
    program = tl.program_id(0)
    across = tl.cdiv(channels, CHANNELS)
    down = tl.cdiv(pixels, PIXELS)
    block = program // across % down
    p = block * PIXELS + tl.arange(0, PIXELS)[:, None]
    c = program % across * CHANNELS + tl.arange(0, CHANNELS)[None, :]
    return (program // (across * down)).to(tl.int64), block, p, c, (p < pixels) & (c < channels)


@triton.jit
def _normalize(
    x, out, mean, scale, shift, x_image, out_image, pixels, channels, PIXELS: tl.constexpr, CHANNELS: tl.constexpr
):
    image, _, p, c, real = _tile(pixels, channels, PIXELS, CHANNELS)
    at, known, vector = p * channels + c, c < channels, image * channels + c
    y = tl.load(x + image * x_image + at, mask=real, other=0).to(tl.float32)
    y = (y - tl.load(mean + vector, mask=known, other=0)) * tl.load(scale + vector, mask=known, other=0)
    y += tl.load(shift + vector, mask=known, other=0)
    tl.store(out + image * out_image + at, y.to(out.dtype.element_ty), mask=real)


@triton.jit
def _finish(
    y, image, block, p, c, real, out, noise, strength, bias, sums, out_image, noise_image, pixels, channels, slope,
    HAS_NOISE: tl.constexpr, PIXELS: tl.constexpr,
):  # fmt: skip
    """Noise, bias and activation of a tile y; its sums go to [images, tiles, 2, channels]."""
    known = c < channels
    if HAS_NOISE:
        own = tl.load(noise + image * noise_image + p, mask=p < pixels, other=0)
        y += own * tl.load(strength + c, mask=known, other=0)
    y += tl.load(bias + c, mask=known, other=0)
    y = tl.where(y > 0, y, y * slope)
    tl.store(out + image * out_image + p * channels + c, y.to(out.dtype.element_ty), mask=real)
    y = tl.where(real, y, 0.0)
    row = sums + (image * tl.cdiv(pixels, PIXELS) + block) * 2 * channels + c
    tl.store(row, tl.sum(y, axis=0)[None, :], mask=known)
    tl.store(row + channels, tl.sum(y * y, axis=0)[None, :], mask=known)


@triton.jit
def _epilogue(
    x, out, noise, strength, bias, sums, out_image, noise_image, pixels, channels, slope,
    HAS_NOISE: tl.constexpr, PIXELS: tl.constexpr, CHANNELS: tl.constexpr,
):  # fmt: skip
    image, block, p, c, real = _tile(pixels, channels, PIXELS, CHANNELS)
    y = tl.load(x + image * pixels * channels + p * channels + c, mask=real, other=0).to(tl.float32)
    _finish(
        y, image, block, p, c, real, out, noise, strength, bias, sums, out_image, noise_image, pixels, channels, slope,
        HAS_NOISE, PIXELS,
    )  # fmt: skip


@triton.jit
def _up_epilogue(
    windows, out, noise, strength, bias, sums, out_image, noise_image, rows, width, channels, slope,
    tap0, tap1, tap2, FIRST: tl.constexpr, LAST: tl.constexpr,
    HAS_BLUR: tl.constexpr, HAS_NOISE: tl.constexpr, PIXELS: tl.constexpr, CHANNELS: tl.constexpr,
):  # fmt: skip
    pixels = rows * width
    image, block, p, c, real = _tile(pixels, channels, PIXELS, CHANNELS)
    row, column = p // width, p % width
    across = width // 2 + 1
    windows += image * (rows // 2 + 1) * across * 4 * channels
    y = tl.zeros([PIXELS, CHANNELS], tl.float32)
    for i in tl.static_range(-1, 2):
        for j in tl.static_range(-1, 2):
            if HAS_BLUR or (i == 0 and j == 0):
                # Pixel (r, q) lies in window ((r + 1) / 2, (q + 1) / 2), at the remainders.
                r, q = row + i, column + j
                inside = (q >= 0) & (q < width)
                if FIRST:
                    inside &= r >= 0
                if LAST:
                    inside &= r < rows
                window = (r + 1) // 2 * across + (q + 1) // 2
                within = (r + 1) % 2 * 2 + (q + 1) % 2
                value = tl.load(windows + (window * 4 + within) * channels + c, mask=real & inside, other=0)
                value = value.to(tl.float32)
                if HAS_BLUR:
                    vertical = tap0 if i < 0 else (tap1 if i == 0 else tap2)
                    horizontal = tap0 if j < 0 else (tap1 if j == 0 else tap2)
                    value *= vertical * horizontal
                y += value
    _finish(
        y, image, block, p, c, real, out, noise, strength, bias, sums, out_image, noise_image, pixels, channels, slope,
        HAS_NOISE, PIXELS,
    )  # fmt: skip


@triton.jit
def _to_rgb(
    x, weight, bias, out, x_image, out_image, out_channel, pixels, channels,
    COLOURS: tl.constexpr, PIXELS: tl.constexpr, CHANNELS: tl.constexpr,
):  # fmt: skip
    program = tl.program_id(0)
    down = tl.cdiv(pixels, PIXELS)
    image = (program // down).to(tl.int64)
    p = program % down * PIXELS + tl.arange(0, PIXELS)[:, None]
    c = tl.arange(0, CHANNELS)[None, :]
    real = (p < pixels) & (c < channels)
    y = tl.load(x + image * x_image + p * channels + c, mask=real, other=0).to(tl.float32)
    for k in tl.static_range(COLOURS):
        own = tl.load(weight + (image * COLOURS + k) * channels + c, mask=c < channels, other=0)
        value = tl.sum(y * own, axis=1)[:, None] + tl.load(bias + image * COLOURS + k)
        tl.store(out + image * out_image + k * out_channel + p, value, mask=p < pixels)


class TritonKernels(CompiledKernels):
    """Kernels of Triton. Features may be float32, bfloat16 or float16; all else is float32."""

    def normalize(self, x: Tensor, mean: Tensor, scale: Tensor, shift: Tensor, out: Tensor) -> None:
        n, rows, width, channels = x.shape
        tile = _tile_of(channels, _CHANNELS)
        _normalize[_grid(n, rows * width, channels, *tile)](
            *(x, out, mean, scale, shift, x.stride(0), out.stride(0), rows * width, channels, *tile),
            **_OPTIONS,
        )

    def convolve(self, convolution: Convolution, x: Tensor, workspace: Workspace) -> Tensor:
        return convolution(x)

    def activate(self, layer: PreparedLayer, x: Tensor, noise: Tensor | None, out: Tensor) -> Tensor:
        n, rows, width, channels = out.shape
        tile = _tile_of(channels, _CHANNELS)
        sums = _sums(out, tile)
        has_noise, *noise_args = _noise_args(layer, noise)
        _epilogue[_grid(n, rows * width, channels, *tile)](
            *(x.contiguous(), out, *noise_args[:2], layer.bias, sums, out.stride(0), noise_args[2]),
            *(rows * width, channels, layer.negative_slope, has_noise, *tile),
            **_OPTIONS,
        )
        return _total(sums)

    def activate_windows(
        self, layer: PreparedLayer, windows: Tensor, noise: Tensor | None, out: Tensor, *, first: bool, last: bool
    ) -> Tensor:
        n, rows, width, channels = out.shape
        tile = _tile_of(channels, _CHANNELS)
        sums = _sums(out, tile)
        has_noise, *noise_args = _noise_args(layer, noise)
        _up_epilogue[_grid(n, rows * width, channels, *tile)](
            *(windows.contiguous(), out, *noise_args[:2], layer.bias, sums, out.stride(0), noise_args[2]),
            *(rows, width, channels, layer.negative_slope, *(layer.blur_taps or (0.0, 1.0, 0.0))),
            *(first, last, layer.blur_taps is not None, has_noise, *tile),
            **_OPTIONS,
        )
        return _total(sums)

    def to_rgb(self, x: Tensor, weight: Tensor, bias: Tensor, out: Tensor) -> None:
        n, rows, width, channels = x.shape
        colours = weight.shape[1]
        tile = _tile_of(channels, channels)
        _to_rgb[_grid(n, rows * width, 1, tile[0], 1)](
            *(x, weight.contiguous(), bias.contiguous(), out, x.stride(0), out.stride(0), out.stride(1)),
            *(rows * width, channels, colours, *tile),
            **_OPTIONS,
        )


def _tile_of(channels: int, limit: int) -> tuple[int, int]:
    """Pixels and channels of a tile, powers of two; no more channels than the limit, rounded up."""
    across = triton.next_power_of_2(min(channels, limit))
    return max(1, _TILE // across), across


def _grid(n: int, pixels: int, channels: int, tile_pixels: int, tile_channels: int) -> tuple[int]:
    """One dimension for everything, since the others are limited to 65535."""
    return (n * triton.cdiv(pixels, tile_pixels) * triton.cdiv(channels, tile_channels),)


def _sums(out: Tensor, tile: tuple[int, int]) -> Tensor:
    n, rows, width, channels = out.shape
    return torch.empty(n, triton.cdiv(rows * width, tile[0]), 2, channels, device=out.device, dtype=torch.float32)


def _total(sums: Tensor) -> Tensor:
    return sums.sum(dim=1, dtype=torch.float64).transpose(0, 1)  # [2, N, C]


def _noise_args(layer: PreparedLayer, noise: Tensor | None) -> tuple[bool, Any, Any, int]:
    """Whether there is noise; the maps, their strength, and the distance from one image's map to the next."""
    if noise is None or layer.noise_strength is None:
        return False, layer.bias, layer.bias, 0
    return True, noise, layer.noise_strength, noise.stride(0) if len(noise) > 1 else 0
