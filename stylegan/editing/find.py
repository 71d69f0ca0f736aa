"""A direction by its name: from a file, from the package, or computed where that needs nothing but the model."""

import difflib
import os
from importlib import resources

from ..checks import typed
from ..direction import Direction, load_directions
from ..errors import InputError
from ..generator import Generator
from ..latents import same_average
from .components import pca
from .factorization import sefa

_PACKAGE = resources.files("stylegan") / "editing"


@typed
def bundled_directions(G: Generator) -> dict[str, Direction]:
    """The directions that ship inside the package for this model, by name; none for other models."""
    file = _PACKAGE / f"{G.name}.safetensors"
    if "/" in G.name or not file.is_file():
        return {}
    with resources.as_file(file) as path:
        directions = load_directions(path)
    # A model of that name may be another one.
    return {name: d for name, d in directions.items() if same_average(G.w_avg, d.w_avg)}


@typed
def find_direction(G: Generator, name: str, *, path: str | os.PathLike[str] | None = None) -> Direction:
    """The direction of that name: of a file, or else one that ships with the model.

    `sefa:N` and `pca:N` are computed where no file has them, which takes a second. Raises InputError if there is no
    such direction, with the names that there are, or if the file belongs to another model.
    """
    known = bundled_directions(G) if path is None else load_directions(path)
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
