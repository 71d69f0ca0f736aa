"""The encoder network: an image, the current latents, and their image -> better latents.

A residual network of falling resolution; coarse styles are read from its coarsest features and fine styles from finer
ones (Richardson et al. 2021, "Encoding in Style", section 3.1). It predicts one w and an offset for each layer (Tov et
al. 2021, "Designing an Encoder for StyleGAN Image Manipulation", section 4.1), as a correction of the current latents
(Alaluf et al. 2021, "ReStyle", section 3).
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from math import log2, sqrt
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import skip_init

from ..errors import InputError
from ..runtime.checks import check_integer, check_number, is_power_of_two
from ..runtime.device import for_weights
from ..runtime.tensors import check_tensor

_STYLES = 64  # Channels from which a head reads its styles.


class EncoderNetwork(nn.Module):
    """Two images and latents -> better latents."""

    __call__: Callable[..., Tensor]
    w_avg: Tensor

    def __init__(
        self,
        *,
        img_resolution: int,  # Of the generator.
        img_channels: int = 3,
        num_ws: int,
        w_dim: int,
        w_scale: float = 1.0,  # Standard deviation of the entries of w: the unit of the output.
        input_resolution: int = 128,  # Larger images are averaged down to it.
        channels: Sequence[int] = (24, 48, 96, 160, 192),  # At half of the input's resolution, then down to 4x4.
        hidden_dim: int = 128,
        seed: int | None = 0,  # Of the initial weights; None = uninitialized, to be loaded.
    ):
        super().__init__()
        for name, value in (("img_resolution", img_resolution), ("input_resolution", input_resolution)):
            if not is_power_of_two(value) or value < 8:
                raise InputError(f"{name} must be a power of two, 8 or more, got {value!r}")
        sizes = {"img_channels": img_channels, "num_ws": num_ws, "w_dim": w_dim, "hidden_dim": hidden_dim}
        for name, size in sizes.items():
            check_integer(size, what=name, low=1, high=2**16)
        check_number(w_scale, what="w_scale", low=0)
        self.input_resolution = min(img_resolution, input_resolution)
        expected = int(log2(self.input_resolution)) - 2
        if len(channels) != expected:
            raise InputError(
                f"channels must be {expected} numbers for inputs of {self.input_resolution}, got {channels}"
            )
        self._config: dict[str, Any] = {
            "img_resolution": img_resolution,
            "img_channels": img_channels,
            "num_ws": num_ws,
            "w_dim": w_dim,
            "w_scale": w_scale,
            "input_resolution": input_resolution,
            "channels": list(channels),
            "hidden_dim": hidden_dim,
        }
        self.img_resolution, self.img_channels = img_resolution, img_channels
        self.num_ws, self.w_dim, self.w_scale = num_ws, w_dim, w_scale
        self.stem = _conv(2 * img_channels, channels[0], 4, stride=2)
        self.blocks = nn.ModuleList(_Block(i, o) for i, o in pairwise(channels))
        self.base = _Head(channels[-1], 4, hidden_dim, w_dim)
        self.heads = nn.ModuleList(
            _Head(channels[-1 - depth], 4 << depth, hidden_dim, (stop - start) * w_dim)
            for depth, (start, stop) in enumerate(self.groups)
        )
        # The average w of the generator, which identifies it.
        self.register_buffer("w_avg", torch.empty(w_dim, **for_weights()))
        if seed is not None:
            self._initialize(seed)

    @property
    def groups(self) -> list[tuple[int, int]]:
        """The layers whose styles each head predicts: 4x4 and 8x8, 16x16 and 32x32, higher resolutions."""
        starts = [start for start in (0, 4, 8) if start < self.num_ws][: len(self.blocks) + 1]
        return list(pairwise([*starts, self.num_ws]))

    def forward(self, img: Tensor, current: Tensor, ws: Tensor) -> Tensor:
        """img: the target [N, C, R, R] in [-1, 1]; current: the generator's image of ws [N, num_ws, w_dim].

        Returns better ws [N, num_ws, w_dim].
        """
        shape = ("N", self.img_channels, self.img_resolution, self.img_resolution)
        check_tensor(img, shape, what="img")
        check_tensor(current, shape, what="current")
        x = torch.cat([img, img - current], dim=1).float()
        if self.img_resolution > self.input_resolution:
            x = F.avg_pool2d(x, self.img_resolution // self.input_resolution)
        features = [_activate(self.stem(x.contiguous(memory_format=torch.channels_last)))]
        for block in self.blocks:
            features.append(block(features[-1]))
        w = self.base(features[-1])[:, None]
        offsets = [
            head(x).unflatten(1, (-1, self.w_dim)) for head, x in zip(self.heads, reversed(features), strict=False)
        ]
        better: Tensor = ws + self.w_scale * (w + torch.cat(offsets, dim=1))
        return better

    def _initialize(self, seed: int) -> None:
        """He initialization, from its own random generator; the outputs begin near zero."""
        generator = torch.Generator("cpu").manual_seed(seed)
        with torch.no_grad():
            for parameter in self.parameters():
                if parameter.ndim > 1:
                    nn.init.normal_(parameter, std=sqrt(2 / parameter[0].numel()), generator=generator)
                else:
                    parameter.zero_()
            for head in self.modules():
                if isinstance(head, _Head):
                    head.last.weight.mul_(0.1)
            self.w_avg.zero_()


class _Block(nn.Module):
    """Residual block that halves the resolution."""

    def __init__(self, in_channels: int, channels: int):
        super().__init__()
        self.first = _conv(in_channels, channels, 4, stride=2)
        self.second = _conv(channels, channels, 3)
        self.skip = _conv(in_channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """[N, in_channels, R, R] -> [N, channels, R / 2, R / 2]."""
        y = self.second(_activate(self.first(x)))
        return _activate((y + self.skip(F.avg_pool2d(x, 2))) * sqrt(0.5))


class _Head(nn.Module):
    """Features -> styles: convolutions down to 4x4, which keep spatial information, then two dense layers."""

    def __init__(self, in_channels: int, resolution: int, hidden_dim: int, out_dim: int):
        super().__init__()
        self.convs = nn.ModuleList([_conv(in_channels, _STYLES, 1)])
        while resolution > 4:
            self.convs.append(_conv(_STYLES, _STYLES, 4, stride=2))
            resolution //= 2
        self.dense: nn.Linear = skip_init(nn.Linear, _STYLES * 16, hidden_dim, **for_weights())
        self.last: nn.Linear = skip_init(nn.Linear, hidden_dim, out_dim, **for_weights())

    def forward(self, x: Tensor) -> Tensor:
        """[N, in_channels, R, R] -> [N, out_dim]."""
        for conv in self.convs:
            x = _activate(conv(x))
        y: Tensor = self.last(_activate(self.dense(x.flatten(1))))
        return y


def _activate(x: Tensor) -> Tensor:
    return F.leaky_relu(x, 0.2)


def _conv(in_channels: int, channels: int, kernel: int, *, stride: int = 1) -> nn.Conv2d:
    """A convolution with an even or odd kernel that keeps or halves the resolution."""
    shape = {"stride": stride, "padding": (kernel - 1) // 2}
    conv: nn.Conv2d = skip_init(nn.Conv2d, in_channels, channels, kernel, **shape, **for_weights())
    return conv
