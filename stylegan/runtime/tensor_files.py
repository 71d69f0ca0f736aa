"""Small files of named tensors with a description: one safetensors file, JSON in its header, whole or not there."""

import json
import os
from collections.abc import Mapping
from typing import Any

import safetensors
from torch import Tensor

from ..errors import InputError
from ..weights.checkpoint import damaged, write_tensors
from .atomic_files import as_path
from .json_yaml import check_object, parse_json

FORMAT_VERSION = "1"


def save_tensors(
    path: str | os.PathLike[str], tensors: Mapping[str, Tensor], *, kind: str, description: Mapping[str, Any]
) -> None:
    """Write tensors and what JSON can hold of their description. kind: what the file is, asked for when it is read.

    Raises InputError if the name does not end in .safetensors.
    """
    if as_path(path).suffix != ".safetensors":
        raise InputError(f"{path}: a file of {kind} must end in .safetensors")
    header = {"format": "pt", f"stylegan_{kind}_version": FORMAT_VERSION, kind: json.dumps(description)}
    stored = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    write_tensors(path, stored, header)


def load_tensors(
    path: str | os.PathLike[str], *, kind: str, fields: Mapping[str, Any]
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what `save_tensors` wrote: the tensors, finite, and the description.

    fields: what the description must have, and of which types: see `small_files.check_object`.

    Raises InputError if there is no such file, or it is damaged, of another kind or of a newer format.
    """
    path = as_path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file; expected a .safetensors file of {kind}")
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
    except safetensors.SafetensorError as error:
        raise InputError(str(damaged(path, error))) from error
    version = header.get(f"stylegan_{kind}_version")
    if version is None:
        raise InputError(f"{path}: holds no {kind}; expected a file of {kind} written by this library")
    if version != FORMAT_VERSION:
        raise InputError(f"{path}: format {version[:20]!r} of {kind}, expected {FORMAT_VERSION!r}; update stylegan")
    for name, tensor in tensors.items():
        if not tensor.isfinite().all():
            raise InputError(f"{path}: {name!r} holds NaN or infinity")
    where = f"{path}: the description of its {kind} is damaged"
    description = parse_json(header.get(kind, ""), where=where, error=InputError)
    return tensors, check_object(description, fields, where=where, error=InputError)
