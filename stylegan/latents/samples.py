"""Samples of a model's w."""

import torch
from torch import Tensor

from ..runtime.checks import check_integer
from ..runtime.choices import SAMPLES
from ..runtime.precision import no_autocast
from .protocol import Generator


@no_autocast()
def sample_w(G: Generator, samples: int = SAMPLES, *, label: int | str | None = None) -> Tensor:
    """The w of the seeds 0 to samples - 1, without truncation: [samples, w_dim], float32, on the CPU.

    label: class of a conditional model, by index or name; None = its classes in turn.

    Raises InputError for fewer than two samples and for unknown classes.
    """
    check_integer(samples, what="samples", low=2, high=10_000_000)
    parts = []
    for start in range(0, samples, 1000):
        seeds = range(start, min(start + 1000, samples))
        turns = [seed % G.label_dim for seed in seeds] if G.label_dim else None
        labels = turns if label is None else label
        parts.append(G.ws(seeds, labels=labels, truncation_psi=1.0)[:, 0].cpu())
    return torch.cat(parts)
