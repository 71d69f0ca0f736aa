"""A tiny data set and a tiny run: milliseconds a step."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from stylegan.fast import native_kernels
from stylegan.training import Outcome, TrainingConfig, TrainingState, new_state, train
from stylegan.training import run as training_run


class TinyImages:
    """64 random pictures, the same every time."""

    def __init__(self, resolution: int = 16, label_dim: int = 0, img_channels: int = 3):
        self.resolution, self.label_dim, self.img_channels = resolution, label_dim, img_channels
        shape = (64, img_channels, resolution, resolution)
        generator = torch.Generator().manual_seed(1)
        self.pictures = torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)

    def __len__(self) -> int:
        return len(self.pictures)

    def batch(self, indices: list[int]) -> tuple[Tensor, Tensor | None]:
        return self.pictures[indices], torch.eye(self.label_dim)[
            torch.tensor(indices) % self.label_dim
        ] if self.label_dim else None


def tiny_config(**settings: Any) -> TrainingConfig:
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
        "device": "cpu",
        "dtype": "float32",
        "log_kimg": 0.008,
        "snapshot_kimg": 0.032,
        "snapshot_images": 4,
    }
    return TrainingConfig.of({**defaults, **settings})


def run(out: Path, *, dataset: TinyImages | None = None, resume: bool = False, **settings: Any) -> Outcome:
    """Train with tiny settings."""
    return train(tiny_config(**settings), out, dataset=dataset or TinyImages(), resume=resume, progress=False)


def assert_same(a: Mapping[str, Tensor], b: Mapping[str, Tensor]) -> None:
    """The same tensors, bit for bit."""
    assert a.keys() == b.keys()
    for name in a:
        assert torch.equal(a[name], b[name]), name


def files(folder: Path) -> set[str]:
    return {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}


@contextmanager
def well_conditioned() -> Iterator[None]:
    """Runs within keep rounding errors as small as they are.

    Instance norm divides the constant of the start, which is ones, by a deviation of nearly zero, and Adam divides a
    gradient that is zero but for rounding by its own size. So the runs start from a random constant with noise, and
    Adam has a large eps.
    """

    def changed(*args: Any, **kwargs: Any) -> TrainingState:
        state = new_state(*args, **kwargs)
        generator = torch.Generator().manual_seed(3)
        draws = torch.randn(state.G.synthesis.layers[0].source.get_parameter("const").shape, generator=generator)
        for network in (state.G, state.Gs):
            network.synthesis.layers[0].source.get_parameter("const").data.copy_(draws)
            for layer in network.synthesis.layers:
                layer.get_parameter("noise_strength").data.fill_(0.3)
        for optimizer in (state.G_optimizer, state.D_optimizer):
            optimizer.param_groups[0]["eps"] = 0.1
        return state

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training_run, "new_state", changed)
        yield


def fuse(network: Any) -> None:
    """Let a network compute by the compiled kernels."""
    network.kernels = native_kernels()
