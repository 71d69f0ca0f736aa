"""The w of a model as a cloud of samples."""

import torch
from torch import Tensor

from .checks import check_integers
from .choices import SAMPLES
from .errors import InputError
from .generator import Generator
from .precision import no_autocast


@no_autocast()
def sample_w(G: Generator, samples: int = SAMPLES) -> Tensor:
    """The w of the seeds 0 to samples - 1, without truncation: [samples, w_dim], float32, on the CPU.

    Conditional models take their classes in turn. Raises InputError for less than two samples.
    """
    if check_integers(samples, what="samples", limit=2**32)[0] < 2:
        raise InputError(f"samples must be 2 or more, got {samples}")
    parts = []
    for start in range(0, samples, 1000):
        seeds = range(start, min(start + 1000, samples))
        labels = [seed % G.label_dim for seed in seeds] if G.label_dim else None
        parts.append(G.ws(seeds, labels=labels, truncation_psi=1.0)[:, 0].cpu())
    return torch.cat(parts)
