"""Running averages of a network's weights."""

import torch
from torch import nn


def ema_beta(batch: int, half_life_kimg: float) -> float:
    """Decay of the averaged weights per step, for a half-life of this many thousand images."""
    return 0.5 ** (batch / (half_life_kimg * 1000)) if half_life_kimg > 0 else 0.0


@torch.no_grad()
def update_ema(average: nn.Module, network: nn.Module, beta: float) -> None:
    """Move the parameters of `average` towards those of `network`: beta * old + (1 - beta) * new. Copies buffers."""
    torch._foreach_lerp_(list(average.parameters()), list(network.parameters()), 1 - beta)
    for target, source in zip(average.buffers(), network.buffers(), strict=True):
        target.copy_(source)
