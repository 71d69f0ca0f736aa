"""Features of generated and real images; those of a data set are cached."""

import hashlib
import logging
import os
from collections.abc import Callable
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

# Part of the key: raise it whenever the same pictures would give other features.
VERSION = 1

Rows = Callable[[Callable[[range], Tensor], int, str], Tensor]


class RealFeatures:
    """The features of a data set's images at one resolution, in an order shuffled by a seed.

    The cache key depends on the content of the image files, the resolution, the extractor's weights and the version of
    this code, not on paths or dates.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        extractor: Extractor,
        *,
        resolution: int,
        seed: int = 0,
        cache: Cache,
        progress: bool | None = None,
    ):
        self.path, self.extractor, self.resolution, self.seed = Path(path), extractor, resolution, seed
        self.cache, self.progress = cache, progress
        self.device = next((weight.device for weight in extractor.parameters()), torch.device("cpu"))
        self.data_sha256 = data_digest(self.path)
        parts = (VERSION, self.data_sha256, resolution, extractor.name, extractor.sha256, seed)
        key = hashlib.sha256("|".join(map(str, parts)).encode()).hexdigest()
        self.file = cache.own / "features" / f"{key[:32]}.safetensors"
        self._dataset: ImageDataset | None = None

    @property
    def dataset(self) -> ImageDataset:
        """The pictures, loaded where they are first needed."""
        if self._dataset is None:
            self._dataset = ImageDataset(self.path, resolution=self.resolution, progress=self.progress)
        return self._dataset

    def features(self, n: int, rows: Rows, world: World) -> Tensor:
        """The features of the first n pictures, or of all where there are fewer: float32 [at most n, D].

        rows: how they are computed, in all processes; see `rows_of_all`.
        """
        kept, is_whole = self.kept()
        missing = kept is None or (len(kept) < n and not is_whole)
        if world.any(missing, self.device):
            n = min(n, len(self.dataset))
            kept = rows(self._compute, n, "real images")
            if world.is_first:
                self.keep(kept, is_whole=n == len(self.dataset))
        assert kept is not None
        return kept[:n]

    def _compute(self, numbers: range) -> Tensor:
        return self.extractor.features(real_images(self.dataset, numbers, seed=self.seed).to(self.device))

    def kept(self) -> tuple[Tensor | None, bool]:
        """What the cache has, if it is there and was not changed since, and whether it is of all pictures."""
        record = self.cache.recall(self.file)
        if record is None or not record.is_current:
            return None, False
        try:
            tensors, metadata = read_tensors(self.file, error=WeightsError)
        except (WeightsError, OSError):
            return None, False
        return tensors.get("features"), metadata.get("whole") == "True"

    def keep(self, features: Tensor, *, is_whole: bool) -> None:
        """Write features into the cache: the whole file or none."""
        data = encode_tensors({"features": features.contiguous()}, {"whole": str(is_whole)})
        try:
            write_atomically(self.file, data)
        except StorageError as error:  # They are computed again where they are needed next.
            logger.warning("%s", error)
            return
        source = f"features of {self.path.name} by {self.extractor.name}"
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
    """Return two sets of features [N, D], [M, D] if they are finite and of two rows or more, else raise InputError."""
    check_tensor(a, ("N", "D"), what="features")
    check_tensor(b, ("M", a.shape[1]), what="features of the other set", device=a.device)
    if min(len(a), len(b)) < 2 or not a.shape[1] or not (a.isfinite().all() and b.isfinite().all()):
        raise InputError(f"features must be finite, two rows or more, got {list(a.shape)} and {list(b.shape)}")
    return a, b
