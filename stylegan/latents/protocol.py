"""What latents need from a generator, which itself imports them; `stylegan.Generator` provides it."""

from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

from ..networks.synthesis import SynthesisNetwork
from ..runtime.choices import NoiseMode
from .seeds import Seeds


@runtime_checkable
class Generator(Protocol):
    """The part of a generator that latents need."""

    w_avg: Tensor  # [w_dim]
    w_dim: int
    num_ws: int
    label_dim: int
    metadata: dict[str, Any]
    synthesis: SynthesisNetwork

    @property
    def name(self) -> str:
        """The name of its model."""

    @property
    def device(self) -> torch.device:
        """Where its weights are."""

    def noise(self, seeds: Seeds, *, noise_mode: NoiseMode = "random") -> list[Tensor]:
        """Noise maps of seeds, for each layer [N or 1, 1 or C, R, R]."""

    def ws(self, seeds: Seeds, *, labels: Any = None, truncation_psi: Any = 0.7) -> Tensor:
        """Latents of seeds, [N, num_ws, w_dim]."""
