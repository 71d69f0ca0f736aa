"""The bytes of a weight file -> a checkpoint: ours, the official code's or another port's. Content counts, not names.

What is not in our format is converted; where it was downloaded, the result is kept in the cache beside it.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..errors import WeightsError
from ..runtime.file_kinds import kind_of
from ..runtime.tensor_files import read_tensors
from .checkpoint import Checkpoint, NetworkName, config_from_json, load_checkpoint, save_checkpoint
from .fetching import WeightFile
from .folders import UNNAMED
from .formats.official import convert_official, with_average
from .formats.official_pickle import OfficialNetwork, read_pickle
from .formats.torch_files import read_torch_file
from .hub import Fetched
from .hub.cache import Cache, sha256_of
from .ports import convert, is_port_safetensors, unwrap
from .ports.common import Request

logger = logging.getLogger(__name__)

# Part of the name of converted files: raise it whenever a reader changes what it returns.
CONVERSION = 2

_CLASSES: dict[NetworkName | None, tuple[str, ...]] = {
    "G": ("Generator",),
    "Gs": ("Generator",),
    "D": ("Discriminator",),
    None: ("Generator", "Discriminator"),
}


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


def read(file: WeightFile, wanted: Wanted, cache: Cache | None = None) -> Checkpoint:
    """The checkpoint of a file that was fetched. cache: where a conversion is kept; None = nowhere.

    Raises WeightsError if the file is not what it should be, or holds another network or resolution than is wanted.
    """
    asked = wanted if file.entry is None else replace(wanted, resolution=wanted.resolution or file.entry.resolution)
    if cache is not None and file.fetched is not None and needs_conversion(file.path):
        checkpoint = _converted(file, file.fetched, asked, cache)
    else:
        checkpoint = _read_asked(file, asked)
    if file.model and checkpoint.metadata.get("name") in UNNAMED:
        checkpoint.metadata["name"] = file.model
    if file.entry is not None:
        checkpoint.metadata = checkpoint.metadata | file.entry.facts
        if checkpoint.network == "Generator":
            checkpoint.config = checkpoint.config | file.entry.options
    return checkpoint


def read_file(path: Path, wanted: Wanted = Wanted(), *, config: Path | None = None) -> Checkpoint:
    """Read a weight file of any origin. config: the config.json beside it, for tensors without our header."""
    kind = kind_of(path)
    data: Any
    if kind == "safetensors":
        if not is_port_safetensors(path):
            return load_checkpoint(path, config=config_from_json(config) if config else None)
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
    classes = _CLASSES[wanted.network]
    for checkpoint in checkpoints:
        if checkpoint.network in classes:
            return checkpoint
    held = ", ".join(checkpoint.network for checkpoint in checkpoints)
    raise WeightsError(f"{path}: holds no {classes[0]}; it has {held or 'nothing'}")


def needs_conversion(path: Path) -> bool:
    """Whether a weight file is not in our format."""
    return kind_of(path) != "safetensors" or is_port_safetensors(path)


def _converted(file: WeightFile, fetched: Fetched, wanted: Wanted, cache: Cache) -> Checkpoint:
    """A downloaded file in our format: converted the first time, and kept so."""
    kept = cache.own / "converted" / f"{fetched.sha256}-{wanted.key}-v{CONVERSION}.safetensors"
    record = cache.recall(kept)
    if record and record.is_current and not fetched.is_new:
        return load_checkpoint(kept)
    checkpoint = _read_asked(file, wanted)
    try:
        save_checkpoint(kept, checkpoint)
        cache.remember(kept, sha256_of(kept), source=f"converted from {file.source}", expected=None)
    except OSError as error:  # A cache that cannot be written works too, only slower.
        logger.info("the converted weights of %s could not be kept: %s", file.source, error)
    return checkpoint


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


def _read_asked(file: WeightFile, asked: Wanted) -> Checkpoint:
    """Read a file. Raises WeightsError for another network or resolution than was asked for: none stands in for it."""
    checkpoint = read_file(file.path, asked, config=file.config)
    expected = _CLASSES[asked.network]
    if checkpoint.network not in expected:
        raise WeightsError(f"{file.source}: holds a {checkpoint.network}, expected a {expected[0]}, which it lacks")
    made = checkpoint.config.get("img_resolution")
    if asked.resolution not in (None, made):
        hint = "" if file.entry else "; leave the resolution out"
        raise WeightsError(
            f"{file.source}: its network is of {made}x{made}, not {asked.resolution}x{asked.resolution}{hint}"
        )
    return checkpoint
