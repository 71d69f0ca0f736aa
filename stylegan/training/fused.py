"""Training on a CPU with compiled kernels: what comes between the convolutions in few passes over memory.

The same as the modules compute, and the same gradients, but for rounding; in bfloat16 with less of it, since all steps
of an epilogue are rounded once.
"""

from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from ..fast import is_supported, native_gradients, native_kernels, negative_slope, separate
from ..networks.layers import Conv2d, SynthesisLayer, epilogue
from ..networks.ops import blur


def fuse(network: nn.Module) -> None:
    """Let a network compute by the compiled kernels, if there are any here, wherever they know its layers.

    A synthesis network's gradients cannot be differentiated again then; a discriminator's can, as R1 needs.
    """
    if native_gradients() is not None:
        replace_parts(network, fused_blur, fused_epilogue)


def replace_parts(network: nn.Module, blur: Callable[..., Tensor], epilogue: Callable[..., Tensor]) -> None:
    """Put functions in the places of `ops.blur` and `layers.epilogue`, wherever the fast paths know the layers."""
    for module in network.modules():
        kernel = getattr(module, "blur_kernel", None)
        if kernel is not None and kernel.shape[-1] == 3:
            module.blur = blur  # type: ignore[assignment]
        # The input's features can be nearly constant: their variance takes more than float32.
        if isinstance(module, SynthesisLayer) and is_supported(module) and isinstance(module.source, Conv2d):
            module.epilogue = epilogue


def fused_blur(x: Tensor, kernel: Tensor) -> Tensor:
    """`ops.blur` for a kernel of 3x3."""
    if not _is_served(x):
        return blur(x, kernel)
    return cast(Tensor, _Blur.apply(x, separate(kernel)))


def fused_epilogue(layer: SynthesisLayer, x: Tensor, w: Tensor, noise: Tensor | None) -> Tensor:
    """`layers.epilogue`."""
    if not _is_served(x):
        return epilogue(layer, x, w, noise)
    scale, shift = None, None
    if layer.style is not None:
        scale, shift = layer.style(w).float().chunk(2, dim=1)  # [N, C] each
    epsilon = layer.quirks.instance_norm_epsilon if layer.use_instance_norm else None
    slope = negative_slope(layer)
    strength = None if layer.noise_strength is None or noise is None else layer.noise_strength.float()
    return cast(Tensor, _Epilogue.apply(x, noise, strength, layer.bias.float(), scale, shift, slope, epsilon))


def _is_served(x: Tensor) -> bool:
    return x.device.type == "cpu" and x.dtype in (torch.float32, torch.bfloat16)


def _pixels(x: Tensor) -> Tensor:
    """[N, C, H, W] -> [N, H, W, C], the channels of a pixel together in memory."""
    return x.permute(0, 2, 3, 1).contiguous()


def _row(values: Tensor) -> Tensor:
    """[N, C], as the kernels take it."""
    return values.float().contiguous()


class _Blur(torch.autograd.Function):
    """A separable filter. Its gradient is the filter turned round: it can be differentiated any number of times."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, taps: tuple[float, float, float]) -> Tensor:
        kernels = native_gradients()
        assert kernels is not None
        ctx.taps = taps
        return kernels.blur(_pixels(x), taps).permute(0, 3, 1, 2)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return cast(Tensor, _Blur.apply(gradients[0], ctx.taps[::-1])), None


class _Epilogue(torch.autograd.Function):
    """Noise, bias, activation, instance normalization and style."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,  # [N, C, R, R]
        noise: Tensor | None,  # [N or 1, 1, R, R]
        strength: Tensor | None,  # [C], like all that follow float32; None = no noise.
        bias: Tensor,  # [C]
        scale: Tensor | None,  # [N, C], the difference from 1; None = no style.
        shift: Tensor | None,  # [N, C]
        slope: float,
        epsilon: float | None,  # None = no normalization.
    ) -> Tensor:
        kernels = native_kernels()
        assert kernels is not None
        x = _pixels(x)
        ctx.noise = None if noise is None or strength is None else noise[:, 0].float().contiguous()
        ctx.slope, ctx.has_style, ctx.has_norm = slope, scale is not None, epsilon is not None
        y, out = torch.empty_like(x), torch.empty_like(x)
        sums = kernels.activate(x, bias, ctx.noise, strength, slope, y)
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
        kernels = native_gradients()
        assert kernels is not None
        y, mean, factor, gain = ctx.saved_tensors
        gradient, centre, pixels = _pixels(gradients[0]).to(y.dtype), _row(mean), y[0, :, :, 0].numel()
        total, product = kernels.moments(gradient, y, centre)
        product = product * factor  # Of the gradient and the normalized features.
        by_y, offset = torch.zeros_like(gain), torch.zeros_like(gain)
        if ctx.has_norm:
            by_y, offset = -gain * factor * product / pixels, -gain * total / pixels
        x_gradient, sums = kernels.gradient(
            gradient, y, centre, _row(gain), _row(by_y), _row(offset), ctx.noise, ctx.slope
        )
        bias, strength = sums.sum(dim=1).float()
        style = (product.float(), total.float()) if ctx.has_style else (None, None)
        own_strength = None if ctx.noise is None else strength
        return x_gradient.permute(0, 3, 1, 2), None, own_strength, bias, *style, None, None
