"""Noise for several images: seeds, and the maps of each batch."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, get_args

from torch import Tensor

from ..errors import InputError
from ..runtime.checks import check_choice
from ..runtime.choices import DRAWN_NOISE, NoiseMode
from .seeds import choose_noise_seeds, fresh_noise_seeds

if TYPE_CHECKING:
    from .protocol import Generator

# One map for each layer; None = as the noise mode says.
Maps = Sequence[Tensor | None] | None


def choose_noise(
    G: "Generator",
    n: int,
    mode: NoiseMode,
    seed: int | Sequence[int] | None,
    *,
    given: Maps,  # Instead of a mode.
    keep_seeds: bool,  # Whether the images store the seeds of fresh noise.
) -> tuple[list[int], Callable[[slice], Maps]]:
    """The noise seeds of n images, if any, and a function for the maps of some of them.

    Raises InputError for conflicting arguments and wrong maps.
    """
    check_choice(mode, what="noise_mode", choices=get_args(NoiseMode))
    if given is not None:
        if (mode, seed) != ("const", None):
            raise InputError(f"noise replaces noise_mode and noise_seed, got {mode!r}, {seed!r}")
        G.synthesis.check_noise(given, n)
        return [], lambda i: [m if m is None or len(m) == 1 else m[i] for m in given]
    if mode in DRAWN_NOISE and seed is None and keep_seeds:
        seed = fresh_noise_seeds(n)
    seeds = choose_noise_seeds(seed, mode, n)
    if len(set(seeds)) == 1:
        shared = G.noise(seeds[0], noise_mode=mode)
        return seeds, lambda i: shared
    return seeds, lambda i: G.noise(seeds[i], noise_mode=mode) if seeds else None
