"""One training step: discriminator, averaged weights, generator. Everything random is a function of (seed, step)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from ..generator import Generator
from ..runtime.averages import ema_beta, update_ema
from ..runtime.device import FLOAT32_CPU
from ..runtime.distributed import World
from .augment import Augment, adapt, draw_augment
from .averages import update_w_avg
from .config import TrainingConfig
from .freezing import frozen_layers
from .graphs import StepGraphs
from .optim import next_loss_scale
from .passes import Draws, Inputs, Passes
from .schedule import Phase
from .state import TrainingState

# The purposes for which each step draws random numbers.
_FOR_D, _FOR_G, _MIRROR, _PENALTY, _AUGMENT_REALS, _AUGMENT_FAKES, _AUGMENT_FOR_G = range(7)

# Steps between changes of ADA's p (Karras et al. 2020, section 3.1).
_ADA_INTERVAL = 4


@dataclass
class StepReport:
    """The results of a step; the losses are means over the whole batch, still on the device."""

    losses: dict[str, Tensor]
    skipped: bool = False  # A loss or gradient was NaN or infinite.


def generator_for(seed: int, step: int, purpose: int, device: torch.device | str = "cpu") -> torch.Generator:
    """The source of the random numbers of one purpose in one step."""
    state = np.random.SeedSequence([seed, step, purpose]).generate_state(1, np.uint64)
    return torch.Generator(device).manual_seed(int(state[0]) >> 1)


def draw_crossovers(
    n: int, num_ws: int, lod: float, *, probability: float, generator: torch.Generator | None = None
) -> Tensor:
    """Draw for each of n images the layer from which the second latent takes over: [n], integers from 1 to num_ws.

    Mixing regularization (Karras et al. 2019, section 3.1); see `latents.cross_over`. With `probability` it is a
    uniformly drawn layer of those visible at the level of detail; otherwise num_ws: no mixing.
    """
    shown = num_ws - 2 * int(lod)
    mixed = torch.rand(n, generator=generator, **FLOAT32_CPU) < probability
    crossovers = 1 + (torch.rand(n, generator=generator, **FLOAT32_CPU) * (shown - 1)).long()
    return torch.where(mixed & (shown > 1), crossovers.clamp(max=max(shown - 1, 1)), num_ws)


def draw(config: TrainingConfig, G: Generator, phase: Phase, step: int, purpose: int, samples: Tensor) -> Draws:
    """Draw for the whole batch and keep this process's samples: the same draws for any number of processes."""
    n, device = phase.batch, G.device
    generator = generator_for(config.seed, step, purpose)
    z, z2 = torch.randn(2, n, G.z_dim, generator=generator, **FLOAT32_CPU)[:, samples].to(device)
    mixing = config.mixing()
    crossovers = draw_crossovers(n, G.num_ws, phase.lod, probability=mixing, generator=generator)[samples]
    generator = generator_for(config.seed, step, purpose, device)
    rows = samples.to(device)
    noise = [
        torch.randn(n, 1, h, w, generator=generator, device=device, dtype=torch.float32)[rows]
        if h <= phase.resolution and layer.noise_strength is not None
        else None
        for layer, (h, w) in zip(G.synthesis.layers, G.synthesis.noise_shapes, strict=True)
    ]
    return Draws(z, z2 if mixing > 0 else None, crossovers.to(device), G.synthesis.share_noise(noise))


def draw_inputs(
    config: TrainingConfig, state: TrainingState, phase: Phase, img: Tensor, labels: Tensor | None, samples: Tensor
) -> Inputs:
    """The inputs of a step with these images and labels, including all its random draws."""
    n, device = phase.batch, img.device
    mirror = gp_mixing = None
    if config.mirror:
        mirror = (
            torch.rand(n, generator=generator_for(config.seed, state.step, _MIRROR), **FLOAT32_CPU)[samples].to(device)
            < 0.5
        )
    if config.gradient_penalty_weight() > 0:
        generator = generator_for(config.seed, state.step, _PENALTY)
        gp_mixing = torch.rand(n, 1, 1, 1, generator=generator, **FLOAT32_CPU)[samples].to(device)

    def augmentation(purpose: int) -> Augment:
        generator = generator_for(config.seed, state.step, purpose)
        p = state.augment_p
        return draw_augment(config.augment, p, n, phase.resolution, generator=generator, samples=samples, device=device)

    def fakes(purpose: int) -> Draws:
        return draw(config, state.G, phase, state.step, purpose, samples)

    return Inputs(
        img,
        labels,
        mirror,
        draws=fakes(_FOR_D),
        own_draws=None if config.share_fakes else fakes(_FOR_G),
        augment_reals=augmentation(_AUGMENT_REALS),
        augment_fakes=augmentation(_AUGMENT_FAKES),
        augment_for_G=augmentation(_AUGMENT_FOR_G),
        gp_mixing=gp_mixing,
    )


def train_step(
    state: TrainingState,
    config: TrainingConfig,
    phase: Phase,
    img: Tensor,
    labels: Tensor | None,
    *,
    dtype: torch.dtype = torch.float32,
    world: World | None = None,
    graphs: StepGraphs | None = None,
) -> StepReport:
    """Train on one batch of real images and advance the state.

    img: uint8 [N, C, R, R] at the resolution of the phase, labels: [N, label_dim] or None; this process's share of the
    batch, in the order of `World.samples`. graphs: of earlier steps, on a GPU. A step with NaN or infinite losses or
    gradients changes no weights.
    """
    world, device = world or World(), state.G.device
    samples = world.samples(phase.batch, state.D.head.mbstd_group_size)
    inputs = draw_inputs(config, state, phase, img.to(device), None if labels is None else labels.to(device), samples)
    scale = state.loss_scale if dtype == torch.float16 else 1.0
    own = _passes(state, config, phase, dtype, scale)
    passes, inputs = (own, inputs) if graphs is None else graphs.find(own, inputs)
    _set_learning_rates(state, config, phase)

    # The discriminator learns.
    first = passes.discriminator(inputs)
    report = StepReport(first.losses)
    world.average([first.w_mean])
    report.skipped = not _apply(state.D_optimizer, state.D, first.grads, world, scale)

    # The averages are updated, then the generator learns from the new discriminator.
    if not report.skipped:
        update_w_avg(state.G, first.w_mean)
        update_ema(state.Gs, state.G, ema_beta(phase.batch, config.ema_kimg))
        second = passes.generator(inputs, first)
        report.losses["G_loss"] = second.loss
        world.average([second.w_mean])
        report.skipped = not _apply(state.G_optimizer, state.G, second.grads, world, scale)
        if second.w_mean is not None and not report.skipped:
            update_w_avg(state.G, second.w_mean)

    world.average(report.losses.values())
    if config.augment == "ada":
        _adapt(state, config, phase, report)
    if dtype == torch.float16:
        state.loss_scale, state.steps_at_scale = next_loss_scale(scale, state.steps_at_scale, report.skipped)
    _count(state, phase, report)
    return report


def _passes(state: TrainingState, config: TrainingConfig, phase: Phase, dtype: torch.dtype, scale: float) -> Passes:
    """The passes of this step. R1 comes every r1_interval steps, with r1_interval times the weight."""
    return Passes(
        state.G,
        state.D,
        phase.lod,
        dtype,
        channels_last=config.channels_last,
        share_fakes=config.share_fakes,
        loss=config.loss_name(),
        r1_gamma=config.gamma(phase) * config.r1_interval if state.step % config.r1_interval == 0 else 0.0,
        r2_gamma=config.r2_gamma,
        gp_weight=config.gradient_penalty_weight(),
        scale=scale,
        frozen=frozen_layers(state.D, config.freeze_d, state.start_resolution),
    )


def _count(state: TrainingState, phase: Phase, report: StepReport) -> None:
    state.step += 1
    state.images += phase.batch
    state.skipped_in_a_row = state.skipped_in_a_row + 1 if report.skipped else 0
    state.skipped += report.skipped


def _adapt(state: TrainingState, config: TrainingConfig, phase: Phase, report: StepReport) -> None:
    """Adapt ADA's p to the scores of real images; skipped steps do not count."""
    if report.skipped:
        return
    state.real_signs = [*state.real_signs, report.losses["real_sign"].item()]
    if len(state.real_signs) == _ADA_INTERVAL:
        images = phase.batch * _ADA_INTERVAL
        state.augment_p = adapt(
            state.augment_p, state.real_signs, images, target=config.ada_target, kimg=config.ada_kimg
        )
        state.real_signs = []


def _set_learning_rates(state: TrainingState, config: TrainingConfig, phase: Phase) -> None:
    """Set the phase's learning rates, lower for G in its warm-up; at a new resolution, reset the optimizers."""
    warmup = config.generator_warmup_kimg
    shares = {"G_optimizer": min(state.kimg / warmup, 1.0) if warmup else 1.0, "D_optimizer": 1.0}
    for name, (optimizer, _) in state.optimizers().items():
        if state.resolution not in (0, phase.resolution):
            optimizer.reset()
        for group in optimizer.param_groups:
            group["lr"] = phase.learning_rate * shares[name]
    state.resolution = phase.resolution


def _apply(
    optimizer: torch.optim.Optimizer, network: nn.Module, grads: Sequence[Tensor | None], world: World, scale: float
) -> bool:
    """Average the gradients over the processes, divide them by the loss scale and step.

    Skipped if a gradient is NaN or infinite; returns whether it ran.
    """
    given = [grad for grad in grads if grad is not None]
    world.average(given)
    # A sum of norms is finite only if every one of them is.
    if not torch.stack(torch._foreach_norm(given)).sum().isfinite():
        return False
    if scale != 1:
        torch._foreach_div_(given, scale)
    for parameter, grad in zip(network.parameters(), grads, strict=True):
        parameter.grad = grad
    optimizer.step()
    network.zero_grad(set_to_none=True)
    return True
