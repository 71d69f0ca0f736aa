"""A name or a file -> an extractor."""

import functools
import os
from pathlib import Path

import torch
from torch import Tensor

from ..errors import NotFoundError, WeightsError
from ..runtime.device import check_device
from ..runtime.discovery import offered
from ..weights.formats.torch_files import read_torch_file
from ..weights.hub.cache import sha256_of
from .base import Extractor, Family


@functools.cache
def families() -> list[Family]:
    """All families of extractors: what the files of this folder offer as FAMILY, those for tests last."""
    return sorted(offered(__package__, "FAMILY"), key=lambda family: family.is_for_tests)


@torch.inference_mode(False)
def load_extractor(name_or_file: str | os.PathLike[str], *, device: str | torch.device | None = None) -> Extractor:
    """Load an extractor: evaluation mode, gradients of its weights off.

    name_or_file: one of
        "inception-2015": used for published FID, KID and precision/recall; downloaded on first use, 96 MB;
        "st-lpips-vgg", "st-lpips-alex": perceptual networks, from `pip install "stylegan[perceptual]"`;
        "random-conv": fixed random weights, for tests;
        or a .pth file with the weights of one of the first three.
    device: None = the CPU.

    Numbers from different extractors cannot be compared. Raises NotFoundError for an unknown name or a missing package;
    DownloadError, IntegrityError or WeightsError for an unavailable or wrong file.
    """
    extractor = _load(name_or_file)
    # Activations follow the weights' layout: 1.5 times as fast on a CPU.
    extractor.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return extractor.to(check_device(device)).eval().requires_grad_(False)


def _load(name_or_file: str | os.PathLike[str]) -> Extractor:
    known = {name: family for family in families() for name in family.names}
    if (family := known.get(str(name_or_file))) is not None:
        return _load_known(str(name_or_file), family)
    path = Path(name_or_file)
    if not path.is_file():
        raise NotFoundError(f"unknown extractor {str(name_or_file)!r}; expected a file or one of {', '.join(known)}")
    return _read(path)


def _load_known(name: str, family: Family) -> Extractor:
    if family.make is not None:
        return family.make()
    assert family.find is not None
    return _read(family.find(name))


def _read(path: Path) -> Extractor:
    """The network of a file; it gets a known name only if it holds the known weights."""
    tensors = read_torch_file(path)
    if not isinstance(tensors, dict) or not all(isinstance(tensor, Tensor) for tensor in tensors.values()):
        raise WeightsError(f"{path}: expected a dictionary of tensors")
    digest = sha256_of(path)
    for family in families():
        if family.recognise(tensors) and family.build is not None:
            extractor = family.build(tensors, family.sha256().get(digest, path.name), path)
            extractor.sha256 = digest
            return extractor
    known = [name for family in families() if family.build is not None for name in family.names]
    raise WeightsError(f"{path}: neither the weights of {' nor of '.join(known)}")
