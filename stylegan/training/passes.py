"""The computation of a training step: a pass for the discriminator's gradients, and one for the generator's.

No random numbers are drawn and no weights change, so a pass can be captured as a CUDA graph (`graphs`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from ..discriminator import Discriminator
from ..generator import Generator
from ..latents.styles import cross_over
from .augment import Augment, keep
from .losses import find_loss, gradient_penalty, squared_gradient
from .reals import process_reals


@dataclass(frozen=True)
class Draws:
    """The draws that determine the fakes of a step."""

    z: Tensor  # [N, z_dim]
    z2: Tensor | None  # The second latents; None = no mixing.
    crossovers: Tensor | None  # [N]
    noise: Sequence[Tensor | None] | None  # A map per layer; None = the stored ones.


@dataclass(frozen=True)
class Inputs:
    """The inputs of a step besides the networks, on their device."""

    img: Tensor  # uint8 [N, C, R, R].
    labels: Tensor | None  # [N, label_dim]
    mirror: Tensor | None  # [N], which images to flip left to right; None = none.
    draws: Draws  # Of the fakes for the discriminator,
    own_draws: Draws | None  # and of those for the generator; None = it learns from the same ones.
    augment_reals: Augment
    augment_fakes: Augment
    augment_for_G: Augment
    gp_mixing: Tensor | None  # [N, 1, 1, 1], see `discriminator_loss`.
    fade: Tensor | None = None  # [], replaces the level of detail's fractional part; see `Passes`.


@dataclass
class DiscriminatorPass:
    """The results of the first pass; only the fakes have a gradient."""

    losses: dict[str, Tensor]  # Means over this process's samples.
    w_mean: Tensor  # [w_dim]
    grads: list[Tensor | None]  # Of each parameter of the discriminator, times the scale; None = frozen.
    fakes: Tensor | None  # For the second pass, if shared.


@dataclass
class GeneratorPass:
    """The results of the second pass."""

    loss: Tensor
    w_mean: Tensor | None  # [w_dim]; None = the fakes were those of the first pass.
    grads: list[Tensor | None]  # Of each parameter of the generator, times the scale.


@dataclass(frozen=True)
class Passes:
    """The two passes of a step with these settings.

    If the inputs have a `fade`, it is read when the pass runs, and only the integer part of lod is used.
    """

    G: Generator
    D: Discriminator
    lod: float
    dtype: torch.dtype = torch.float32
    channels_last: bool = False
    share_fakes: bool = False
    loss: str = "logistic"
    r1_gamma: float = 0.0
    r2_gamma: float = 0.0
    gp_weight: float = 0.0
    scale: float = 1.0  # Of the losses, for float16.
    frozen: tuple[str, ...] = ()  # Frozen layers of D.

    def discriminator(self, inputs: Inputs) -> DiscriminatorPass:
        """Make fakes, and score them and the reals."""
        self.G.requires_grad_(True)
        self.D.requires_grad_(True)
        for name, layer in self.D.named_modules():
            if name in self.frozen:
                layer.requires_grad_(False)
        lod, fade = self.lod, inputs.fade
        reals = process_reals(inputs.img, lod, mirror=inputs.mirror, enlarge=False, fade=fade)
        with torch.set_grad_enabled(self.share_fakes):
            fakes, w_mean = make_fakes(self.G, inputs.draws, inputs.labels, lod, self.dtype, fade=fade)
        losses = discriminator_loss(
            self._critic(fade),
            reals,
            fakes,
            inputs.labels,
            loss=self.loss,
            r1_gamma=self.r1_gamma,
            r2_gamma=self.r2_gamma,
            gp_weight=self.gp_weight,
            gp_mixing=inputs.gp_mixing,
            augment_reals=inputs.augment_reals,
            augment_fakes=inputs.augment_fakes,
            scale=self.scale,
        )
        total = torch.stack([value for name, value in losses.items() if name not in MONITORED]).sum()
        grads = _gradients(total * self.scale, self.D)
        losses = {name: value.detach() for name, value in losses.items()}
        return DiscriminatorPass(losses, w_mean, grads, fakes if self.share_fakes else None)

    def generator(self, inputs: Inputs, first: DiscriminatorPass) -> GeneratorPass:
        """Score fakes with the updated discriminator."""
        self.D.requires_grad_(False)
        fakes, w_mean = first.fakes, None
        if fakes is None:
            assert inputs.own_draws is not None
            fakes, w_mean = make_fakes(self.G, inputs.own_draws, inputs.labels, self.lod, self.dtype, fade=inputs.fade)
        scores = self._critic(inputs.fade)(inputs.augment_for_G(fakes), inputs.labels)
        loss = find_loss(self.loss).generator(scores)
        return GeneratorPass(loss.detach(), w_mean, _gradients(loss * self.scale, self.G))

    def _critic(self, fade: Tensor | None) -> "Critic":
        return Critic(self.D, self.lod, self.dtype, self.channels_last, fade)


def _gradients(loss: Tensor, network: nn.Module) -> list[Tensor | None]:
    """The gradient of each parameter, with its memory layout; None = frozen, or not part of the loss."""
    parameters = list(network.parameters())
    learning = [p for p in parameters if p.requires_grad]
    found = iter(torch.autograd.grad(loss, learning, allow_unused=True))
    grads = [next(found) if p.requires_grad else None for p in parameters]
    return [
        g if g is None or g.stride() == p.stride() else torch.empty_like(p).copy_(g)
        for p, g in zip(parameters, grads, strict=True)
    ]


def run_as(network: nn.Module, dtype: torch.dtype, *args: Any, **kwargs: Any) -> Any:
    """Call a network with its float32 weights cast to another type; gradients reach the float32 weights."""
    if dtype == torch.float32:
        return network(*args, **kwargs)
    weights = {name: p.to(dtype) for name, p in [*network.named_parameters(), *network.named_buffers()]}
    return functional_call(network, weights, args, kwargs)


def make_fakes(
    G: Generator,
    draws: Draws,
    labels: Tensor | None,
    lod: float,
    dtype: torch.dtype = torch.float32,
    *,
    fade: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Make images at the resolution of lod. Returns img [N, C, R, R], and the mean w of the first latents [w_dim]."""
    w = G.mapping(draws.z, labels)
    if draws.z2 is not None and draws.crossovers is not None:
        ws = cross_over([w, G.mapping(draws.z2, labels)], draws.crossovers, G.num_ws)
    else:
        ws = G.broadcast(w)
    img = run_as(G.synthesis, dtype, ws, noise=draws.noise, lod=lod, enlarge=False, fade=fade)
    return img, w.detach().mean(dim=0)


class Critic:
    """The discriminator at a level of detail and in a type: img [N, C, R, R], labels -> scores [N, 1], float32."""

    def __init__(
        self,
        D: Discriminator,
        lod: float,
        dtype: torch.dtype = torch.float32,
        channels_last: bool = False,
        fade: Tensor | None = None,
    ):
        self.D, self.lod, self.dtype, self.fade = D, lod, dtype, fade
        self.memory_format = torch.channels_last if channels_last else torch.contiguous_format

    def __call__(self, img: Tensor, labels: Tensor | None) -> Tensor:
        """Scores of img [N, C, R, R]: [N, 1], float32."""
        img = img.to(self.dtype, memory_format=self.memory_format)
        logits: Tensor = run_as(self.D, self.dtype, img, labels, lod=self.lod, fade=self.fade)
        return logits.float()


# What `discriminator_loss` returns besides the terms of the loss.
MONITORED = ("D_real", "D_fake", "real_sign")


def discriminator_loss(
    critic: Critic,
    reals: Tensor,
    fakes: Tensor,
    labels: Tensor | None,
    *,
    loss: str = "logistic",
    r1_gamma: float = 0.0,
    r2_gamma: float = 0.0,
    gp_weight: float = 0.0,  # Weight of WGAN-GP's penalty, with
    gp_mixing: Tensor | None = None,  # [N, 1, 1, 1], uniform in [0, 1].
    augment_reals: Augment = keep,
    augment_fakes: Augment = keep,
    scale: float = 1.0,  # Of intermediate gradients with respect to images, for float16.
) -> dict[str, Tensor]:
    """The terms of the discriminator's loss, by name: means over the batch, to be added up.

    R1 and R2 penalize the gradient with respect to the images before augmentation.
    """
    reals = reals.detach().requires_grad_(r1_gamma > 0)
    fakes = fakes.detach().requires_grad_(r2_gamma > 0)
    seen_reals, seen_fakes = augment_reals(reals), augment_fakes(fakes)
    real_scores, fake_scores = critic(seen_reals, labels), critic(seen_fakes, labels)
    terms = {"D_loss": find_loss(loss).discriminator(real_scores, fake_scores)}
    if r1_gamma > 0:
        terms["r1"] = r1_gamma / 2 * squared_gradient(real_scores, reals, scale=scale).mean()
    if r2_gamma > 0:
        terms["r2"] = r2_gamma / 2 * squared_gradient(fake_scores, fakes, scale=scale).mean()
    if gp_weight > 0 and gp_mixing is not None:
        penalty = gradient_penalty(lambda img: critic(img, labels), seen_reals, seen_fakes, gp_mixing, scale=scale)
        terms["gradient_penalty"] = gp_weight * penalty.mean()
    real_scores, fake_scores = real_scores.detach(), fake_scores.detach()
    return terms | {"D_real": real_scores.mean(), "D_fake": fake_scores.mean(), "real_sign": real_scores.sign().mean()}
