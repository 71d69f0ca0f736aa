"""The keyword arguments of `Generator.render` and `Generator.sample` except output_type, for type checkers."""

from collections.abc import Sequence
from typing import TypedDict

import torch
from torch import Tensor

from ..runtime.choices import NoiseMode
from .labels import Labels
from .seeds import Seeds


class _Arguments(TypedDict, total=False):
    noise_mode: NoiseMode
    noise_seed: int | Sequence[int] | None
    batch_size: int | None
    progress: bool | None


class Rendering(_Arguments, total=False):
    """Those of `render`."""

    noise: Sequence[Tensor | None] | None


class Sampling(_Arguments, total=False):
    """Those of `sample`."""

    seeds: Seeds | None
    truncation_psi: float | Sequence[float] | Tensor
    truncation_cutoff: int | None
    labels: Labels
    generator: torch.Generator | None
