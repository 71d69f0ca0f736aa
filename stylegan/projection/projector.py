"""The state of a projection, one step of it, and its checkpoint: exact, because all draws follow from (seed, step)."""

import hashlib
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
import torch
from torch import Tensor

from ..encoder import LOOKS
from ..errors import InputError
from ..generator import Generator
from ..images.convert import to_uint8
from ..latents.styles import check_same_average
from ..runtime.checks import check_choice, check_flag, check_integer, check_number
from ..runtime.tensor_files import load_tensors, save_tensors
from .coordinates import Coordinates
from .objective import (
    Embed,
    embed_images,
    exploration,
    learning_rate_factor,
    noise_regularization,
    normalize_noise,
    perceptual_distance,
)
from .refine import check_refinable, refine_each
from .start import average_start, best_start
from .steps import adam_tensors, restore_adam

Space = Literal["w", "w+"]

# Optimization from the average w; an encoder alone; an encoder, then optimization.
Method = Literal["optimize", "encoder", "hybrid"]


class Defaults(NamedTuple):
    """Of a method."""

    steps: int  # Of Adam on the whole loss.
    pixel_steps: int  # Before, on the pixels alone.
    w_weight: float


DEFAULTS: dict[Method, Defaults] = {
    "optimize": Defaults(1000, 0, 0.02),
    "encoder": Defaults(0, 0, 0.005),
    "hybrid": Defaults(180, 100, 0.005),
}

# Settings that older checkpoints lack, and the values they imply.
_LATER = {"method": "optimize", "looks": LOOKS, "pixel_steps": 0}

# When intermediate images are kept, as fractions of all steps: most happens at the start.
_FRAMES = (0.0, 1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2, 3 / 4, 1.0)


def frame_steps(steps: int) -> list[int]:
    """After which of this many steps images are kept."""
    return sorted({round(part * steps) for part in _FRAMES})


@dataclass(frozen=True)
class Settings:
    """What decides the result of a projection, besides model and images. The names are those of `project`."""

    space: Space = "w+"
    steps: int = 1000
    optimize_noise: bool = True
    candidates: int = 0
    seed: int = 0
    extractor: str = "st-lpips-vgg"
    learning_rate: float = 0.3
    pixel_weight: float = 1.0
    w_weight: float = 0.02
    noise_weight: float = 1e5
    refine: int = 0
    label: int | str | None = None
    method: Method = "optimize"
    looks: int = LOOKS
    pixel_steps: int = 0

    def __post_init__(self) -> None:
        check_choice(self.method, what="method", choices=get_args(Method))
        check_integer(self.looks, what="looks", low=1, high=100)
        check_choice(self.space, what="space", choices=get_args(Space))
        check_flag(self.optimize_noise, what="optimize_noise")
        check_integer(self.candidates, what="candidates", low=0, high=10**6)
        check_integer(self.seed, what="seed", low=0, high=2**32 - 1)
        check_integer(self.steps, what="steps", low=0 if self.method == "encoder" else 1, high=10**7)
        check_integer(self.pixel_steps, what="pixel_steps", low=0, high=10**7)
        if self.method == "optimize" and self.pixel_steps:
            raise InputError("pixel_steps follow an encoder: they are for the methods 'hybrid' and 'encoder'")
        if self.method == "encoder" and self.steps:
            raise InputError("method 'encoder' takes no steps; 'hybrid' takes steps after the encoder")
        if self.method != "optimize" and self.candidates:
            raise InputError(f"candidates are where method 'optimize' starts; {self.method!r} starts from the encoder")
        fits_noise = self.optimize_noise and self.method != "encoder"
        if check_integer(self.refine, what="refine", low=0, high=10**6) and (self.space != "w" or fits_noise):
            given = f"space {self.space!r} and {'fitted' if fits_noise else 'stored'} noise maps"
            raise InputError(f"refine is for space 'w' and the model's noise maps (--space w --no-noise); got {given}")
        for name in ("learning_rate", "pixel_weight", "w_weight", "noise_weight"):
            value = getattr(self, name)
            if check_number(value, what=name, low=0) == 0 and name == "learning_rate":
                raise InputError(f"{name} must be a positive number, got {value!r}")

    @classmethod
    def of(cls, method: Method, **given: Any) -> "Settings":
        """The settings of a method; those that are None are its defaults."""
        check_choice(method, what="method", choices=get_args(Method))
        defaults = DEFAULTS[method]._asdict()
        return cls(method=method, **given | {name: defaults[name] for name in defaults if given.get(name) is None})

    @property
    def all_steps(self) -> int:
        """Steps of Adam on the whole loss, and of refinement."""
        return self.steps + self.refine

    def as_dict(self) -> dict[str, Any]:
        """As JSON can hold it."""
        return asdict(self)


class Projector:
    """Latents being fitted to target images. `advance` is one step."""

    def __init__(
        self,
        G: Generator,
        target: Tensor,  # [N, C, R, R] in [-1, 1].
        embed: Embed,
        settings: Settings,
        *,
        start: Tensor | None = None,  # ws [N, num_ws, w_dim], from an encoder; None = by the settings.
        batch_size: int | None = None,  # Images computed together; None = all.
    ):
        if settings.refine:
            check_refinable(G)
        self.G, self.target, self.embed, self.settings = G, target, embed, settings
        self.batch_size = batch_size or len(target)
        with torch.no_grad():
            self.target_embedding = torch.cat([embed_images(target[i], embed) for i in self._batches()])
        # In these, Adam's steps, the noise and the pull towards the average suit all components.
        self.coordinates = Coordinates(G)
        self.u = self._start(start).requires_grad_()  # [N, 1 or num_ws, w_dim]
        self.noise = self._start_noise()
        self.optimizer = torch.optim.Adam(self._parameters(), betas=(0.9, 0.999), eps=1e-8)
        self.step = 0
        self.frames: list[Tensor] = []  # uint8 [N, C, R, R] each.
        self._keep_frame()

    def ws(self) -> Tensor:
        """The latents so far, [N, num_ws, w_dim]."""
        return self._ws(self.u.detach())

    def noise_maps(self) -> list[Tensor] | None:
        """Detached noise maps of all layers; None = those stored in the model."""
        return [noise.detach() for noise in self.noise] or None

    @torch.no_grad()
    def look(self) -> tuple[Tensor, Tensor]:
        """The current images, [N, C, R, R], and their perceptual distances [N]."""
        img = torch.cat([self._synthesize(self.u[i], i) for i in self._batches()])
        embeddings = [embed_images(img[i], self.embed) for i in self._batches()]
        return img, perceptual_distance(torch.cat(embeddings), self.target_embedding)

    def advance(self) -> float:
        """One step of Adam or of refinement for every image; returns the mean perceptual distance before it."""
        s = self.settings
        if self.step >= s.steps:
            return self._refine()
        self.optimizer.param_groups[0]["lr"] = s.learning_rate * learning_rate_factor(self.step, s.steps)
        self.optimizer.zero_grad(set_to_none=True)
        exploring = self._exploration_noise()
        total = 0.0
        for i in self._batches():
            img = self._synthesize(self.u[i] + exploring, i)
            distance = perceptual_distance(embed_images(img, self.embed), self.target_embedding[i])
            loss = distance + s.pixel_weight * (img - self.target[i]).square().mean(dim=(1, 2, 3))
            # Keeps components that hardly change the image from drifting away from the average.
            loss = loss + s.w_weight * self.u[i].square().mean(dim=(1, 2))
            if self.noise:
                loss = loss + s.noise_weight * noise_regularization([noise[i] for noise in self.noise])
            # Images do not affect each other's latents, so the gradient of the sum is each one's own.
            loss.sum().backward(inputs=self._parameters())
            total += distance.sum().item()
        self.optimizer.step()
        normalize_noise(self.noise)
        self.step += 1
        self._keep_frame()
        return total / len(self.u)

    def _refine(self) -> float:
        before = self.look()[1].mean().item()
        self.u.data[:, 0] = refine_each(self.coordinates.render, self.u.detach()[:, 0], self.target)
        self.step += 1
        self.frames[-1] = to_uint8(self.look()[0]).cpu()
        return before

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a checkpoint, complete or not at all."""
        tensors = {"w_avg": self.G.w_avg, "frames": torch.stack(self.frames)}
        tensors |= adam_tensors(self.optimizer, self._named_parameters())
        description = {"step": self.step, "settings": self.settings.as_dict(), "pictures": self._digest()}
        save_tensors(path, tensors, kind="projection", description=description)

    def load(self, path: str | os.PathLike[str]) -> None:
        """Continue from a checkpoint. Raises InputError if it is of other images, settings or another model."""
        fields = {"step": int, "settings": dict[str, Any], "pictures": str}
        tensors, description = load_tensors(path, kind="projection", fields=fields)
        try:
            given, step = description["settings"], description["step"]
            check_same_average(
                self.G.w_avg, tensors["w_avg"], what=f"{path}", next_step="choose another folder or file to start again"
            )
            for name, value in self.settings.as_dict().items():
                if given.get(name, _LATER.get(name)) != value:
                    raise InputError(f"{path} was begun with {name} {given.get(name)!r}, not {value!r}; use that again")
            if description["pictures"] != self._digest():
                raise InputError(f"{path} was begun with other images; choose another folder or file to start again")
            self.frames = list(tensors["frames"])
            restore_adam(self.optimizer, self._named_parameters(), tensors, step)
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(f"{path}: not a complete checkpoint of this projection: {error}") from error
        self.step = step

    def _start(self, ws: Tensor | None) -> Tensor:
        n, s = len(self.target), self.settings
        if ws is None and s.candidates:
            w, _ = best_start(self.G, self.target_embedding, self.embed, candidates=s.candidates, label=s.label)
        else:
            w = average_start(self.G, n, label=s.label)
        ws = self.G.broadcast(w) if ws is None else ws
        ws = ws if s.space == "w+" else ws[:, :1]
        return self.coordinates.of(ws)

    def _start_noise(self) -> list[Tensor]:
        """Maps of each layer, [N, 1, R, R], the same for each image; empty if they are not optimized."""
        has_noise = any(layer.noise_strength is not None for layer in self.G.synthesis.layers)
        if not (self.settings.optimize_noise and has_noise):
            return []
        maps = [noise.repeat(len(self.target), 1, 1, 1) for noise in self.G.noise(self.settings.seed)]
        normalize_noise(maps)
        return [noise.requires_grad_() for noise in maps]

    def _exploration_noise(self) -> Tensor:
        """Noise on u, the same for each image, so that none depends on the others: [1 or num_ws, w_dim].

        None after an encoder, which has found the surroundings.
        """
        if self.settings.method == "hybrid":
            return torch.zeros_like(self.u[0])
        draw = np.random.RandomState([self.settings.seed, self.step]).standard_normal(tuple(self.u.shape[1:]))
        return torch.from_numpy(draw).to(self.u) * exploration(self.step, self.settings.steps)

    def _ws(self, u: Tensor) -> Tensor:
        """From coordinates [N, 1 or num_ws, w_dim] to ws [N, num_ws, w_dim]."""
        return self.coordinates.w(u).expand(-1, self.G.num_ws, -1)

    def _synthesize(self, u: Tensor, rows: slice) -> Tensor:
        maps = [noise[rows] for noise in self.noise] or None
        return self.G.synthesis(self._ws(u), noise=maps)

    def _keep_frame(self) -> None:
        if self.step in frame_steps(self.settings.steps):
            self.frames.append(to_uint8(self.look()[0]).cpu())

    def _batches(self) -> Iterator[slice]:
        for start in range(0, len(self.target), self.batch_size):
            yield slice(start, min(start + self.batch_size, len(self.target)))

    def _named_parameters(self) -> list[tuple[str, Tensor]]:
        return [("u", self.u), *((f"noise.{i}", noise) for i, noise in enumerate(self.noise))]

    def _parameters(self) -> list[Tensor]:
        return [parameter for _, parameter in self._named_parameters()]

    def _digest(self) -> str:
        return hashlib.sha256(self.target.cpu().numpy().tobytes()).hexdigest()
