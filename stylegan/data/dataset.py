"""Data sets of square images: read, box-downsample, shuffle."""

import functools
import hashlib
import os
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from ..errors import DatasetError, InputError
from ..images.decoding import decode_plain, open_plain, quiet_pillow
from ..runtime.checks import is_power_of_two
from ..runtime.progress import is_hidden, progress_bar
from ..runtime.threads import default_threads, map_in_order
from . import labels as _labels
from .sources import Source, list_files, printable

MIN_RESOLUTION = 8

_CHUNK = 32  # Images that a thread decodes at once.


class ImageDataset:
    """Uniformly sized square images in a folder (with sub-folders), a zip, a tar or TFRecords, with optional labels.

    path: the folder or file; `stylegan dataset` makes one from any images.
    resolution: None = as stored; lower by a power of two = averaged over blocks of pixels and rounded on loading.
    label_field: the field of the records in labels.json that holds the label; None = see `stylegan.data.labels`.
    use_labels: False = ignore all labels.
    require_labels: raise InputError, with the reason, if there are no usable labels, before decoding.
    memory_limit: in bytes; a data set that fits is decoded once and kept as uint8, a larger one decoded on demand.
    threads: threads that decode; None = one per CPU.
    progress: show a bar while loading; None = on a terminal.

    Raises DatasetError, which lists the files, if images are damaged, differ in size or need conversion.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        resolution: int | None = None,
        label_field: str | None = None,
        use_labels: bool = True,
        require_labels: bool = False,
        memory_limit: int = 4 * 2**30,
        threads: int | None = None,
        progress: bool | None = None,
    ) -> None:
        self.path = Path(path)
        self._source = Source(path)
        self._pool: ThreadPoolExecutor | None = None
        self._threads = threads or default_threads()
        self.names = self._source.names
        self.native_resolution, self.img_channels = self._read_size()
        self.resolution = self.native_resolution if resolution is None else resolution
        if not is_resolution(self.resolution) or self.resolution > self.native_resolution:
            raise InputError(
                f"resolution must be a power of two from {MIN_RESOLUTION} to {self.native_resolution}, "
                f"that of the images of {self.path}, got {resolution}"
            )

        labels = None
        if use_labels:
            labels = _labels.read_labels(self._source, field=label_field, required=require_labels)
        if require_labels and labels and not labels.differ():
            raise InputError(f"all images of {self.path} have the same label: there is nothing to learn from it")
        self.label_dim = labels.label_dim if labels else 0
        self.classes = labels.classes if labels else None
        self._label_tensor = labels.tensor() if labels else None

        hidden = is_hidden(progress)
        with quiet_pillow():
            if len(self) * self.img_channels * self.resolution**2 <= memory_limit:
                self._images: np.ndarray | None = self._decode_all(hidden)
                self._source.close()
            else:
                self._images = None
                self._check_all(hidden)

    def __len__(self) -> int:
        return len(self.names)

    def __repr__(self) -> str:
        return (
            f"ImageDataset({str(self.path)!r}, {len(self)} images, resolution={self.resolution}, "
            f"img_channels={self.img_channels}, label_dim={self.label_dim}, in_memory={self.in_memory})"
        )

    @property
    def in_memory(self) -> bool:
        """Whether all images are kept decoded."""
        return self._images is not None

    def batch(self, indices: Sequence[int]) -> tuple[Tensor, Tensor | None]:
        """Images by their position in `names`, uint8 [N, C, R, R], and their labels, see `labels`."""
        self._check_indices(indices)
        if self._images is not None:
            return torch.from_numpy(self._images[np.asarray(indices, dtype=np.int64)]), self.labels(indices)
        futures = self._submit(indices)
        images = [self._image(future, i) for future, i in zip(futures, indices, strict=True)]
        shape = (len(images), self.img_channels, self.resolution, self.resolution)
        return torch.from_numpy(np.array(images, dtype=np.uint8).reshape(shape)), self.labels(indices)

    def labels(self, indices: Sequence[int]) -> Tensor | None:
        """Labels, float32 [N, label_dim]: one-hot or a vector, zeros for an image without one; None if label_dim is 0.

        Cheap: no image is decoded.
        """
        self._check_indices(indices)
        return None if self._label_tensor is None else _labels.rows(self._label_tensor, indices, self.label_dim)

    def digest(self, *, labels: bool = False) -> str:
        """A sha256 of the files' sizes and checksums in order, not of their names; labels: also of the labels.

        Cheap, since all files have been read once.
        """
        digest = hashlib.sha256()
        for name in self.names:
            digest.update("{} {}\n".format(*self._source.checksum(name)).encode())
        if labels and self._label_tensor is not None:
            digest.update(self._label_tensor.numpy().tobytes())
        return digest.hexdigest()

    def close(self) -> None:
        """Stop the threads and close the files."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
        self._source.close()

    def _read_size(self) -> tuple[int, int]:
        """Resolution and channels of the first readable image, which all others must share."""
        bad = []
        for name in self.names[:100]:
            try:
                image = open_plain(self._source.read(name))
            except DatasetError as error:
                bad.append((name, str(error)))
                continue
            if image.width != image.height or not is_resolution(image.width):
                raise DatasetError(
                    f"{printable(name)} of {self.path} is {image.width}x{image.height}, expected a square with a power "
                    f"of two of {MIN_RESOLUTION} or more; {self._advice()}"
                )
            return image.width, len(image.getbands())
        raise self._unusable(bad)

    def _decode(self, i: int) -> np.ndarray:
        """One image, uint8 [R, R, C] at the native resolution. Raises DatasetError, without its name."""
        pixels = decode_plain(self._source.read(self.names[i]))
        self._check_shape(pixels.shape)
        return pixels

    def _load(self, i: int) -> np.ndarray:
        """One image, uint8 [C, R, R]. Raises DatasetError, without its name."""
        img: np.ndarray = self._downscale(self._decode(i)[None])[0]
        return img

    def _check_shape(self, shape: tuple[int, ...]) -> None:
        expected = (self.native_resolution, self.native_resolution, self.img_channels)
        if shape != expected:
            given = "{1}x{0} with {2} channels".format(*shape)
            raise DatasetError(f"{given}, expected {{1}}x{{0}} with {{2}}, as the first has".format(*expected))

    def _downscale(self, pixels: np.ndarray) -> np.ndarray:
        """uint8 [N, H, W, C] at the native resolution -> uint8 [N, C, R, R]."""
        # NumPy, since torch operations would compete for all CPUs with the other threads and with training.
        pixels = box_downscale(pixels, self.native_resolution // self.resolution)
        return np.ascontiguousarray(pixels.transpose(0, 3, 1, 2))

    def _decode_all(self, hidden: bool | None) -> np.ndarray:
        """All images, uint8 [N, C, R, R]. Raises DatasetError listing those that cannot be used."""
        images = np.empty((len(self), self.img_channels, self.resolution, self.resolution), dtype=np.uint8)

        def decode(chunk: range) -> list[tuple[str, str]]:
            pixels, bad = [], []
            for i in chunk:
                try:
                    pixels.append(self._decode(i))
                except DatasetError as error:
                    bad.append((self.names[i], str(error)))
            if not bad:
                images[chunk.start : chunk.stop] = self._downscale(np.stack(pixels))
            return bad

        chunks = [range(i, min(i + _CHUNK, len(self))) for i in range(0, len(self), _CHUNK)]
        bad = []
        with progress_bar(
            total=len(self), desc=f"loading {self.path.name}", unit="img", hidden=hidden, leave=False
        ) as bar:
            for chunk, found in zip(chunks, map_in_order(decode, chunks, threads=self._threads), strict=True):
                bad += found
                bar.update(len(chunk))
        if bad:
            raise self._unusable(bad)
        return images

    def _check_all(self, hidden: bool | None) -> None:
        """Check all headers. Raises DatasetError listing the images that cannot be used."""

        def check(name: str) -> str | None:
            try:
                image = open_plain(self._source.read(name))
                self._check_shape((image.height, image.width, len(image.getbands())))
            except DatasetError as error:
                return str(error)
            return None

        results = progress_bar(
            map_in_order(check, self.names, threads=self._threads),
            total=len(self),
            desc=f"checking {self.path.name}",
            unit="img",
            hidden=hidden,
            leave=False,
        )
        bad = [(name, reason) for name, reason in zip(self.names, results, strict=True) if reason]
        if bad:
            raise self._unusable(bad)

    def _unusable(self, bad: list[tuple[str, str]]) -> DatasetError:
        count = f"{len(bad)} of {len(self)}"
        return DatasetError(f"{count} images of {self.path} cannot be used:\n{list_files(bad)}\n{self._advice()}")

    def _advice(self) -> str:
        return f"`stylegan dataset {self.path} OUT.zip` converts images of any kind"

    def _submit(self, indices: Sequence[int]) -> list[Future[np.ndarray]]:
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self._threads)
        return [self._pool.submit(self._load, i) for i in indices]

    def _image(self, future: Future[np.ndarray], i: int) -> np.ndarray:
        try:
            return future.result()
        except DatasetError as error:
            raise DatasetError(f"{printable(self.names[i])} of {self.path}: {error}; {self._advice()}") from error

    def _check_indices(self, indices: Sequence[int]) -> None:
        if len(indices) and not 0 <= min(indices) <= max(indices) < len(self):
            raise InputError(f"indices must be 0 to {len(self) - 1}, got {min(indices)} to {max(indices)}")


def box_downscale(pixels: np.ndarray, factor: int) -> np.ndarray:
    """Average blocks of factor x factor pixels, a power of two: uint8 [N, H, W, C] -> [N, H/factor, W/factor, C].

    Exact, in integers. Halves round to even, so that the mean over many images is unchanged.
    """
    if factor == 1:
        return pixels
    total: np.ndarray = pixels.astype(np.uint16 if factor <= 16 else np.uint32)
    for _ in range(factor.bit_length() - 1):
        total = total[:, ::2] + total[:, 1::2]
        total = total[:, :, ::2] + total[:, :, 1::2]
    bits = 2 * (factor.bit_length() - 1)
    just_below_half = (1 << (bits - 1)) - 1
    is_odd = (total >> bits) & 1
    mean: np.ndarray = (total + just_below_half + is_odd) >> bits
    return mean.astype(np.uint8)


def shuffled_indices(n: int, start: int, count: int, seed: int) -> list[int]:
    """Items start to start + count of an endless sequence of permutations of range(n), one per epoch.

    A pure function: a run sees the same images when resumed or divided among processes. The permutations come from
    NumPy's frozen RandomState, so they are the same everywhere.
    """
    if n < 1 or start < 0 or count < 0 or not 0 <= seed < 2**32:
        raise InputError(
            "expected n of 1 or more, start and count of 0 or more and a seed from 0 to 4294967295, "
            f"got n={n}, start={start}, count={count}, seed={seed}"
        )
    indices: list[int] = []
    while len(indices) < count:
        epoch, offset = divmod(start + len(indices), n)
        indices += _permutation(n, epoch, seed)[offset : offset + count - len(indices)].tolist()
    return indices


@functools.lru_cache(maxsize=2)
def _permutation(n: int, epoch: int, seed: int) -> np.ndarray:
    return np.random.RandomState([seed, epoch % 2**32]).permutation(n)


def is_resolution(size: int) -> bool:
    """Whether the networks can have this resolution: a power of two, 8 or more."""
    return is_power_of_two(size, least=MIN_RESOLUTION)
