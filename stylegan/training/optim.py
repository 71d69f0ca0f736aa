"""Adam as in TensorFlow, which trained the published networks; the loss scale of float16."""

from collections.abc import Callable, Iterable
from math import sqrt
from typing import Any

import torch
from torch import nn

# The loss scale in float16, which keeps small gradients from underflowing: initial, and maximum. It is halved when a
# gradient overflows, and doubled after this many steps without overflow.
LOSS_SCALE, MAX_LOSS_SCALE = 2.0**10, 2.0**24
SCALE_INTERVAL = 500


def next_loss_scale(scale: float, steps: int, overflow: bool) -> tuple[float, int]:
    """The loss scale after a step, and the number of steps with it, from the previous ones.

    As in section 3.2 of Micikevicius et al. 2018, "Mixed Precision Training".
    """
    if overflow:
        return max(scale / 2, 1.0), 0
    if steps + 1 == SCALE_INTERVAL:
        return min(scale * 2, MAX_LOSS_SCALE), 0
    return scale, steps + 1


class Adam(torch.optim.Optimizer):
    """Adam (Kingma and Ba 2015) as at the end of its section 2: the bias correction goes into the step size.

    p -= lr * sqrt(1 - beta2^t) / (1 - beta1^t) * m / (sqrt(v) + eps): unlike in `torch.optim.Adam`, eps is added to the
    uncorrected sqrt(v). Parameters without a gradient do not change. The updates run over all tensors at once.
    """

    def __init__(
        self,
        params: Iterable[nn.Parameter],
        *,
        lr: float = 0.001,
        betas: tuple[float, float] = (0.0, 0.99),
        eps: float = 1e-8,
    ):
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "step": 0})

    def reset(self) -> None:
        """Reset all moments and the step count, as when the resolution changes; the learning rate stays."""
        self.state.clear()
        for group in self.param_groups:
            group["step"] = 0

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update all parameters that have a gradient; returns what the closure returns."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            params = [p for p in group["params"] if p.grad is not None]
            if not params:
                continue
            group["step"] += 1
            beta1, beta2 = group["betas"]
            grads: list[torch.Tensor] = [p.grad for p in params]

            v = self._moments(params, "exp_avg_sq")
            torch._foreach_mul_(v, beta2)
            torch._foreach_addcmul_(v, grads, grads, 1 - beta2)
            m = grads
            if beta1 > 0:
                m = self._moments(params, "exp_avg")
                torch._foreach_lerp_(m, grads, 1 - beta1)

            denominators = torch._foreach_sqrt(v)
            torch._foreach_add_(denominators, group["eps"])
            lr = group["lr"] * sqrt(1 - beta2 ** group["step"]) / (1 - beta1 ** group["step"])
            torch._foreach_addcdiv_(params, m, denominators, -lr)
        return loss

    def _moments(self, params: list[nn.Parameter], name: str) -> list[torch.Tensor]:
        for p in params:
            if name not in self.state[p]:
                self.state[p][name] = torch.zeros_like(p)
        return [self.state[p][name] for p in params]
