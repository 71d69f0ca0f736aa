"""The steps beside the convolution, as operations of torch on a band of rows that stays in the caches.

Features are [N, rows, W, C]: the channels of a pixel lie together.
"""

from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from .convolution import Convolution
from .prepared import PreparedLayer
from .workspace import Workspace


class Kernels(Protocol):
    """What the renderer asks for, of a band of rows of some images."""

    def normalize(self, x: Tensor, mean: Tensor, scale: Tensor, shift: Tensor, out: Tensor) -> None:
        """out = (x - mean) * scale + shift, the normalization and the style in one; all but x and out: [N, C].

        The mean goes first: scale is up to 1e4 where a channel is constant, as the first layer's are in a new network.
        """

    def convolve(self, convolution: Convolution, x: Tensor, workspace: Workspace) -> Tensor:
        """The convolution of a band, by whatever way is the fastest."""

    def epilogue(self, layer: PreparedLayer, x: Tensor, noise: Tensor | None, out: Tensor) -> Tensor:
        """out = activation(x + noise * strength + bias); returns the sums of it and of its square, [2, N, C].

        x: [N, rows, W, C], what the convolution gave; may be overwritten. noise: [N or 1, rows, W].
        """

    def up_epilogue(
        self, layer: PreparedLayer, windows: Tensor, noise: Tensor | None, out: Tensor, *, first: bool, last: bool
    ) -> Tensor:
        """The same after a convolution with `up`, with the filter before it.

        windows: [N, rows / 2 + 1, W / 2 + 1, 4 * C]; out: [N, rows, W, C].
        first, last: the band begins, ends at the border of the image, beyond which all is zero.
        """

    def to_rgb(self, x: Tensor, weight: Tensor, bias: Tensor, out: Tensor) -> None:
        """A 1x1 convolution of its own for each image.

        weight: [N, img_channels, C]; bias: [N, img_channels]; out: [N, img_channels, rows, W].
        """


class TorchKernels:
    """Kernels of torch's own operations."""

    def normalize(self, x: Tensor, mean: Tensor, scale: Tensor, shift: Tensor, out: Tensor) -> None:
        mean, scale, shift = mean[:, None, None], scale[:, None, None], shift[:, None, None]
        if x.dtype == out.dtype == torch.float32:
            torch.addcmul(shift, torch.sub(x, mean, out=out), scale, out=out)
        else:
            out.copy_(torch.addcmul(shift, x.float().sub(mean), scale))

    def convolve(self, convolution: Convolution, x: Tensor, workspace: Workspace) -> Tensor:
        return convolution(x)

    def epilogue(self, layer: PreparedLayer, x: Tensor, noise: Tensor | None, out: Tensor) -> Tensor:
        x = x.float() if x.dtype in (torch.bfloat16, torch.float16) else x
        return _activate(layer, x.add_(layer.bias), noise, out)

    def up_epilogue(
        self, layer: PreparedLayer, windows: Tensor, noise: Tensor | None, out: Tensor, *, first: bool, last: bool
    ) -> Tensor:
        n, height, width, _ = windows.shape
        blocks = windows.float().view(n, height, width, 2, 2, layer.channels)
        x = blocks.permute(0, 1, 3, 2, 4, 5).reshape(n, 2 * height, 2 * width, layer.channels)
        if layer.blur_kernel is None:
            return _activate(layer, x[:, 1:-1, 1:-1] + layer.bias, noise, out)
        x[:, :, 0], x[:, :, -1] = 0, 0
        if first:
            x[:, 0] = 0
        if last:
            x[:, -1] = 0
        kernel = layer.blur_kernel.expand(layer.channels, 1, 3, 3)
        x = F.conv2d(x.permute(0, 3, 1, 2), kernel, layer.bias, groups=layer.channels).permute(0, 2, 3, 1)
        return _activate(layer, x, noise, out)

    def to_rgb(self, x: Tensor, weight: Tensor, bias: Tensor, out: Tensor) -> None:
        for features, kernel, offset, img in zip(x.split(1), weight, bias, out, strict=True):
            img.copy_(F.conv2d(features.permute(0, 3, 1, 2).float(), kernel[:, :, None, None], offset)[0])


def _activate(layer: PreparedLayer, x: Tensor, noise: Tensor | None, out: Tensor) -> Tensor:
    if noise is not None and layer.noise_strength is not None:
        x.addcmul_(noise[..., None], layer.noise_strength)
    if layer.negative_slope:
        F.leaky_relu_(x, layer.negative_slope)
    else:
        x.relu_()
    out.copy_(x)
    return torch.stack([x.sum((1, 2)), x.mul_(x).sum((1, 2))])
