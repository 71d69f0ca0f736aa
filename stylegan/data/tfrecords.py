"""TFRecords of the official data sets (`dataset_tool.py` of Karras et al. 2018 and 2019), read without TensorFlow.

A folder holds NAME-r02.tfrecords, NAME-r03.tfrecords... with the same images at 4x4, 8x8 and so on, of which the
largest are used, and optionally NAME-rxx.labels, a NumPy array with a row per image.

A file is a sequence of records: length (uint64), its checksum, the data, their checksum. The data are a protocol
buffer, tf.train.Example, with the features `shape`, int64 [C, H, W], and `data`, the uint8 pixels. Unlike other
readers, this one checks checksums, and lengths before allocating memory.
"""

import io
import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

from ..errors import DatasetError
from .containers import check_size, printable

SUFFIX = ".tfrecords"
_HEAD = 12  # Bytes before the data: their length and its checksum.
_LABELS = "labels.json"


class TFRecords:
    """A file of records as a container of images, 00000000.tif and so on, and labels.json if there are labels."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._places = _places(path)  # [N, 2]: offset and length of each record's data.
        if not len(self._places):
            raise DatasetError(f"{path} holds no records")
        self._labels = _label_file(path)
        self.names = [f"{i:08d}.tif" for i in range(len(self._places))] + ([_LABELS] if self._labels else [])

    @staticmethod
    def are_in(head: bytes) -> bool:
        """Whether a file that starts with this holds records."""
        return len(head) >= _HEAD and _is_intact(head[:8], head[8:12])

    def read(self, name: str, limit: int) -> bytes:
        """The image of a record as a TIFF, or the labels as JSON; see `Container.read`."""
        if name == _LABELS:
            return self._labels_json()
        start, size = map(int, self._places[int(name.removesuffix(".tif"))])
        check_size(size, limit)
        with self._path.open("rb") as file:
            file.seek(start)
            data = file.read(size + 4)
        if len(data) < size + 4 or not _is_intact(data[:size], data[size:]):
            raise DatasetError("damaged: the checksum of its record is wrong")
        # Uncompressed TIFF keeps the pixels as they are.
        tiff = io.BytesIO()
        _as_image(data[:size]).save(tiff, format="TIFF")
        return tiff.getvalue()

    def close(self) -> None:
        """Nothing is open."""

    def shape(self) -> tuple[int, ...]:
        """[C, H, W] of the first image."""
        start, size = map(int, self._places[0])
        with self._path.open("rb") as file:
            file.seek(start)
            return _pixels(file.read(size)).shape

    def _labels_json(self) -> bytes:
        """The labels as a labels.json: class indices if all rows are one-hot, or zero for no label."""
        rows = _read_labels(self._labels, len(self._places)) if self._labels else np.zeros((0, 0))
        is_class = bool(np.isin(rows, (0, 1)).all() and (rows.sum(axis=1) <= 1).all())
        classes = [int(row.argmax()) if row.any() else None for row in rows]
        values = classes if is_class else rows.tolist()
        data: dict[str, object] = {"labels": dict(zip(self.names, values, strict=False))}
        if is_class:
            data["classes"] = [str(i) for i in range(rows.shape[1])]
        return json.dumps(data).encode()


def find_tfrecords(folder: Path) -> TFRecords | None:
    """The largest images of the data set in a folder; None = no data set. Raises DatasetError if there are several."""
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() == SUFFIX and path.is_file())
    names = sorted({_data_set(path) for path in paths})
    if len(names) > 1:
        raise DatasetError(f"{folder} holds several data sets ({', '.join(map(printable, names))}); name one file")
    return max(map(TFRecords, paths), key=lambda records: records.shape()[1:], default=None)


def _data_set(path: Path) -> str:
    return re.sub(r"-r\d\d$", "", path.stem)


def _places(path: Path) -> np.ndarray:
    """Offset and length of each record's data, int64 [N, 2], without reading them."""
    end, start = path.stat().st_size, 0
    heads: list[bytes] = []
    places: list[tuple[int, int]] = []
    with path.open("rb") as file:
        while start < end:
            file.seek(start)
            head = file.read(_HEAD)
            size = int.from_bytes(head[:8], "little")
            if len(head) < _HEAD or size > end - start - _HEAD - 4:
                raise DatasetError(f"{path}: record {len(places)} is cut off, or its length is damaged")
            heads.append(head)
            places.append((start + _HEAD, size))
            start += _HEAD + size + 4
    table = np.frombuffer(b"".join(heads), dtype=np.uint8).reshape(-1, _HEAD)
    wrong = np.flatnonzero(masked_crc(table[:, :8]) != table[:, 8:].copy().view("<u4")[:, 0])
    if len(wrong):
        raise DatasetError(f"{path}: the length of record {wrong[0]} is damaged: its checksum is wrong")
    return np.array(places, dtype=np.int64).reshape(-1, 2)


# Labels.


def _label_file(path: Path) -> Path | None:
    """NAME-rxx.labels, or the only .labels file in the folder."""
    own = path.with_name(f"{_data_set(path)}-rxx.labels")
    others = list(path.parent.glob("*.labels"))
    return own if own.is_file() else others[0] if len(others) == 1 else None


def _read_labels(path: Path, count: int) -> np.ndarray:
    """Float64 [N, label_dim]. Raises DatasetError, as for an image, if the file holds no such array."""
    try:
        rows = np.lib.format.open_memmap(path, mode="r")  # Memory-mapped, since a header may claim any size.
    except (ValueError, OSError, EOFError) as error:
        raise DatasetError(f"cannot be made of {path.name}: {error}") from error
    if rows.ndim != 2 or len(rows) < count or not rows.shape[1] or rows.dtype.kind not in "fiub":
        expected = f"numbers [{count}, label_dim]"
        raise DatasetError(f"cannot be made of {path.name}: {rows.dtype} {list(rows.shape)}, expected {expected}")
    return np.asarray(rows[:count], dtype=np.float64)


# The protocol buffer.


def _as_image(data: bytes) -> Image.Image:
    pixels = _pixels(data).transpose(1, 2, 0)
    return Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else np.ascontiguousarray(pixels))


def _pixels(data: bytes) -> np.ndarray:
    """The image of a record, uint8 [C, H, W]. Raises DatasetError if there is none."""
    try:
        features = _features(data)
        shape = _integers(features["shape"])
        pixels = _only(features["data"], 1, 1)
    except KeyError as error:
        names = ", ".join(sorted(features)[:10]) or "nothing"
        raise DatasetError(f"not a record of the official data sets: no feature {error}, but {names}") from error
    except (ValueError, IndexError) as error:
        raise DatasetError(f"damaged: {error}") from error
    if len(shape) != 3 or min(shape) < 1 or shape[0] > 4 or shape[0] * shape[1] * shape[2] != len(pixels):
        raise DatasetError(f"{len(pixels):,} bytes of shape {shape[:8]}, expected uint8 [C, H, W] with 1 to 4 channels")
    return np.frombuffer(pixels, dtype=np.uint8).reshape(shape)


def _features(data: bytes) -> dict[str, bytes]:
    """The features of a tf.train.Example by name, each a tf.train.Feature."""
    found = {}
    for entry in _all(_only(data, 1), 1):
        found[_only(entry, 1).decode()] = _only(entry, 2)
    return found


def _integers(feature: bytes) -> list[int]:
    """The values of an Int64List, packed or one by one."""
    values: list[int] = []
    for _, value in _fields(_only(feature, 3)):
        if isinstance(value, int):
            values.append(value)
            continue
        i = 0
        while i < len(value):
            number, i = _varint(value, i)
            values.append(number)
    return values


def _only(data: bytes, *path: int) -> bytes:
    """The last field with this number, as in protocol buffers; for several numbers, of the field within."""
    for number in path:
        found = _all(data, number)
        if not found:
            raise ValueError(f"its protocol buffer has no field {number}")
        data = found[-1]
    return data


def _all(data: bytes, number: int) -> list[bytes]:
    return [value for key, value in _fields(data) if key == number and isinstance(value, bytes)]


def _fields(data: bytes) -> Iterator[tuple[int, bytes | int]]:
    """The fields of a message: number, and bytes or an integer. Raises ValueError if one exceeds the data."""
    i = 0
    while i < len(data):
        key, i = _varint(data, i)
        number, kind = key >> 3, key & 7
        if kind == 0:
            value, i = _varint(data, i)
            yield number, value
            continue
        if kind not in (1, 2, 5):
            raise ValueError(f"its protocol buffer has a field of unknown kind {kind}")
        size, i = _varint(data, i) if kind == 2 else (8 if kind == 1 else 4, i)
        if size > len(data) - i:
            raise ValueError("its protocol buffer is cut off")
        yield number, data[i : i + size]
        i += size


def _varint(data: bytes, i: int) -> tuple[int, int]:
    """An integer with 7 bits per byte, and where it ends."""
    value = 0
    for shift in range(0, 70, 7):
        if i >= len(data):
            raise ValueError("its protocol buffer is cut off")
        value |= (data[i] & 0x7F) << shift
        i += 1
        if not data[i - 1] & 0x80:
            return value, i
    raise ValueError("its protocol buffer has an integer of more than 64 bits")


# The checksum of TFRecords: CRC-32C, rotated, plus a constant.


def masked_crc(rows: np.ndarray) -> np.ndarray:
    """The checksum of each row of bytes: uint8 [N, L] -> uint32 [N]."""
    rows = rows.copy()
    rows[:, :4] ^= 255
    crc = ~_remainders(rows)
    return ((crc >> np.uint32(15)) | (crc << np.uint32(17))) + np.uint32(0xA282EAD8)


def _is_intact(data: bytes, checksum: bytes) -> bool:
    return int(masked_crc(np.frombuffer(data, dtype=np.uint8)[None])[0]) == int.from_bytes(checksum, "little")


def _remainders(rows: np.ndarray) -> np.ndarray:
    """The remainder of each row modulo the polynomial: uint8 [N, L] -> uint32 [N].

    Long rows are cut into pieces, which are divided in parallel; then neighbours are joined.
    """
    n, length = rows.shape
    piece = 1
    while piece * piece < length and piece < 512:
        piece *= 2
    pieces = 1
    while pieces * piece < length:
        pieces *= 2
    # Leading zeros change nothing.
    padded = np.zeros((n, pieces * piece), dtype=np.uint8)
    padded[:, pieces * piece - length :] = rows
    table, crc = _table(), np.zeros(n * pieces, dtype=np.uint32)
    for column in np.ascontiguousarray(padded.reshape(-1, piece).T):
        crc = table[(crc ^ column) & 255] ^ (crc >> np.uint32(8))
    while pieces > 1:
        pairs = crc.reshape(-1, 2)
        crc = _moved(pairs[:, 0], _after_zeros(piece)) ^ pairs[:, 1]
        piece, pieces = piece * 2, pieces // 2
    return crc


@cache
def _table() -> np.ndarray:
    """The remainder of each byte, uint32 [256]."""
    values = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        values = (values >> np.uint32(1)) ^ np.where(values & 1, np.uint32(0x82F63B78), np.uint32(0))
    return values


@cache
def _after_zeros(count: int) -> np.ndarray:
    """Each bit of a remainder after `count` zero bytes, a power of two: uint32 [32]."""
    if count > 1:
        half = _after_zeros(count // 2)
        return _moved(half, half)
    bits: np.ndarray = np.uint32(1) << np.arange(32, dtype=np.uint32)
    remainders: np.ndarray = _table()[bits & 255] ^ (bits >> np.uint32(8))
    return remainders


def _moved(remainders: np.ndarray, images: np.ndarray) -> np.ndarray:
    """Remainders [N] after zero bytes that map their bits to `images` [32]."""
    total = np.zeros_like(remainders)
    for bit, image in enumerate(images):
        total ^= np.where((remainders >> np.uint32(bit)) & 1, image, np.uint32(0))
    return total
