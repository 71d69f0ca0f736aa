"""The running average of w."""

import torch
from torch import Tensor

from ..generator import Generator

# Decay of the average w per step (Karras et al. 2019, appendix B).
W_AVG_BETA = 0.995


@torch.no_grad()
def update_w_avg(G: Generator, w_mean: Tensor, beta: float = W_AVG_BETA) -> None:
    """Move the average w towards the mean of a batch, w_mean: [w_dim]."""
    G.w_avg.copy_(torch.lerp(w_mean.to(G.w_avg), G.w_avg, beta))
