"""A name, a place or a file -> a checkpoint -> a network. The class of the network is given; this module imports none.

Whatever is not in our format is converted; where it was downloaded, the result is kept in the cache beside it.
"""

import logging
import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from ..errors import DownloadError, InputError, LicenseWarning, NotFoundError, OfflineError, WeightsError
from ..runtime.atomic_files import as_path, write_atomically
from ..runtime.checks import check_integer, shown
from ..runtime.device import without_memory
from ..runtime.file_kinds import kind_of
from ..runtime.json_yaml import DESCRIPTION
from ..runtime.tensor_files import read_tensors
from . import hub, manifest
from .checkpoint import (
    Checkpoint,
    NetworkName,
    config_from_json,
    config_to_json,
    has_our_header,
    load_checkpoint,
    save_checkpoint,
)
from .folders import UNNAMED, is_path_like, weight_file
from .formats.official import convert_official, with_average
from .formats.official_pickle import OfficialNetwork, read_pickle
from .formats.torch_files import read_torch_file
from .hub.cache import sha256_of
from .hub.sources import Source, parse_source
from .ports import convert, is_port_safetensors, unwrap
from .ports.common import Request

logger = logging.getLogger(__name__)
NetworkT = TypeVar("NetworkT", bound=nn.Module)

# Part of the name of converted files: raise it whenever a reader changes what it returns.
CONVERSION = 2


@dataclass(frozen=True)
class Loaded:
    """A checkpoint and where it came from."""

    checkpoint: Checkpoint
    source: str
    facts: dict[str, Any] = field(default_factory=dict)  # Further things to show: sha256, verified or not...


@dataclass(frozen=True)
class Wanted:
    """What is wanted of a file, where it leaves a choice."""

    network: NetworkName | None = "Gs"  # None = Gs, or the discriminator of a file without a generator.
    resolution: int | None = None
    fused_from: int = 128

    @property
    def key(self) -> str:
        """Part of the name of a converted file."""
        fused = "" if self.fused_from == 128 else f"-fused{self.fused_from}"
        return f"{self.network or 'any'}-{self.resolution or 'any'}{fused}"


def read_weights(
    name_or_path: str | os.PathLike[str],
    *,
    network: NetworkName | None = "Gs",
    resolution: int | None = None,
    fused_from: int = 128,
    revision: str | None = None,
    access: hub.Access | None = None,
) -> Loaded:
    """Read the checkpoint of a manifest name, a folder, a file, a hub repository or a URL.

    network: which one of a file with several: "Gs" is the generator with averaged weights, "G" the one as trained, "D"
        the discriminator; None = Gs, or the discriminator of a file that holds no generator.
    resolution: of the image, where a file of another port does not tell it; None = from the file.
    fused_from: lowest resolution to which a network of genforce enlarges by a transposed convolution.
    revision: of a hub repository. access: how files are fetched; None = the defaults.

    A manifest name goes before a file of the same name, and a file before a repository; write ./name for the file,
    hf:user/name for the repository. Raises NotFoundError if there is nothing, DownloadError if it cannot be had,
    WeightsError if the file is not what it should be, IntegrityError if it is another one.
    """
    if not isinstance(name_or_path, str | os.PathLike) or not os.fspath(name_or_path):
        raise InputError(f"expected a model's name, path, repository or URL, got {shown(name_or_path)}")
    if resolution is not None:
        check_integer(resolution, what="resolution", low=4, high=2**14)
    access = access or hub.Access()
    wanted = Wanted(network, resolution, fused_from)
    loaded = _read(name_or_path, wanted, revision, access)
    _check_wanted(loaded, wanted)
    return loaded


def _read(name_or_path: str | os.PathLike[str], wanted: Wanted, revision: str | None, access: hub.Access) -> Loaded:
    path = Path(os.path.expanduser(as_path(name_or_path)))
    if isinstance(name_or_path, str):
        if name_or_path in manifest.entries():
            return _read_entry(manifest.find(name_or_path), wanted, revision, access)
        if not path.exists() and (source := parse_source(name_or_path, revision=revision)):
            if revision is None and is_path_like(name_or_path):
                raise NotFoundError(f"{path}: no such file or folder; a repository of a model hub is hf:{name_or_path}")
            return _read_source(source, wanted, access, typed=name_or_path)
    if revision is not None:
        raise InputError(f"revision {shown(revision)} is for repositories of a model hub; {path} is a path")
    return Loaded(_read_path(path, wanted), str(path))


def _check_wanted(loaded: Loaded, wanted: Wanted) -> None:
    """Raise WeightsError for another network or resolution than was asked for: nothing stands in for it."""
    checkpoint = loaded.checkpoint
    expected = {"D": "Discriminator", "G": "Generator", "Gs": "Generator", None: checkpoint.network}[wanted.network]
    if checkpoint.network != expected:
        raise WeightsError(f"{loaded.source}: holds a {checkpoint.network}, expected a {expected}, which it lacks")
    made = checkpoint.config.get("img_resolution")
    if wanted.resolution not in (None, made):
        raise WeightsError(
            f"{loaded.source}: its network is of {made}x{made}, not {wanted.resolution}x{wanted.resolution}; "
            "leave the resolution out"
        )


def _read_entry(entry: manifest.Entry, wanted: Wanted, revision: str | None, access: hub.Access) -> Loaded:
    """Read a model of the manifest from the first of its places that can be had."""
    if revision is not None and not any(file.source.kind == "hub" for file in entry.files):
        raise InputError(f"{entry.name!r} comes from no model hub and has no revision {shown(revision)}; leave it out")
    if entry.is_bundled:
        with manifest.open_file(entry) as path:
            facts: dict[str, Any] = {"sha256": entry.files[0].sha256}
            loaded = Loaded(load_checkpoint(path), str(entry.files[0].source), facts)
    else:
        known = replace(wanted, resolution=wanted.resolution or entry.resolution)
        loaded = _read_first(entry, known, revision, access)
    checkpoint = loaded.checkpoint
    checkpoint.metadata = checkpoint.metadata | entry.facts
    if checkpoint.network == "Generator":
        checkpoint.config = checkpoint.config | entry.options
    return loaded


def _read_first(entry: manifest.Entry, wanted: Wanted, revision: str | None, access: hub.Access) -> Loaded:
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
            warnings.warn(message, LicenseWarning, stacklevel=6)
        return _converted(fetched, source, wanted, access)
    raise failures[0]


def _read_source(source: Source, wanted: Wanted, access: hub.Access, typed: str) -> Loaded:
    """Read a repository or URL. typed: what the user wrote."""
    try:
        if source.filename is None:
            source = hub.find_weights(source, access)
        fetched = hub.fetch(source, access, update=True)
    except (NotFoundError, OfflineError) as error:
        if typed.startswith("hf:") or "://" in typed:
            raise
        raise type(error)(f"{error}; nor is there a file or folder {typed}") from error
    return _converted(fetched, source, wanted, access)


def _converted(fetched: hub.Fetched, source: Source, wanted: Wanted, access: hub.Access) -> Loaded:
    """Read a fetched file; one that is not in our format is converted the first time, and kept so in the cache."""
    facts = {"sha256": fetched.sha256 + ("" if fetched.is_verified else " (unverified: nobody named it)")}
    if kind_of(fetched.named) == "safetensors" and not is_port_safetensors(fetched.path):
        config = None
        if source.kind == "hub" and not has_our_header(fetched.path):
            beside = str(Path(str(source.filename)).with_name("config.json").as_posix())
            place = Source("hub", source.location, beside, source.revision)
            config = config_from_json(hub.fetch(place, access, most=DESCRIPTION.bytes, update=True).path)
        return Loaded(load_checkpoint(fetched.path, config=config), str(source), facts)

    cache = access.cache
    kept = cache.own / "converted" / f"{fetched.sha256}-{wanted.key}-v{CONVERSION}.safetensors"
    record = cache.recall(kept)
    if record and record.is_current and not access.force_download:
        return Loaded(load_checkpoint(kept), str(source), facts)
    checkpoint = read_file(fetched.named, wanted)
    if source.kind == "hub" and fetched.named.stem in UNNAMED:
        checkpoint.metadata["name"] = source.location.split("/")[1]
    try:
        save_checkpoint(kept, checkpoint)
        cache.remember(kept, sha256_of(kept), source=f"converted from {source}", expected=None)
    except OSError as error:  # A cache that cannot be written works too, only slower.
        logger.info("the converted weights of %s could not be kept: %s", source, error)
    return Loaded(checkpoint, str(source), facts)


def _read_path(path: Path, wanted: Wanted) -> Checkpoint:
    if path.is_dir():
        file = weight_file(path)
        described = file.with_name("config.json")
        checkpoint = read_file(file, wanted, described=described if described.is_file() else None)
        if checkpoint.metadata.get("name") in UNNAMED:
            checkpoint.metadata["name"] = path.resolve().name
        return checkpoint
    if not path.is_file():
        if path.suffix or len(path.parts) > 1:
            raise NotFoundError(f"{path}: no such file or folder")
        manifest.find(str(path))  # Raises, with the nearest names.
    return read_file(path, wanted)


def read_file(path: Path, wanted: Wanted = Wanted(), *, described: Path | None = None) -> Checkpoint:
    """Read a weight file of any origin: ours, official, or another port's. Its content counts, not its name.

    described: the config.json beside it, for tensors without our header.
    """
    kind = kind_of(path)
    if kind == "safetensors":
        if not is_port_safetensors(path):
            return load_checkpoint(path, config=config_from_json(described) if described else None)
        data, _ = read_tensors(path, error=WeightsError)
    elif kind == "pickle":
        networks, arrays = read_pickle(path)
        if networks:
            return _convert_networks(networks, arrays, path, wanted)
        as_tensors = {part: {k: torch.from_numpy(np.array(v)) for k, v in own.items()} for part, own in arrays.items()}
        data = as_tensors.pop("", {}) | as_tensors
    else:
        data = read_torch_file(path)
    request = Request(path, wanted.resolution, wanted.network or "Gs", wanted.fused_from)
    checkpoints = convert(unwrap(data, str(path)), request)
    classes = {"D": ("Discriminator",), None: ("Generator", "Discriminator")}.get(wanted.network, ("Generator",))
    for checkpoint in checkpoints:
        if checkpoint.network in classes:
            return checkpoint
    held = ", ".join(checkpoint.network for checkpoint in checkpoints)
    raise WeightsError(f"{path}: holds no {classes[0]}; it has {held or 'nothing'}")


def _convert_networks(
    networks: Mapping[str, OfficialNetwork], beside: Mapping[str, Any], path: Path, wanted: Wanted
) -> Checkpoint:
    """One network of an official file; `beside`: the arrays that stand beside the networks."""
    order = [wanted.network] if wanted.network else ["Gs", *networks]
    # A file with a single network gives that one.
    chosen = next((networks[name] for name in order if name in networks), None)
    if chosen is None and len(networks) == 1:
        (chosen,) = networks.values()
    if chosen is None:
        raise WeightsError(f"{path}: holds no network {wanted.network!r}; it has {', '.join(networks)}")
    metadata: dict[str, Any] = {"name": path.stem, "source": f"{chosen.name} of {path.name}"}
    try:
        return convert_official(with_average(chosen, networks, beside, metadata), metadata)
    except WeightsError as error:
        raise WeightsError(f"{path}: {error}") from error


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


def save_folder(
    folder: str | os.PathLike[str], checkpoint: Checkpoint, *, dtype: str | torch.dtype | None = None
) -> None:
    """Write the hub convention: a folder with model.safetensors and config.json."""
    folder = as_path(folder)
    if folder.is_file():
        raise InputError(f"{folder} is a file; expected a folder to write config.json and model.safetensors into")
    save_checkpoint(folder / "model.safetensors", checkpoint, dtype=dtype)
    write_atomically(folder / "config.json", config_to_json(checkpoint).encode())
