"""Pivotal tuning: a generator's weights fitted to photos around their latents (Roich et al. 2021, arXiv:2106.05744)."""

import hashlib
import os
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..errors import InputError
from ..generator import Generator
from ..images.convert import to_uint8
from ..latents.samples import sample_w
from ..runtime.checks import check_integer, check_number, shown
from ..runtime.gradients import with_gradients
from ..runtime.precision import no_autocast
from ..runtime.progress import is_hidden, progress_bar
from ..runtime.tensor_files import load_tensors, save_tensors
from ..weights.blending import lineage_of
from ..weights.checkpoint import Checkpoint
from ..weights.deltas import add_delta, is_delta, save_delta, subtract_base
from .objective import Embed, embed_images, perceptual_distance
from .optimize import Perceptual, Projection, load_perceptual, rms
from .projector import Settings
from .steps import adam_tensors, make_steps, restore_adam

# Samples of w, towards which the neighbourhood of the photos' latents is explored.
_SAMPLES = 1000

# Metadata of the base that does not hold for the tuned model.
_OF_THE_BASE = ("metrics", "kimg")


@dataclass(frozen=True)
class TuneSettings:
    """What decides the result of tuning, besides model, images and latents. The names are those of `tune`."""

    steps: int = 100
    extractor: str = Settings.extractor
    learning_rate: float = 3e-4
    pixel_weight: float = 1.0
    locality_weight: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        check_integer(self.steps, what="steps", low=1, high=10**7)
        check_integer(self.seed, what="seed", low=0, high=2**32 - 1)
        for name in ("pixel_weight", "locality_weight"):
            check_number(getattr(self, name), what=name, low=0)
        if check_number(self.learning_rate, what="learning_rate", low=0) == 0:
            raise InputError("learning_rate must be a positive number, got 0")


@dataclass(frozen=True, eq=False)
class Tuned:
    """A generator tuned to photos."""

    G: Generator  # A new one, with the same metadata and licence.
    found: Projection  # The unchanged latents, with the images and distances of the tuned generator.
    delta: Checkpoint  # Its difference from the original generator.

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the delta, which `Generator.from_pretrained` reads like a whole network.

        To read it, the original generator must still be where it was, or be known by name.
        """
        save_delta(path, self.delta)
        self.G.source = str(path)


@no_autocast()
@with_gradients()
def tune(
    found: Projection,
    G: Generator,
    *,
    steps: int = TuneSettings.steps,
    extractor: str | os.PathLike[str] | Perceptual | None = None,
    learning_rate: float = TuneSettings.learning_rate,
    pixel_weight: float = TuneSettings.pixel_weight,
    locality_weight: float = TuneSettings.locality_weight,
    seed: int = TuneSettings.seed,
    batch_size: int | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    progress: bool | None = None,
) -> Tuned:
    """Fit the weights of a generator to photos, around the latents that `project` found (pivotal tuning).

    found: from `project`, by any method; its latents stay, and all its images are fitted together. G: the generator
        that it was found with, in float32, which is not changed.
    steps: of Adam on the weights of the synthesis network. learning_rate: of Adam, constant.
    extractor: the network of the perceptual distance, see `project`; None = st-lpips-vgg.
    pixel_weight: of the mean squared difference of pixels in the loss; that of the perceptual distance is 1.
    locality_weight: of the same two differences between the tuned and the original generator, for an image near the
        photos' latents: those of a photo, moved towards a sample by as much as samples deviate from the average, drawn
        at every step (section 3.3). It preserves other images.
    seed: of these draws. batch_size: images per batch, to limit memory; None = all.
    checkpoint: a .safetensors file for the state, saved every 50 steps or 30 seconds; if it exists, the tuning
        continues from it exactly.
    progress: show a bar; None = on a terminal.

    The result has the weights given by its delta, whose differences have 8 bits: it and `from_pretrained` of the file
    make the same images bit for bit. Raises InputError for settings, a generator or a checkpoint that do not match.
    """
    check_tunable(G)
    if not isinstance(found, Projection):
        raise InputError(f"found must be a Projection, which `project` returns, got {shown(found)}")
    found.latents.check(G)
    if batch_size is not None:
        check_integer(batch_size, what="batch_size", low=1, high=2**31)
    perceptual = load_perceptual(Settings.extractor if extractor is None else extractor, G.device)
    settings = TuneSettings(steps, perceptual.name, learning_rate, pixel_weight, locality_weight, seed)
    with progress_bar(total=steps, unit="step", hidden=is_hidden(progress)) as bar:
        tuner = Tuner(G, found, perceptual.embed, settings, batch_size=batch_size)
        if checkpoint is not None and os.path.exists(checkpoint):
            tuner.load(checkpoint)
        make_steps(tuner, steps, bar, checkpoint)
    base = G.checkpoint()
    delta = subtract_base(tuner.weights(), base, source=G.location, metadata=_metadata(G, settings, len(found.target)))
    whole = add_delta(base, delta, G.name)
    tuner.network.load_state_dict(whole.state_dict)
    tuned = tuner.network.eval().requires_grad_(False)
    tuned.metadata, tuned.source = whole.metadata, f"{G.name}, tuned"
    return Tuned(tuned, tuner.result(), delta)


def check_tunable(G: Generator) -> None:
    """Raise InputError for a generator in low precision, or tuned already."""
    if not isinstance(G, Generator):
        raise InputError(f"G must be a Generator, got {shown(G)}")
    if G.dtype != torch.float32:
        raise InputError(f"tuning needs a model in float32, got {G.dtype}, whose rounding would swallow its steps")
    if "tuned" in G.metadata and (is_delta(G.source) or not os.path.exists(G.source)):
        raise InputError(
            f"{G.name} is tuned already; tune the model that it was made from, with all photos together, or make it a "
            "whole file first (`stylegan convert`)"
        )


def _metadata(G: Generator, settings: TuneSettings, count: int) -> dict[str, Any]:
    own = {key: value for key, value in G.metadata.items() if key not in _OF_THE_BASE}
    tuned = {"of": G.name, "weights_sha256": G.weights_sha256, "pictures": count, **asdict(settings)}
    return own | {"name": f"{G.name}-tuned", "lineage": lineage_of(G.metadata), "tuned": tuned}


class Tuner:
    """A copy of a generator being fitted to images. `advance` is one step."""

    def __init__(
        self, G: Generator, found: Projection, embed: Embed, settings: TuneSettings, *, batch_size: int | None = None
    ):
        self.G, self.found, self.embed, self.settings = G, found, embed, settings
        self.network = deepcopy(G).requires_grad_(False)
        self.target, self.ws = found.target.to(G.device), found.latents.ws.to(G.device)
        self.noise = [maps.to(G.device) for maps in found.latents.noise or []]
        self.batch_size = batch_size or len(self.target)
        with torch.no_grad():
            self.target_embedding = torch.cat([embed_images(self.target[i], embed) for i in self._batches()])
        self.samples = sample_w(G, _SAMPLES).to(G.device)
        self.distance = (self.samples - G.w_avg).square().sum(dim=1).mean().sqrt()
        self.network.synthesis.requires_grad_()
        self._named = self._parameters_of_the_image()
        self.optimizer = torch.optim.Adam([p for _, p in self._named], lr=settings.learning_rate)
        self.step = 0

    def weights(self) -> dict[str, Tensor]:
        """The weights being tuned, by their names in the generator."""
        return {f"synthesis.{name}": parameter.detach() for name, parameter in self._named}

    def advance(self) -> float:
        """One step; returns the mean perceptual distance of the images before it."""
        self.optimizer.zero_grad(set_to_none=True)
        total, n = 0.0, len(self.target)
        for i in self._batches():
            distance, pixels = self._differences(self._synthesize(i), self.target[i], self.target_embedding[i])
            ((distance + self.settings.pixel_weight * pixels).sum() / n).backward()
            total += distance.sum().item()
        if self.settings.locality_weight:
            self._keep_surroundings()
        self.optimizer.step()
        self.step += 1
        return total / n

    def _parameters_of_the_image(self) -> list[tuple[str, Tensor]]:
        """Parameters of the synthesis network that affect its image: not the RGB layers of other resolutions."""
        named = list(self.network.synthesis.named_parameters())
        total = self._synthesize(slice(0, 1)).sum()
        slopes = torch.autograd.grad(total, [parameter for _, parameter in named], allow_unused=True)
        return [each for each, slope in zip(named, slopes, strict=True) if slope is not None]

    def _keep_surroundings(self) -> None:
        """Add gradients of how much an image near the latents differs from the original network's (equation 4)."""
        ws = self._nearby()
        with torch.no_grad():
            before = self.G.synthesis(ws)
            embedding = embed_images(before, self.embed)
        distance, pixels = self._differences(self.network.synthesis(ws), before, embedding)
        (self.settings.locality_weight * (distance + self.settings.pixel_weight * pixels).sum()).backward()

    def _nearby(self) -> Tensor:
        """Latents of an image, moved towards a sample: [1, num_ws, w_dim]."""
        random = np.random.RandomState([self.settings.seed, self.step])
        pivot = self.ws[random.randint(len(self.ws))]
        way = self.samples[random.randint(len(self.samples))] - pivot  # [num_ws, w_dim]
        length = way.square().sum(dim=1).mean().sqrt()
        return (pivot + way * (self.distance / length.clamp(min=1e-8)).clamp(max=1.0))[None]

    def _differences(self, img: Tensor, wanted: Tensor, embedding: Tensor) -> tuple[Tensor, Tensor]:
        """Perceptual distance and mean squared difference of images, [N] each."""
        return (
            perceptual_distance(embed_images(img, self.embed), embedding),
            (img - wanted).square().mean(dim=(1, 2, 3)),
        )

    @torch.no_grad()
    def result(self) -> Projection:
        """The projection, with the current images of its latents."""
        img = torch.cat([self._synthesize(i) for i in self._batches()])
        distances = torch.cat(
            [self._differences(img[i], self.target[i], self.target_embedding[i])[0] for i in self._batches()]
        )
        errors = rms(img, self.target)
        measured = {"distances": distances.tolist(), "pixel_errors": errors.tolist()}
        tuning = asdict(self.settings) | {key: [round(x, 6) for x in values] for key, values in measured.items()}
        found, last = self.found, self.found.frame_steps[-1]
        return replace(
            found,
            latents=replace(found.latents, facts=found.latents.facts | {"tuning": tuning}),
            img=img,
            distances=distances,
            pixel_errors=errors,
            frames=torch.cat([found.frames, to_uint8(img).cpu()[None]]),
            frame_steps=[*found.frame_steps, last + self.settings.steps],
        )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a checkpoint, complete or not at all."""
        description = {"step": self.step, "settings": asdict(self.settings), "begun_with": self._begun_with()}
        save_tensors(path, adam_tensors(self.optimizer, self._named), kind="tuning", description=description)

    def load(self, path: str | os.PathLike[str]) -> None:
        """Continue from a checkpoint. Raises InputError if it is of other images, latents, settings or model."""
        fields = {"step": int, "settings": dict[str, Any], "begun_with": dict[str, Any]}
        tensors, description = load_tensors(path, kind="tuning", fields=fields)
        for name, value in asdict(self.settings).items():
            if (given := description["settings"].get(name)) != value:
                raise InputError(f"{path} was begun with {name} {given!r}, not {value!r}; use that again")
        for name, digest in self._begun_with().items():
            if description["begun_with"].get(name) != digest:
                raise InputError(f"{path} was begun with another {name}; choose another folder or file to start again")
        try:
            restore_adam(self.optimizer, self._named, tensors, description["step"])
        except (KeyError, RuntimeError) as error:
            raise InputError(f"{path}: not a complete checkpoint of this tuning: {error}") from error
        self.step = description["step"]

    def _begun_with(self) -> dict[str, str]:
        """The digests of the model and of the projection."""
        digest = hashlib.sha256(self.target.cpu().numpy().tobytes())
        for latents in (self.ws, *self.noise):
            digest.update(latents.cpu().numpy().tobytes())
        return {"model": self.G.weights_sha256, "projection": digest.hexdigest()}

    def _synthesize(self, rows: slice) -> Tensor:
        return self.network.synthesis(self.ws[rows], noise=[maps[rows] for maps in self.noise] or None)

    def _batches(self) -> Iterator[slice]:
        for start in range(0, len(self.target), self.batch_size):
            yield slice(start, min(start + self.batch_size, len(self.target)))
