"""A tiny data set and a tiny run: milliseconds a step."""

from pathlib import Path

import torch
from torch import Tensor

from stylegan.training import TrainingConfig


class TinyImages:
    """64 random pictures, the same every time."""

    img_channels = 3

    def __init__(self, resolution: int = 16, label_dim: int = 0):
        self.resolution, self.label_dim = resolution, label_dim
        generator = torch.Generator().manual_seed(1)
        self.pictures = torch.randint(0, 256, (64, 3, resolution, resolution), dtype=torch.uint8, generator=generator)

    def __len__(self) -> int:
        return len(self.pictures)

    def batch(self, indices: list[int]) -> tuple[Tensor, Tensor | None]:
        labels = torch.nn.functional.one_hot(torch.tensor(indices) % self.label_dim).float() if self.label_dim else None
        return self.pictures[indices], labels


def tiny_config(**settings) -> TrainingConfig:
    """Grows from 8x8 to 16x16 in the first 8 of its steps: two at 8x8, two fading, then 16x16."""
    defaults = {
        "resolution": 16,
        "z_dim": 8,
        "w_dim": 8,
        "hidden_dim": 8,
        "fmap_base": 64,
        "fmap_max": 8,
        "batch": 8,
        "kimg": 0.064,
        "training_kimg": 0.016,
        "transition_kimg": 0.016,
        "r1_interval": 2,
        "dtype": "float32",
        "log_kimg": 0.008,
        "snapshot_kimg": 0.032,
        "snapshot_images": 4,
    }
    return TrainingConfig.of({**defaults, **settings})


def files(folder: Path) -> set[str]:
    return {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
