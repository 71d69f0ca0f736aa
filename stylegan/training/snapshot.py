"""Snapshots of a run: images of fixed latents, and the averaged generator as a separate file."""

from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from .. import images
from ..generator import Generator
from .reals import shrink


class Images(Protocol):
    """What training needs of a data set."""

    resolution: int
    img_channels: int
    label_dim: int

    def __len__(self) -> int: ...

    def batch(self, indices: list[int]) -> tuple[Tensor, Tensor | None]:
        """uint8 images [N, C, R, R] and float32 labels [N, label_dim], or None without labels."""


def save_reals(dataset: Images, path: Path, *, n: int, resolution: int) -> None:
    """A grid of the first real images."""
    img, _ = dataset.batch(list(range(min(n, len(dataset)))))
    images.save(images.grid(images.to_pil(images.from_uint8(shrink(img, resolution)))), path)


def save_fakes(Gs: Generator, path: Path, *, n: int, lod: float, labels: Tensor | None) -> None:
    """A grid of the images of seeds 0 to n - 1, without truncation."""
    before, Gs.synthesis.lod = Gs.synthesis.lod, lod
    fakes = Gs.sample(n, truncation_psi=1.0, labels=labels, progress=False)
    Gs.synthesis.lod = before
    images.save(images.grid(fakes), path)


def save_network(Gs: Generator, path: Path, *, lod: float, metadata: dict[str, object]) -> None:
    """The averaged generator at its current level of detail, for `Generator.from_pretrained`."""
    Gs.synthesis.lod, Gs.metadata = lod, metadata
    Gs.save(path, dtype=torch.float16)


def first_labels(dataset: Images, n: int) -> Tensor | None:
    """The labels of the first images, for the grids of fixed latents."""
    if dataset.label_dim == 0:
        return None
    _, labels = dataset.batch([i % len(dataset) for i in range(n)])
    return labels
