"""`stylegan dataset` of zips and folders that may be hostile (D3)."""

import io
import json
import os
import stat
import struct
import tarfile
import tracemalloc
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest

from stylegan.data import labels, sources
from stylegan.data.dataset import ImageDataset
from stylegan.data.prepare import prepare
from stylegan.errors import DatasetError

from .pictures import encoded, make_zip, noise, nothing_left, rows


def patched(data: bytes, old: bytes, new: bytes) -> bytes:
    assert len(old) == len(new)
    assert old in data
    return data.replace(old, new)


def hostile_zips() -> dict[str, bytes]:
    """Zips with one good picture and one hostile entry, by the reason to refuse them."""
    good, bad = encoded(noise()), encoded(noise(seed=1))

    def build(*entries: tuple[str | zipfile.ZipInfo, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
        data = io.BytesIO()
        with warnings.catch_warnings(), zipfile.ZipFile(data, "w", method) as archive:
            warnings.simplefilter("ignore")
            archive.writestr("good.png", good, zipfile.ZIP_STORED)
            for name, content in entries:
                archive.writestr(name, content)
        return data.getvalue()

    link = zipfile.ZipInfo("link.png")
    link.create_system = 3
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    fifo = zipfile.ZipInfo("fifo.png")
    fifo.create_system = 3
    fifo.external_attr = (stat.S_IFIFO | 0o666) << 16
    # The flags stand at offset 8 of the central header, the sizes at 20 and 24.
    encrypted = bytearray(build(("secret.png", bad)))
    second = encrypted.index(b"PK\x01\x02", encrypted.index(b"PK\x01\x02") + 4)
    encrypted[second + 8] |= 1
    huge = bytearray(build(("huge.png", bad)))
    second = huge.index(b"PK\x01\x02", huge.index(b"PK\x01\x02") + 4)
    huge[second + 24 : second + 28] = struct.pack("<I", 2**32 - 2)
    overlap = bytearray(build(("same.png", bad)))
    second = overlap.index(b"PK\x01\x02", overlap.index(b"PK\x01\x02") + 4)
    overlap[second + 20 : second + 28] = struct.pack("<II", 100_000, 100_000)
    return {
        "a path that leads outside": build(("../evil.png", bad)),
        "a path that leads outside ": build(("/tmp/evil.png", bad)),
        "a path that leads outside  ": build(("a/../../evil.png", bad)),
        "a path that leads outside   ": patched(build(("a/../evil.png", bad)), b"a/../evil", rb"a\..\evil"),
        "a path that leads outside    ": build(("C:evil.png", bad)),
        "a name with NUL": patched(build(("evil.pngX.txt", bad)), b"evil.pngX", b"evil.png\0"),
        "a link or a special file": build((link, b"/etc/passwd")),
        "a link or a special file ": build((fifo, b"")),
        "encrypted": bytes(encrypted),
        "a duplicate name": build(("same.png", bad), ("same.png", good)),
        "a duplicate name ": build(("same.png", bad), ("./same.png", good)),
        "compressed more than 200:1": build(("zeros.bmp", bytes(4_000_000)), method=zipfile.ZIP_DEFLATED),
        "neither stored nor deflated": build(("bz2.png", bad), method=zipfile.ZIP_BZIP2),
        "claims 4,294,967,294 bytes": bytes(huge),
        "its files overlap": bytes(overlap),
    }


@pytest.mark.parametrize("reason", hostile_zips())
def test_hostile_zip_is_refused_from_its_headers(
    tmp_path: Path, out: Path, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "hostile.zip"
    path.write_bytes(hostile_zips()[reason])

    def read(*_: object, **__: object) -> None:
        raise AssertionError("nothing may be read")

    monkeypatch.setattr(zipfile.ZipFile, "open", read)
    with pytest.raises(DatasetError, match=f"unsafe(.|\n)*{reason.strip()}"):
        prepare(path, out, skip_bad=True, max_bad=0.9)
    with pytest.raises(DatasetError, match="unsafe"):
        ImageDataset(path)
    assert nothing_left(out)
    assert {file.name for file in tmp_path.iterdir()} <= {"hostile.zip", "out"}


def test_honest_zips_are_read_in_place(tmp_path: Path, out: Path) -> None:
    files = {f"sub/{i}.png": encoded(noise(seed=i)) for i in range(3)}
    # Folders have entries of their own, and small or well compressed files are no bombs.
    path = make_zip(tmp_path / "a.zip", {"sub/": b"", **files, "sub/zeros.txt": bytes(500_000)}, zipfile.ZIP_DEFLATED)
    assert prepare(path, out).images == 3
    assert {file.name for file in tmp_path.iterdir()} == {"a.zip", "out"}
    assert [file.name for file in out.parent.iterdir()] == ["set.zip"]


def test_bad_checksum_in_a_zip_makes_a_bad_file(tmp_path: Path, out: Path) -> None:
    good = encoded(noise())
    path = make_zip(tmp_path / "a.zip", {"a.png": good, "b.png": encoded(noise(seed=1))})
    data = bytearray(path.read_bytes())
    data[data.index(good) + 60] ^= 255
    path.write_bytes(data)
    with pytest.raises(DatasetError, match=r"1 of 2 (.|\n)*a.png: cannot be read: Bad CRC-32"):
        prepare(path, out)


@pytest.mark.parametrize("name", ["a.bmp", "labels.json", "dataset.json"])
def test_file_longer_than_its_header_says_is_not_unpacked(tmp_path: Path, name: str) -> None:
    """200 MB behind a header that claims 1,000 bytes: what is unpacked, and held, is of the size of the claim."""
    files = {"picture.png": encoded(noise()), name: b" " * 200_000_000}
    path = make_zip(tmp_path / "a.zip", files, zipfile.ZIP_DEFLATED)
    data = bytearray(path.read_bytes())
    central = data.rindex(b"PK\x01\x02")
    data[central + 24 : central + 28] = struct.pack("<I", 1000)
    path.write_bytes(data)
    tracemalloc.start()
    try:
        with sources.Source(path) as source, pytest.raises(DatasetError, match="Bad CRC-32"):
            source.read(name)
        with pytest.raises(DatasetError, match="Bad CRC-32"):
            prepare(path, tmp_path / "out.zip")
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("container", ["folder", "zip"])
def test_files_above_their_limit_are_not_read(tmp_path: Path, container: str, monkeypatch: pytest.MonkeyPatch) -> None:
    files = {"a.png": encoded(noise()), "labels.json": json.dumps({"labels": {"a.png": 0}}).encode()}
    path = make_zip(tmp_path / "a.zip", files)
    if container == "folder":
        with zipfile.ZipFile(path) as archive:
            archive.extractall(path := tmp_path / "a")
    monkeypatch.setattr(labels, "MAX_LABELS_SIZE", 10)
    with pytest.raises(DatasetError, match=r"labels.json larger than"):
        ImageDataset(path)


# Tars


def make_tar(path: Path, *entries: tuple[tarfile.TarInfo, bytes]) -> Path:
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as archive:
        for info, data in entries:
            info.size = len(data) if info.isreg() else 0
            archive.addfile(info, io.BytesIO(data))
    return path


def tar_entry(name: str, type: bytes = tarfile.REGTYPE) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = type, "/etc/passwd"
    return info


def test_tars_are_read_in_place(tmp_path: Path, out: Path) -> None:
    entries = [(tar_entry(f"./sub/{i}.png"), encoded(noise(seed=i))) for i in range(3)]
    named = {"labels": {f"sub/{i}.png": i for i in range(3)}}
    path = make_tar(
        tmp_path / "a.tar",
        (tar_entry("./sub", tarfile.DIRTYPE), b""),
        *entries,
        (tar_entry("./labels.json"), json.dumps(named).encode()),
    )
    ds = ImageDataset(path, require_labels=True)
    assert ds.names == ["sub/0.png", "sub/1.png", "sub/2.png"]
    np.testing.assert_array_equal(ds.batch([2])[0][0].permute(1, 2, 0).numpy(), np.asarray(noise(seed=2)))
    assert rows(ds.labels([2])) == [[0, 0, 1]]
    assert prepare(path, out).label_dim == 3


def hostile_tars() -> dict[str, tuple[tarfile.TarInfo, ...]]:
    sparse = tar_entry("sparse.png")
    sparse.pax_headers = {"GNU.sparse.map": "0,10", "GNU.sparse.size": "1000000000000"}
    return {
        "a path that leads outside": (tar_entry("../evil.png"),),
        "a path that leads outside ": (tar_entry("/tmp/evil.png"),),
        "a path that leads outside  ": (tar_entry("a\\..\\..\\evil.png"),),
        "a link or a special file": (tar_entry("link.png", tarfile.SYMTYPE),),
        "a link or a special file ": (tar_entry("link.png", tarfile.LNKTYPE),),
        "a link or a special file  ": (tar_entry("fifo.png", tarfile.FIFOTYPE),),
        "a link or a special file   ": (sparse,),
        "a duplicate name": (tar_entry("same.png"), tar_entry("./same.png")),
    }


@pytest.mark.parametrize("reason", hostile_tars())
def test_hostile_tar_is_refused_from_its_headers(tmp_path: Path, out: Path, reason: str) -> None:
    good = (tar_entry("good.png"), encoded(noise()))
    path = make_tar(tmp_path / "a.tar", good, *((info, encoded(noise(seed=1))) for info in hostile_tars()[reason]))
    with pytest.raises(DatasetError, match=f"unsafe(.|\n)*{reason.strip()}"):
        prepare(path, out)


def test_tar_that_claims_more_than_it_holds_is_refused(tmp_path: Path, out: Path) -> None:
    path = make_tar(tmp_path / "a.tar", (tar_entry("good.png"), encoded(noise())), (tar_entry("big.png"), b""))
    data = bytearray(path.read_bytes())
    start = data.index(b"big.png")
    data[start + 124 : start + 136] = b"77777777777\0"  # 8 GiB, in octal.
    data[start + 148 : start + 156] = b" " * 8
    data[start + 148 : start + 156] = b"%06o\0 " % sum(data[start : start + 512])
    path.write_bytes(data)
    with pytest.raises(DatasetError, match=r"claims 8,589,934,591 bytes, more than there are|not a readable zip"):
        prepare(path, out)


def test_packed_tars_are_named(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as archive:
        archive.addfile(tar_entry("a.png"))
    with pytest.raises(DatasetError, match=r"compressed \(gzip\); unpack it first"):
        ImageDataset(tmp_path / "a.tar.gz")


def test_random_damage_to_a_zip_never_raises_anything_else(tmp_path: Path) -> None:
    rng = np.random.RandomState(0)
    path = make_zip(
        tmp_path / "a.zip", {f"{i}/\u00e9.png": encoded(noise(8, 8)) for i in range(3)}, zipfile.ZIP_DEFLATED
    )
    good, outcomes = path.read_bytes(), set()
    for case in range(1000):
        data = bytearray(good)
        start = 0 if case % 3 else good.index(b"PK\x01\x02")
        for _ in range(rng.randint(1, 4)):
            data[rng.randint(start, len(data))] = rng.choice([0, 255, rng.randint(256)])
        path.write_bytes(data)
        try:
            with sources.Source(path) as source:
                for name in source.names:
                    source.read(name)
            outcomes.add("read")
        except DatasetError:
            outcomes.add("refused")
    assert outcomes == {"read", "refused"}


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04 nothing", b"<html></html>"])
def test_file_that_is_no_zip_is_refused(tmp_path: Path, out: Path, data: bytes) -> None:
    (tmp_path / "a.zip").write_bytes(data)
    with pytest.raises(DatasetError, match="not a readable zip"):
        prepare(tmp_path / "a.zip", out)


def test_linked_folder_is_not_entered(pictures: Path, tmp_path: Path, out: Path) -> None:
    (pictures / "loop").symlink_to(pictures, target_is_directory=True)
    assert prepare(pictures, out).images == 5


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_pipe_does_not_hang(pictures: Path, out: Path) -> None:
    os.mkfifo(pictures / "pipe.png")
    assert prepare(pictures, out).images == 5
