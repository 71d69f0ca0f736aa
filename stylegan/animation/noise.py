"""Noise that changes smoothly in a loop."""

from collections.abc import Callable
from math import tau

import torch
from torch import Tensor

from ..generator import Generator

# Times [F] in [0, 1] -> for each layer one map for each time [F, 1, R, R].
NoisePath = Callable[[Tensor], list[Tensor]]


def noise_loop(G: Generator, noise_seed: int = 0, *, turns: int = 1) -> NoisePath:
    """A smooth closed path of noise maps: normal noise of unit variance at every time.

    The path is the circle cos(2 pi turns t) A + sin(2 pi turns t) B through the draws A of noise_seed, where it
    starts, and B of noise_seed + 1. Raises InputError if noise_seed is not a seed.
    """
    pairs = G.noise([noise_seed, noise_seed + 1])

    def at(times: Tensor) -> list[Tensor]:
        angle = (tau * (turns * times % 1)).to(G.device, torch.float32)[:, None, None, None]
        return [torch.cos(angle) * pair[:1] + torch.sin(angle) * pair[1:] for pair in pairs]

    return at
