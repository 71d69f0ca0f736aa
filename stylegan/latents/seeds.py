"""Seeds -> z and noise: the same numbers on every platform."""

import secrets
from collections.abc import Iterable, Sequence
from operator import length_hint
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..errors import InputError
from ..networks.noise import draw_from_seeds
from ..runtime.batching import check_room
from ..runtime.checks import check_integer, check_integers, is_index, shown, typed
from ..runtime.choices import DRAWN_NOISE

Seeds = int | Iterable[int]


def z_from_seeds(seeds: Seeds, z_dim: int = 512) -> Tensor:
    """Draw a latent from each seed: [N, z_dim], float32, on the CPU.

    The draw equals that of the official examples, `numpy.random.RandomState(seed).randn(z_dim)`: the same numbers on
    every platform. Raises InputError for anything but integers from 0 to 2^32 - 1.

    >>> z_from_seeds([0, 1], z_dim=4).shape
    torch.Size([2, 4])
    """
    check_integer(z_dim, what="z_dim", low=1, high=2**20)
    numbers = check_seeds(seeds)
    z = np.empty((len(numbers), z_dim), np.float32)
    state = np.random.RandomState(0)  # Reseeding takes 2 µs, a new object 100.
    for row, seed in zip(z, numbers, strict=True):
        state.seed(seed)
        row[:] = state.randn(z_dim)
    return torch.from_numpy(z)


@typed
def noise_from_seeds(seeds: Seeds, shapes: Sequence[tuple[int, int]]) -> list[Tensor]:
    """Draw normal noise maps from each seed, one for each (height, width) in shapes: a list of [N, 1, H, W].

    The maps of a seed depend only on that seed. Raises InputError like `z_from_seeds`.
    """
    for shape in shapes:
        if not isinstance(shape, tuple) or len(shape) != 2:
            raise InputError(f"shapes must be pairs (height, width), got {shown(shape)}")
        for side in shape:
            check_integer(side, what="height and width", low=1, high=2**14)
    draw = draw_from_seeds(check_seeds(seeds))
    return [draw(1, h, w) for h, w in shapes]


def check_seeds(seeds: Seeds) -> list[int]:
    """Return seeds as a list of integers that numpy's RandomState takes, else raise InputError."""
    return check_integers(seeds, what="a seed", limit=2**32)


def choose_seeds(n: Any, seeds: Seeds | None, generator: torch.Generator | None, image_bytes: int) -> list[int]:
    """The seeds given by n or seeds: at least one, and at most as many as there is memory for their images."""
    if isinstance(n, Iterable) and not is_index(n):
        raise InputError(f"n must be the number of images, got {shown(n)}; for these seeds write seeds={shown(n)}")
    check_integer(n, what="n", low=0, high=2**32)
    if generator is not None:
        if seeds is not None or not isinstance(generator, torch.Generator):
            raise InputError(f"generator draws the seeds: a torch.Generator, without seeds; got {shown(generator)}")
        check_room(n, image_bytes)
        seeds = torch.randint(2**32, (n,), generator=generator, device=generator.device).tolist()
    check_room(n if seeds is None or is_index(seeds) else length_hint(seeds), image_bytes)
    checked = list(range(n)) if seeds is None else check_seeds(seeds)
    if seeds is not None and not checked:
        raise InputError("seeds is empty; give one seed or more, such as seeds=[0, 1, 2]")
    if not checked or (seeds is not None and n not in (1, len(checked))):
        given = f"n={n}" if seeds is None else f"n={n} and {len(checked)} seeds"
        raise InputError(f"ask for one image or more, by n or by seeds; got {given}")
    return checked


def choose_noise_seeds(noise_seed: int | Sequence[int] | None, noise_mode: str, n: int) -> list[int]:
    """The noise seed of each of n images; no seeds if none is given."""
    if noise_seed is None:
        return []
    if noise_mode not in DRAWN_NOISE:
        drawn = " or ".join(map(repr, DRAWN_NOISE))
        raise InputError(f"noise_seed goes with noise_mode {drawn}, got noise_mode {shown(noise_mode)}")
    seeds = check_seeds(noise_seed)
    if len(seeds) not in (1, n):
        raise InputError(f"noise_seed must be one integer or one for each of {n} images, got {len(seeds)}")
    return seeds if len(seeds) == n else seeds * n


def fresh_noise_seeds(n: int) -> list[int]:
    """New random seeds for n images; no global state is touched."""
    return [secrets.randbits(32) for _ in range(n)]
