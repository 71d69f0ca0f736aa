"""Losses and gradient penalties, as pure functions of scores (Karras et al. 2019, appendix C; the papers named below).

Scores are the discriminator's logits, [N, 1], positive = real. Every loss is the mean over the batch; a penalty has one
value per sample, [N].
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import InputError

LossName = Literal["logistic", "logistic_saturating", "wgan", "hinge"]


def g_logistic_nonsaturating(fake_scores: Tensor) -> Tensor:
    """-log(sigmoid(fake)) (Goodfellow et al. 2014, section 3)."""
    return F.softplus(-fake_scores).mean()


def g_logistic_saturating(fake_scores: Tensor) -> Tensor:
    """log(1 - sigmoid(fake)), the minimax loss (Goodfellow et al. 2014, equation 1)."""
    return -F.softplus(fake_scores).mean()


def g_wgan(fake_scores: Tensor) -> Tensor:
    """-fake (Arjovsky et al. 2017); also the generator's part of the hinge loss."""
    return -fake_scores.mean()


def d_logistic(real_scores: Tensor, fake_scores: Tensor) -> Tensor:
    """-log(1 - sigmoid(fake)) - log(sigmoid(real)) (Goodfellow et al. 2014, equation 1)."""
    return F.softplus(fake_scores).mean() + F.softplus(-real_scores).mean()


def d_wgan(real_scores: Tensor, fake_scores: Tensor, *, epsilon: float = 0.001) -> Tensor:
    """fake - real, plus a weak penalty on real scores (Karras et al. 2017, appendix A.1)."""
    return fake_scores.mean() - real_scores.mean() + epsilon * real_scores.square().mean()


def d_hinge(real_scores: Tensor, fake_scores: Tensor) -> Tensor:
    """max(0, 1 + fake) + max(0, 1 - real) (Lim and Ye 2017)."""
    return F.relu(1 + fake_scores).mean() + F.relu(1 - real_scores).mean()


def squared_gradient(scores: Tensor, img: Tensor, *, scale: float = 1.0) -> Tensor:
    """Squared norm over C, H and W of the gradient of scores with respect to their images: [N].

    Times gamma / 2, it is the penalty R1 on real images and R2 on generated ones (Mescheder et al. 2018, equation 9).
    img must have required a gradient when it was scored. scale: factor of intermediate gradients, for float16.
    """
    (gradient,) = torch.autograd.grad(scores.sum() * scale, img, create_graph=True)
    return gradient.square().sum(dim=(1, 2, 3)) / scale**2


def gradient_penalty(
    discriminate: Callable[[Tensor], Tensor],
    reals: Tensor,
    fakes: Tensor,
    mixing: Tensor,
    *,
    target: float = 1.0,
    scale: float = 1.0,
) -> Tensor:
    """The penalty of WGAN-GP, (|grad| - target)^2 / target^2 between reals and fakes: [N].

    mixing: [N, 1, 1, 1], uniform in [0, 1]; the position on the line from each real to its fake (Gulrajani et al.
        2017). The papers weight it by 10. scale: as in `squared_gradient`.
    """
    mixed = torch.lerp(reals.detach(), fakes.detach(), mixing).requires_grad_(True)
    norms = squared_gradient(discriminate(mixed), mixed, scale=scale).sqrt()
    return (norms - target).square() / target**2


@dataclass(frozen=True)
class Loss:
    """The generator's and the discriminator's part of a loss."""

    generator: Callable[[Tensor], Tensor]
    discriminator: Callable[[Tensor, Tensor], Tensor]


LOSSES: dict[str, Loss] = {
    "logistic": Loss(g_logistic_nonsaturating, d_logistic),
    "logistic_saturating": Loss(g_logistic_saturating, d_logistic),
    "wgan": Loss(g_wgan, d_wgan),
    "hinge": Loss(g_wgan, d_hinge),
}


def find_loss(name: str) -> Loss:
    """The loss of that name. Raises InputError for an unknown one."""
    if name not in LOSSES:
        raise InputError(f"unknown loss {name!r}; expected one of {', '.join(get_args(LossName))}")
    return LOSSES[name]
