"""Projection by an encoder: where an optimization begins, or all of it."""

import os

from torch import Tensor

from ..encoder import Encoder
from ..errors import InputError
from ..generator import Generator
from ..runtime.checks import shown


def encode(
    target: Tensor,
    G: Generator,
    encoder: Encoder | str | os.PathLike[str] | None,
    *,
    looks: int,
    space: str,
    batch_size: int,
) -> Tensor:
    """Pictures [N, C, R, R] -> ws [N, num_ws, w_dim]; in space "w", the mean w of all layers.

    encoder: None = the one that comes with the model. Raises NotFoundError if there is none, InputError for one of
    another model.
    """
    if encoder is None:
        encoder = Encoder.of(G)
    elif isinstance(encoder, str | os.PathLike):
        encoder = Encoder.from_pretrained(encoder, device=G.device)
    elif not isinstance(encoder, Encoder):
        raise InputError(f"encoder must be an Encoder, a model's name or a file, got {shown(encoder)}")
    ws = encoder.encode(target, G, looks=looks, batch_size=batch_size)
    return ws if space == "w+" else G.broadcast(ws.mean(dim=1))
