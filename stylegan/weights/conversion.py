"""Files in other formats -> a checkpoint: official pickles, torch.save files and safetensors of other ports.

Downloads are converted once; the result is cached with them. So is the average w of any file that lacks it: computing
it takes longer than everything else.
"""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..errors import WeightsError
from ..runtime.file_kinds import kind_of
from ..runtime.tensor_files import read_tensors
from .checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from .files import Wanted, WeightFile
from .formats.official import convert_official, with_average
from .formats.official_pickle import OfficialNetwork, read_pickle
from .formats.torch_files import read_torch_file
from .hub import Access
from .hub.cache import Cache, sha256_of
from .ports import convert, unwrap
from .ports.checkpoints import average_w
from .ports.common import AverageW, Request, Tensors

logger = logging.getLogger(__name__)

# Part of the name of converted files: increase it whenever a reader's result changes.
CONVERSION = 2


def convert_file(file: WeightFile, wanted: Wanted, access: Access) -> Checkpoint:
    """The requested network of a file in another format; downloads are converted once and cached.

    access: its cache keeps it. Raises WeightsError if the file is malformed, unknown or holds no such network.
    """
    if file.fetched is None:
        return wanted.check(_read(file.path, wanted, access), file)
    cache = access.cache
    kept = cache.own / "converted" / f"{file.fetched.sha256}-{wanted.key}-v{CONVERSION}.safetensors"
    record = cache.recall(kept)
    if record and record.is_current and not file.fetched.is_new:
        return load_checkpoint(kept)
    checkpoint = wanted.check(_read(file.path, wanted, access), file)
    _keep(kept, checkpoint, cache, f"converted from {file.source}")
    return checkpoint


def _keep(path: Path, checkpoint: Checkpoint, cache: Cache, source: str) -> None:
    """Write a result into the cache, if it is writable."""
    try:
        save_checkpoint(path, checkpoint)
        cache.remember(path, sha256_of(path), source=source, expected=None)
    except OSError as error:  # The cache only saves time.
        logger.info("%s: not kept in the cache: %s", source, error)


def _average_of(file: Path, access: Access) -> AverageW:
    """`average_w`, computed once for each mapping network."""

    def average(state: Tensors, config: Mapping[str, Any]) -> Tensor:
        options = {name: config[name] for name in ("z_dim", "w_dim", "label_dim", "mapping")}
        mapping = {name: tensor for name, tensor in state.items() if name.startswith("mapping.")}
        digest = Checkpoint("MappingNetwork", options, mapping).sha256()
        cache = access.cache
        kept = cache.own / "averages" / f"{digest}-v{CONVERSION}.safetensors"
        record = cache.recall(kept)
        if record and record.is_current:
            return load_checkpoint(kept).state_dict["w_avg"]
        w_avg = average_w(state, config)
        _keep(kept, Checkpoint("MappingNetwork", options, {"w_avg": w_avg}), cache, f"the average w of {file.name}")
        return w_avg

    return average


def _read(path: Path, wanted: Wanted, access: Access) -> Checkpoint:
    """The requested network of a file. access: its cache keeps an average w that had to be computed."""
    kind = kind_of(path)
    data: Any
    if kind == "safetensors":
        data, _ = read_tensors(path, error=WeightsError)
    elif kind == "pickle":
        networks, arrays = read_pickle(path)
        if networks:
            return _convert_networks(networks, arrays, path, wanted)
        as_tensors = {part: {k: torch.from_numpy(np.array(v)) for k, v in own.items()} for part, own in arrays.items()}
        data = as_tensors.pop("", {}) | as_tensors
    else:
        data = read_torch_file(path)
    options = (wanted.resolution, wanted.network or "Gs", wanted.fused_from)
    request = Request(path, *options, make_average=_average_of(path, access))
    checkpoints = convert(unwrap(data, str(path)), request)
    for checkpoint in checkpoints:
        if checkpoint.network in wanted.classes:
            return checkpoint
    held = ", ".join(checkpoint.network for checkpoint in checkpoints)
    raise WeightsError(f"{path}: holds no {wanted.classes[0]}; it has {held or 'nothing'}")


def _convert_networks(
    networks: Mapping[str, OfficialNetwork], beside: Mapping[str, Any], path: Path, wanted: Wanted
) -> Checkpoint:
    """One network of an official file. beside: the other arrays of the file."""
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
