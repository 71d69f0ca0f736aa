"""Shared by the readers of other ports' files: taking tensors by name. `checkpoints` builds ours from them.

A reader maps the names of the port to ours. Everything else follows from the shapes: resolution, feature maps, sizes
of the latents. Missing and unexpected tensors are errors.
"""

import logging
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import sqrt
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ...errors import WeightsError
from ...runtime.tensor_files import check_finite
from ..checkpoint import Checkpoint, NetworkName

logger = logging.getLogger(__name__)

Tensors = Mapping[str, Tensor]
# The state dicts of a file by name; "" for a file that is a state dict itself.
Parts = Mapping[str, Tensors]
AverageW = Callable[[Tensors, Mapping[str, Any]], Tensor]  # From our tensors and the config.


@dataclass(frozen=True)
class Request:
    """What is known of a file besides its tensors."""

    path: Path
    resolution: int | None = None  # Of the image: from the caller, or inferred from the tensors or the file name.
    network: NetworkName = "Gs"  # Of a file with two generators: "G" = as trained, else the averaged one.
    fused_from: int = 128  # Lowest resolution that genforce's networks reach by a transposed convolution.
    average: Tensor | None = None  # The average w, if the file has one outside its generator.
    make_average: "AverageW | None" = None  # Computes a missing average w; None = `average_w`.
    notes: tuple[str, ...] = ()  # Decisions made before the conversion.

    @property
    def name(self) -> str:
        """The file name, with its ending."""
        return self.path.name


@dataclass(frozen=True)
class Layout:
    """One layout of weights in circulation."""

    name: str
    recognise: Callable[[Parts], bool]  # By keys alone.
    convert: Callable[[Parts, Request], list[Checkpoint]]  # The generator first, then the discriminator if any.
    is_supported: bool = True  # False = files of this layout are recognized, and refused with the reason.
    is_ours: bool = False  # Whether its keys are ours: for safetensors, config.json next to it has the config.
    integers: tuple[str, ...] = ()  # Keys of integer tensors that `convert` needs; others are dropped.


def refused(name: str, recognise: Callable[[Parts], bool], reason: str) -> Layout:
    """A layout that is recognized but cannot be converted, and the reason."""

    def convert(parts: Parts, request: Request) -> list[Checkpoint]:
        raise WeightsError(f"{request.path}: {reason}")

    return Layout(name, recognise, convert, is_supported=False)


def holds(*names: str) -> Callable[[Tensors], bool]:
    """A test whether one part of a file has all tensors of these names."""
    return lambda tensors: all(name in tensors for name in names)


def any_part(*tests: Callable[[Tensors], bool]) -> Callable[[Parts], bool]:
    """A test whether a part of a file passes one of these tests."""
    return lambda parts: any(test(tensors) for tensors in parts.values() for test in tests)


def count_names(tensors: Tensors, pattern: str) -> int:
    """How many names there are of the form `pattern.format(0)`, `pattern.format(1)`..."""
    n = 0
    while pattern.format(n) in tensors:
        n += 1
    return n


class Source:
    """The tensors of one part of a file, taken one by one."""

    def __init__(self, tensors: Tensors, request: Request):
        self.tensors, self.request = tensors, request
        self.taken: set[str] = set()

    def __contains__(self, name: str) -> bool:
        return name in self.tensors

    def take(self, name: str, ndim: int | None = None) -> Tensor:
        """The tensor of that name, float32. Raises WeightsError if there is none, or not of `ndim` dimensions."""
        if name not in self.tensors:
            raise WeightsError(f"{self.request.path}: tensor {name!r} is missing")
        tensor = self.tensors[name]
        if ndim is not None and tensor.ndim != ndim:
            raise WeightsError(
                f"{self.request.path}: tensor {name!r} is {list(tensor.shape)}; expected {ndim} dimensions"
            )
        self.taken.add(name)
        return finite(name, tensor.float(), self.request)

    def count(self, pattern: str) -> int:
        """How many names there are of the form `pattern.format(0)`, `pattern.format(1)`..."""
        return count_names(self.tensors, pattern)

    def finish(self, ignore: str = r"(?!)") -> None:
        """Raise WeightsError for tensors that were not taken, except those whose names match `ignore`."""
        left = [name for name in self.tensors if name not in self.taken and not re.fullmatch(ignore, name)]
        if left:
            more = f" and {len(left) - 5} more" if len(left) > 5 else ""
            names = ", ".join(repr(name[:60]) for name in left[:5])
            raise WeightsError(f"{self.request.path}: unexpected tensors {names}{more}")


def choose_part(found: Parts, request: Request, *, averaged: str, trained: str) -> tuple[str, tuple[str, ...]]:
    """The key of the requested generator, and notes, which say so if it is another one of the file.

    found: the generators of the file; averaged, trained: their keys. Raises WeightsError if "G" is asked for and the
    file holds the averaged generator alone.
    """
    if request.network == "G" and averaged in found and trained not in found:
        raise WeightsError(
            f"{request.path}: holds no generator as trained (G), only the averaged one ({averaged}); ask for Gs"
        )
    order = (trained, averaged) if request.network == "G" else (averaged, trained)
    name = next((name for name in order if name in found), next(iter(found)))
    if request.network == "Gs" and name == trained and averaged not in found:
        return name, (f"the file holds no averaged generator: this is {trained!r}, as trained",)
    return name, ()


def average_apart(parts: Parts) -> Tensor | None:
    """The average w outside the networks, [w_dim]: by its name, or as a further item of a list."""
    for part, tensors in parts.items():
        for name, tensor in tensors.items():
            known = re.fullmatch(r"((d?latent|w)_?(avg|mean)|(avg|mean)_?(d?latent|w))", name.rpartition(".")[2])
            if (known or (not part and name.isdecimal())) and not is_zero(tensor) and 0 < tensor.ndim <= 3:
                rows = tensor.float().reshape(-1, tensor.shape[-1])
                return rows.mean(dim=0)
    return None


# The trained resolution of a network that always has layers for all resolutions.


def count_trained(inner: Sequence[Sequence[Tensor]], rgb: Sequence[Tensor]) -> int | None:
    """How many resolutions were trained, those whose initial zeros have changed; None = it cannot be inferred.

    inner: biases and noise strengths of each resolution, from 4x4 on; rgb: the bias of its RGB layer.
    """
    trained = []
    for tensors, bias in zip(inner, rgb, strict=True):
        zeros = [is_zero(tensor) for tensor in tensors]
        if any(zeros) and not (all(zeros) and is_zero(bias)):
            return None
        trained.append(not any(zeros))
    count = trained.count(True)
    return count if count and all(trained[:count]) else None


def settle_resolution(request: Request, *, trained: int | None, named: int | None) -> Request:
    """The request with a resolution: from the caller, else from the tensors, else from the file name.

    Raises WeightsError if the caller asks for more than was trained.
    """
    if request.resolution is not None:
        if trained is not None and request.resolution > trained:
            raise WeightsError(
                f"{request.path}: resolution {request.resolution} was asked for, but its tensors are trained up to "
                f"{trained}x{trained} only"
            )
        return request
    if trained is None and named is None:
        return request
    note = None
    if trained is None:
        note = f"the resolution, {named}x{named}, is that of the file's name: the tensors do not tell it"
    elif named not in (None, trained):
        note = f"the file's name says {named}x{named}, but its tensors are trained to {trained}x{trained}, which counts"
    if note:
        logger.warning("%s: %s", request.path, note)
    return replace(request, resolution=trained or named, notes=(*request.notes, *([note] if note else [])))


# Conversions of single tensors.


def finite(name: str, tensor: Tensor, request: Request) -> Tensor:
    """Return the tensor. Raises WeightsError, which names it, unless all its values are finite."""
    check_finite({name: tensor}, f"{request.path}: tensor")
    return tensor


def he_std(weight: Tensor, gain: float) -> float:
    """The constant of He's initializer for a weight [out, in, ...]: by which equalized layers multiply."""
    return gain / sqrt(max(weight[0].numel(), 1))


def is_fused(resolution: int) -> bool:
    """Whether a port upscales to this resolution by a transposed convolution, which flips the kernel."""
    return resolution >= 128


def up_kernel(weight: Tensor, resolution: int, *, fused_from: int = 128) -> Tensor:
    """The kernel [out, in, 3, 3] of a layer that doubles the size, as an ordinary convolution uses it."""
    return weight.flip(2, 3) if resolution >= fused_from else weight


def is_zero(tensor: Tensor) -> bool:
    """Whether all values are exactly 0."""
    return not tensor.any()


def mean_row(average: Tensor, notes: list[str]) -> Tensor:
    """An average w for each layer [num_ws, w_dim] -> one for all [w_dim]."""
    if average.ndim != 2 or not len(average):
        raise WeightsError(f"the average w is {list(average.shape)}; expected one row for each layer")
    if not torch.equal(average, average[:1].expand_as(average)):
        notes.append("w_avg is the mean of the file's averages for each layer")
        return average.mean(dim=0)
    return average[0]
