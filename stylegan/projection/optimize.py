"""Projection: latents that reproduce a photo, by optimization (Karras et al. 2020, appendix D)."""

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from math import isnan
from typing import Any, Protocol, cast

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from .. import images as _images
from ..encoder import Encoder
from ..errors import InputError
from ..generator import Generator
from ..images.convert import to_uint8
from ..images.decoding import MODES
from ..latents.files import Latents
from ..runtime.checks import check_integer, shown
from ..runtime.gradients import with_gradients
from ..runtime.precision import no_autocast
from ..runtime.progress import is_hidden, progress_bar
from .encoded import come_nearer, encode
from .objective import embed_images, perceptual_distance
from .photos import to_square
from .projector import Method, Projector, Settings, Space, frame_steps
from .start import compare_with_samples
from .steps import make_steps

logger = logging.getLogger(__name__)


class Perceptual(Protocol):
    """A perceptual distance: an extractor with an embedding."""

    name: str

    def embed(self, images: Tensor) -> Tensor:
        """Images [N, 3, H, W] in [-1, 1] -> vectors [N, D] whose squared distances are perceptual; differentiable."""


@dataclass(frozen=True, eq=False)
class Projection:
    """The result of projecting N photos."""

    latents: Latents  # Saved, they are what `--latents` takes.
    target: Tensor  # The targets, [N, C, R, R] in [-1, 1].
    img: Tensor  # The model's images of the latents, of the same shape.
    distances: Tensor  # Perceptual distance between the two, averaged over sizes, [N]; NaN = not measured.
    pixel_errors: Tensor  # Root mean square difference of the two, in the range [-1, 1], [N].
    nearest: Tensor  # Perceptual distance between each target and the nearest of 64 samples of the model, [N].
    between: float  # The median distance between two samples.
    frames: Tensor  # Intermediate images, uint8 [F, N, C, R, R]; the first is the start, the last is img.
    frame_steps: list[int]  # The step of each of them.

    @property
    def is_far(self) -> list[bool]:
        """Whether each target is unlike anything that the model makes, even if latents reproduce it.

        Without a perceptual distance: whether the pixels of its reconstruction hardly correlate with it.
        """
        return unlike(self.img, self.target) if isnan(self.between) else far(self.nearest, self.between)


def far(nearest: Tensor, between: float) -> list[bool]:
    """Of 40 aligned faces one or two are further from the nearest sample, of 33 other images all but one (a cat)."""
    return (nearest > 1.1 * between).tolist()


def unlike(img: Tensor, target: Tensor) -> list[bool]:
    """Whether images [N, C, R, R] hardly correlate with their targets: by pixels, 0.45 or less.

    The threshold was chosen on 100 photos of faces and on drawings of other things; see docs/projection.md.
    """
    a, b = (x - x.mean(dim=(2, 3), keepdim=True) for x in (img, target))
    of_pixels = (1, 2, 3)
    norms = (a.square().sum(of_pixels) * b.square().sum(of_pixels)).sqrt()
    return ((a * b).sum(of_pixels) <= 0.45 * norms).tolist()


@no_autocast()
@with_gradients()
def project(
    pictures: Image.Image | Sequence[Image.Image] | Tensor,
    G: Generator,
    *,
    method: Method = Settings.method,
    encoder: Encoder | str | os.PathLike[str] | None = None,
    looks: int = Settings.looks,
    space: Space = Settings.space,
    steps: int | None = None,
    pixel_steps: int | None = None,
    optimize_noise: bool = Settings.optimize_noise,
    candidates: int = Settings.candidates,
    seed: int = Settings.seed,
    extractor: str | os.PathLike[str] | Perceptual | None = None,
    learning_rate: float = Settings.learning_rate,
    pixel_weight: float = Settings.pixel_weight,
    w_weight: float | None = None,
    noise_weight: float = Settings.noise_weight,
    refine: int = Settings.refine,
    label: int | str | None = Settings.label,
    names: Sequence[str] | None = None,
    batch_size: int | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    progress: bool | None = None,
) -> Projection:
    """Find latents from which a model reproduces the given images.

    pictures: PIL images, cropped to the largest centred square, or float [N, C, R, R] in [-1, 1] of the model's
        resolution. `load_photo`, `align` and `to_square` make them from photos.
    method: "optimize" = from the average w; "encoder" = by the model's encoder alone, without noise maps; "hybrid" =
        first the encoder, then steps on the pixels, then fewer steps of optimization.
    encoder: an Encoder, the name of a model with one, or a file; None = the model's own.
    looks: of the encoder at each image; see `Encoder.encode`.
    space: "w" = one w for all layers, "w+" = one per layer: closer to the image, but edits and mixes less well.
    steps: of Adam; None = 1000, and 180 for "hybrid".
    pixel_steps: of Adam on the pixels alone, after an encoder: each takes a fraction of the time of one with the
        perceptual distance, and the noise maps stay. None = 100 for "hybrid", 0 for "encoder".
    optimize_noise: also fit the noise maps, which take up fine detail; False = keep the model's.
    candidates: start each image from the nearest of this many samples; 0 = from the average w.
    seed: of the initial noise maps, and of the noise on w at every step.
    extractor: the network of the perceptual distance: a name or file for `load_extractor`, or an object with `embed`;
        None = st-lpips-vgg; for method "encoder", no perceptual distance is measured.
    learning_rate: at its peak, in deviations of the principal components of w, and of noise.
    pixel_weight, w_weight, noise_weight: in the loss, of the mean squared difference of pixels, of the mean squared
        distance of w from its average (in deviations of each principal component), and of the noise regularization; the
        perceptual distance has 1. The paper has only the last one. w_weight: None = 0.02, and 0.005 after an encoder.
    refine: least-squares steps on the pixels afterwards, in w and with the model's noise maps. 8 of them, or 2 after
        100 pixel_steps, recover the w of an image made by the model; each takes w_dim images. For photos they only
        bring the pixels closer.
    label: class of the images, for conditional models, by index or name: its average w is the start, and candidates are
        of it; None = the average of all classes, and candidates of each in turn. The resulting w has no class.
    names: a short text for each image; None = 0, 1, 2...
    batch_size: images per batch, to limit memory; None = all.
    checkpoint: a .safetensors file for the state, saved every 50 steps or 30 seconds; if it exists, the projection
        continues from it exactly. Delete it to start again.
    progress: show a bar; None = on a terminal.

    Up to rounding, a result does not depend on the rest of the batch. The loss is the perceptual distance, averaged
    over the model's size (at most 256x256) and its halves down to 32x32, plus the other weighted terms. w is optimized
    in whitened principal components; the learning rate rises in the first twentieth and falls in the last quarter.
    From the average, w is explored with noise in the first three quarters. Logs a warning for images unlike anything
    that the model makes, such as photos not cropped like its data: their latents are unusual even if the distance is
    small.
    `Projection.is_far` marks them, by pixels alone where no perceptual distance is measured. Raises InputError for
    images, settings or a checkpoint that do not match.
    """
    if not isinstance(G, Generator):
        raise InputError(f"G must be a Generator, got {shown(G)}")
    if batch_size is not None:
        check_integer(batch_size, what="batch_size", low=1, high=2**31)
    if extractor is None and method != "encoder":
        extractor = Settings.extractor
    perceptual = None if extractor is None else load_perceptual(extractor, G.device)
    settings = Settings.of(
        method,
        looks=looks,
        space=space,
        steps=steps,
        pixel_steps=pixel_steps,
        optimize_noise=optimize_noise,
        candidates=candidates,
        seed=seed,
        extractor=perceptual.name if perceptual else "none",
        learning_rate=learning_rate,
        pixel_weight=pixel_weight,
        w_weight=w_weight,
        noise_weight=noise_weight,
        refine=refine,
        label=label,
    )
    target = _to_target(pictures, G).to(G.device)
    names = [str(i) for i in range(len(target))] if names is None else list(names)
    if len(names) != len(target):
        raise InputError(f"expected a name for each of {len(target)} images, got {len(names)}")
    start, is_begun = None, checkpoint is not None and os.path.exists(checkpoint)
    if settings.method != "optimize":
        at_once = batch_size or len(target)
        start = encode(target, G, encoder, looks=looks, space=space, batch_size=at_once)
        if settings.method == "encoder" or not is_begun:
            start = come_nearer(start, target, G, settings, batch_size=at_once, hidden=is_hidden(progress))
        if settings.method == "encoder":
            return _encoded(G, target, names, settings, start, perceptual, at_once)
    assert perceptual is not None
    # Shown before the slow preparation.
    with progress_bar(total=settings.all_steps, unit="step", hidden=is_hidden(progress)) as bar:
        projector = Projector(G, target, perceptual.embed, settings, start=start, batch_size=batch_size)
        if checkpoint is not None and is_begun:
            projector.load(checkpoint)
        nearest, between = compare_with_samples(G, projector.target_embedding, perceptual.embed, label=label)
        _warn_if_far(G, names, nearest, between)
        make_steps(projector, settings.all_steps, bar, checkpoint, save_from=settings.steps)
    return _result(projector, names, nearest, between)


@torch.no_grad()
def _encoded(
    G: Generator,
    target: Tensor,
    names: list[str],
    settings: Settings,
    ws: Tensor,
    perceptual: Perceptual | None,
    batch_size: int,
) -> Projection:
    """The result of an encoder alone."""
    current = G.synthesis(G.broadcast(G.w_avg[None])).expand_as(target)
    img, between = torch.cat([G.synthesis(part) for part in ws.split(batch_size)]), float("nan")
    distances = nearest = torch.full((len(target),), between, device=G.device, dtype=torch.float32)
    if perceptual is not None:
        embedding = embed_images(target, perceptual.embed)
        distances = perceptual_distance(embed_images(img, perceptual.embed), embedding)
        nearest, between = compare_with_samples(G, embedding, perceptual.embed, label=settings.label)
        _warn_if_far(G, names, nearest, between)
    else:
        _warn_if_unlike(names, img, target)
    facts = _facts(settings, img, target, distances, nearest, between)
    latents = Latents.of(G, ws.cpu(), names=names, facts=facts)
    frames = torch.stack([to_uint8(current).cpu(), to_uint8(img).cpu()])
    return Projection(latents, target, img, distances, rms(img, target), nearest, between, frames, [0, settings.looks])


def _warn_if_far(G: Generator, names: list[str], nearest: Tensor, between: float) -> None:
    for name, is_far, distance in zip(names, far(nearest, between), nearest.tolist(), strict=True):
        if is_far:
            logger.warning(
                "%s is unlike anything %s makes: the nearest of 64 samples is %.3f away, two samples are %.3f apart; "
                "crop it like the model's data",
                *(name, G.name, distance, between),
            )


def _warn_if_unlike(names: list[str], img: Tensor, target: Tensor) -> None:
    for name, is_unlike in zip(names, unlike(img, target), strict=True):
        if is_unlike:
            logger.warning(
                "%s is unlike anything the encoder was trained on: its reconstruction hardly resembles it; "
                "crop it like the model's data",
                name,
            )


def _result(projector: Projector, names: list[str], nearest: Tensor, between: float) -> Projection:
    img, distances = projector.look()
    facts = _facts(projector.settings, img, projector.target, distances, nearest, between)
    latents = Latents.of(projector.G, projector.ws().cpu(), noise=projector.noise_maps(), names=names, facts=facts)
    frames, steps = torch.stack(projector.frames), frame_steps(projector.settings.steps)
    errors = rms(img, projector.target)
    return Projection(latents, projector.target, img, distances, errors, nearest, between, frames, steps)


def rms(img: Tensor, target: Tensor) -> Tensor:
    """Root mean square difference of images, [N]."""
    return (img - target).square().mean(dim=(1, 2, 3)).sqrt()


def _facts(
    settings: Settings, img: Tensor, target: Tensor, distances: Tensor, nearest: Tensor, between: float
) -> dict[str, Any]:
    """What latents record of how they were found, without values that were not measured."""
    measured = {"distances": distances, "pixel_errors": rms(img, target), "nearest_samples": nearest}
    facts = {name: [round(x, 6) for x in v.tolist()] for name, v in measured.items() if v.isfinite().all()}
    between_samples = {} if isnan(between) else {"between_samples": round(between, 6)}
    return {"method": "projection", "settings": settings.as_dict()} | facts | between_samples


def _to_target(pictures: Any, G: Generator) -> Tensor:
    """The given images as float [N, C, R, R] in [-1, 1]."""
    if isinstance(pictures, Tensor):
        size = (G.img_channels, G.img_resolution, G.img_resolution)
        if pictures.ndim != 4 or pictures.shape[1:] != size or not pictures.is_floating_point() or not len(pictures):
            given = f"{pictures.dtype} {list(pictures.shape)}"
            raise InputError(f"pictures must be float [N, {', '.join(map(str, size))}] in [-1, 1], got {given}")
        if not pictures.isfinite().all() or pictures.abs().max() > 1.5:
            raise InputError(f"pictures must be in [-1, 1], got values up to {pictures.abs().max():.3g}")
        return pictures.detach().float()
    photos = [pictures] if isinstance(pictures, Image.Image) else pictures
    if not isinstance(photos, Sequence) or not photos or not all(isinstance(p, Image.Image) for p in photos):
        raise InputError("pictures must be a PIL image, a list of them or a tensor; `load_photo` reads files")
    _images.check_channels(G.img_channels)
    mode = MODES[G.img_channels]
    squares = [np.array(to_square(photo.convert(mode), G.img_resolution)) for photo in photos]
    pixels = torch.from_numpy(np.stack(squares)).reshape(len(squares), G.img_resolution, G.img_resolution, -1)
    return _images.from_uint8(pixels.permute(0, 3, 1, 2))


def load_perceptual(extractor: Any, device: torch.device) -> Perceptual:
    """A network by name or file, or as given. Raises InputError if it measures no perceptual distance."""
    if isinstance(extractor, str | os.PathLike):
        from ..extractors import load_extractor

        extractor = load_extractor(extractor, device=device)
    if not hasattr(extractor, "embed"):
        raise InputError(f"{extractor!r:.80} measures no perceptual distance; use st-lpips-vgg or st-lpips-alex")
    return cast(Perceptual, extractor)
