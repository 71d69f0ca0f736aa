"""A name or a file -> an extractor."""

import os
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from ..errors import DownloadError, NotFoundError, WeightsError
from ..runtime.device import check_device
from ..weights import hub, manifest
from ..weights.formats.torch_files import read_torch_file
from ..weights.hub.cache import sha256_of
from .base import Extractor
from .inception import build_inception, is_inception
from .random_conv import random_conv
from .st_lpips import FILES, build_st_lpips, is_st_lpips, load_st_lpips

INCEPTION = "inception-2015"

_LOADERS: dict[str, Callable[[], Extractor]] = {
    INCEPTION: lambda: _load_inception(),
    **{name: lambda name=name: load_st_lpips(name) for name in FILES},  # type: ignore[misc]
    "random-conv": random_conv,
}

NAMES = tuple(_LOADERS)


@torch.inference_mode(False)
def load_extractor(name_or_file: str | os.PathLike[str], *, device: str | torch.device | None = None) -> Extractor:
    """Load an extractor: evaluation mode, gradients of its weights off.

    name_or_file: one of
        "inception-2015": what FID, KID and precision/recall are published with; downloaded on first use, 96 MB;
        "st-lpips-vgg", "st-lpips-alex": perceptual networks, from `pip install "stylegan[perceptual]"`;
        "random-conv": fixed random weights, for tests;
        or a .pth file with the weights of one of the first three.
    device: None = the CPU.

    Numbers of different extractors cannot be compared. Raises NotFoundError for an unknown name, or for what is not
    installed; DownloadError, IntegrityError or WeightsError for a file that cannot be had or is not what it should be.
    """
    if name_or_file in _LOADERS:
        extractor = _LOADERS[str(name_or_file)]()
    else:
        path = Path(name_or_file)
        if not path.is_file():
            raise NotFoundError(
                f"unknown extractor {str(name_or_file)!r}; expected a file or one of {', '.join(NAMES)}"
            )
        extractor = _read(path)
    # The layout of the weights is that of the activations: 1.5 times as fast on a CPU.
    extractor = extractor.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return extractor.to(check_device(device)).eval().requires_grad_(False)


def _load_inception() -> Extractor:
    """The weights from the first place of the manifest that can be had."""
    failures: list[DownloadError] = []
    for file in manifest.extractors()[INCEPTION].files:
        try:
            fetched = hub.fetch(file.source, hub.Access(), size=file.size, sha256=file.sha256)
        except DownloadError as error:
            failures.append(error)
            continue
        return _read(fetched.named)
    raise failures[0]


def _read(path: Path) -> Extractor:
    """The network of a file; it bears a known name only if it holds the known weights."""
    tensors = read_torch_file(path)
    if not isinstance(tensors, dict) or not all(isinstance(tensor, Tensor) for tensor in tensors.values()):
        raise WeightsError(f"{path}: expected a dictionary of tensors")
    digest = sha256_of(path)
    name = _known().get(digest, path.name)
    if is_inception(tensors):
        extractor: Extractor = build_inception(tensors, name=name, where=path)
    elif is_st_lpips(tensors):
        extractor = build_st_lpips(tensors, name=name, where=path)
    else:
        raise WeightsError(f"{path}: neither the weights of inception-2015 nor of shift-tolerant LPIPS")
    extractor.sha256 = digest
    return extractor


def _known() -> dict[str, str]:
    """Names by the sha256 of their weights."""
    known = {file.sha256: name for name, file in FILES.items()}
    return known | {str(file.sha256): INCEPTION for file in manifest.extractors()[INCEPTION].files}
