"""The images that metrics use: real ones, and generated ones that depend only on their number.

Image i has z of seed `seed + i` and, unless stored noise is chosen, its own noise. Nothing is truncated.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..data.dataset import ImageDataset, shuffled_indices
from ..errors import InputError
from ..generator import Generator
from ..images.convert import as_rgb, from_uint8, to_uint8
from ..latents.styles import cross_over
from ..runtime.choices import DEFAULT_EVALUATION_NOISE, NoiseMode
from ..runtime.device import FLOAT32_CPU

# Offset of noise seeds: equal seeds would draw the same values for z and noise.
_NOISE_SEEDS = 2**31


@dataclass(frozen=True)
class Images:
    """Generated images by their number.

    labels: of conditional models, [N, label_dim]; image i has the label i mod N.
    num_latents: how many latents each image mixes, at random crossovers (Karras et al. 2019, table 2).
    """

    G: Generator
    seed: int = 0
    noise_mode: NoiseMode = DEFAULT_EVALUATION_NOISE
    labels: Tensor | None = None
    num_latents: int = 1

    def z(self, numbers: Sequence[int]) -> Tensor:
        """[N, z_dim]."""
        return self.G.z([self.seed_of(i) for i in numbers])

    def w(self, numbers: Sequence[int]) -> Tensor:
        """[N, w_dim]."""
        return self.G.mapping(self.z(numbers), self.labels_of(numbers))

    def images(self, numbers: Sequence[int]) -> Tensor:
        """float32 [N, 3, H, W] in [-1, 1], rounded to 8-bit values."""
        ws = self.mixed(numbers) if self.num_latents > 1 else self.G.broadcast(self.w(numbers))
        img = self.G.synthesis(ws, noise=self.noise(numbers))
        return from_uint8(to_uint8(as_rgb(img)))

    def mixed(self, numbers: Sequence[int]) -> Tensor:
        """ws of several latents each, [N, num_ws, w_dim]: image i has those from i * num_latents on."""
        k, num_ws = self.num_latents, self.G.num_ws
        labels = self.labels_of(numbers)
        latents = [self.G.mapping(self.G.z([self.seed_of(i * k + j) for i in numbers]), labels) for j in range(k)]
        cuts = np.array([np.random.RandomState([self.seed, i]).randint(1, num_ws, k - 1) for i in numbers])
        return cross_over(latents, torch.from_numpy(np.sort(cuts, axis=1)), num_ws)

    def noise(self, numbers: Sequence[int]) -> Sequence[Tensor | None] | None:
        """A map per layer, [N or 1, C, R, R]; None = the stored ones."""
        if self.noise_mode == "const":
            return None
        seeds = [(self.seed_of(i) + _NOISE_SEEDS) % 2**32 for i in numbers]
        return self.G.noise(seeds, noise_mode=self.noise_mode)

    def labels_of(self, numbers: Sequence[int]) -> Tensor | None:
        """[N, label_dim], or None for an unconditional model."""
        if self.labels is None:
            return None
        return self.labels[[i % len(self.labels) for i in numbers]].to(self.G.device)

    def seed_of(self, number: int) -> int:
        """The seed of z."""
        return (self.seed + number) % 2**32


def real_images(dataset: ImageDataset, numbers: range, *, seed: int) -> Tensor:
    """Real images in shuffled order, each once: float32 [N, 3, H, W] in [-1, 1]."""
    indices = shuffled_indices(len(dataset), numbers.start, len(numbers), seed)
    return as_rgb(from_uint8(dataset.batch(indices)[0]))


def labels_for(G: Generator, dataset: ImageDataset | None, n: int, *, seed: int) -> Tensor | None:
    """Labels of n generated images: those of real ones in shuffled order, or uniform classes without a data set.

    Returns [at most n, label_dim], or None for an unconditional model. Raises InputError if the data has other labels.
    """
    if not G.label_dim:
        return None
    if dataset is None:
        classes = np.random.RandomState([seed, 1]).randint(0, G.label_dim, n)
        return torch.eye(G.label_dim, **FLOAT32_CPU)[torch.from_numpy(classes)]
    if dataset.label_dim != G.label_dim:
        raise InputError(
            f"{G.name} takes labels of {G.label_dim} values, the data set {dataset.path} has {dataset.label_dim}"
        )
    labels = dataset.labels(shuffled_indices(len(dataset), 0, min(n, len(dataset)), seed))
    assert labels is not None
    return labels
