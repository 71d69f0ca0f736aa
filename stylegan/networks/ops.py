"""Pure tensor operations of the networks: no parameters, no state.

Images and features are [N, C, H, W]; convolution kernels are [out, in, kh, kw].
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import InputError

# The epsilon of every normalization and of the minibatch standard deviation.
EPSILON = 1e-8


def leaky_relu(x: Tensor) -> Tensor:
    """max(x, 0.2 x), without a gain: the official networks have it in their weights."""
    return F.leaky_relu(x, 0.2)


def pixel_norm(x: Tensor) -> Tensor:
    """Divide by the root mean square over channels (Karras et al. 2017, section 4.2)."""
    return x * torch.rsqrt(x.square().mean(dim=1, keepdim=True) + EPSILON)


def instance_norm(x: Tensor, epsilon: float = EPSILON) -> Tensor:
    """Zero mean, unit biased variance of each channel of each sample (the normalization in equation 1).

    The statistics are float32 for every dtype of x, except float64 for float64.
    """
    y = x if x.dtype == torch.float64 else x.float()
    # On maps as rows: for a single image in channels_last, torch 2.13 gets the gradient on the CPU wrong.
    return F.instance_norm(y.flatten(2), eps=epsilon).view(x.shape).to(x.dtype)


def blur_kernel(taps: Sequence[float]) -> Tensor:
    """The normalized two-dimensional kernel [1, 1, k, k] of a separable blur filter."""
    if not 0 < len(taps) <= 64 or not 0 < abs(sum(taps)) < float("inf"):
        raise InputError(f"blur_filter must be 1 to 64 taps with a finite sum other than 0, got {list(taps)[:64]}")
    row = torch.tensor(taps, dtype=torch.float32, device="cpu")
    kernel = torch.outer(row, row)
    return (kernel / kernel.sum())[None, None]


def blur(x: Tensor, kernel: Tensor) -> Tensor:
    """Filter each channel with `kernel` [1, 1, k, k], zeros beyond the border, size unchanged.

    An even kernel has its extra tap after the pixel: four taps reach one pixel back and two ahead.
    """
    channels, taps = x.shape[1], kernel.shape[-1]
    kernel = kernel.expand(channels, 1, taps, taps)
    if taps % 2:
        return F.conv2d(x, kernel, padding=taps // 2, groups=channels)
    x = F.pad(x, [taps // 2 - 1, taps // 2, taps // 2 - 1, taps // 2])
    return F.conv2d(x, kernel, groups=channels)


def upscale(x: Tensor, factor: int = 2) -> Tensor:
    """Enlarge by repeating pixels."""
    return F.interpolate(x, scale_factor=factor, mode="nearest") if factor > 1 else x


def downscale(x: Tensor, factor: int = 2) -> Tensor:
    """Shrink by averaging blocks of factor x factor pixels."""
    return F.avg_pool2d(x, factor) if factor > 1 else x


def fade(x: Tensor, coarser: Tensor, lod: float, share: Tensor | None = None) -> Tensor:
    """Blend in the next coarser level of detail, by the fractional part of lod (Karras et al. 2017, figure 2).

    share: that part as a tensor [], which may change between replays of a CUDA graph: see `training.graphs`.
    """
    if share is None:
        return torch.lerp(x, coarser, lod % 1)
    return torch.lerp(x.float(), coarser.float(), share).to(x.dtype)


def conv2d(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Convolution with zero padding, size unchanged (odd kernels)."""
    return F.conv2d(x, weight, bias, padding=weight.shape[-1] // 2)


def upscale_conv2d(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """`conv2d(upscale(x), weight)` for a 3x3 kernel, as one transposed convolution with 4 taps a pixel."""
    return double_conv2d(x, upscale_kernel(weight), bias)


def upscale_kernel(weight: Tensor) -> Tensor:
    """The kernel for `double_conv2d` of a 3x3 kernel: [out, in, 3, 3] -> [in, out, 4, 4]."""
    return (4 * _mean_of_shifts(weight.flip(2, 3))).transpose(0, 1)


def double_conv2d(x: Tensor, kernel: Tensor, bias: Tensor | None = None) -> Tensor:
    """Transposed convolution of a 4x4 kernel [in, out, 4, 4] that doubles the size."""
    return F.conv_transpose2d(x, kernel, bias, stride=2, padding=1)


def bilinear_upscale_conv2d(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Convolution after bilinear enlargement to twice the size, corner pixels on corner pixels."""
    return conv2d(F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True), weight, bias)


def conv2d_downscale(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """`downscale(conv2d(x, weight))` for a 3x3 kernel, as one strided 4x4 convolution."""
    return F.conv2d(x, _mean_of_shifts(weight), bias, stride=2, padding=1)


def _mean_of_shifts(weight: Tensor) -> Tensor:
    """Convolve a kernel with a 2x2 box of sum 1: [out, in, 3, 3] -> [out, in, 4, 4]. Fast in its gradients, too."""
    return F.avg_pool2d(weight, 2, stride=1, padding=1)


def minibatch_stddev(x: Tensor, group_size: int, num_features: int) -> Tensor:
    """Append the standard deviation within groups of samples as channels (Karras et al. 2017, section 3).

    x: [N, C, H, W] with N at most, or divisible by, group_size; returns [N, C + num_features, H, W].
    Sample i belongs to group i mod M, where M is the number of groups.
    """
    n, c, h, w = x.shape
    group_size = min(group_size, n)
    y = x.float().reshape(group_size, -1, num_features, c // num_features, h, w)  # [G, M, F, C/F, H, W]
    y = ((y - y.mean(dim=0)).square().mean(dim=0) + EPSILON).sqrt()  # [M, F, C/F, H, W]
    y = y.mean(dim=(2, 3, 4), keepdim=True).squeeze(2)  # [M, F, 1, 1]
    return torch.cat([x, y.to(x.dtype).repeat(group_size, 1, h, w)], dim=1)
