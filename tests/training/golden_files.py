"""Reads the golden files: numbers that the official implementation gave for small random networks."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from stylegan.discriminator import Discriminator
from stylegan.generator import Generator
from stylegan.weights.formats.official import convert_official
from stylegan.weights.formats.official_pickle import OfficialNetwork, read_official_pickle
from stylegan.weights.loading import Loaded, build_network

from ..conftest import GOLDEN

FOLDER = Path(__file__).parent / "golden"


@dataclass
class Golden:
    """One set: the official networks as ours, and the recorded numbers."""

    official: dict[str, OfficialNetwork]
    io: dict[str, np.ndarray]
    info: dict[str, Any]

    @classmethod
    def read(cls, name: str, io: str = "") -> "Golden":
        info_file = FOLDER / f"{io or name}.json"
        return cls(
            read_official_pickle(GOLDEN / name / "network_nosrc.pkl"),
            dict(np.load(FOLDER / f"{io or name}.npz")),
            json.loads(info_file.read_text()) if info_file.exists() else {},
        )

    def tensor(self, key: str) -> Tensor:
        return torch.from_numpy(self.io[key].copy())

    def labels(self, key: str, n: int) -> Tensor | None:
        labels = self.tensor(key)[:n]
        return labels if labels.shape[1] else None

    def generator(self, name: str = "G") -> Generator:
        return build_network(Generator, Loaded(convert_official(self.official[name]), "golden"))

    def discriminator(self) -> Discriminator:
        return build_network(Discriminator, Loaded(convert_official(self.official["D"]), "golden"))

    def ours(self, network: str, prefix: str) -> dict[str, Tensor]:
        """The official variables (or their gradients) under a prefix, under our names and in our layout."""
        return self._convert(network, {k.removeprefix(prefix): v for k, v in self.io.items() if k.startswith(prefix)})

    def norms(self, network: str, norms: dict[str, float]) -> dict[str, float]:
        """Numbers by official variable, under our names."""
        shapes = {name: v.shape for name, v in self._variables(network).items()}
        filled = self._convert(network, {name: np.full(shapes[name], norm) for name, norm in norms.items()})
        return {name: t.flatten()[0].item() for name, t in filled.items()}

    def _variables(self, network: str) -> dict[str, np.ndarray]:
        official = self.official[network]
        parts = official.components.items()
        return {f"G_{part}/{k}": v for part, c in parts for k, v in c.variables.items()} | official.variables

    def _convert(self, network: str, given: dict[str, np.ndarray]) -> dict[str, Tensor]:
        official = self.official[network]
        parts: dict[str, OfficialNetwork] = {}
        for part, c in official.components.items():
            scope = f"G_{part}/"
            mine = {k.removeprefix(scope): given.pop(k) for k in list(given) if k.startswith(scope)}
            parts[part] = OfficialNetwork(c.name, c.build_func_name, c.static_kwargs, mine)
        whole = OfficialNetwork(official.name, official.build_func_name, official.static_kwargs, given, parts)
        return convert_official(whole).state_dict


def layer_noise(golden: Golden, num_layers: int) -> list[Tensor]:
    """The noise maps that the official generator drew in training, by layer."""
    scopes = [k for k in golden.io if k.startswith("train_noise/")]

    def layer(key: str) -> int:
        size, scope = key.split("/")[1:3]
        return 2 * (int(size.split("x")[0]).bit_length() - 3) + (scope in ("Conv", "Conv1"))

    return [golden.tensor(k) for k in sorted(scopes, key=layer)][:num_layers]


def assert_gradients_match(
    network: torch.nn.Module, norms: dict[str, float], expected: dict[str, Tensor], rtol: float
) -> None:
    """Every gradient has the expected norm, and those that were recorded in full are equal, within rtol.

    Relative to each gradient's norm, or to 1% of the largest where it is smaller than that.
    """
    gradients = {n: torch.zeros_like(p) if p.grad is None else p.grad for n, p in network.named_parameters()}
    assert gradients.keys() == norms.keys()
    floor = 0.01 * max(norms.values())
    for name, norm in norms.items():
        error = abs(gradients[name].norm().item() - norm) / max(norm, floor)
        assert error <= rtol, f"norm of {name}: relative error {error:.1e}"
    for name, gradient in expected.items():
        error = (gradients[name] - gradient).norm().item() / max(norms[name], floor)
        assert error <= rtol, f"{name}: relative error {error:.1e}"
