"""Readers of the checkpoints of other ports: a layout is recognized by its keys and converted to ours.

Each layout has a file. Options of a port that the official networks lack are set in the config of the checkpoint. What
a reader decided or could not know is in its metadata, under "notes".
"""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ...errors import UnsafeFileError, WeightsError
from ...runtime.device import FLOAT32_CPU
from ...runtime.tensor_files import read_header
from ..checkpoint import Checkpoint
from ..formats.torch_files import read_torch_file
from . import (
    alae,
    genforce,
    huangzh13,
    interfacegan,
    lernapparat,
    mmgeneration,
    official_names,
    podgorskiy,
    rosinality,
    state_dict,
    stylegan_zoo,
)
from .common import Layout, Parts, Request, Tensors, average_apart
from .foreign import name_foreign

LAYOUTS = [
    genforce.LAYOUT,
    interfacegan.LAYOUT,
    rosinality.LAYOUT,
    rosinality.OLDER_LAYOUT,
    huangzh13.LAYOUT,
    lernapparat.LAYOUT,
    podgorskiy.LAYOUT,
    alae.LAYOUT,
    alae.OTHER_LAYOUT,
    stylegan_zoo.LAYOUT,
    mmgeneration.LAYOUT,
    official_names.LAYOUT,
    state_dict.LAYOUT,
]


def read_port_file(path: str | Path, **options: Any) -> list[Checkpoint]:
    """Read a torch.save file of another port: the generator first, then the discriminator if there is one.

    options: see `Request`; the resolution is needed for files that do not say how many of their layers were trained
    (rosinality's), and can cut off the highest layers of a network.
    Raises UnsafeFileError for files with anything but weights, WeightsError for damaged and unknown ones.
    """
    path = Path(path)
    return convert(unwrap(read_torch_file(path), str(path)), Request(path, **options))


def recognise(parts: Parts, name: str = "the file") -> Layout:
    """The layout of the state dicts of a file. Raises WeightsError if there is none, or more than one."""
    found = [layout for layout in LAYOUTS if layout.recognise(parts)]
    if len(found) == 1:
        return found[0]
    if found:
        raise WeightsError(f"{name}: holds networks of several layouts: {', '.join(layout.name for layout in found)}")
    keys = [f"{part}/{key}"[:60].lstrip("/") for part, tensors in parts.items() for key in tensors]
    if foreign := name_foreign(parts):
        raise WeightsError(f"{name}: {foreign}")
    supported = ", ".join(layout.name for layout in LAYOUTS if layout.is_supported)
    raise WeightsError(
        f"{name}: no known layout of StyleGAN weights; its first tensors are {', '.join(keys[:5]) or 'none'}; "
        f"supported are {supported}"
    )


def convert(parts: Parts, request: Request) -> list[Checkpoint]:
    """Convert the state dicts of a file: the generator first, then the discriminator if there is one."""
    layout = recognise(parts, str(request.path))
    request = replace(request, average=average_apart(parts))
    try:
        return layout.convert(parts, request)
    except (RuntimeError, ArithmeticError, LookupError, TypeError, ValueError) as error:
        # Readers check names; a wrong shape is noticed when the tensor is first used.
        message = str(error).splitlines()[0][:200]
        raise WeightsError(f"{request.path}: has the names of {layout.name}, but not its shapes: {message}") from error


def unwrap(data: Any, name: str = "the file") -> dict[str, Tensors]:
    """The state dicts of what torch.save wrote: under their keys, or those within "models"; "" for a bare one.

    Only floating-point tensors are kept, and the integers that a layout names. The prefix "module." of names is
    removed.
    """
    if isinstance(data, list | tuple):
        data = {str(i): value for i, value in enumerate(data[:8])}
    if not isinstance(data, dict):
        raise WeightsError(f"{name}: holds a {type(data).__name__}; expected dictionaries of tensors")
    if isinstance(data.get("models"), dict):
        data = data["models"]
    parts = {"": data} | {key: value for key, value in data.items() if isinstance(key, str) and isinstance(value, dict)}
    states = {key: tensors for key, value in parts.items() if (tensors := _state_dict(value))}
    every = [tensor for tensors in states.values() for tensor in tensors.values()]
    storages = {tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes() for tensor in every}
    if sum(tensor.nbytes for tensor in every) > 4 * sum(storages.values()):
        raise UnsafeFileError(f"{name}: its tensors repeat the same values, far beyond the size of the file")
    return states


def _state_dict(value: dict[Any, Any]) -> Tensors:
    integers = {key for layout in LAYOUTS for key in layout.integers}
    return {
        key.removeprefix("module."): tensor.float() if key in integers else tensor
        for key, tensor in value.items()
        if isinstance(key, str) and isinstance(tensor, Tensor)
        if tensor.is_floating_point() or key in integers
    }


def is_port_safetensors(path: Path) -> bool:
    """Whether a safetensors file, without our header, holds another port's tensors.

    Raises WeightsError for other known contents: files of this library, other networks.
    """
    try:
        header, names = read_header(path, error=WeightsError)
    except WeightsError:
        return False  # Its reader will report the error.
    if "stylegan_format_version" in header:
        return False
    if own := [match[1] for key in header if (match := re.fullmatch(r"stylegan_(\w+)_version", key))]:
        what = "a checkpoint of training, with which a run goes on" if own[0] == "training" else f"a file of {own[0]}"
        raise WeightsError(f"{path}: {what}; expected a network, such as the run's network.safetensors")
    parts: Parts = {"": dict.fromkeys(names, torch.empty(0, **FLOAT32_CPU))}
    if foreign := name_foreign(parts):
        raise WeightsError(f"{path}: {foreign}")
    return any(layout.recognise(parts) for layout in LAYOUTS if not layout.is_ours)
