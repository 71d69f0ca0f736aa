"""What the methods share: a direction measured in samples of w, its sign, its layers."""

from typing import Any

from torch import Tensor

from ..errors import InputError
from ..generator import Generator
from ..latents.bands import Layers, layer_indices
from ..latents.directions import Direction
from ..runtime.checks import check_integers


def make_direction(
    G: Generator,
    name: str,
    vector: Tensor,  # [w_dim], of any length but 0.
    w: Tensor,  # [N, w_dim], from `sample_w`.
    *,
    method: str,
    layers: tuple[int, int],
    facts: dict[str, Any],
    strengths: tuple[float, float] = (-3.0, 3.0),
) -> Direction:
    """A direction of unit length, measured in samples of w."""
    vector = vector.cpu().double()
    vector = vector / vector.norm()
    std = (w.double() @ vector).std().item()
    return Direction(name, vector.float(), std, G.w_avg.cpu().clone(), G.name, method, layers, strengths, facts)


def fix_signs(vectors: Tensor) -> Tensor:
    """The sign of an eigenvector is a convention: here its largest component is positive. vectors: [N, w_dim]."""
    largest = vectors.gather(1, vectors.abs().argmax(dim=1, keepdim=True))  # [N, 1]
    return vectors * largest.sign()


def layer_range(G: Generator, layers: Layers | None) -> tuple[int, int]:
    """An argument `layers` as (first, last + 1); None = all. Raises InputError if they are not consecutive."""
    indices = list(range(G.num_ws))
    if layers is not None:
        indices = sorted(set(layer_indices(layers, G.num_ws)))
    if not indices or indices != list(range(indices[0], indices[-1] + 1)):
        raise InputError(f"layers of a direction must be consecutive, one or more, got {layers!r}: {indices}")
    return indices[0], indices[-1] + 1


def check_count(n: int, w_dim: int) -> int:
    """Return n if w of that size has n directions, else raise InputError."""
    if check_integers(n, what="n", limit=w_dim + 1)[0] < 1:
        raise InputError(f"n must be 1 or more, got {n}")
    return n
