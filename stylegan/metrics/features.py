"""Features of generated and real images; those of a data set are cached."""

import hashlib
import logging
import os
from collections.abc import Callable
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from ..data.dataset import ImageDataset
from ..errors import InputError, StorageError, WeightsError
from ..extractors import Extractor
from ..runtime.atomic_files import write_atomically
from ..runtime.distributed import World
from ..runtime.tensor_files import encode_tensors, read_tensors
from ..runtime.tensors import check_tensor
from ..weights.hub.cache import Cache, sha256_of
from .images import real_images

logger = logging.getLogger(__name__)

# Part of the key: increment it whenever the features of the same images would change.
VERSION = 1

Rows = Callable[[Callable[[range], Tensor], int, str], Tensor]


class RealImages:
    """A data set's images at one resolution, in an order shuffled by a seed, loaded when first needed."""

    def __init__(
        self,
        path: str | os.PathLike[str],
        resolution: int,
        seed: int = 0,
        *,
        device: torch.device,  # The extractors' device.
        progress: bool | None = None,
    ):
        self.path, self.resolution, self.seed, self.device = Path(path), resolution, seed, device
        self.progress = progress
        self.sha256 = data_digest(self.path)

    @cached_property
    def dataset(self) -> ImageDataset:
        """All images."""
        return ImageDataset(self.path, resolution=self.resolution, progress=self.progress)

    def batch(self, numbers: range) -> Tensor:
        """The images of these numbers, float32 [N, 3, H, W] in [-1, 1]."""
        return real_images(self.dataset, numbers, seed=self.seed).to(self.device)


class RealFeatures:
    """The features of a data set's images by one extractor.

    The cache key depends on the content of the image files, the resolution, the extractor's weights and the version of
    this code, not on paths or dates.
    """

    def __init__(self, images: RealImages, extractor: Extractor, cache: Cache):
        self.images, self.extractor, self.cache = images, extractor, cache
        parts = (VERSION, images.sha256, images.resolution, extractor.name, extractor.sha256, images.seed)
        key = hashlib.sha256("|".join(map(str, parts)).encode()).hexdigest()
        self.file = cache.own / "features" / f"{key[:32]}.safetensors"

    def features(self, n: int, rows: Rows, world: World) -> Tensor:
        """The features of the first n images, or of all if there are fewer: float32 [at most n, D].

        rows: computes them in all processes; see `rows_of_all`.
        """
        kept, is_whole = self.kept()
        missing = kept is None or (len(kept) < n and not is_whole)
        if world.any(missing, self.images.device):
            n = min(n, len(self.images.dataset))
            kept = rows(lambda numbers: self.extractor.features(self.images.batch(numbers)), n, "real images")
            if world.is_first:
                self.keep(kept, is_whole=n == len(self.images.dataset))
        assert kept is not None
        return kept[:n]

    def kept(self) -> tuple[Tensor | None, bool]:
        """The cached features, if they are unchanged, and whether they are of all images."""
        record = self.cache.recall(self.file)
        if record is None or not record.is_current:
            return None, False
        try:
            tensors, metadata = read_tensors(self.file, error=WeightsError)
        except (WeightsError, OSError):
            return None, False
        return tensors.get("features"), metadata.get("whole") == "True"

    def keep(self, features: Tensor, *, is_whole: bool) -> None:
        """Write features into the cache, completely or not at all."""
        data = encode_tensors({"features": features.contiguous()}, {"whole": str(is_whole)})
        try:
            write_atomically(self.file, data)
        except StorageError as error:  # They will be computed again.
            logger.warning("%s", error)
            return
        source = f"features of {self.images.path.name} by {self.extractor.name}"
        self.cache.remember(self.file, hashlib.sha256(data).hexdigest(), source=source, expected=None)


def data_digest(path: Path) -> str:
    """A sha256 of the content of a data set: of the zip, or of the names and contents of a folder's files."""
    if path.is_file():
        return sha256_of(path)
    digest = hashlib.sha256()
    for file in sorted(p for p in path.rglob("*") if p.is_file()):
        digest.update(f"{file.relative_to(path).as_posix()}\0{sha256_of(file)}\n".encode())
    return digest.hexdigest()


def check_finite(features: Tensor, what: str) -> Tensor:
    """Raise WeightsError if features are not finite: a broken network has no metrics."""
    if not features.isfinite().all():
        raise WeightsError(f"{what}: NaN or infinity; the model or the extractor is broken")
    return features


def check_features(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Return two sets of features [N, D], [M, D] if finite and with two rows or more, else raise InputError."""
    check_tensor(a, ("N", "D"), what="features")
    check_tensor(b, ("M", a.shape[1]), what="features of the other set", device=a.device)
    if min(len(a), len(b)) < 2 or not a.shape[1] or not (a.isfinite().all() and b.isfinite().all()):
        raise InputError(f"features must be finite, two rows or more, got {list(a.shape)} and {list(b.shape)}")
    return a, b
