"""`stylegan dataset` with damaged files: each is named with its reason."""

import struct
import warnings
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stylegan.data.prepare import prepare
from stylegan.errors import DatasetError
from stylegan.images.decoding import decode

from .pictures import encoded, noise, nothing_left


def png_of_size(width: int, height: int) -> bytes:
    """A PNG whose header claims a size, with a right checksum."""
    data = bytearray(encoded(noise()))
    data[16:24] = struct.pack(">II", width, height)
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    return bytes(data)


def flipped_crc() -> bytes:
    data = bytearray(encoded(noise()))
    start = data.index(b"IDAT")
    data[start + 4 + struct.unpack(">I", data[start - 4 : start])[0]] ^= 1
    return bytes(data)


BAD = {
    "truncated.png": encoded(noise())[:-200],
    "truncated.jpg": encoded(noise(64, 64), "JPEG")[:-500],
    "crc.png": flipped_crc(),
    "html.jpg": b"<!doctype html><title>404</title>",
    "empty.png": b"",
    "zero.png": png_of_size(0, 0),
    "bomb.png": png_of_size(20_000, 20_000),
    "large.png": png_of_size(10_000, 10_000),
    "not-in-the-list.png": encoded(noise(), "PPM"),
    "postscript.png": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 16 16\n",
    "small.png": encoded(noise(4, 4)),
}


WHY = {
    "zero.png": "not an intact|empty",
    "bomb.png": "pixels",
    "large.png": "pixels",
    "html.jpg": "not an intact",
    "not-in-the-list.png": "not an intact",
    "postscript.png": "not an intact",
    "small.png": "too small",
    "crc.png": "damaged|not an intact",
    "truncated.jpg": "damaged: the file is cut off",
    "empty.png": "an empty file",
}


@pytest.mark.parametrize("name", BAD)
def test_bad_file_is_named_with_its_reason(pictures: Path, out: Path, name: str) -> None:
    (pictures / name).write_bytes(BAD[name])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(DatasetError, match=rf"1 of 6 (.|\n)*skip-bad(.|\n)*{name}: .*({WHY.get(name, '')})"):
            prepare(pictures, out, resolution=16)
    assert nothing_left(out)


def test_bad_files_are_listed_and_left_out_below_the_ceiling(pictures: Path, out: Path) -> None:
    for name, data in BAD.items():
        (pictures / name).write_bytes(data)
    with pytest.raises(DatasetError) as error:
        prepare(pictures, out, resolution=16)
    assert all(f"\n  {name}: " in str(error.value) for name in BAD)
    report = prepare(pictures, out, resolution=16, skip_bad=True, max_bad=11 / 16)
    assert report.images == 5
    assert {name for name, _ in report.bad} == set(BAD)
    assert zipfile.ZipFile(out).namelist() == [f"{i:08d}.png" for i in range(5)]


def test_more_bad_files_than_the_ceiling_fail(pictures: Path, out: Path) -> None:
    (pictures / "a.png").write_bytes(b"")
    (pictures / "b.png").write_bytes(b"")
    with pytest.raises(DatasetError, match=r"2 of 7 .* at most 1 may be left out"):
        prepare(pictures, out, skip_bad=True)
    assert nothing_left(out)
    (pictures / "b.png").unlink()
    assert prepare(pictures, out, skip_bad=True).images == 5
    with pytest.raises(DatasetError, match="at most 0"):
        prepare(pictures, out, skip_bad=True, max_bad=0, overwrite=True)


def test_long_lists_are_cut(pictures: Path, out: Path) -> None:
    for i in range(50):
        (pictures / f"bad{i:02d}.png").write_bytes(b"")
    with pytest.raises(DatasetError, match=r"50 of 55(.|\n)*bad19.png(.|\n)*and 30 more"):
        prepare(pictures, out)


def test_random_damage_never_raises_anything_else() -> None:
    rng = np.random.RandomState(0)
    exif = Image.Exif()
    exif[0x0112] = 6
    kinds = [("PNG", {}), ("JPEG", {"exif": exif}), ("WEBP", {}), ("GIF", {}), ("TIFF", {}), ("BMP", {})]
    seeds = [bytearray(encoded(noise(), kind, **options)) for kind, options in kinds]
    outcomes = set()
    for case in range(1200):
        data = bytearray(seeds[case % len(seeds)])
        for _ in range(rng.randint(1, 6)):
            data[rng.randint(len(data))] = rng.randint(256)
        if rng.rand() < 0.3:
            del data[rng.randint(len(data)) :]
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                decode(bytes(data), animated="first")
            outcomes.add("decoded")
        except DatasetError:
            outcomes.add("refused")
    assert outcomes == {"decoded", "refused"}


def test_names_cannot_command_the_terminal(pictures: Path, out: Path) -> None:
    (pictures / "\x1b[2Jevil.png").write_bytes(b"")
    with pytest.raises(DatasetError) as error:
        prepare(pictures, out)
    assert "\x1b" not in str(error.value)
    assert "evil.png" in str(error.value)
