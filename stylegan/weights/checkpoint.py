"""Our checkpoint: one safetensors file whose header carries the config of its network, so that one file is one model.

The header's metadata holds `stylegan_format_version`, `network` (Generator, Discriminator...), and as JSON `config`
(the arguments of the network) and `metadata` (name, dataset, license, kimg, source...). This module imports no
networks.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from ..errors import InputError, WeightsError
from ..networks.quirks import spread_quirks
from ..runtime.atomic_files import as_path, write_atomically
from ..runtime.device import check_dtype
from ..runtime.json_yaml import parse_json, read_json
from ..runtime.tensor_files import check_finite, read_header, read_tensors, write_tensors

FORMAT_VERSION = "1"

# The network's name in a file with differences to a generator; see `deltas`.
DELTA = "GeneratorDelta"

# The networks of a file: generator and discriminator as trained, the generator with averaged weights, and the encoder.
NetworkName = Literal["G", "D", "Gs", "E"]

_DTYPES = {torch.float16, torch.bfloat16, torch.float32, torch.float64}


@dataclass
class Checkpoint:
    """A network as data: the name of its class, its arguments, its tensors, and its metadata."""

    network: str
    config: dict[str, Any]
    state_dict: dict[str, Tensor]
    metadata: dict[str, Any] = field(default_factory=dict)

    def sha256(self) -> str:
        """The sha256 of config and tensors, on any device: the same for the same network under any name."""
        digest = hashlib.sha256(json.dumps(spread_quirks(self.config), sort_keys=True).encode())
        for name, tensor in self.state_dict.items():
            digest.update(f"{name} {tensor.dtype} {list(tensor.shape)}".encode())
            digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
        return digest.hexdigest()


def save_checkpoint(
    path: str | os.PathLike[str], checkpoint: Checkpoint, *, dtype: str | torch.dtype | None = None
) -> None:
    """Write a checkpoint atomically, completely or not at all.

    dtype: data type in the file, float16 for half the size; None = unchanged. Raises InputError for types other than
    float32, float16 and bfloat16.
    """
    path, stored = as_path(path), None if dtype is None else check_dtype(dtype)
    tensors = {name: tensor.detach().to("cpu", stored).contiguous() for name, tensor in checkpoint.state_dict.items()}
    header = {
        "format": "pt",  # Other libraries require this before they read a file as torch tensors.
        "stylegan_format_version": FORMAT_VERSION,
        "network": checkpoint.network,
        "config": json.dumps(checkpoint.config),
        "metadata": json.dumps(checkpoint.metadata),
    }
    write_tensors(path, tensors, header)


def load_checkpoint(path: str | os.PathLike[str], *, config: Checkpoint | None = None) -> Checkpoint:
    """Read a checkpoint. `config` describes the network where the header does not (a hub folder's config.json).

    Raises WeightsError if the file is malformed, of a newer format, or holds anything but finite numbers.
    """
    path = Path(path)
    state_dict, header = read_tensors(path, error=WeightsError)
    described = _read_header(header, path, config)
    for name, tensor in state_dict.items():
        if tensor.dtype not in _DTYPES and not (described.network == DELTA and tensor.dtype == torch.int8):
            raise WeightsError(
                f"{path}: tensor {name!r} is {tensor.dtype}; weights are floating point, 16 bits or more"
            )
    check_finite(state_dict, f"{path}: tensor")
    described.state_dict = state_dict
    return described


def has_our_header(path: Path) -> bool:
    """Whether a safetensors file describes its network; a damaged one counts, for its reader to say so."""
    try:
        return "stylegan_format_version" in read_header(path, error=WeightsError).metadata
    except WeightsError:
        return True


def config_to_json(checkpoint: Checkpoint) -> str:
    """The config.json of a hub folder."""
    described = {
        "stylegan_format_version": FORMAT_VERSION,
        "network": checkpoint.network,
        "config": checkpoint.config,
        "metadata": checkpoint.metadata,
    }
    return json.dumps(described, indent=2) + "\n"


def config_from_json(path: Path) -> Checkpoint:
    """Read the config.json of a hub folder: a checkpoint without tensors. Raises WeightsError if it is malformed."""
    return _describe(read_json(path, error=WeightsError), path)


def _read_header(header: Mapping[str, str], path: Path, config: Checkpoint | None) -> Checkpoint:
    if "stylegan_format_version" not in header:
        if config is None:
            raise WeightsError(
                f"{path}: a safetensors file without our header (stylegan_format_version); "
                "expected one written by this library, or a folder with config.json and model.safetensors"
            )
        return config
    parsed = dict(header) | {
        key: parse_json(header.get(key, "{}"), where=f"{path}: {key}", error=WeightsError)
        for key in ("config", "metadata")
    }
    described = _describe(parsed, path)
    if config is not None and (config.network, config.config) != (described.network, described.config):
        raise WeightsError(f"{path}: its header and {path.with_name('config.json')} describe different networks")
    return described


def _describe(described: Any, path: Path) -> Checkpoint:
    if not isinstance(described, dict) or "stylegan_format_version" not in described:
        raise WeightsError(f"{path}: no stylegan_format_version; expected a file written by this library")
    version = described["stylegan_format_version"]
    if version != FORMAT_VERSION:
        raise WeightsError(
            f"{path}: checkpoint format {str(version)[:20]!r}, expected {FORMAT_VERSION!r}; "
            "a newer stylegan may read it: pip install -U stylegan"
        )
    network, config, metadata = (described.get(key) for key in ("network", "config", "metadata"))
    if not isinstance(network, str) or not isinstance(config, dict) or not isinstance(metadata, dict):
        raise WeightsError(f"{path}: malformed header: expected a network name, a config and metadata")
    return Checkpoint(network, config, {}, metadata)


def save_folder(
    folder: str | os.PathLike[str], checkpoint: Checkpoint, *, dtype: str | torch.dtype | None = None
) -> None:
    """Write the hub convention: a folder with model.safetensors and config.json."""
    folder = as_path(folder)
    if folder.is_file():
        raise InputError(f"{folder} is a file; expected a folder to write config.json and model.safetensors into")
    save_checkpoint(folder / "model.safetensors", checkpoint, dtype=dtype)
    write_atomically(folder / "config.json", config_to_json(checkpoint).encode())
