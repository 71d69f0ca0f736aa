"""Projection by an encoder: the start of an optimization, or all of it."""

import os

from torch import Tensor

from ..encoder import Encoder
from ..errors import InputError
from ..generator import Generator
from ..runtime.checks import shown
from ..runtime.progress import progress_bar
from .coordinates import Coordinates
from .pixels import approach
from .projector import Settings
from .refine import check_refinable, refine_each


def find_encoder(G: Generator, encoder: Encoder | str | os.PathLike[str] | None) -> Encoder:
    """An encoder, from a file or by the name of a model; None = the generator's own.

    Raises NotFoundError if there is none, InputError for one of another model.
    """
    if encoder is None:
        return Encoder.of(G)
    if isinstance(encoder, str | os.PathLike):
        encoder = Encoder.from_pretrained(encoder, device=G.device)
    elif not isinstance(encoder, Encoder):
        raise InputError(f"encoder must be an Encoder, a model's name or a file, got {shown(encoder)}")
    encoder.check(G)
    return encoder


def encode(
    target: Tensor,
    G: Generator,
    encoder: Encoder | str | os.PathLike[str] | None,
    *,
    looks: int,
    space: str,
    batch_size: int,
) -> Tensor:
    """Images [N, C, R, R] -> ws [N, num_ws, w_dim]; in space "w", the mean w of all layers.

    encoder and errors: those of `find_encoder`.
    """
    ws = find_encoder(G, encoder).encode(target, G, looks=looks, batch_size=batch_size)
    return ws if space == "w+" else G.broadcast(ws.mean(dim=1))


def come_nearer(
    ws: Tensor, target: Tensor, G: Generator, settings: Settings, *, batch_size: int, hidden: bool | None
) -> Tensor:
    """The encoder's ws after the steps on the pixels; without any on the perceptual distance, refined as well."""
    if not settings.pixel_steps and not settings.refine:
        return ws
    coordinates = Coordinates(G)
    if settings.pixel_steps:
        with progress_bar(total=settings.pixel_steps, desc="pixels", unit="step", hidden=hidden) as bar:
            ws = approach(ws, target, coordinates, settings, bar, batch_size=batch_size)
    if settings.method == "encoder" and settings.refine:
        check_refinable(G)
        u = coordinates.of(ws[:, 0])
        for _ in progress_bar(range(settings.refine), unit="step", hidden=hidden):
            u = refine_each(coordinates.render, u, target)
        ws = G.broadcast(coordinates.w(u))
    return ws
