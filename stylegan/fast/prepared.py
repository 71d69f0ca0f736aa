"""The weights of a synthesis network, prepared for inference.

Prepared weights are valid until a parameter changes.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import inf, log2
from typing import Any, cast

import torch
from torch import Tensor, nn

from ..networks.layers import Conv2d, DenseInput, LearnedConstant, Scale, SynthesisLayer
from ..networks.synthesis import SynthesisNetwork
from ..runtime.device import FLOAT32_CPU
from .convolution import Convolution, convolution_dtype


@dataclass(frozen=True)
class PreparedLayer:
    """One SynthesisLayer. Its tensors are float32, except those of the convolution."""

    resolution: int
    channels: int
    dtype: torch.dtype  # Of its output features.
    input: Tensor | None  # In the first layer: the constant [1, 4, 4, C], or the weight [4 * 4 * C, w_dim] for w.
    convolution: Convolution | None  # In the others.
    blur_kernel: Tensor | None  # [3, 3]; None = no filter.
    blur_taps: tuple[float, float, float] | None  # Of the same filter, which is separable.
    factor: float  # Of its output features, noise and bias; 1 except in float16.
    noise_strength: Tensor | None  # [C]
    noise: Tensor | None  # The network's own map.
    bias: Tensor  # [C]
    negative_slope: float  # Of the activation: 0 = relu.
    epsilon: float | None  # Of the instance normalization, times factor^2; None = no normalization.
    style_weight: Tensor | None  # [2 * C, w_dim]
    style_bias: Tensor | None  # [2 * C], with the 1 that the scale is relative to.


@dataclass(frozen=True)
class PreparedNetwork:
    """All layers, and the RGB weights [img_channels, C] and biases by resolution."""

    layers: list[PreparedLayer]
    to_rgb: dict[int, tuple[Tensor, Tensor]]


def parameters_and_buffers(network: nn.Module) -> Iterator[Tensor]:
    """All tensors, including those outside the state dict."""
    for module in network.modules():
        for tensor in (*module._parameters.values(), *module._buffers.values()):
            if tensor is not None:
                yield tensor


class Fingerprint:
    """Tells whether the tensors of a network have changed.

    Versions and addresses reveal every change except writing into `parameter.data`, as some training code does. For
    that, a few values of each tensor are compared, on the CPU only: reading them from a GPU means waiting for it.
    """

    def __init__(self, tensors: list[Tensor]):
        self._identity = self._identify(tensors)
        # Kept alive, so that no new tensor gets the address of a freed one.
        self._tensors = [t.detach() for t in tensors]
        self._samples = [t.as_strided((4,), (t.numel() // 4,)) for t in self._tensors if _is_dense(t) and t.is_cpu]
        self._values = self._read()

    def fits(self, tensors: list[Tensor]) -> bool:
        """Whether these are the original tensors, unchanged."""
        if self._identify(tensors) != self._identity:
            return False
        return torch.equal(self._read(), self._values)

    def _read(self) -> Tensor:
        return (
            torch.cat([sample.float() for sample in self._samples]) if self._samples else torch.empty(0, **FLOAT32_CPU)
        )

    @staticmethod
    def _identify(tensors: list[Tensor]) -> list[tuple[Any, ...]]:
        return [(t.data_ptr(), t._version, t.dtype, t.shape) for t in tensors]


def _is_dense(tensor: Tensor) -> bool:
    """Whether a tensor's values, at least four, fill a block of memory in some order."""
    channels_last = tensor.ndim == 4 and tensor.is_contiguous(memory_format=torch.channels_last)
    return tensor.numel() >= 4 and (tensor.is_contiguous() or channels_last)


def prepare(network: SynthesisNetwork, dtype: torch.dtype) -> PreparedNetwork:
    """Prepare a network; dtype: of the features."""
    colours = {}
    for resolution, rgb in network.to_rgb.items():
        colours[int(resolution)] = (rgb.scaled_weight()[:, :, 0, 0].float(), cast(Tensor, rgb.scaled_bias()).float())
    layers = [_prepare_layer(layer, dtype) for layer in network.layers]
    return PreparedNetwork(layers, colours)


def _prepare_layer(layer: SynthesisLayer, dtype: torch.dtype) -> PreparedLayer:
    channels, source = len(layer.bias), layer.source
    features, convolution, factor = None, None, 1.0
    if isinstance(source, LearnedConstant):
        features = source.const.float().permute(0, 2, 3, 1).contiguous()
    elif isinstance(source, DenseInput):
        weight = source.dense.scaled_weight().float()
        features = weight.reshape(channels, 16, -1).transpose(0, 1).reshape(16 * channels, -1).contiguous()
    else:
        assert isinstance(source, Conv2d)
        up = source.scale is Scale.UP
        size = layer.resolution // 2 if up else layer.resolution
        factor = _factor(layer, source) if dtype == torch.float16 else 1.0
        own_dtype = convolution_dtype(dtype, source.weight.device)
        convolution = Convolution(source.weight.detach(), source.weight_gain * factor, size, own_dtype, up)
    style_weight, style_bias = None, None
    if layer.style is not None:
        style_weight = layer.style.scaled_weight().float()
        style_bias = cast(Tensor, layer.style.scaled_bias()).float().clone()
        style_bias[:channels] += 1
    return PreparedLayer(
        resolution=layer.resolution,
        channels=channels,
        dtype=torch.float32 if convolution is None else dtype,
        input=features,
        convolution=convolution,
        blur_kernel=None if layer.blur_kernel is None else layer.blur_kernel[0, 0].float(),
        blur_taps=None if layer.blur_kernel is None else separate(layer.blur_kernel),
        factor=factor,
        noise_strength=None if layer.noise_strength is None else layer.noise_strength.float() * factor,
        noise=layer.noise_const,
        bias=layer.bias.float() * factor,
        negative_slope=layer.nonlinearity.negative_slope,
        epsilon=layer.quirks.instance_norm_epsilon * factor**2 if layer.use_instance_norm else None,
        style_weight=style_weight,
        style_bias=style_bias,
    )


def _factor(layer: SynthesisLayer, source: Conv2d) -> float:
    """A power of two that keeps features within float16, which ends at 65504.

    A convolution's output may be of any scale, since it is normalized afterwards; leaky ReLU passes a factor through,
    and the normalization cancels it. With this factor, no output's kernel has a norm far from 1 or more. So features
    are of the order of their normalized inputs, at most sqrt(pixels) deviations each.
    """
    sizes = [source.weight.float().flatten(1).norm(dim=1) * source.weight_gain, layer.bias.float().abs()]
    if layer.noise_strength is not None:
        sizes.append(layer.noise_strength.float().abs())
    largest = torch.cat(sizes).max().item()
    return 2.0 ** -round(log2(largest)) if 0 < largest < inf else 1.0


def is_supported(layer: Any) -> bool:
    """Whether the fast paths support the options of a synthesis layer."""
    if type(layer) is not SynthesisLayer or layer.use_pixel_norm:
        return False
    if layer.quirks.bias_before_blur or layer.quirks.activate_before_blur:
        return False
    if layer.blur_kernel is not None and layer.blur_kernel.shape[-1] != 3:
        return False
    source = layer.source
    if type(source) is Conv2d:
        return source.scale in (Scale.NONE, Scale.UP) and source.weight.shape[-1] == 3
    return type(source) in (LearnedConstant, DenseInput)


def is_stable(layer: SynthesisLayer) -> bool:
    """Whether the training kernels support a layer.

    After an input, features can be nearly constant, and their variance needs more than float32.
    """
    return is_supported(layer) and isinstance(layer.source, Conv2d)


def separate(kernel: Tensor) -> tuple[float, float, float]:
    """The three taps of a normalized separable kernel [1, 1, 3, 3]."""
    left, middle, right = kernel[0, 0].float().sum(dim=0).tolist()
    return left, middle, right
