"""Directions in w: what they are, how to move along them, and their files. `stylegan.editing` finds them."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from ..errors import InputError
from ..runtime.checks import check_number, is_index, shown, typed
from ..runtime.json_yaml import check_object
from ..runtime.tensor_files import load_tensors, save_tensors
from ..runtime.tensors import check_tensor
from .bands import Layers, layer_indices
from .styles import as_numbers, check_same_average

# The meaning of a rising score, by the attributes that the bundled classifiers know.
_POSITIVE = {"age": "older", "gender": "female"}


@dataclass(frozen=True, eq=False, repr=False)
class Direction:
    """A named direction in the w of one model. Raises InputError if its parts do not fit together."""

    name: str  # As in --direction: "age", "sefa:0".
    vector: Tensor  # [w_dim], of unit length.
    std: float  # Standard deviation of the model's w along the vector: the unit of strength.
    w_avg: Tensor  # [w_dim], the average w of its model, by which the model is recognised.
    model: str  # The model's name, for people.
    method: str  # How it was found: "sefa", "pca", "boundary" or "gradient".
    layers: tuple[int, int]  # The layers that it moves: the first, and the one after the last.
    strengths: tuple[float, float] = (-3.0, 3.0)  # The useful range.
    facts: dict[str, Any] = field(default_factory=dict)  # What else is known: index, explained variance, accuracy...

    def __post_init__(self) -> None:
        for what in ("vector", "w_avg"):
            check_tensor(getattr(self, what), ("w_dim",), what=f"direction {self.name!r}: {what}")
        check_number(self.std, what=f"direction {self.name!r}: std")
        if self.vector.ndim != 1 or self.vector.shape != self.w_avg.shape:
            shapes = f"{list(self.vector.shape)} and {list(self.w_avg.shape)}"
            raise InputError(f"direction {self.name!r}: vector and w_avg must both be [w_dim], got {shapes}")
        if not abs(self.vector.norm().item() - 1) < 1e-4:
            raise InputError(f"direction {self.name!r}: the vector must have length 1, got {self.vector.norm():.6g}")
        if not 0 < self.std < float("inf"):
            raise InputError(f"direction {self.name!r}: std must be above 0, got {self.std}")
        if len(self.layers) != 2 or not all(map(is_index, self.layers)) or not 0 <= self.layers[0] < self.layers[1]:
            raise InputError(f"direction {self.name!r}: layers must be (first, after the last), got {self.layers}")

    def __repr__(self) -> str:
        first, stop = self.layers
        towards = f", + is {self.positive}" if self.positive else ""
        return (
            f"Direction({self.name!r} of {self.model}: {self.method}, layers {first}-{stop - 1} of ws, "
            f"{len(self.vector)} numbers, std {self.std:.3g}{towards})"
        )

    @property
    def positive(self) -> str:
        """The effect of a positive strength, in words; empty if neither the facts nor the name tell it."""
        return str(self.facts.get("positive", _POSITIVE.get(self.name, "")))


def check_direction(direction: Any, w_avg: Tensor) -> None:
    """Raise InputError unless this is a direction of the model with this average w."""
    if not isinstance(direction, Direction):
        raise InputError(f"direction must be a Direction, as `editing.find_direction` gives it; got {shown(direction)}")
    what = f"the direction {direction.name!r} of {direction.model}"
    check_same_average(w_avg, direction.w_avg, what=what, next_step="`stylegan directions` finds those of this model")


@typed
def edit(
    ws: Tensor, direction: Direction, strength: float | Sequence[float] | Tensor, layers: Layers | None = None
) -> Tensor:
    """Move ws along a direction: ws + strength * std * vector, in some layers.

    ws: [N, num_ws, w_dim].
    strength: in standard deviations of the model's w along the direction; a number, or one for each of N.
    layers: instead of the direction's own; as in `mix_styles`: 6 = from layer 6 on, "fine", a slice, a list.

    Returns ws: [N, num_ws, w_dim]. Raises InputError for shapes, strengths or layers that do not fit.
    """
    check_tensor(ws, ("N", "num_ws", len(direction.vector)), what=f"ws for the direction {direction.name!r}")
    n, num_ws, _ = ws.shape
    if layers is None and direction.layers[1] > num_ws:
        raise InputError(f"direction {direction.name!r} moves the layers {direction.layers}, ws has {num_ws}")
    factors = (
        as_numbers(strength, [(), (n,)], what=f"strength, one number or one for each of {n} rows,").to(ws)
        * direction.std
    )  # [N] or []
    moved = torch.zeros(num_ws, device=ws.device, dtype=ws.dtype)
    moved[layer_indices(slice(*direction.layers) if layers is None else layers, num_ws)] = 1
    return ws + factors.expand(n)[:, None, None] * moved[:, None] * direction.vector.to(ws)


@typed
def save_directions(path: str | os.PathLike[str], directions: Sequence[Direction]) -> None:
    """Write directions of one model into one .safetensors file.

    Raises InputError if there are none, two have the same name, or they belong to several models.
    """
    names = [direction.name for direction in directions]
    if not names or len(set(names)) < len(names):
        raise InputError(f"a file of directions needs one or more, of different names; got {names}")
    first = directions[0]
    if any(direction.model != first.model or not direction.w_avg.equal(first.w_avg) for direction in directions):
        raise InputError("the directions of one file must belong to one model; write a file for each")
    described = [
        {key: getattr(direction, key) for key in ("name", "std", "method", "layers", "strengths", "facts")}
        for direction in directions
    ]
    save_tensors(
        path,
        {"vectors": torch.stack([direction.vector.cpu() for direction in directions]), "w_avg": first.w_avg},
        kind="directions",
        description={"model": first.model, "directions": described},
    )


_FIELDS = {"model": str, "directions": list[dict[str, Any]]}
_OWN_FIELDS = {
    "name": str,
    "std": float,
    "method": str,
    "layers": list[int],
    "strengths": list[float],
    "facts": dict[str, Any],
}


@typed
def load_directions(path: str | os.PathLike[str]) -> dict[str, Direction]:
    """Read a file of directions: by name, in their order. Raises InputError if it is not one."""
    tensors, description = load_tensors(path, kind="directions", fields=_FIELDS)
    where = f"{path}: the description of its directions is damaged"
    for own in description["directions"]:
        check_object(own, _OWN_FIELDS, where=where, error=InputError)
    try:
        directions = [
            Direction(
                vector=vector,
                w_avg=tensors["w_avg"],
                model=description["model"],
                **own | {"layers": tuple(own["layers"]), "strengths": tuple(own["strengths"])},
            )
            for vector, own in zip(tensors["vectors"], description["directions"], strict=True)
        ]
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise InputError(f"{where}: {error}") from error
    return {direction.name: direction for direction in directions}
