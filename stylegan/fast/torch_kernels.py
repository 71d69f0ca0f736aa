"""Kernels of torch's own operations, on any device."""

import torch
import torch.nn.functional as F
from torch import Tensor

from ..networks.layers import Modules
from .convolution import Convolution
from .prepared import PreparedLayer
from .workspace import Workspace


class TorchKernels(Modules):
    """Kernels of torch's own operations."""

    def normalize(self, x: Tensor, mean: Tensor, scale: Tensor, shift: Tensor, out: Tensor) -> None:
        mean, scale, shift = mean[:, None, None], scale[:, None, None], shift[:, None, None]
        if x.dtype == out.dtype == torch.float32:
            torch.addcmul(shift, torch.sub(x, mean, out=out), scale, out=out)
        else:
            out.copy_(torch.addcmul(shift, x.float().sub(mean), scale))

    def convolve(self, convolution: Convolution, x: Tensor, workspace: Workspace) -> Tensor:
        return convolution(x)

    def activate(self, layer: PreparedLayer, x: Tensor, noise: Tensor | None, out: Tensor) -> Tensor:
        x = x.float() if x.dtype in (torch.bfloat16, torch.float16) else x
        return _activate(layer, x.add_(layer.bias), noise, out)

    def convolve_and_activate(
        self, layer: PreparedLayer, x: Tensor, noise: Tensor | None, out: Tensor, workspace: Workspace
    ) -> Tensor:
        assert layer.convolution is not None
        return self.activate(layer, self.convolve(layer.convolution, x, workspace), noise, out)

    def activate_windows(
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

    def normalization(self, layer: PreparedLayer, sums: Tensor, w: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        mean, square = sums / layer.resolution**2
        scale, shift = torch.ones_like(mean), torch.zeros_like(mean)
        if layer.style_weight is not None:
            scale, shift = F.linear(w, layer.style_weight, layer.style_bias).double().chunk(2, dim=1)
        if layer.epsilon is None:
            mean, scale = torch.zeros_like(mean), scale / layer.factor
        else:
            scale = scale * (square - mean.square()).clamp(min=0).add(layer.epsilon).rsqrt()
        return mean.float(), scale.float(), shift.float()

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
