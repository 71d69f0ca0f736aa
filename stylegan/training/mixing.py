"""Mixing regularization: which images get two latents (Karras et al. 2019, section 3.1); see `latents.cross_over`."""

import torch
from torch import Tensor

from ..runtime.device import FLOAT32_CPU


def draw_crossovers(
    n: int, num_ws: int, lod: float, *, probability: float, generator: torch.Generator | None = None
) -> Tensor:
    """Draw for each of n images the layer from which the second latent takes over: [n], integers from 1 to num_ws.

    With `probability` it is one of the layers that the level of detail shows, all alike; else num_ws: no mixing.
    """
    shown = num_ws - 2 * int(lod)
    mixed = torch.rand(n, generator=generator, **FLOAT32_CPU) < probability
    crossovers = 1 + (torch.rand(n, generator=generator, **FLOAT32_CPU) * (shown - 1)).long()
    return torch.where(mixed & (shown > 1), crossovers.clamp(max=max(shown - 1, 1)), num_ws)
