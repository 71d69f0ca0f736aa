"""TensorBoard as an extra: only if asked for, and a clear error where it is missing."""

import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stylegan.errors import InputError
from stylegan.runtime.run_log import read_log
from stylegan.training import train

from .tiny import TinyImages, files, tiny_config


class StubWriter:
    """Remembers what it is given."""

    made: list["StubWriter"]

    def __init__(self, folder: str, purge_step: int):
        self.folder, self.purge_step, self.open = folder, purge_step, True
        self.scalars: dict[int, dict[str, float]] = {}
        self.pictures: dict[tuple[str, int], tuple[int, ...]] = {}
        self.made.append(self)

    def add_scalar(self, name: str, value: float, step: int) -> None:
        self.scalars.setdefault(step, {})[name] = value

    def add_image(self, name: str, img: np.ndarray, step: int, dataformats: str) -> None:
        assert dataformats == "HWC"
        self.pictures[name, step] = img.shape

    def flush(self) -> None:
        pass

    def close(self) -> None:
        self.open = False


@pytest.fixture
def writers(monkeypatch: pytest.MonkeyPatch) -> list[StubWriter]:
    StubWriter.made = []
    module: Any = types.ModuleType("torch.utils.tensorboard")
    module.SummaryWriter = StubWriter
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return StubWriter.made


def run(out: Any, **options: Any) -> Any:
    return train(tiny_config(kimg=0.04, tensorboard=True), out, dataset=TinyImages(), progress=False, **options)


def test_numbers_and_pictures_are_those_of_the_files(tmp_path: Path, writers: list[StubWriter]) -> None:
    run(tmp_path)
    (writer,) = writers
    assert (writer.folder, writer.purge_step, writer.open) == (str(tmp_path / "tensorboard"), 1, False)
    assert list(writer.scalars.values()) == read_log(tmp_path / "log.jsonl")
    assert list(writer.scalars) == [8, 16, 24, 32, 40]
    assert set(writer.pictures) == {("reals", 0), ("fakes", 0), ("fakes", 32), ("fakes", 40)}
    assert writer.pictures["fakes", 40] == (32, 32, 3)


def test_a_resumed_run_hides_what_came_after_its_checkpoint(tmp_path: Path, writers: list[StubWriter]) -> None:
    run(tmp_path)
    run(tmp_path, resume=True)
    assert [w.purge_step for w in writers] == [1, 41]


def test_files_are_closed_when_training_fails(tmp_path: Path, writers: list[StubWriter]) -> None:
    def fail(state: Any, report: Any) -> None:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        run(tmp_path, after_step=fail)
    assert not writers[0].open


def test_nothing_is_imported_or_written_unless_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    train(tiny_config(kimg=0.008), tmp_path, dataset=TinyImages(), progress=False)
    assert not any("tensorboard" in name for name in files(tmp_path))


def test_a_missing_package_is_an_error_before_any_writing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(InputError, match=r"pip install stylegan\[tensorboard\]"):
        run(tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_real_event_files_can_be_read(tmp_path: Path) -> None:
    """With TensorBoard itself, where it is installed."""
    reader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    run(tmp_path)
    events = reader.EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert [e.step for e in events.Scalars("D_loss")] == [8, 16, 24, 32, 40]
    assert [e.step for e in events.Images("fakes")] == [32, 40]
