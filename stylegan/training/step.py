"""One training step: discriminator, averaged weights, generator. Everything random is a function of (seed, step)."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call

from ..discriminator import Discriminator
from ..generator import Generator
from .augment import Augment, adapt, draw_augment, keep
from .averages import ema_beta, update_ema, update_w_avg
from .config import TrainingConfig
from .distributed import World
from .losses import find_loss, gradient_penalty, squared_gradient
from .mixing import draw_crossovers, mix
from .optim import next_loss_scale
from .reals import process_reals
from .schedule import Phase
from .state import TrainingState

# The purposes that each step draws random numbers for.
_FOR_D, _FOR_G, _MIRROR, _PENALTY, _AUGMENT_REALS, _AUGMENT_FAKES, _AUGMENT_FOR_G = range(7)

# Steps between two changes of the p of ADA (Karras et al. 2020, section 3.1).
_ADA_INTERVAL = 4


@dataclass(frozen=True)
class Draws:
    """What makes the fakes of a step."""

    z: Tensor  # [N, z_dim]
    z2: Tensor | None  # The second latents; None = no mixing.
    crossovers: Tensor | None  # [N]
    noise: Sequence[Tensor | None] | None  # A map for each layer; None = the stored ones.


@dataclass
class StepReport:
    """What happened in a step; the losses are the means of this process's samples, still on the device."""

    losses: dict[str, Tensor] = field(default_factory=dict)
    skipped: bool = False  # A loss or gradient was no finite number.


def generator_for(seed: int, step: int, purpose: int, device: torch.device | str = "cpu") -> torch.Generator:
    """The source of the random numbers of one purpose in one step."""
    state = np.random.SeedSequence([seed, step, purpose]).generate_state(1, np.uint64)
    return torch.Generator(device).manual_seed(int(state[0]) >> 1)


def draw(config: TrainingConfig, G: Generator, phase: Phase, step: int, purpose: int, samples: Tensor) -> Draws:
    """Draw for the whole batch and keep this process's samples: the same draws for any number of processes."""
    n, device = phase.batch, G.device
    generator = generator_for(config.seed, step, purpose)
    z, z2 = torch.randn(2, n, G.z_dim, generator=generator)[:, samples].to(device)
    mixing = config.mixing()
    crossovers = draw_crossovers(n, G.num_ws, phase.lod, probability=mixing, generator=generator)[samples]
    generator = generator_for(config.seed, step, purpose, device)
    rows = samples.to(device)
    noise = [
        torch.randn(n, 1, h, w, generator=generator, device=device)[rows]
        if h <= phase.resolution and layer.noise_strength is not None
        else None
        for layer, (h, w) in zip(G.synthesis.layers, G.synthesis.noise_shapes, strict=True)
    ]
    return Draws(z, z2 if mixing > 0 else None, crossovers.to(device), noise)


def run_as(network: nn.Module, dtype: torch.dtype, *args: Any, **kwargs: Any) -> Any:
    """Call a network with its float32 weights rounded to another type; gradients reach the float32 weights."""
    if dtype == torch.float32:
        return network(*args, **kwargs)
    weights = {name: p.to(dtype) for name, p in [*network.named_parameters(), *network.named_buffers()]}
    return functional_call(network, weights, args, kwargs)


def make_fakes(
    G: Generator, draws: Draws, labels: Tensor | None, lod: float, dtype: torch.dtype = torch.float32
) -> tuple[Tensor, Tensor]:
    """Make images of the resolution of lod. Returns img [N, C, R, R], and the mean w of the first latents [w_dim]."""
    w = G.mapping(draws.z, labels)
    if draws.z2 is not None and draws.crossovers is not None:
        ws = mix(w, G.mapping(draws.z2, labels), draws.crossovers, G.num_ws)
    else:
        ws = G.broadcast(w)
    img = run_as(G.synthesis, dtype, ws, noise=draws.noise, lod=lod, enlarge=False)
    return img, w.detach().mean(dim=0)


class Critic:
    """The discriminator at a level of detail and in a type: img [N, C, R, R], labels -> scores [N, 1], float32."""

    def __init__(self, D: Discriminator, lod: float, dtype: torch.dtype = torch.float32, channels_last: bool = False):
        self.D, self.lod, self.dtype = D, lod, dtype
        self.memory_format = torch.channels_last if channels_last else torch.contiguous_format

    def __call__(self, img: Tensor, labels: Tensor | None) -> Tensor:
        img = img.to(self.dtype, memory_format=self.memory_format)
        return run_as(self.D, self.dtype, img, labels, lod=self.lod).float()


# What `discriminator_loss` returns beside terms of the loss.
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
    gp_weight: float = 0.0,  # Weight of the penalty of WGAN-GP, with
    gp_mixing: Tensor | None = None,  # [N, 1, 1, 1], uniform in [0, 1].
    augment_reals: Augment = keep,
    augment_fakes: Augment = keep,
    scale: float = 1.0,  # Of the gradients by images on their way, for float16.
) -> dict[str, Tensor]:
    """The terms of the discriminator's loss, by name: means over the batch, to be added up.

    R1 and R2 penalize the gradient by the images before augmentation.
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


def train_step(
    state: TrainingState,
    config: TrainingConfig,
    phase: Phase,
    img: Tensor,
    labels: Tensor | None,
    *,
    dtype: torch.dtype = torch.float32,
    world: World | None = None,
) -> StepReport:
    """Train on one batch of real images and advance the state.

    img: uint8 [N, C, R, R] at the resolution of the phase, labels: [N, label_dim] or None; this process's share of the
    batch, in the order of `World.samples`. A step whose losses or gradients are no finite numbers changes no weights.
    """
    world = world or World()
    G, D, device = state.G, state.D, state.G.device
    samples = world.samples(phase.batch, config.mbstd_group_size)
    labels = None if labels is None else labels.to(device)
    mirror = None
    if config.mirror:
        draws = torch.rand(phase.batch, generator=generator_for(config.seed, state.step, _MIRROR))
        mirror = draws[samples] < 0.5
    reals = process_reals(img.to(device), phase.lod, mirror=mirror, enlarge=False)
    critic = Critic(D, phase.lod, dtype, config.channels_last)
    scale = state.loss_scale if dtype == torch.float16 else 1.0
    report = StepReport()
    _set_learning_rates(state, config, phase)

    def augmentation(purpose: int) -> Augment:
        generator = generator_for(config.seed, state.step, purpose)
        p, n = state.augment_p, phase.batch
        return draw_augment(config.augment, p, n, phase.resolution, generator=generator, samples=samples, device=device)

    # Fakes for the discriminator.
    G.requires_grad_(True)
    with torch.set_grad_enabled(config.share_fakes):
        fakes, w_mean = make_fakes(G, draw(config, G, phase, state.step, _FOR_D, samples), labels, phase.lod, dtype)
    world.average([w_mean])

    # The discriminator learns. R1 comes once in r1_interval steps, as many times stronger.
    D.requires_grad_(True)
    gp_weight = config.gradient_penalty_weight()
    gp_mixing = None
    if gp_weight > 0:
        generator = generator_for(config.seed, state.step, _PENALTY)
        gp_mixing = torch.rand(phase.batch, 1, 1, 1, generator=generator)[samples].to(device)
    report.losses = discriminator_loss(
        critic,
        reals,
        fakes,
        labels,
        loss=config.loss_name(),
        r1_gamma=config.gamma(phase) * config.r1_interval if state.step % config.r1_interval == 0 else 0.0,
        r2_gamma=config.r2_gamma,
        gp_weight=gp_weight,
        gp_mixing=gp_mixing,
        augment_reals=augmentation(_AUGMENT_REALS),
        augment_fakes=augmentation(_AUGMENT_FAKES),
        scale=scale,
    )
    terms = [value for name, value in report.losses.items() if name not in MONITORED]
    (torch.stack(terms).sum() * scale).backward()
    report.skipped = not _apply(state.D_optimizer, D, world, scale)
    D.requires_grad_(False)
    D.zero_grad(set_to_none=True)

    # The averages move, then the generator learns from the new discriminator.
    if not report.skipped:
        update_w_avg(G, w_mean)
        update_ema(state.Gs, G, ema_beta(phase.batch, config.ema_kimg))
        if not config.share_fakes:
            fakes, w_mean = make_fakes(G, draw(config, G, phase, state.step, _FOR_G, samples), labels, phase.lod, dtype)
            world.average([w_mean])
        loss = find_loss(config.loss_name()).generator(critic(augmentation(_AUGMENT_FOR_G)(fakes), labels))
        report.losses["G_loss"] = loss.detach()
        (loss * scale).backward()
        report.skipped = not _apply(state.G_optimizer, G, world, scale)
        if not config.share_fakes and not report.skipped:
            update_w_avg(G, w_mean)
        G.zero_grad(set_to_none=True)

    if config.augment == "ada":
        _adapt(state, config, phase, report, world)
    if dtype == torch.float16:
        state.loss_scale, state.steps_at_scale = next_loss_scale(scale, state.steps_at_scale, report.skipped)
    report.losses = {name: value.detach() for name, value in report.losses.items()}
    state.step += 1
    state.images += phase.batch
    state.skipped_in_a_row = state.skipped_in_a_row + 1 if report.skipped else 0
    state.skipped += report.skipped
    return report


def _adapt(state: TrainingState, config: TrainingConfig, phase: Phase, report: StepReport, world: World) -> None:
    """Let the p of ADA follow the scores of real images, of all processes; a skipped step does not count."""
    sign = report.losses["real_sign"]
    world.average([sign])
    if report.skipped:
        return
    state.real_signs = [*state.real_signs, sign.item()]
    if len(state.real_signs) == _ADA_INTERVAL:
        images = phase.batch * _ADA_INTERVAL
        state.augment_p = adapt(
            state.augment_p, state.real_signs, images, target=config.ada_target, kimg=config.ada_kimg
        )
        state.real_signs = []


def _set_learning_rates(state: TrainingState, config: TrainingConfig, phase: Phase) -> None:
    """The learning rates of the phase, G's while it warms up less; at a new resolution, the optimizers start afresh."""
    warmup = config.generator_warmup_kimg
    shares = {"G_optimizer": min(state.kimg / warmup, 1.0) if warmup else 1.0, "D_optimizer": 1.0}
    for name, (optimizer, _) in state.optimizers().items():
        if state.resolution not in (0, phase.resolution):
            optimizer.reset()
        for group in optimizer.param_groups:
            group["lr"] = phase.learning_rate * shares[name]
    state.resolution = phase.resolution


def _apply(optimizer: torch.optim.Optimizer, network: nn.Module, world: World, scale: float) -> bool:
    """Average the gradients over the processes, divide them by the scale of the loss and step.

    Unless one of them is no finite number; returns whether.
    """
    grads = [p.grad for p in network.parameters() if p.grad is not None]
    world.average(grads)
    # A sum of norms is finite only if every one of them is.
    if not torch.stack(torch._foreach_norm(grads)).sum().isfinite():
        return False
    if scale != 1:
        torch._foreach_div_(grads, scale)
    optimizer.step()
    return True
