"""Files of named tensors (safetensors): one reader and one writer for weights, checkpoints, latents and directions."""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import safetensors
import safetensors.torch
from torch import Tensor

from ..errors import InputError, StyleGANError, WeightsError
from .atomic_files import as_path, new_file
from .file_kinds import cut_off, foreign
from .json_yaml import check_object, parse_json

FORMAT_VERSION = "1"

Error = type[StyleGANError]


class Header(NamedTuple):
    """The header of a file."""

    metadata: dict[str, str]
    names: list[str]  # The tensors' names.


def read_header(path: str | os.PathLike[str], *, error: Error) -> Header:
    """The header of a file. Raises `error` if there is none."""
    with _opened(path, error) as file:
        return Header(file.metadata() or {}, list(file.keys()))


def read_tensors(path: str | os.PathLike[str], *, error: Error) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors of a file, on the CPU, and its metadata. If it is damaged, raises `error`, which says how."""
    with _opened(path, error) as file:
        return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118


def encode_tensors(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> bytes:
    """The bytes of a file, equal for equal tensors and metadata. tensors: on the CPU, contiguous."""
    return b"".join(_parts(tensors, metadata))


def _parts(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> tuple[bytes | memoryview, ...]:
    """The bytes of a file, part by part; tensors' bytes are not copied again."""
    data = safetensors.torch.save(dict(tensors), dict(metadata))
    length = int.from_bytes(data[:8], "little")
    # safetensors writes the entries of a header in any order.
    header = parse_json(data[8 : 8 + length], where="the header", error=WeightsError)
    header["__metadata__"] = dict(sorted(metadata.items()))
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little"), text, memoryview(data)[8 + length :]


def write_tensors(path: str | os.PathLike[str], tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write a file, completely or not at all. tensors: on the CPU, contiguous."""
    with new_file(path) as file:
        file.writelines(_parts(tensors, metadata))


def save_tensors(
    path: str | os.PathLike[str], tensors: Mapping[str, Tensor], *, kind: str, description: Mapping[str, Any]
) -> None:
    """Write tensors and their description as JSON. kind: of the contents; checked when they are read.

    Raises InputError if the name does not end in .safetensors.
    """
    if as_path(path).suffix != ".safetensors":
        raise InputError(f"{path}: a file of {kind} must end in .safetensors")
    header = {"format": "pt", f"stylegan_{kind}_version": FORMAT_VERSION, kind: json.dumps(description)}
    write_tensors(path, {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, header)


def load_tensors(
    path: str | os.PathLike[str], *, kind: str, fields: Mapping[str, Any]
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what `save_tensors` wrote: the tensors, finite, and the description.

    fields: required fields of the description, and their types: see `json_yaml.check_object`.

    Raises InputError if there is no such file, or it is damaged, of another kind or of a newer format.
    """
    path = as_path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file; expected a .safetensors file of {kind}")
    try:
        tensors, header = read_tensors(path, error=InputError)
    except InputError as error:
        raise InputError(f"{error}; {kind} are read from .safetensors, .npy, .npz and torch.save files") from error
    version = header.get(f"stylegan_{kind}_version")
    if version is None:
        raise InputError(f"{path}: holds no {kind}; expected a file of {kind} written by this library")
    if version != FORMAT_VERSION:
        raise InputError(f"{path}: format {version[:20]!r} of {kind}, expected {FORMAT_VERSION!r}; update stylegan")
    check_finite(tensors, f"{path}:", error=InputError)
    where = f"{path}: the description of its {kind} is damaged"
    description = parse_json(header.get(kind, ""), where=where, error=InputError)
    return tensors, check_object(description, fields, where=where, error=InputError)


def check_finite(tensors: Mapping[str, Tensor], what: str, *, error: Error = WeightsError) -> None:
    """Raise `error` unless all values are finite; its message is `what`, the tensor's name and the fault."""
    for name, tensor in tensors.items():
        # The sum is finite only if every number is; this is ten times as fast as checking each.
        if not tensor.sum().isfinite() and not tensor.isfinite().all():
            raise error(f"{what} {name!r} holds NaN or infinity")


@contextmanager
def _opened(path: str | os.PathLike[str], error: Error) -> Iterator[Any]:
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            yield file
    except safetensors.SafetensorError as failure:
        path = Path(path)
        what = foreign(path) or f"not a safetensors file, or damaged: {cut_off(path) or str(failure)[:200]}"
        raise error(f"{path}: {what}") from failure
