"""Noise modes: which noise map each layer of a synthesis network adds to its features (Karras et al. 2019, figure 1b).

A mode is named in `runtime.choices`, and made here. Maps are [N or 1, C, R, R], with one channel for all features of
the layer, or one for each.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, get_args

import numpy as np
import torch
from torch import Tensor

from ..errors import InputError
from ..runtime.checks import check_choice, shown
from ..runtime.choices import NoiseMode
from ..runtime.tensors import check_tensor
from .layers import SynthesisLayer

# Channels, height, width -> normal values for each image, [N, C, H, W], from seeds or fresh.
Draw = Callable[[int, int, int], Tensor]
Maps = list[Tensor | None]


class NoisyNetwork(Protocol):
    """What a mode needs from a synthesis network."""

    layers: Sequence[SynthesisLayer]
    num_layers: int

    @property
    def noise_shapes(self) -> list[tuple[int, int]]:
        """Height and width of each layer's map."""
        ...


def const(network: NoisyNetwork, draw: Draw) -> Maps:
    """The stored maps, the same for every image."""
    return [layer.noise_const for layer in network.layers]


def random(network: NoisyNetwork, draw: Draw) -> Maps:
    """Separate maps for every image."""
    return [draw(1, h, w) for h, w in network.noise_shapes]


def none(network: NoisyNetwork, draw: Draw) -> Maps:
    """No noise."""
    return [None] * network.num_layers


NOISE_MODES: Mapping[NoiseMode, Callable[[NoisyNetwork, Draw], Maps]] = {
    "const": const,
    "random": random,
    "none": none,
}


def noise_maps(network: NoisyNetwork, mode: NoiseMode, draw: Draw) -> Maps:
    """The maps of a mode, for each layer. Raises InputError for an unknown mode."""
    check_choice(mode, what="noise_mode", choices=get_args(NoiseMode))
    return NOISE_MODES[mode](network, draw)


def draw_fresh(n: int, generator: torch.Generator | None, device: torch.device) -> Draw:
    """Draws of n images from a generator; None = a new one on the device, seeded by the operating system."""
    if generator is not None and not isinstance(generator, torch.Generator):
        raise InputError(f"generator must be a torch.Generator or None, got {shown(generator)}")

    @functools.cache
    def source() -> torch.Generator:
        return generator if generator is not None else new_generator(device)

    def draw(c: int, h: int, w: int) -> Tensor:
        return torch.randn(n, c, h, w, generator=source(), device=source().device, dtype=torch.float32)

    return draw


def new_generator(device: torch.device) -> torch.Generator:
    """A generator seeded by the operating system."""
    generator = torch.Generator(device)
    generator.seed()
    return generator


def draw_from_seeds(seeds: Sequence[int]) -> Draw:
    """Draws for one image per seed, the same on every platform, on the CPU."""
    states = [np.random.RandomState(seed) for seed in seeds]
    # Layer by layer within each seed, so that the coarse layers of a larger network get the same maps.
    return lambda c, h, w: torch.from_numpy(
        np.asarray([state.standard_normal((c, h, w)) for state in states], dtype=np.float32)
    )


def check_noise(
    noise: Sequence[Tensor | None], n: int, shapes: Sequence[tuple[int, int]], channels: Sequence[int] = ()
) -> None:
    """Raise InputError unless noise has a map for each layer, for one image or all n, or None instead.

    channels: of each layer's features, if maps may have as many; otherwise maps have one channel.
    """
    if not isinstance(noise, list | tuple):
        raise InputError(f"noise must be a list of one map for each layer, got {shown(noise)}")
    if len(noise) != len(shapes):
        raise InputError(f"noise must have one map for each of {len(shapes)} layers, got {len(noise)}")
    for i, (given, (h, w)) in enumerate(zip(noise, shapes, strict=True)):
        if given is not None:
            own = channels[i] if channels and given.ndim == 4 and given.shape[1] == channels[i] else 1
            check_tensor(given, ("N", own, h, w), what=f"noise of layer {i}")
            if given.shape[0] not in (1, n):  # Not len, which would fix the batch size in exports.
                raise InputError(f"noise of layer {i} must be [{n} or 1, {own}, {h}, {w}], got {list(given.shape)}")
