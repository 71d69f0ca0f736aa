"""Readers of the checkpoints of other ports: a layout is recognised by its keys and converted to ours.

One file for each layout. Options of a port that the official networks lack are set in the config of the checkpoint;
what a reader decided or could not know stands in its metadata, under "notes".
"""

from pathlib import Path
from typing import Any

from torch import Tensor

from ...errors import UnsafeFileError, WeightsError
from ..checkpoint import Checkpoint
from ..torch_files import read_torch_file
from . import (
    alae,
    genforce,
    huangzh13,
    interfacegan,
    lernapparat,
    official_names,
    podgorskiy,
    rosinality,
    stylegan_zoo,
)
from .common import Layout, Parts, Request, Tensors

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
    official_names.LAYOUT,
]


def read_port_file(path: str | Path, *, resolution: int | None = None) -> list[Checkpoint]:
    """Read a torch.save file of another port: the generator first, then the discriminator if there is one.

    resolution: of the image, where a file holds more than was trained and does not tell how much (rosinality's), or
    to cut a network that was grown; None = from the file, or from its name.
    Raises UnsafeFileError for files that ask for more than weights, WeightsError for damaged and unknown ones.
    """
    path = Path(path)
    return convert(unwrap(read_torch_file(path), path.name), Request(path.name, resolution))


def recognise(parts: Parts, name: str = "the file") -> Layout:
    """The layout of the state dicts of a file. Raises WeightsError if there is none, or more than one."""
    found = [layout for layout in LAYOUTS if layout.recognise(parts)]
    if len(found) == 1:
        return found[0]
    if found:
        raise WeightsError(f"{name}: holds networks of several layouts: {', '.join(layout.name for layout in found)}")
    keys = [f"{part}/{key}"[:60].lstrip("/") for part, tensors in parts.items() for key in tensors]
    supported = ", ".join(
        layout.name for layout in LAYOUTS if layout not in (rosinality.OLDER_LAYOUT, alae.OTHER_LAYOUT)
    )
    raise WeightsError(
        f"{name}: no known layout of StyleGAN weights; its first tensors are {', '.join(keys[:5]) or 'none'}; "
        f"supported are {supported}"
    )


def convert(parts: Parts, request: Request) -> list[Checkpoint]:
    """Convert the state dicts of a file: the generator first, then the discriminator if there is one."""
    layout = recognise(parts, request.name)
    try:
        return layout.convert(parts, request)
    except (RuntimeError, ArithmeticError, LookupError, TypeError, ValueError) as error:
        # Readers name tensors; one of an impossible shape shows when it is first used.
        message = str(error).splitlines()[0][:200]
        raise WeightsError(f"{request.name}: has the names of {layout.name}, but not its shapes: {message}") from error


def unwrap(data: Any, name: str = "the file") -> dict[str, Tensors]:
    """The state dicts of what torch.save wrote: under their keys, or those within "models"; "" for a bare one.

    Only floating-point tensors are kept, and "module." before their names is dropped.
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
    return {
        key.removeprefix("module."): tensor
        for key, tensor in value.items()
        if isinstance(key, str) and isinstance(tensor, Tensor) and tensor.is_floating_point()
    }
