"""The steps beside the convolution, as operations of torch on a band of rows that stays in the caches.

Features are [N, rows, W, C]: the channels of a pixel lie together.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from .prepared import PreparedLayer

Sums = tuple[Tensor, Tensor]  # Over the pixels of a band: of the features and of their squares, each [N, C].


def normalize(x: Tensor, mean: Tensor, scale: Tensor, shift: Tensor, out: Tensor) -> None:
    """out = (x - mean) * scale + shift, the normalization and the style in one; all but x and out: [N, C].

    The mean goes first: scale is up to 1e4 where a channel is constant, as the first layer's are in a new network.
    """
    mean, scale, shift = mean[:, None, None], scale[:, None, None], shift[:, None, None]
    if out.dtype == x.dtype:
        torch.addcmul(shift, torch.sub(x, mean, out=out), scale, out=out)
    else:
        out.copy_(torch.addcmul(shift, x - mean, scale))


def epilogue(layer: PreparedLayer, x: Tensor, noise: Tensor | None, out: Tensor) -> Sums:
    """out = activation(x + noise * strength + bias); x is what the convolution gave and may be overwritten."""
    x = x.float().add_(layer.bias)
    return _activate(layer, x, noise, out)


def up_epilogue(
    layer: PreparedLayer, windows: Tensor, noise: Tensor | None, out: Tensor, *, first: bool, last: bool
) -> Sums:
    """The same after a convolution with `up`, with the filter before it.

    windows: [N, rows / 2 + 1, W / 2 + 1, 4 * C]; out: [N, rows, W, C].
    first, last: the band begins, ends at the border of the image, beyond which all is zero.
    """
    n, height, width, _ = windows.shape
    blocks = windows.float().view(n, height, width, 2, 2, layer.channels)
    x = blocks.permute(0, 1, 3, 2, 4, 5).reshape(n, 2 * height, 2 * width, layer.channels)
    if layer.blur_taps is None:
        return _activate(layer, x[:, 1:-1, 1:-1] + layer.bias, noise, out)
    x[:, :, 0], x[:, :, -1] = 0, 0
    if first:
        x[:, 0] = 0
    if last:
        x[:, -1] = 0
    taps = torch.tensor(layer.blur_taps, device=x.device)
    kernel = torch.outer(taps, taps).expand(layer.channels, 1, 3, 3)
    x = F.conv2d(x.permute(0, 3, 1, 2), kernel, layer.bias, groups=layer.channels).permute(0, 2, 3, 1)
    return _activate(layer, x, noise, out)


def _activate(layer: PreparedLayer, x: Tensor, noise: Tensor | None, out: Tensor) -> Sums:
    if noise is not None and layer.noise_strength is not None:
        x.addcmul_(noise[..., None], layer.noise_strength)
    if layer.negative_slope:
        F.leaky_relu_(x, layer.negative_slope)
    else:
        x.relu_()
    out.copy_(x)
    # The first layer of a new network is nearly constant: its small variance is lost in float32 squares.
    x = x.double() if layer.input is not None else x
    return x.sum((1, 2)), x.mul_(x).sum((1, 2))


def to_rgb(x: Tensor, weight: Tensor, bias: Tensor, out: Tensor) -> None:
    """A 1x1 convolution for each image; weight: [N, img_channels, C]; bias: [N, img_channels]; out: [N, ., rows, W]."""
    for features, kernel, offset, img in zip(x.split(1), weight, bias, out, strict=True):
        img.copy_(F.conv2d(features.permute(0, 3, 1, 2).float(), kernel[:, :, None, None], offset)[0])
