"""The state of an encoder's training, and one step of it. All draws follow from the seed and the step."""

import os
from collections.abc import Mapping
from copy import deepcopy
from math import cos, pi
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import CheckpointError, InputError
from ..generator import Generator
from ..images.convert import from_uint8
from ..latents.styles import mix_styles
from ..runtime.averages import ema_beta, update_ema
from ..runtime.tensor_files import load_tensors, save_tensors
from .augment import augment
from .config import EncoderConfig
from .encoder import Encoder
from .losses import LatentDiscriminator, Objective

KIND = "encoder_training"


class TrainingState:
    """The networks, their optimizers, and the number of images shown."""

    def __init__(self, encoder: Encoder, config: EncoderConfig):
        self.config = config
        self.E, self.average = encoder, deepcopy(encoder).eval().requires_grad_(False)
        self.critic = LatentDiscriminator(encoder.w_dim, config.seed).to(encoder.w_avg.device)
        self.optimizers = {
            "E": torch.optim.Adam(self.E.parameters(), betas=(0.9, 0.99)),
            "critic": torch.optim.Adam(self.critic.parameters(), lr=1e-4, betas=(0.0, 0.99)),
        }
        self.step = 0

    @property
    def images(self) -> int:
        """Number of images shown."""
        return self.step * self.config.batch

    @property
    def kimg(self) -> float:
        """Thousands of images shown."""
        return self.images / 1000

    def learning_rate(self) -> float:
        """Linear warm-up in the first hundredth, then cosine decay."""
        t = min(self.kimg / self.config.kimg, 1.0)
        return self.config.learning_rate * min(1.0, (t + 1e-4) / 0.01) * (0.5 + 0.5 * cos(pi * t))

    def _networks(self) -> dict[str, nn.Module]:
        return {"E": self.E, "average": self.average, "critic": self.critic}

    def save(self, path: str | os.PathLike[str], facts: Mapping[str, Any]) -> None:
        """Write a checkpoint, complete or not at all. facts: identify the training, compared on loading."""
        tensors = {f"{name}.{key}": t for name, n in self._networks().items() for key, t in n.state_dict().items()}
        for name, tensor in tensors.items():
            if not tensor.isfinite().all():
                raise CheckpointError(f"not saved: {name} holds NaN or infinity; the earlier checkpoint is kept")
        for name, optimizer in self.optimizers.items():
            for i, moments in optimizer.state_dict()["state"].items():
                tensors |= {f"{name}.adam.{i}.{key}": value for key, value in moments.items()}
        description = {"step": self.step, "settings": self.config.as_dict(), "facts": dict(facts)}
        save_tensors(path, tensors, kind=KIND, description=description)

    def load(self, path: str | os.PathLike[str], facts: Mapping[str, Any]) -> None:
        """Continue from a checkpoint. Raises InputError if it is damaged, or of another training."""
        fields = {"step": int, "settings": dict[str, Any], "facts": dict[str, Any]}
        tensors, description = load_tensors(path, kind=KIND, fields=fields)
        for name, value in facts.items():
            if description["facts"].get(name) != value:
                raise InputError(f"{path} was begun with another {name}; choose another folder to start again")
        # The number of images shown follows from it.
        if (batch := description["settings"].get("batch")) != self.config.batch:
            raise InputError(f"{path} was begun with batch {batch!r}, not {self.config.batch}; leave it out")
        try:
            for name, network in self._networks().items():
                network.load_state_dict({key: tensors[f"{name}.{key}"] for key in network.state_dict()})
            for name, optimizer in self.optimizers.items():
                state = optimizer.state_dict()
                count = len(state["param_groups"][0]["params"])
                keys = ("step", "exp_avg", "exp_avg_sq")
                begun = [i for i in range(count) if f"{name}.adam.{i}.step" in tensors]  # None before the first step.
                state["state"] = {i: {k: tensors[f"{name}.adam.{i}.{k}"] for k in keys} for i in begun}
                optimizer.load_state_dict(state)
        except (KeyError, RuntimeError) as error:
            raise InputError(f"{path}: not a complete checkpoint of this training: {error}") from error
        self.step = description["step"]


def train_step(state: TrainingState, objective: Objective, reals: Tensor) -> dict[str, float]:
    """One step on generated images and these real ones, uint8 [N, C, R, R]; returns the terms of the loss.

    For generated images, the error of their known ws counts after every look; for real ones, that of the image counts
    after a random look.
    """
    config, E = state.config, state.E
    random = np.random.RandomState([config.seed, state.step])
    for group in state.optimizers["E"].param_groups:
        group["lr"] = state.learning_rate()
    state.optimizers["E"].zero_grad(set_to_none=True)
    known, fakes = draw_fakes(objective.G, config.batch - len(reals), config, random)
    parts = _fit_fakes(state, objective, fakes, known)
    if len(reals):
        real = from_uint8(reals).to(fakes.device)
        if config.mirror:
            flipped = torch.from_numpy(random.uniform(size=len(real)) < 0.5).to(real.device)
            real = torch.where(flipped[:, None, None, None], real.flip(3), real)
        if config.augment:
            real = augment(real, random)
        parts |= _fit_reals(state, objective, real, known, random)
    nn.utils.clip_grad_norm_(E.parameters(), 1.0)
    state.optimizers["E"].step()
    update_ema(state.average, E, min(ema_beta(config.batch, config.ema_kimg), (1 + state.step) / (10 + state.step)))
    state.step += 1
    return {name: part.item() for name, part in parts.items()}


def _fit_fakes(state: TrainingState, objective: Objective, fakes: Tensor, known: Tensor) -> dict[str, Tensor]:
    """Add gradients of the error of ws after each look; returns the error after the last one."""
    looks = state.config.looks
    ws, current = state.E.start(fakes, objective.G)
    error = fakes.new_zeros(())
    for look in range(looks):
        found = state.E(fakes, current, ws)
        error = objective.of_ws(found, known, state.E.w_scale).mean()
        (state.config.w_weight * error / looks).backward(inputs=list(state.E.parameters()))
        ws = found.detach()
        if look < looks - 1:
            with torch.no_grad():
                current = objective.G.synthesis(ws)
    return {"w": error.detach()}


def _fit_reals(
    state: TrainingState, objective: Objective, real: Tensor, known: Tensor, random: np.random.RandomState
) -> dict[str, Tensor]:
    """Add gradients of the image errors, and of the distance of ws from samples, after one look."""
    config, E, G = state.config, state.E, objective.G
    ws, current = E.start(real, G)
    with torch.no_grad():
        for _ in range(random.randint(config.looks)):
            ws = E(real, current, ws)
            current = G.synthesis(ws)
    found = E(real, current, ws)
    parts = {name: loss.mean() for name, loss in objective.of_images(G.synthesis(found), real).items()}
    parts["offset"] = objective.of_offsets(found, E.w_scale).mean()
    if config.latent_weight:
        parts["latent"] = F.softplus(-state.critic(_one_layer(state, found, random))).mean()
    loss = torch.stack([getattr(config, f"{name}_weight") * part for name, part in parts.items()]).sum()
    loss.backward(inputs=list(E.parameters()))
    if config.latent_weight:
        parts["critic"] = _train_critic(state, known[:, 0], _one_layer(state, found.detach(), random))
    return parts


@torch.no_grad()
def draw_fakes(G: Generator, n: int, config: EncoderConfig, random: np.random.RandomState) -> tuple[Tensor, Tensor]:
    """Generated images with known latents: ws [n, num_ws, w_dim] and images, with new noise."""
    z = torch.from_numpy(random.standard_normal((2, n, G.z_dim))).float().to(G.device)
    psi = torch.from_numpy(random.uniform(config.least_psi, 1, size=n)).float().to(G.device)
    crossovers, is_mixed = random.randint(1, G.num_ws, size=n), random.uniform(size=n) < config.mixed
    w = torch.lerp(G.w_avg, torch.stack([G.mapping(part) for part in z]), psi[:, None])  # [2, n, w_dim]
    ws, other = G.broadcast(w[0]), G.broadcast(w[1])
    rows = [
        mix_styles(ws[i : i + 1], other[i : i + 1], range(crossovers[i], G.num_ws)) if is_mixed[i] else ws[i : i + 1]
        for i in range(n)
    ]
    ws = torch.cat(rows)
    generator = torch.Generator("cpu").manual_seed(int(random.randint(2**31)))
    return ws, G.synthesis(ws, noise_mode="random", generator=generator)


def _one_layer(state: TrainingState, ws: Tensor, random: np.random.RandomState) -> Tensor:
    """The w of a random layer for each image, in deviations from the average: [N, w_dim]."""
    layers = torch.from_numpy(random.randint(0, ws.shape[1], size=len(ws))).to(ws.device)
    return (ws[torch.arange(len(ws), device=ws.device), layers] - state.E.w_avg) / state.E.w_scale


def _train_critic(state: TrainingState, samples: Tensor, encoded: Tensor) -> Tensor:
    """A step of the latent discriminator, with R1."""
    real = ((samples - state.E.w_avg) / state.E.w_scale).requires_grad_()
    scores = state.critic(real)
    (slope,) = torch.autograd.grad(scores.sum(), real, create_graph=True)
    loss = F.softplus(-scores).mean() + F.softplus(state.critic(encoded.detach())).mean()
    state.optimizers["critic"].zero_grad(set_to_none=True)
    (loss + 5 * slope.square().sum(dim=1).mean()).backward()
    state.optimizers["critic"].step()
    return loss.detach()
