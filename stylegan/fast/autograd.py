"""The compiled kernels with gradients: the steps between convolutions in few passes over memory.

Values and gradients equal the modules' up to rounding; bfloat16 rounds less, once for all steps of an epilogue. The
gradients of `blur` can be differentiated again, as R1 needs; those of `epilogue` cannot.
"""

from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple, Protocol

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from ..networks.layers import SynthesisLayer
from .prepared import separate

Taps = tuple[float, float, float]


class Factors(NamedTuple):
    """The gradient of normalization and style: gradient * by_gradient + (y - mean) * by_y + shift. Fields: [N, C]."""

    mean: Tensor
    by_gradient: Tensor
    by_y: Tensor
    shift: Tensor


class PlainKernels(Protocol):
    """Kernels without gradients, on features [N, rows, W, C]; see `NativeKernels`."""

    def add_and_activate(
        self, x: Tensor, bias: Tensor, noise: Tensor | None, strength: Tensor | None, slope: float, out: Tensor
    ) -> Tensor:
        """out = activation(x + noise * strength + bias); returns the sums of out and of its square, [2, N, C]."""

    def normalize(self, x: Tensor, mean: Tensor, scale: Tensor, shift: Tensor, out: Tensor) -> None:
        """out = (x - mean) * scale + shift; mean, scale, shift: [N, C]."""

    def moments(self, gradient: Tensor, y: Tensor, mean: Tensor) -> Tensor:
        """The sums over the pixels of gradient and of gradient * (y - mean): [2, N, C]."""

    def gradient(
        self, gradient: Tensor, y: Tensor, factors: Factors, noise: Tensor | None, slope: float
    ) -> tuple[Tensor, Tensor]:
        """The gradient of the activation's input, and its sums: see `NativeGradients.gradient`."""

    def filter(self, x: Tensor, taps: Taps) -> Tensor:
        """Filter every channel along both sides, zeros beyond the border."""


def blur(kernels: PlainKernels, x: Tensor, kernel: Tensor) -> Tensor:
    """`ops.blur` for a kernel of 3x3."""
    return _Blur.apply(kernels, x, separate(kernel))


def epilogue(kernels: PlainKernels, layer: SynthesisLayer, x: Tensor, w: Tensor, noise: Tensor | None) -> Tensor:
    """`layers.epilogue`."""
    scale, shift = None, None
    if layer.style is not None:
        scale, shift = layer.style(w).float().chunk(2, dim=1)  # [N, C] each
    epsilon = layer.quirks.instance_norm_epsilon if layer.use_instance_norm else None
    slope = layer.nonlinearity.negative_slope
    strength = None if layer.noise_strength is None or noise is None else layer.noise_strength.float()
    return _Epilogue.apply(kernels, x, noise, strength, layer.bias.float(), scale, shift, slope, epsilon)


def _pixels(x: Tensor) -> Tensor:
    """[N, C, H, W] -> [N, H, W, C], with a pixel's channels together in memory."""
    return x.permute(0, 2, 3, 1).contiguous()


def _row(values: Tensor) -> Tensor:
    """[N, C], as the kernels take it."""
    return values.float().contiguous()


class _Blur(torch.autograd.Function):
    """A separable filter. Its gradient is the flipped filter: it can be differentiated any number of times."""

    apply: ClassVar[Callable[..., Tensor]]

    @staticmethod
    def forward(ctx: Any, kernels: PlainKernels, x: Tensor, taps: Taps) -> Tensor:
        ctx.kernels, ctx.taps = kernels, taps
        return kernels.filter(_pixels(x), taps).permute(0, 3, 1, 2)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[None, Tensor, None]:
        return None, _Blur.apply(ctx.kernels, gradients[0], ctx.taps[::-1]), None


class _Epilogue(torch.autograd.Function):
    """Noise, bias, activation, instance normalization and style."""

    apply: ClassVar[Callable[..., Tensor]]

    @staticmethod
    def forward(
        ctx: Any,
        kernels: PlainKernels,
        x: Tensor,  # [N, C, R, R]
        noise: Tensor | None,  # [N or 1, 1, R, R]
        strength: Tensor | None,  # [C]; None = no noise. From here on, all are float32.
        bias: Tensor,  # [C]
        scale: Tensor | None,  # [N, C], the difference from 1; None = no style.
        shift: Tensor | None,  # [N, C]
        slope: float,
        epsilon: float | None,  # None = no normalization.
    ) -> Tensor:
        x = _pixels(x)
        ctx.kernels = kernels
        ctx.noise = None if noise is None or strength is None else noise[:, 0].float().contiguous()
        ctx.slope, ctx.has_style, ctx.has_norm = slope, scale is not None, epsilon is not None
        y, out = torch.empty_like(x), torch.empty_like(x)
        sums = kernels.add_and_activate(x, bias, ctx.noise, strength, slope, y)
        mean, square = sums / x[0, :, :, 0].numel()  # [N, C] each, float64
        if epsilon is None:
            mean, factor = torch.zeros_like(mean), torch.ones_like(mean)
        else:
            factor = (square - mean.square()).clamp(min=0).add(epsilon).rsqrt()
        gain = factor if scale is None else factor * (scale + 1)
        offset = torch.zeros_like(mean) if shift is None else shift
        kernels.normalize(y, _row(mean), _row(gain), _row(offset), out)
        ctx.save_for_backward(y, mean, factor, gain)
        return out.permute(0, 3, 1, 2)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        kernels: PlainKernels = ctx.kernels
        y, mean, factor, gain = ctx.saved_tensors
        gradient, centre, pixels = _pixels(gradients[0]).to(y.dtype), _row(mean), y[0, :, :, 0].numel()
        total, product = kernels.moments(gradient, y, centre)
        product = product * factor  # Of the gradient and the normalized features.
        by_y, offset = torch.zeros_like(gain), torch.zeros_like(gain)
        if ctx.has_norm:
            by_y, offset = -gain * factor * product / pixels, -gain * total / pixels
        factors = Factors(centre, _row(gain), _row(by_y), _row(offset))
        x_gradient, sums = kernels.gradient(gradient, y, factors, ctx.noise, ctx.slope)
        bias, strength = sums.sum(dim=1).float()
        style = (product.float(), total.float()) if ctx.has_style else (None, None)
        own_strength = None if ctx.noise is None else strength
        return None, x_gradient.permute(0, 3, 1, 2), None, own_strength, bias, *style, None, None
