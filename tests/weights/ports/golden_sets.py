"""Golden sets as tensors, and what is compared with them."""

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from stylegan import Discriminator, Generator
from stylegan.weights.checkpoint import Checkpoint
from stylegan.weights.formats.official_pickle import read_official_pickle
from stylegan.weights.loading import Loaded, build_network

from ...conftest import GOLDEN
from . import writers as ports
from .writers import Variables, scopes


@dataclass
class Set:
    """A golden set: its official variables and its arrays."""

    g: Variables
    d: Variables
    arrays: dict[str, Tensor]

    def __getitem__(self, key: str) -> Tensor:
        return self.arrays[key]


@cache
def golden_set(name: str) -> Set:
    networks = read_official_pickle(GOLDEN / name / "network_nosrc.pkl")
    Gs, D = networks["Gs"], networks["D"]
    g = dict(Gs.variables) | Gs.components["mapping"].variables | Gs.components["synthesis"].variables
    with np.load(GOLDEN / name / "io.npz") as arrays:
        tensors = {key: torch.from_numpy(arrays[key]) for key in arrays.files}
    return Set(_tensors(g), _tensors(D.variables), tensors)


def _tensors(variables: Any) -> Variables:
    return {name: torch.from_numpy(np.array(value, np.float32)) for name, value in variables.items()}


def as_generator(checkpoint: Checkpoint) -> Generator:
    return build_network(Generator, Loaded(checkpoint, "test")).eval().requires_grad_(False)


def as_discriminator(checkpoint: Checkpoint) -> Discriminator:
    return build_network(Discriminator, Loaded(checkpoint, "test")).eval().requires_grad_(False)


def noise_of(g: Variables) -> list[Tensor]:
    return [g[f"noise{i}"] for i in range(len(scopes(ports.resolution_of(g))))]


def assert_images(given: Tensor, expected: Tensor, limit: float = 1e-4) -> None:
    """Relative RMS, as the golden tests: 5e-5 there, and the absolute limit of 256x256 images."""
    error = given - expected
    assert error.square().mean().sqrt() <= limit * expected.std()
    assert error.abs().max() <= (1e-4 if expected.shape[-1] <= 64 else 5e-4) * max(limit / 1e-4, 1)
