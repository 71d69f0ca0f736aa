"""Deltas: a generator's differences from its base, as one small file that stands for the whole network.

A delta is a checkpoint whose tensors are differences, each as int8 with a scale, and whose config names the base: the
model, its source, and the sha256 of its weights. Tensors that are equal in both are omitted. When read, the sum of both
is a generator like any other, under the base's licence.
"""

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..errors import InputError, NotFoundError, WeightsError
from ..runtime.json_yaml import check_object
from ..runtime.tensor_files import read_header
from . import manifest
from .checkpoint import DELTA, Checkpoint, save_checkpoint
from .hub.sources import parse_source

_STEPS, _SCALE = 127, ".scale"

_LICENCE = ("license", "license_url", "attribution")


@dataclass(frozen=True)
class Base:
    """The network that a delta is added to."""

    name: str  # The model's name.
    source: str  # Its `Pretrained.location`; a file or folder relative to the delta's folder.
    weights_sha256: str  # See `Checkpoint.sha256`.
    resolution: int  # Of its images.

    @classmethod
    def of(cls, delta: Checkpoint, where: str) -> "Base":
        """The base that a delta names. Raises WeightsError if its config is malformed."""
        fields = {"name": str, "source": str, "weights_sha256": str, "resolution": int}
        return cls(**check_object(delta.config, fields, where=f"{where}: a delta without its base", error=WeightsError))

    def find(self, path: Path) -> str | Path:
        """The base as an argument of `read_weights`. path: of the delta. Raises NotFoundError, which says what to do.

        A file is looked for at its path relative to the delta, and next to the delta.
        """
        if self.source in manifest.entries():
            return self.source
        for place in (path.parent / self.source, path.parent / Path(self.source).name):
            if place.exists():
                return place
        if parse_source(self.source) is not None:
            return self.source
        raise NotFoundError(
            f"{path}: a delta of {self.name} ({self.source}, weights of sha256 {self.weights_sha256[:16]}...), which "
            "is neither a model known by name nor a file here; put that file next to the delta, under the same name"
        )


def is_delta(path: str | os.PathLike[str]) -> bool:
    """Whether a path is a file with a delta."""
    try:
        return os.path.isfile(path) and read_header(path, error=WeightsError).metadata.get("network") == DELTA
    except WeightsError:
        return False


def subtract_base(
    tuned: Mapping[str, Tensor], base: Checkpoint, *, source: str, metadata: dict[str, Any]
) -> Checkpoint:
    """The delta of changed tensors to a base: their differences in 127 steps up to each one's greatest.

    source: the base's `location`; metadata: of the changed network. Raises InputError for NaN and infinity.
    """
    tensors: dict[str, Tensor] = {}
    for key, tensor in tuned.items():
        difference = tensor - base.state_dict[key]
        if not difference.isfinite().all():
            raise InputError(f"the tuned {key!r} holds NaN or infinity; lower the learning rate")
        steps, scale = in_steps(difference)
        if scale:
            tensors |= {key: steps, key + _SCALE: scale}
    base_of_it = Base(str(base.metadata.get("name", "unnamed")), source, base.sha256(), base.config["img_resolution"])
    return Checkpoint(DELTA, asdict(base_of_it), tensors, metadata)


def in_steps(difference: Tensor) -> tuple[Tensor, Tensor]:
    """A tensor as int8 steps, 127 up to the greatest, and the size of a step, float32 []; 0 where all are 0."""
    scale = difference.abs().max() / _STEPS
    return (difference / scale).nan_to_num().round().to(torch.int8), scale


def add_delta(base: Checkpoint, delta: Checkpoint, where: str) -> Checkpoint:
    """The generator from a delta and its base: float32, bit for bit the same everywhere.

    base: float32, its tensors in the network's order. where: the location of the delta, for messages.

    Raises WeightsError if the base is another one, or the tensors do not fit.
    """
    expected, found = Base.of(delta, where), base.sha256()
    if found != expected.weights_sha256:
        raise WeightsError(
            f"{where}: a delta of {expected.name} with weights of sha256 {expected.weights_sha256[:16]}..., but those "
            f"of {base.metadata.get('name', 'unnamed')} here are {found[:16]}...; put the right file next to the delta"
        )
    state = dict(base.state_dict)
    for key, difference in delta.state_dict.items():
        if key.endswith(_SCALE):
            continue
        scale = delta.state_dict.get(key + _SCALE)
        if key not in state or state[key].shape != difference.shape or scale is None or scale.shape:
            raise WeightsError(f"{where}: its {key!r} {list(difference.shape)} does not fit {expected.name}")
        state[key] = state[key] + (difference.float() * scale.float()).to(state[key].device)
    licence = {key: base.metadata[key] for key in _LICENCE if key in base.metadata}
    return Checkpoint("Generator", base.config, state, delta.metadata | licence)


def save_delta(path: str | os.PathLike[str], delta: Checkpoint) -> None:
    """Write a delta, completely or not at all; a base in a file is named relative to the delta's folder."""
    source = str(delta.config["source"])
    if source not in manifest.entries() and os.path.exists(source):
        source = _seen_from(Path(path).parent, source)
    save_checkpoint(path, replace(delta, config=delta.config | {"source": source}))


def _seen_from(folder: Path, path: str) -> str:
    try:
        return Path(os.path.relpath(path, folder)).as_posix()
    except ValueError:  # On another drive.
        return Path(path).name
