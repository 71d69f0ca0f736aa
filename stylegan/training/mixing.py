"""Mixing regularization: two latents for one image (Karras et al. 2019, section 3.1)."""

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


def mix(w: Tensor, w2: Tensor, crossovers: Tensor, num_ws: int) -> Tensor:
    """Take layers below each crossover from w, the others from w2.

    w, w2: [N, w_dim]; crossovers: [N]. Returns ws: [N, num_ws, w_dim].
    """
    first = torch.arange(num_ws, device=w.device) < crossovers.to(w.device)[:, None]  # [N, num_ws]
    return torch.where(first[:, :, None], w[:, None], w2[:, None])
