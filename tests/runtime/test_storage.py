"""Where nothing can be written: one sentence that says why, what is kept and how to go on; and nothing half-written."""

import errno
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

from stylegan import cli
from stylegan.errors import StorageError, StyleGANError
from stylegan.metrics.features import RealFeatures
from stylegan.runtime.atomic_files import explained, new_file, write_atomically
from stylegan.runtime.run_log import append_log

from ..conftest import tiny_generator


@contextmanager
def full_after(size: int) -> Iterator[None]:
    """Files that grow beyond this size are refused by the system, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize("call", ["fsync", "write"])
def test_a_full_disk_is_one_sentence_and_the_old_file_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, call: str
) -> None:
    path = tmp_path / "a.png"
    write_atomically(path, b"old")

    def full(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", full)

    def write() -> None:
        with new_file(path) as file:
            if call == "write":
                full()
            file.write(b"new")

    with pytest.raises(StorageError, match=r"a\.png: not written, the disk is full; free some space") as caught:
        write()
    assert (caught.value.errno, path.read_bytes()) == (number, b"old")
    assert files(tmp_path) == {"a.png"}


COMMANDS = {
    "grid": ["sample", "--seeds", "0-3", "--out", "out/a.png"],
    "folder": ["sample", "--seeds", "0-3", "--out", "out/"],
    "tar": ["sample", "--seeds", "0-3", "--out", "out/", "--format", "tar"],
    "mix": ["mix", "--rows", "1", "--columns", "2", "--out", "out/a.png"],
    "truncate": ["truncate", "--seeds", "1", "--out", "out/a.png"],
    "figure": ["figure", "uncurated", "--out", "out/a.png"],
    "gif": ["video", "--seconds", "0.5", "--out", "out/a.gif"],
    "mp4": ["video", "--seconds", "0.5", "--out", "out/a.mp4"],
    "webp": ["video", "--seconds", "0.5", "--out", "out/a.webp"],
    "convert": ["convert", "tiny.safetensors", "out/a.safetensors"],
    "export": ["export", "tiny.safetensors", "--out", "out"],
    "dataset": ["dataset", "pictures", "out/a.zip", "--resolution", "64"],
}


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_every_command_says_so_and_leaves_nothing_half_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    if command[-1].endswith(".mp4"):
        pytest.importorskip("av")
    if command[0] == "export":
        pytest.importorskip("onnx")
    monkeypatch.chdir(tmp_path)
    tiny_generator().save("tiny.safetensors")
    for i in range(4):
        Path("pictures").mkdir(exist_ok=True)
        Image.fromarray(np.random.RandomState(i).randint(0, 256, (64, 64, 3), np.uint8)).save(f"pictures/{i}.png")
    model = [] if command[0] in ("convert", "export", "dataset") else ["--model", "tiny.safetensors"]
    with full_after(600):
        result = CliRunner().invoke(cli.main, [*command, *model])
    assert result.exit_code == 1, result.output
    said = result.output.strip().splitlines()[-1]
    assert "the disk is full" in said
    assert "what was finished before is kept" in said
    assert "Errno" not in result.output
    assert ".tmp" not in result.output
    assert not Path("out").exists() or files(Path("out")) == set()


def test_other_places_where_nothing_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "inside").touch()
    for place, message in {
        tmp_path / "file" / "a.png": "a.png: not written, a file is where a folder should be",
        tmp_path / "folder": "a folder stands in its place",
        Path("/proc/a.png"): "/proc/a.png: not written, no such file or directory; choose a place",
        tmp_path / ("x" * 300): "not written, file name too long",
    }.items():
        with pytest.raises(StorageError, match=message) as caught:
            write_atomically(place, b"x")
        assert ".tmp" not in str(caught.value)
    assert files(tmp_path) == {"file", "folder/inside"}


def test_a_line_of_a_log(tmp_path: Path) -> None:
    with full_after(10), pytest.raises(StorageError, match=r"log\.jsonl: not written, the disk is full"):
        append_log(tmp_path / "log.jsonl", {"step": 1, "loss": 0.123456789})


def test_features_that_cannot_be_kept_do_not_stop_an_evaluation(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    reals: Any = SimpleNamespace(file=tmp_path / "features.safetensors")
    with full_after(100):
        RealFeatures.keep(reals, torch.zeros(100, 10), is_whole=True)
    assert "the disk is full" in caplog.text
    assert files(tmp_path) == set()


def test_errors_of_other_files_stay_what_they_are(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), explained(tmp_path / "a.png"):
        (tmp_path / "other.json").read_bytes()
    with pytest.raises(StyleGANError, match=r"^mine$"), explained(tmp_path / "a.png"):
        raise StyleGANError("mine")
