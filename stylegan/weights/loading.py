"""A name or a file -> a checkpoint -> a network. The class of the network is given; this module imports none."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

import torch
from torch import Tensor, nn

from ..errors import InputError, NotFoundError, WeightsError
from ..files import write_atomically
from . import manifest
from .checkpoint import (
    Checkpoint,
    config_from_json,
    config_to_json,
    load_checkpoint,
    save_checkpoint,
)
from .official import convert_official
from .official_pickle import read_official_pickle

NetworkT = TypeVar("NetworkT", bound=nn.Module)

# The networks of an official file: generator, discriminator, and the generator with averaged weights.
OfficialName = Literal["G", "D", "Gs"]


@dataclass(frozen=True)
class Loaded:
    """A checkpoint and where it came from."""

    checkpoint: Checkpoint
    source: str


def read_weights(name_or_path: str | os.PathLike[str], *, network: OfficialName = "Gs") -> Loaded:
    """Read the checkpoint of a manifest name, a hub folder, a .safetensors file or an official .pkl file.

    network: which one of an official file; other files hold one. A manifest name goes before a file of the same
    name; write ./name for the file. Raises NotFoundError if there is neither, WeightsError if the file is not what it
    should be.
    """
    if isinstance(name_or_path, str) and name_or_path in manifest.entries():
        entry = manifest.find(name_or_path)
        with manifest.open_file(entry) as path:
            return Loaded(load_checkpoint(path), f"the package ({entry.filename})")
    path = Path(name_or_path)
    return Loaded(_read_path(path, network), str(path))


def _read_path(path: Path, network: OfficialName) -> Checkpoint:
    if path.is_dir():
        config_file = path / "config.json"
        if not config_file.is_file() or not (path / "model.safetensors").is_file():
            raise NotFoundError(f"{path}: expected a folder with config.json and model.safetensors")
        return load_checkpoint(path / "model.safetensors", config=config_from_json(config_file))
    if not path.is_file():
        if path.suffix or len(path.parts) > 1:
            raise NotFoundError(f"{path}: no such file or folder")
        manifest.find(str(path))  # Raises, with the nearest names.
    if path.suffix == ".safetensors":
        return load_checkpoint(path)
    if path.suffix == ".pkl":
        networks = read_official_pickle(path)
        # A file with a single network gives that one.
        chosen = networks.get(network) or (next(iter(networks.values())) if len(networks) == 1 else None)
        if chosen is None:
            raise WeightsError(f"{path}: holds no network {network!r}; it has {', '.join(networks)}")
        return convert_official(chosen, {"name": path.stem, "source": f"{chosen.name} of {path.name}"})
    raise WeightsError(f"{path}: unknown kind of file {path.suffix!r}; expected .safetensors or an official .pkl")


def build_network(cls: type[NetworkT], loaded: Loaded) -> NetworkT:
    """Make the network that a checkpoint describes and fill it, strictly, with float32 weights.

    Raises WeightsError if the config describes no such network, or if a tensor is missing, left over or of another
    shape: a network is never left with initial weights.
    """
    checkpoint = loaded.checkpoint
    if checkpoint.network not in {c.__name__ for c in cls.__mro__}:
        raise WeightsError(f"{loaded.source}: holds a {checkpoint.network}, expected a {cls.__name__}")
    try:
        # On the meta device: nothing is allocated before the shapes are known to fit.
        with torch.device("meta"):
            network = cls(**checkpoint.config, seed=None)
    except (TypeError, ValueError, ArithmeticError, RuntimeError) as error:
        message = str(error).splitlines()[0][:200]
        raise WeightsError(f"{loaded.source}: its config describes no {cls.__name__}: {message}") from error
    _check_fit(network.state_dict(), checkpoint.state_dict, loaded.source)
    network.load_state_dict({k: v.float() for k, v in checkpoint.state_dict.items()}, assign=True)
    return network


def _check_fit(expected: Mapping[str, Tensor], given: Mapping[str, Tensor], source: str) -> None:
    problems = [f"missing {name!r}" for name in expected if name not in given]
    problems += [f"unexpected {name!r}" for name in given if name not in expected]
    problems += [
        f"{name!r} is {list(given[name].shape)}, expected {list(tensor.shape)}"
        for name, tensor in expected.items()
        if name in given and given[name].shape != tensor.shape
    ]
    if problems:
        more = f" and {len(problems) - 5} more" if len(problems) > 5 else ""
        raise WeightsError(f"{source}: the weights do not fit their config: {'; '.join(problems[:5])}{more}")


def save_folder(folder: str | os.PathLike[str], checkpoint: Checkpoint, *, dtype: torch.dtype | None = None) -> None:
    """Write the hub convention: a folder with model.safetensors and config.json."""
    folder = Path(folder)
    if folder.is_file():
        raise InputError(f"{folder} is a file; expected a folder to write config.json and model.safetensors into")
    save_checkpoint(folder / "model.safetensors", checkpoint, dtype=dtype)
    write_atomically(folder / "config.json", config_to_json(checkpoint).encode())
