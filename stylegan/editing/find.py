"""A direction by its name: from a file, from the package, or computed if that needs only the model."""

import difflib
import os
from pathlib import Path

from torch import Tensor

from ..errors import InputError
from ..generator import Generator
from ..latents.bundled import bundled_directions
from ..latents.directions import Direction, load_directions
from ..latents.samples import sample_w
from ..runtime.checks import typed
from ..weights.formats.arrays import is_array_file, read_arrays
from .components import pca
from .factorization import sefa
from .space import layer_range, make_direction


@typed
def directions_in(G: Generator, path: str | os.PathLike[str]) -> dict[str, Direction]:
    """The directions of a file by name, written by `save_directions`, or boundaries of another tool.

    The latter are arrays [w_dim] or [N, w_dim] in .npy, .npz or torch.save files, like InterFaceGAN's. They are named
    after the file, NAME or NAME:0, NAME:1..., move all layers, and are measured in samples of this model, to which they
    must belong.

    Raises InputError for other files and shapes.
    """
    if not is_array_file(path):
        return load_directions(path)
    vectors: dict[str, Tensor] = {}
    for name, array in read_arrays(path, what="directions").items():
        rows = array[None] if array.ndim == 1 else array  # [N, w_dim]
        if rows.ndim != 2 or rows.shape[1] != G.w_dim or not rows.any(dim=1).all():
            given = f"{list(array.shape)}" + ("" if rows.any() else ", all of it 0")
            raise InputError(f"{path}: expected directions [{G.w_dim}] or [N, {G.w_dim}] for {G.name}, got {given}")
        if len(rows) == G.num_ws > 1:
            raise InputError(
                f"{path}: {list(array.shape)} are separate directions for each layer of {G.name}; "
                f"expected [{G.w_dim}] or [N, {G.w_dim}]: save one row of it"
            )
        vectors |= {name: rows[0]} if len(rows) == 1 else {f"{name}:{i}": row for i, row in enumerate(rows)}
    w, layers, facts = sample_w(G), layer_range(G, None), {"file": Path(path).name}
    return {
        name: make_direction(G, name, vector, w, method="boundary", layers=layers, facts=facts)
        for name, vector in vectors.items()
    }


@typed
def find_direction(G: Generator, name: str, *, path: str | os.PathLike[str] | None = None) -> Direction:
    """The direction of that name: from a file, or else a bundled one.

    `sefa:N` and `pca:N` are computed if no file has them, which takes a second. Raises InputError, which lists the
    names, for an unknown direction, or if the file belongs to another model.
    """
    known = bundled_directions(G) if path is None else directions_in(G, path)
    if name in known:
        return known[name]
    method, _, index = name.partition(":")
    if path is None and method in ("sefa", "pca") and index.isdecimal() and int(index) < G.w_dim:
        return (sefa if method == "sefa" else pca)(G, n=int(index) + 1)[-1]
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    where = f"of {path}" if path else f"for {G.name}"
    names = ", ".join(known) or "none in the package"
    more = "" if path else f", and sefa:N and pca:N with N below {G.w_dim}"
    raise InputError(f"no direction {name!r} {where}; {hint}there are {names}{more}")
