"""A name, a location or a path -> a file -> a checkpoint -> a network: fetch, read, build.

A file's format is recognized by its content: ours, the official code's or another port's. The class of the network is
given; nothing here imports one.
"""

import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from torch import Tensor, nn

from ..errors import LicenseWarning, WeightsError
from ..runtime.checks import check_integer
from ..runtime.device import without_memory
from ..runtime.file_kinds import kind_of
from .checkpoint import DELTA, Checkpoint, NetworkName, config_from_json, has_our_header, load_checkpoint
from .fetching import fetch
from .files import Wanted, WeightFile
from .folders import UNNAMED
from .hub import Access

NetworkT = TypeVar("NetworkT", bound=nn.Module)


@dataclass(frozen=True)
class Loaded:
    """A checkpoint and where it came from."""

    checkpoint: Checkpoint
    source: str
    facts: dict[str, Any] = field(default_factory=dict)  # Other facts to show: sha256, verified or not...


def read_weights(
    name_or_path: str | os.PathLike[str],
    *,
    network: NetworkName | None = "Gs",
    resolution: int | None = None,
    fused_from: int = 128,
    revision: str | None = None,
    access: Access | None = None,
    is_base: bool = False,
) -> Loaded:
    """Read the checkpoint of a manifest name, a folder, a file, a hub repository or a URL; see `fetching.fetch`.

    network: which network of a file with several: "Gs" is the generator with averaged weights, "G" the raw one, "D" the
        discriminator; None = Gs, or the discriminator if there is no generator.
    resolution: of the image, for files of other ports that do not say; None = from the file.
    fused_from: lowest resolution to which a network of genforce enlarges by a transposed convolution.
    revision: of a hub repository. access: how files are fetched; None = the defaults.
    is_base: refuse a delta, which otherwise is read with its base.

    Raises NotFoundError if there is nothing, DownloadError if it cannot be fetched, WeightsError if the file is
    invalid, IntegrityError if it is a different file.
    """
    if resolution is not None:
        check_integer(resolution, what="resolution", low=4, high=2**14)
    access = access or Access()
    wanted, checked = Wanted(network, resolution, fused_from, is_base), dict[Path, Checkpoint]()

    def check(file: WeightFile) -> None:
        try:
            checked[file.path] = _read(file, wanted, access)
        except WeightsError:
            # If this works, the file is valid, and only lacks what was requested.
            _read(file, Wanted(network=None, is_base=is_base), access)

    with fetch(name_or_path, network=network, revision=revision, access=access, check=check) as file:
        if file.terms:
            warnings.warn(file.terms, LicenseWarning, stacklevel=6)  # The caller of from_pretrained.
        checkpoint = checked[file.path] if file.path in checked else _read(file, wanted, access)
        return Loaded(checkpoint, file.source, file.facts)


def _read(file: WeightFile, wanted: Wanted, access: Access) -> Checkpoint:
    """The checkpoint of a fetched file. access: its cache keeps converted downloads.

    Raises WeightsError if the file is invalid, or holds another network or resolution than requested.
    """
    asked = wanted if file.entry is None else replace(wanted, resolution=wanted.resolution or file.entry.resolution)
    if _is_native(file.path):
        config = None if file.config is None else config_from_json(file.config)
        checkpoint = load_checkpoint(file.path, config=config)
        if checkpoint.network == DELTA:
            checkpoint = _on_its_base(checkpoint, file, wanted, access)
        checkpoint = asked.check(checkpoint, file)
    else:
        from .conversion import convert_file  # Our own files need none of its readers.

        checkpoint = convert_file(file, asked, access)
    if file.model and checkpoint.metadata.get("name") in UNNAMED:
        checkpoint.metadata["name"] = file.model
    if file.entry is not None:
        checkpoint.metadata = checkpoint.metadata | file.entry.facts
        if checkpoint.network == "Generator":
            checkpoint.config = checkpoint.config | file.entry.options
    return checkpoint


def _on_its_base(delta: Checkpoint, file: WeightFile, wanted: Wanted, access: Access) -> Checkpoint:
    """The generator from a delta and its base, which is read first. Raises WeightsError for another base."""
    from ..networks.generator import GeneratorNetwork  # Only deltas need the network class here.
    from .deltas import Base, add_delta

    if wanted.is_base:
        raise WeightsError(f"{file.source}: a delta, which can be no base; `stylegan convert` makes it a whole file")
    base = Base.of(delta, file.source)
    found = read_weights(base.find(file.path), resolution=base.resolution, access=access, is_base=True)
    config, tensors, metadata = found.checkpoint.config, found.checkpoint.state_dict, found.checkpoint.metadata
    network = build_network(GeneratorNetwork, Loaded(Checkpoint("GeneratorNetwork", config, tensors), found.source))
    whole = Checkpoint("Generator", network.config, network.state_dict(), metadata)
    return add_delta(whole, delta, file.source)


def _is_native(path: Path) -> bool:
    """Whether a file is in our format: with our header, or described by a config.json next to it."""
    if kind_of(path) != "safetensors":
        return False
    if has_our_header(path):
        return True
    from .ports import is_port_safetensors

    return not is_port_safetensors(path)


def build_network(cls: type[NetworkT], loaded: Loaded) -> NetworkT:
    """Make the network that a checkpoint describes and fill it, strictly, with float32 weights.

    Raises WeightsError if the config describes no such network, or if a tensor is missing, unexpected or misshapen: a
    network never keeps initial weights.
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
