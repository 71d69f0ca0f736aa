"""Kernels that torch compiles, for training on a GPU: the steps between convolutions in few passes over memory.

Values and gradients equal the modules' up to rounding, which is smaller: everything is float32.
"""

import functools
from collections.abc import Callable
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from ..networks import ops
from ..networks.layers import SynthesisLayer, epilogue
from .prepared import is_stable
from .torch_kernels import TorchKernels


class CompiledKernels(TorchKernels):
    """Differentiable steps, compiled at their first call for each size.

    The gradients of `blur` can be differentiated again, as R1 needs; those of `epilogue` cannot.
    """

    def blur(self, x: Tensor, kernel: Tensor) -> Tensor:
        return _Blur.apply(x, kernel) if kernel.shape[-1] == 3 else ops.blur(x, kernel)

    def epilogue(self, layer: SynthesisLayer, x: Tensor, w: Tensor, noise: Tensor | None) -> Tensor:
        if not is_stable(layer):
            return epilogue(layer, x, w, noise)
        scale, shift = None, None
        if layer.style is not None:
            scale, shift = layer.style(w).float()[:, :, None, None].chunk(2, dim=1)  # [N, C, 1, 1] each
        epsilon = layer.quirks.instance_norm_epsilon if layer.use_instance_norm else None
        strength, slope = None if noise is None else layer.noise_strength, layer.nonlinearity.negative_slope
        return _compiled(_epilogue)(x, noise, strength, layer.bias, scale, shift, slope, epsilon)


@functools.cache
def _compiled(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """The function, compiled anew for each size and number of features."""
    # The compiler takes a second to import.
    import torch._dynamo

    compiled = torch.compile(function, dynamic=False, fullgraph=True)

    def call(*args: Any) -> Tensor:
        # Allow more sizes than torch's default.
        with torch._dynamo.config.patch(cache_size_limit=256):
            return compiled(*args)

    return call


def _epilogue(
    x: Tensor,  # [N, C, R, R]
    noise: Tensor | None,  # [N or 1, 1, R, R]
    strength: Tensor | None,  # [C]; None = no noise.
    bias: Tensor,  # [C]
    scale: Tensor | None,  # [N, C, 1, 1], the difference from 1; None = no style.
    shift: Tensor | None,  # [N, C, 1, 1]
    slope: float,
    epsilon: float | None,  # None = no normalization.
) -> Tensor:
    y = x.float()
    if noise is not None and strength is not None:
        y = y + noise.float() * strength.float()[:, None, None]
    y = F.leaky_relu(y + bias.float()[:, None, None], slope)
    if epsilon is not None:
        centred = y - y.mean(dim=(2, 3), keepdim=True)
        y = centred * torch.rsqrt(centred.square().mean(dim=(2, 3), keepdim=True) + epsilon)
    if scale is not None and shift is not None:
        y = y * (scale + 1) + shift
    return y.to(x.dtype)


def _filter(x: Tensor, kernel: Tensor) -> Tensor:
    size, taps = x.shape[-1], kernel[0, 0].float()
    padded = F.pad(x.float(), (1, 1, 1, 1))
    y = torch.zeros_like(x, dtype=torch.float32)
    for i in range(3):
        for j in range(3):
            y = y + padded[:, :, i : i + size, j : j + size] * taps[i, j]
    return y.to(x.dtype)


class _Blur(torch.autograd.Function):
    """Its gradient is the flipped filter: it can be differentiated any number of times."""

    apply: ClassVar[Callable[..., Tensor]]

    @staticmethod
    def forward(ctx: Any, x: Tensor, kernel: Tensor) -> Tensor:
        ctx.kernel = kernel
        return _compiled(_filter)(x, kernel)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return _Blur.apply(gradients[0], ctx.kernel.flip(2, 3)), None
