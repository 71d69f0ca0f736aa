"""The directions that ship inside the package, by model."""

import re
from importlib import resources

from ..errors import InputError
from ..runtime.checks import typed
from .directions import Direction, load_directions
from .protocol import Generator
from .styles import same_average

_PACKAGE = resources.files("stylegan") / "assets"


def names_of_origins(G: Generator) -> list[str]:
    """The distinct names of a model and of those that it was made from."""
    lineage = G.metadata.get("lineage")
    origins = [known.get("name") for known in (lineage if isinstance(lineage, list) else []) if isinstance(known, dict)]
    return list(dict.fromkeys([G.name, *map(str, origins)]))


@typed
def bundled_directions(G: Generator) -> dict[str, Direction]:
    """The bundled directions of this model, by name; empty if there are none.

    Directions of a model that this one was made from count if it kept the average w, as a blend does.
    """
    for model in names_of_origins(G):
        file = _PACKAGE / f"directions-{model}.safetensors"
        if not re.fullmatch(r"[\w.-]+", model) or not file.is_file():
            continue
        with resources.as_file(file) as path:
            directions = load_directions(path)
        # Another model may have that name.
        if found := {name: d for name, d in directions.items() if same_average(G.w_avg, d.w_avg)}:
            return found
    return {}


def named_direction(G: Generator, name: str) -> Direction:
    """The bundled direction of that name. Raises InputError, which lists the bundled ones."""
    known = bundled_directions(G)
    if name not in known:
        raise InputError(
            f"no direction {name!r} ships with {G.name}; it has {', '.join(known) or 'none'}. "
            "`editing.find_direction` computes sefa:N and pca:N, and reads files"
        )
    return known[name]
