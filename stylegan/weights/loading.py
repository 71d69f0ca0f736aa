"""A name, a place or a file -> a checkpoint -> a network. The class of the network is given; this module imports none.

Whatever is not in our format is converted; where it was downloaded, the result is kept in the cache beside it.
"""

import logging
import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

import safetensors
import torch
from torch import Tensor, nn

from ..errors import DownloadError, InputError, LicenseWarning, NotFoundError, WeightsError
from ..files import write_atomically
from ..placement import without_memory
from ..small_files import DESCRIPTION
from . import hub, manifest
from .cache import sha256_of
from .checkpoint import (
    Checkpoint,
    config_from_json,
    config_to_json,
    load_checkpoint,
    save_checkpoint,
)
from .official import convert_official
from .official_pickle import read_official_pickle
from .sources import SUFFIXES, Source, parse_source

logger = logging.getLogger(__name__)
NetworkT = TypeVar("NetworkT", bound=nn.Module)

# The networks of an official file: generator, discriminator, and the generator with averaged weights.
OfficialName = Literal["G", "D", "Gs"]

# Part of the name of converted files: raise it whenever a reader changes what it returns.
CONVERSION = 1


@dataclass(frozen=True)
class Loaded:
    """A checkpoint and where it came from."""

    checkpoint: Checkpoint
    source: str
    facts: dict[str, Any] = field(default_factory=dict)  # Further things to show: sha256, verified or not...


def read_weights(
    name_or_path: str | os.PathLike[str],
    *,
    network: OfficialName = "Gs",
    revision: str | None = None,
    access: hub.Access | None = None,
) -> Loaded:
    """Read the checkpoint of a manifest name, a folder, a file, a hub repository or a URL.

    network: which one of an official file; "D" is the discriminator of any file, the others its generator.
    revision: of a hub repository. access: how files are fetched; None = the defaults.

    A manifest name goes before a file of the same name, and a file before a repository; write ./name for the file,
    hf:user/name for the repository. Raises NotFoundError if there is nothing, DownloadError if it cannot be had,
    WeightsError if the file is not what it should be, IntegrityError if it is another one.
    """
    access = access or hub.Access()
    path = Path(name_or_path)
    if isinstance(name_or_path, str):
        if name_or_path in manifest.entries():
            return _read_entry(manifest.find(name_or_path), network, revision, access)
        if not path.exists() and (source := parse_source(name_or_path, revision=revision)):
            return _read_source(source, network, access)
    if revision is not None:
        raise InputError(f"revision {revision!r} is for repositories of a model hub; {path} is a path")
    return Loaded(_read_path(path, network), str(path))


def _read_entry(entry: manifest.Entry, network: OfficialName, revision: str | None, access: hub.Access) -> Loaded:
    """Read a model of the manifest from the first of its places that can be had."""
    if revision is not None and not any(file.source.kind == "hub" for file in entry.files):
        raise InputError(f"{entry.name!r} comes from no model hub and has no revision {revision!r}; leave it out")
    if entry.is_bundled:
        with manifest.open_file(entry) as path:
            facts: dict[str, Any] = {"sha256": entry.files[0].sha256}
            loaded = Loaded(load_checkpoint(path), str(entry.files[0].source), facts)
    else:
        loaded = _read_first(entry, network, revision, access)
    checkpoint = loaded.checkpoint
    checkpoint.metadata = checkpoint.metadata | entry.facts
    if checkpoint.network == "Generator":
        checkpoint.config = checkpoint.config | entry.options
    return loaded


def _read_first(entry: manifest.Entry, network: OfficialName, revision: str | None, access: hub.Access) -> Loaded:
    failures: list[DownloadError] = []
    for file in entry.files:
        source, size, sha256 = file.source, file.size, file.sha256
        if revision is not None and source.kind == "hub":  # Another revision is another file.
            source, size, sha256 = Source("hub", source.location, source.filename, revision), None, None
        try:
            fetched = hub.fetch(source, access, size=size, sha256=sha256)
        except DownloadError as error:
            failures.append(error)
            continue
        if fetched.is_new and entry.is_noncommercial:
            message = f"{entry.name}: {entry.license} ({entry.license_url}). {entry.attribution}"
            warnings.warn(message, LicenseWarning, stacklevel=5)
        return _converted(fetched, source, network, access, entry.resolution)
    raise failures[0]


def _read_source(source: Source, network: OfficialName, access: hub.Access) -> Loaded:
    """Read a repository or URL."""
    if source.filename is None:
        source = hub.find_weights(source, access)
    return _converted(hub.fetch(source, access, update=True), source, network, access, None)


def _converted(
    fetched: hub.Fetched, source: Source, network: OfficialName, access: hub.Access, resolution: int | None
) -> Loaded:
    """Read a fetched file; one that is not in our format is converted the first time, and kept so in the cache."""
    facts = {"sha256": fetched.sha256 + ("" if fetched.is_verified else " (unverified: nobody named it)")}
    if _is_safetensors(fetched.path):
        config = None
        if source.kind == "hub" and not _has_our_header(fetched.path):
            beside = str(Path(str(source.filename)).with_name("config.json").as_posix())
            place = Source("hub", source.location, beside, source.revision)
            config = config_from_json(hub.fetch(place, access, most=DESCRIPTION.bytes, update=True).path)
        return Loaded(load_checkpoint(fetched.path, config=config), str(source), facts)

    cache = access.cache
    name = f"{fetched.sha256}-{network}-{resolution or 'any'}-v{CONVERSION}.safetensors"
    kept = cache.own / "converted" / name
    record = cache.recall(kept)
    if record and record.is_current and not access.force_download:
        return Loaded(load_checkpoint(kept), str(source), facts)
    checkpoint = read_file(fetched.named, network, resolution=resolution)
    if source.kind == "hub" and fetched.named.stem in ("model", "pytorch_model"):
        checkpoint.metadata["name"] = source.location.split("/")[1]
    try:
        save_checkpoint(kept, checkpoint)
        cache.remember(kept, sha256_of(kept), source=f"converted from {source}", expected=None)
    except OSError as error:  # A cache that cannot be written works too, only slower.
        logger.info("the converted weights of %s could not be kept: %s", source, error)
    return Loaded(checkpoint, str(source), facts)


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
    return read_file(path, network)


def read_file(path: Path, network: OfficialName = "Gs", *, resolution: int | None = None) -> Checkpoint:
    """Read a weight file of any origin: ours, official, or another port's. See `read_weights`.

    resolution: of the image, where the file of another port does not tell it.
    """
    suffix = path.suffix
    if suffix not in SUFFIXES:
        raise WeightsError(f"{path}: unknown kind of file {suffix!r}; expected one of {', '.join(SUFFIXES)}")
    if suffix == ".safetensors":
        return load_checkpoint(path)
    if suffix == ".pkl" and not _is_zip(path):
        networks = read_official_pickle(path)
        # A file with a single network gives that one.
        chosen = networks.get(network) or (next(iter(networks.values())) if len(networks) == 1 else None)
        if chosen is None:
            raise WeightsError(f"{path}: holds no network {network!r}; it has {', '.join(networks)}")
        return convert_official(chosen, {"name": path.stem, "source": f"{chosen.name} of {path.name}"})
    from .layouts import read_port_file

    checkpoints = read_port_file(path, resolution=resolution)
    wanted = "Discriminator" if network == "D" else "Generator"
    for checkpoint in checkpoints:
        if checkpoint.network == wanted:
            return checkpoint
    held = ", ".join(checkpoint.network for checkpoint in checkpoints)
    raise WeightsError(f"{path}: holds no {wanted}; it has {held or 'nothing'}")


def _is_safetensors(path: Path) -> bool:
    """Whether a file begins like safetensors: the length of a JSON object, and the object."""
    with path.open("rb") as file:
        return file.read(9)[8:] == b"{"


def _has_our_header(path: Path) -> bool:
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            return "stylegan_format_version" in (file.metadata() or {})
    except safetensors.SafetensorError:
        return True  # Damaged: whoever reads it says so.


def _is_zip(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(4) == b"PK\x03\x04"


def build_network(cls: type[NetworkT], loaded: Loaded) -> NetworkT:
    """Make the network that a checkpoint describes and fill it, strictly, with float32 weights.

    Raises WeightsError if the config describes no such network, or if a tensor is missing, left over or of another
    shape: a network is never left with initial weights.
    """
    checkpoint = loaded.checkpoint
    if checkpoint.network not in {c.__name__ for c in cls.__mro__}:
        raise WeightsError(f"{loaded.source}: holds a {checkpoint.network}, expected a {cls.__name__}")
    try:
        # Nothing is allocated before the shapes are known to fit.
        with without_memory():
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
