"""Layers with parameters: equalized dense and convolution layers, and the synthesis layer with its epilogue.

Equalized learning rate (Karras et al. 2017, section 4.1): weights are stored with unit variance and multiplied by
the constant of He's initializer at run time. Without it the constant goes into the initial weights instead.
Weights are left uninitialized until `initialize` draws them or a checkpoint fills them.
"""

from collections.abc import Callable, Sequence
from enum import Enum
from math import prod, sqrt
from typing import Literal, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..runtime.device import FLOAT32_CPU, new_weight
from . import ops
from .quirks import Quirks

NonlinearityName = Literal["lrelu", "relu"]


class Nonlinearity(Enum):
    """Activation functions; both take weights of gain sqrt(2)."""

    LRELU = "lrelu"
    RELU = "relu"

    @property
    def negative_slope(self) -> float:
        """The slope below zero; 1 above it."""
        return 0.2 if self is Nonlinearity.LRELU else 0.0


def activate(x: Tensor, nonlinearity: Nonlinearity) -> Tensor:
    """The activation function."""
    return ops.leaky_relu(x) if nonlinearity is Nonlinearity.LRELU else F.relu(x)


class Scale(Enum):
    """How a convolution changes the size of features."""

    NONE = "none"
    UP = "up"  # Doubled before it, by repetition; one operator does both.
    BILINEAR_UP = "bilinear up"  # Doubled before it, by interpolation.
    DOWN = "down"  # Halved after it; one operator does both.


def initialize(network: nn.Module, seed: int) -> None:
    """Draw all weights of a network from a seed, on the CPU; the global random state is not touched."""
    network._apply(lambda t: torch.zeros_like(t, device="cpu") if t.is_meta else t)
    generator = torch.Generator("cpu").manual_seed(int(seed))
    for module in network.modules():
        if isinstance(module, Dense | Conv2d | SynthesisLayer | LearnedConstant):
            module.reset_parameters(generator)


def _draw(tensor: Tensor, std: float, generator: torch.Generator) -> None:
    tensor.detach().copy_(torch.randn(tensor.shape, generator=generator, **FLOAT32_CPU) * std)


class _Equalized(nn.Module):
    """A weight [out, in, ...] and bias [out], with the constants that scale them at run time."""

    __call__: Callable[..., Tensor]

    def __init__(self, shape: tuple[int, ...], *, gain: float, lr_multiplier: float, equalized_lr: bool, bias: bool):
        super().__init__()
        he_std = gain / sqrt(prod(shape[1:]))
        self.weight = nn.Parameter(new_weight(*shape))
        self.bias = nn.Parameter(new_weight(shape[0])) if bias else None
        self.weight_gain = (he_std if equalized_lr else 1.0) * lr_multiplier
        self.bias_gain = lr_multiplier
        self._init_std = (1.0 if equalized_lr else he_std) / lr_multiplier

    def reset_parameters(self, generator: torch.Generator) -> None:
        _draw(self.weight, self._init_std, generator)
        if self.bias is not None:
            self.bias.detach().zero_()

    def scaled_weight(self) -> Tensor:
        return self.weight * self.weight_gain

    def scaled_bias(self) -> Tensor | None:
        return None if self.bias is None else self.bias * self.bias_gain

    def extra_repr(self) -> str:
        return f"{list(self.weight.shape)}, weight_gain={self.weight_gain:.4g}"


class Dense(_Equalized):
    """Fully connected layer, [N, in_features] -> [N, out_features]; weight [out_features, in_features]."""

    def __init__(
        self,
        in_features: int,
        out_features: int,
        *,
        gain: float = sqrt(2),  # Gain of He's initializer; 1 for layers without an activation.
        lr_multiplier: float = 1.0,  # Learning rate of this layer relative to the others.
        equalized_lr: bool = True,
        bias: bool = True,
    ):
        super().__init__(
            (out_features, in_features), gain=gain, lr_multiplier=lr_multiplier, equalized_lr=equalized_lr, bias=bias
        )

    def forward(self, x: Tensor) -> Tensor:
        """[..., in_features] -> [..., out_features]."""
        return F.linear(x, self.scaled_weight(), self.scaled_bias())


_CONVOLUTIONS = {
    Scale.NONE: ops.conv2d,
    Scale.UP: ops.upscale_conv2d,
    Scale.BILINEAR_UP: ops.bilinear_upscale_conv2d,
    Scale.DOWN: ops.conv2d_downscale,
}


class Conv2d(_Equalized):
    """Convolution, [N, in_channels, H, W] -> [N, out_channels, H', W']; weight [out_channels, in_channels, k, k]."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        *,
        scale: Scale = Scale.NONE,
        gain: float = sqrt(2),
        equalized_lr: bool = True,
        bias: bool = True,
    ):
        shape = (out_channels, in_channels, kernel_size, kernel_size)
        super().__init__(shape, gain=gain, lr_multiplier=1.0, equalized_lr=equalized_lr, bias=bias)
        self.scale = scale

    def forward(self, x: Tensor) -> Tensor:
        """[N, in_channels, H, W] -> [N, out_channels, H', W']."""
        return _CONVOLUTIONS[self.scale](x, self.scaled_weight(), self.scaled_bias())


class LearnedConstant(nn.Module):
    """The learned 4x4 input of the synthesis network (section 2), the same for every sample: [1, C, 4, 4]."""

    def __init__(self, channels: int):
        super().__init__()
        self.const = nn.Parameter(new_weight(1, channels, 4, 4))

    def reset_parameters(self, generator: torch.Generator) -> None:
        """Set all values to 1."""
        self.const.detach().fill_(1.0)

    def forward(self, w: Tensor) -> Tensor:
        """w: [N, w_dim], of which only N matters; returns [N, C, 4, 4]."""
        return self.const.expand(w.shape[0], -1, -1, -1)


class DenseInput(nn.Module):
    """The traditional input: the latent through a dense layer, [N, w_dim] -> [N, C, 4, 4]."""

    def __init__(self, w_dim: int, channels: int, *, equalized_lr: bool):
        super().__init__()
        # The first synthesis layer has the bias.
        self.dense = Dense(w_dim, channels * 16, gain=sqrt(2) / 4, equalized_lr=equalized_lr, bias=False)

    def forward(self, w: Tensor) -> Tensor:
        """w: [N, w_dim]; returns [N, C, 4, 4]."""
        return self.dense(w).reshape(w.shape[0], -1, 4, 4)


class LayerKernels(Protocol):
    """The steps between convolutions, differentiable. `Modules` is their definition."""

    def blur(self, x: Tensor, kernel: Tensor) -> Tensor:
        """What `ops.blur` computes, up to rounding."""

    def epilogue(self, layer: "SynthesisLayer", x: Tensor, w: Tensor, noise: Tensor | None) -> Tensor:
        """What `epilogue` computes, up to rounding."""


class SynthesisLayer(nn.Module):
    """One layer of the synthesis network (figure 1b): input or convolution, then the epilogue.

    (input | convolution | upscale, convolution, blur) -> noise -> bias -> activation -> normalization -> style
    """

    noise_const: Tensor | None
    blur_kernel: Tensor | None

    def __init__(
        self,
        source: nn.Module,  # Makes the features: an input (takes w) or a convolution (takes x).
        channels: int,
        *,
        w_dim: int,
        resolution: int,
        blur_filter: Sequence[float] | None,  # Taps of the separable filter after the source; None = no filter.
        use_noise: bool,
        use_pixel_norm: bool,
        use_instance_norm: bool,
        quirks: Quirks,
        use_styles: bool,
        nonlinearity: NonlinearityName,
        equalized_lr: bool,
    ):
        super().__init__()
        self.source, self.resolution = source, resolution
        self.nonlinearity = Nonlinearity(nonlinearity)
        self.use_pixel_norm = use_pixel_norm
        self.use_instance_norm = use_instance_norm
        self.quirks = quirks
        self.bias = nn.Parameter(new_weight(channels))
        self.noise_strength = nn.Parameter(new_weight(channels)) if use_noise else None
        self.register_buffer("noise_const", new_weight(1, 1, resolution, resolution) if use_noise else None)
        self.register_buffer("blur_kernel", ops.blur_kernel(blur_filter) if blur_filter else None, persistent=False)
        self.style = Dense(w_dim, channels * 2, gain=1.0, equalized_lr=equalized_lr) if use_styles else None

    def reset_parameters(self, generator: torch.Generator) -> None:
        """Zero the bias and the noise strength, and draw the constant noise."""
        self.bias.detach().zero_()
        if self.noise_strength is not None:
            self.noise_strength.detach().zero_()
        if self.noise_const is not None:
            _draw(self.noise_const, 1.0, generator)

    def forward(self, x: Tensor, w: Tensor, noise: Tensor | None, kernels: LayerKernels) -> Tensor:
        """x: [N, C_in, H, W], or w itself for an input; w: [N, w_dim]; noise: [N or 1, 1 or C, R, R] or None."""
        x = self.source(x)  # [N, C, R, R]
        if self.blur_kernel is not None:
            if self.quirks.activate_before_blur:
                x = activate(x + self.bias[:, None, None], self.nonlinearity)
            x = kernels.blur(x, self.blur_kernel)
        return kernels.epilogue(self, x, w, noise)


def epilogue(layer: SynthesisLayer, x: Tensor, w: Tensor, noise: Tensor | None) -> Tensor:
    """The steps after the convolution and the filter; the arguments are those of the layer."""
    bias = layer.bias[:, None, None]  # [C, 1, 1]
    if layer.quirks.bias_before_blur and layer.blur_kernel is not None:
        bias = ops.blur(bias.expand(1, *x.shape[1:]), layer.blur_kernel)  # [1, C, R, R]
    if layer.noise_strength is not None and noise is not None:
        x = x + noise * layer.noise_strength[:, None, None]
    activated = layer.quirks.activate_before_blur and layer.blur_kernel is not None
    x = activate(x if activated else x + bias, layer.nonlinearity)

    if layer.use_pixel_norm:
        x = ops.pixel_norm(x)
    if layer.use_instance_norm:
        x = ops.instance_norm(x, layer.quirks.instance_norm_epsilon)

    # Adaptive instance normalization (equation 1), with the scale stored as its difference from 1.
    if layer.style is not None:
        scale, shift = layer.style(w)[:, :, None, None].chunk(2, dim=1)  # [N, C, 1, 1] each
        x = x * (scale + 1) + shift
    return x


class Modules:
    """Layer kernels that are the definition itself."""

    def blur(self, x: Tensor, kernel: Tensor) -> Tensor:
        """`ops.blur` itself."""
        return ops.blur(x, kernel)

    def epilogue(self, layer: SynthesisLayer, x: Tensor, w: Tensor, noise: Tensor | None) -> Tensor:
        """`epilogue` itself."""
        return epilogue(layer, x, w, noise)
