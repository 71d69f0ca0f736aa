"""Running averages: of the generator's weights, and of w."""

import torch
from torch import Tensor, nn

from ..generator import Generator

# Decay of the average w in every step (Karras et al. 2019, appendix B).
W_AVG_BETA = 0.995


def ema_beta(batch: int, half_life_kimg: float) -> float:
    """Decay of the averaged weights per step, for a half-life of this many thousand images."""
    return 0.5 ** (batch / (half_life_kimg * 1000)) if half_life_kimg > 0 else 0.0


@torch.no_grad()
def update_ema(average: nn.Module, network: nn.Module, beta: float) -> None:
    """Move the parameters of `average` towards those of `network`: beta * old + (1 - beta) * new. Copies buffers."""
    torch._foreach_lerp_(list(average.parameters()), list(network.parameters()), 1 - beta)
    for target, source in zip(average.buffers(), network.buffers(), strict=True):
        target.copy_(source)


@torch.no_grad()
def update_w_avg(G: Generator, w_mean: Tensor, beta: float = W_AVG_BETA) -> None:
    """Move the average w towards the mean of a batch, w_mean: [w_dim]."""
    G.w_avg.copy_(torch.lerp(w_mean.to(G.w_avg), G.w_avg, beta))
