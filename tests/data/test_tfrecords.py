"""TFRecords of the official data sets: read without TensorFlow, and nothing that a file claims is believed."""

import io
import json
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stylegan.data.dataset import ImageDataset
from stylegan.data.prepare import prepare
from stylegan.data.sources import Source
from stylegan.data.tfrecords import masked_crc
from stylegan.errors import DatasetError

from .pictures import images_of, labels_of, rows

OFFICIAL = Path(__file__).parent / "golden" / "pics-r03.tfrecords"  # Three pictures of 8x8, written by TensorFlow.


def varint(value: int) -> bytes:
    return bytes([value & 127 | 128]) + varint(value >> 7) if value > 127 else bytes([value])


def field(number: int, data: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(data)) + data


def example(pixels: np.ndarray, *, packed: bool = True, **features: bytes) -> bytes:
    """A tf.train.Example as the official tool fills it."""
    shape = b"".join(map(varint, pixels.shape)) if packed else b"".join(b"\x08" + varint(n) for n in pixels.shape)
    values = {"shape": field(3, field(1, shape) if packed else shape), "data": field(1, field(1, pixels.tobytes()))}
    entries = [field(1, field(1, name.encode()) + field(2, value)) for name, value in (values | features).items()]
    return field(1, b"".join(entries))


def checksum(data: bytes) -> bytes:
    return struct.pack("<I", int(masked_crc(np.frombuffer(data, np.uint8)[None])[0]))


def record(data: bytes) -> bytes:
    length = struct.pack("<Q", len(data))
    return length + checksum(length) + data + checksum(data)


def pixels(size: int = 8, channels: int = 3, seed: int = 0) -> np.ndarray:
    return np.random.RandomState(seed).randint(0, 256, (channels, size, size)).astype(np.uint8)


def write(path: Path, *pictures: np.ndarray) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"".join(record(example(picture)) for picture in pictures))
    return path


def test_records_of_tensorflow_are_read(out: Path) -> None:
    data = OFFICIAL.read_bytes()
    start = data.index(b"\xc0\x01", 12) + 2  # The length of the pixels, 192, and then they.
    first = np.frombuffer(data[start : start + 192], np.uint8).reshape(3, 8, 8)
    ds = ImageDataset(OFFICIAL)
    assert (len(ds), ds.resolution, ds.img_channels, ds.label_dim) == (3, 8, 3, 0)
    np.testing.assert_array_equal(ds.batch([0])[0][0].numpy(), first)
    assert prepare(OFFICIAL, out).images == 3
    np.testing.assert_array_equal(np.asarray(images_of(out)[0]), first.transpose(1, 2, 0))


def test_checksums_are_those_of_tensorflow() -> None:
    head = OFFICIAL.read_bytes()[:12]
    assert checksum(head[:8]) == head[8:]


@pytest.mark.parametrize("length", [4, 5, 31, 64, 65, 1000, 4097])
def test_checksum_is_the_remainder_bit_by_bit(length: int) -> None:
    data = np.random.RandomState(length).randint(0, 256, length).astype(np.uint8)
    crc = 0xFFFFFFFF
    for byte in data.tolist():
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    crc ^= 0xFFFFFFFF
    expected = ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
    assert masked_crc(data[None]).tolist() == [expected]


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (2, "LA"), (3, "RGB"), (4, "RGBA")])
def test_pictures_of_one_to_four_channels(tmp_path: Path, channels: int, mode: str) -> None:
    picture = pixels(channels=channels)
    with Source(write(tmp_path / "a.tfrecords", picture)) as source:
        image = Image.open(io.BytesIO(source.read(source.names[0])))
    assert image.mode == mode
    np.testing.assert_array_equal(np.asarray(image).reshape(8, 8, channels), picture.transpose(1, 2, 0))


def test_shape_may_be_written_value_by_value(tmp_path: Path) -> None:
    (tmp_path / "a.tfrecords").write_bytes(record(example(pixels(16), packed=False)))
    assert ImageDataset(tmp_path / "a.tfrecords").resolution == 16


def test_the_largest_pictures_of_a_folder_are_the_data_set(tmp_path: Path) -> None:
    folder = tmp_path / "faces"
    for name, size in (("faces-r03", 8), ("faces-r05", 32), ("faces-r04", 16)):
        write(folder / f"{name}.tfrecords", *(pixels(size, seed=i) for i in range(2)))
    assert ImageDataset(folder).resolution == 32
    assert ImageDataset(folder / "faces-r04.tfrecords").resolution == 16
    write(folder / "cats-r06.tfrecords", pixels(64))
    with pytest.raises(DatasetError, match=r"several data sets \(cats, faces\); name one file"):
        ImageDataset(folder)


def test_labels_are_read(tmp_path: Path, out: Path) -> None:
    path = write(tmp_path / "faces" / "faces-r03.tfrecords", *(pixels(seed=i) for i in range(3)))
    one_hot = np.array([[0, 1, 0], [0, 0, 0], [1, 0, 0]], np.float32)
    np.save((path.parent / "labels.npy"), one_hot)
    (path.parent / "labels.npy").rename(path.parent / "faces-rxx.labels")
    for source in (path, path.parent):
        assert rows(ImageDataset(source, require_labels=True).labels([0, 1, 2])) == one_hot.tolist()
    prepare(path, out)
    assert labels_of(out)["labels"] == {"00000000.png": 1, "00000001.png": None, "00000002.png": 0}
    with (path.parent / "faces-rxx.labels").open("wb") as file:
        np.save(file, one_hot * 0.5)
    assert rows(ImageDataset(path).labels([0])) == [[0, 0.5, 0]]


@pytest.mark.parametrize(
    "labels",
    [
        np.zeros(3, np.float32),
        np.zeros((2, 3), np.float32),
        np.array([[object()]] * 3, dtype=object),
        np.array([["a"]] * 3),
        np.full((3, 1), np.nan),
        b"\x93NUMPY\x01\x00\x46\x00{'descr': '<f4', 'fortran_order': False, 'shape': (3, 99999999999)}    \n",
        b"no array",
    ],
    ids=["one dimension", "two rows of three", "objects", "text", "nan", "far too long", "no array"],
)
def test_labels_that_are_no_array_of_rows_are_refused(tmp_path: Path, labels: np.ndarray | bytes) -> None:
    path = write(tmp_path / "faces-r03.tfrecords", *(pixels(seed=i) for i in range(3)))
    with (tmp_path / "faces-rxx.labels").open("wb") as file:
        file.write(labels) if isinstance(labels, bytes) else np.save(file, labels, allow_pickle=True)
    with pytest.raises(DatasetError, match="labels"):
        ImageDataset(path)


def claims(length: int) -> bytes:
    """A record that claims a length, with a right checksum of it."""
    head = struct.pack("<Q", length)
    return head + checksum(head) + bytes(100)


GOOD = record(example(pixels()))
HOSTILE = {
    "length beyond the file": (GOOD + claims(2**40), "record 1 is cut off"),
    "length of 2^64 - 1": (GOOD + claims(2**64 - 1), "record 1 is cut off"),
    "cut off": (GOOD + GOOD[:-3], "record 1 is cut off"),
    "wrong checksum of the length": (GOOD + GOOD[:8] + bytes(4) + GOOD[12:], "length of record 1 is damaged"),
    "wrong checksum of the first length": (GOOD[:8] + bytes(4) + GOOD[12:], "length of record 0 is damaged"),
    "flipped pixel": (GOOD[:-20] + b"\0" + GOOD[-19:], "checksum of its record"),
    "nothing": (b"", "holds no records"),
    "no protocol buffer": (record(b"\xff" * 50), "damaged"),
    "a field longer than the data": (record(b"\x0a\xff\xff\xff\xff\x0f"), "damaged"),
    "encoded pictures": (record(field(1, field(1, field(1, b"image/encoded") + field(2, b"")))), "image/encoded"),
    "five channels": (record(example(pixels(channels=5))), r"expected uint8 \[C, H, W\]"),
    "wrong shape": (record(example(pixels(), shape=field(3, field(1, b"\x03\x08\x09")))), r"192 bytes of shape"),
    "huge shape": (record(example(pixels(), shape=field(3, field(1, b"\x03" + varint(2**62) * 2)))), r"of shape"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_files_are_refused(tmp_path: Path, out: Path, case: str) -> None:
    data, reason = HOSTILE[case]
    path = tmp_path / "a.tfrecords"
    path.write_bytes(data)
    with pytest.raises(DatasetError, match=f"(?s){reason}"):
        prepare(path, out)


def test_random_damage_raises_nothing_else(tmp_path: Path) -> None:
    rng, path, outcomes = np.random.RandomState(0), tmp_path / "a.tfrecords", set()
    for case in range(300):
        message = bytearray(example(pixels()))
        for _ in range(3):
            message[rng.randint(30 if case % 2 else len(message))] = rng.randint(256)
        path.write_bytes(record(bytes(message)))
        try:
            ImageDataset(path)
            outcomes.add("read")
        except DatasetError:
            outcomes.add("refused")
    assert outcomes == {"read", "refused"}


def test_a_packed_file_and_other_data_bases_are_named(tmp_path: Path) -> None:
    (tmp_path / "a.tfrecords").write_bytes(b"\x1f\x8b\x08" + bytes(600))
    with pytest.raises(DatasetError, match=r"compressed \(gzip\); unpack it first"):
        ImageDataset(tmp_path / "a.tfrecords")
    (tmp_path / "lmdb").mkdir()
    (tmp_path / "lmdb" / "data.mdb").write_bytes(bytes(100))
    with pytest.raises(DatasetError, match="LMDB database, which is not supported: export its images to files"):
        ImageDataset(tmp_path / "lmdb")
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "cats.zip").write_bytes(b"")
    with pytest.raises(DatasetError, match=r"It holds cats.zip: give that file instead"):
        ImageDataset(tmp_path / "more")


def test_labels_json_of_records_is_plain_json(tmp_path: Path) -> None:
    path = write(tmp_path / "faces-r03.tfrecords", pixels())
    with (tmp_path / "other.labels").open("wb") as file:  # The only one there is.
        np.save(file, np.array([[1, 0]]))
    with Source(path) as source:
        assert json.loads(source.read("labels.json")) == {"labels": {"00000000.tif": 0}, "classes": ["0", "1"]}
