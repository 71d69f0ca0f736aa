"""Trackers are told how a run goes, none of them can end it, and Weights & Biases is one."""

import sys
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from stylegan.errors import InputError
from stylegan.runtime.run_log import read_log
from stylegan.training import Tracker, TrainingConfig, train

from .tiny import TinyImages, files, tiny_config


class Notebook(Tracker):
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.events: list[tuple[Any, ...]] = []
        self.entries: list[Mapping[str, Any]] = []

    def on_start(self, config: TrainingConfig, out: Path, images: int) -> None:
        self.events.append(("start", config.kimg, out.name, images))

    def on_step(self, state: Any, report: Any) -> None:
        self.events.append(("step", state.images))

    def on_log(self, entry: Mapping[str, Any], images: int) -> None:
        self.events.append(("log", images))
        self.entries.append(entry)

    def on_snapshot(self, pictures: Mapping[str, Path], network: Path, images: int) -> None:
        assert all(path.is_file() for path in [*pictures.values(), network])
        self.events.append(("snapshot", *pictures, images))

    def on_stop(self) -> None:
        self.events.append(("stop",))


def run(out: Path, *trackers: Tracker, **options: Any) -> Any:
    settings = {name: options.pop(name) for name in ("kimg", "wandb") if name in options}
    config = tiny_config(**{"kimg": 0.024} | settings)
    return train(config, out, dataset=TinyImages(), progress=False, trackers=trackers, **options)


def test_a_tracker_is_told_of_every_step_line_and_snapshot(tmp_path: Path) -> None:
    notebook = Notebook()
    run(tmp_path / "a", notebook)
    steps = [event for images in (8, 16, 24) for event in (("log", images), ("step", images))]
    assert notebook.events == [
        ("start", 0.024, "a", 0),
        ("snapshot", "reals", "fakes", 0),
        *steps,
        ("snapshot", "fakes", 24),
        ("stop",),
    ]
    assert notebook.entries == read_log(tmp_path / "a" / "log.jsonl")
    again = Notebook()
    run(tmp_path / "a", again, kimg=0.032, resume=True)
    assert again.events[:2] == [("start", 0.032, "a", 24), ("log", 32)]


class Broken(Notebook):
    """Fails in the methods that it is given."""

    def __init__(self, *events: str):
        super().__init__()
        for event in events:
            setattr(self, event, self.fail)

    def fail(self, *_: Any) -> None:
        self.events.append(("failed",))
        raise ConnectionError("no network")


def test_a_tracker_that_fails_gives_one_warning_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    broken, notebook = Broken("on_log", "on_stop"), Notebook()
    assert run(tmp_path, broken, notebook).reason == "finished"
    assert broken.events.count(("failed",)) == 4
    assert ("step", 24) in broken.events
    assert notebook.events[-1] == ("stop",)
    [record] = caplog.records
    assert record.levelname == "WARNING"
    assert "Broken failed in on_log" in record.getMessage()
    assert "no network" in record.getMessage()


def test_a_tracker_that_cannot_start_is_told_no_more(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    broken = Broken("on_start")
    assert run(tmp_path, broken).reason == "finished"
    assert broken.events == [("failed",)]
    assert len(caplog.records) == 1


def test_a_tracker_stops_with_a_run_that_fails(tmp_path: Path) -> None:
    def fail(state: Any, report: Any) -> None:
        raise RuntimeError

    notebook = Notebook()
    with pytest.raises(RuntimeError):
        run(tmp_path, notebook, after_step=fail)
    assert notebook.events[-1] == ("stop",)


class StubRun:
    """A run of the service that remembers what it is sent."""

    def __init__(self, **options: Any):
        self.options, self.is_over = options, False
        self.sent: list[dict[str, Any]] = []

    def define_metric(self, name: str, step_metric: str) -> None:
        assert (name, step_metric) == ("*", "images")

    def log(self, values: dict[str, Any]) -> None:
        self.sent.append(values)

    def finish(self) -> None:
        self.is_over = True


@pytest.fixture
def wandb_runs(monkeypatch: pytest.MonkeyPatch) -> list[StubRun]:
    runs: list[StubRun] = []

    def init(**options: Any) -> StubRun:
        runs.append(StubRun(**options))
        return runs[-1]

    module = types.ModuleType("wandb")
    module.init, module.Image = init, lambda path: ("picture", Path(path).name)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "wandb", module)
    monkeypatch.delenv("WANDB_PROJECT", raising=False)
    return runs


def test_weights_and_biases_get_settings_numbers_and_pictures(tmp_path: Path, wandb_runs: list[StubRun]) -> None:
    run(tmp_path / "mine", wandb=True)
    [sent] = wandb_runs
    assert (sent.options["project"], sent.options["name"], sent.is_over) == ("stylegan", "mine", True)
    assert sent.options["config"]["kimg"] == 0.024
    numbers = [values for values in sent.sent if "D_loss" in values]
    assert [values["images"] for values in numbers] == [8, 16, 24]
    assert [values["D_loss"] for values in numbers] == [e["D_loss"] for e in read_log(tmp_path / "mine" / "log.jsonl")]
    pictures = [values for values in sent.sent if "fakes" in values]
    assert pictures[0] == {"reals": ("picture", "reals.png"), "fakes": ("picture", "fakes-000000.png"), "images": 0}
    assert pictures[-1] == {"fakes": ("picture", "fakes.png"), "images": 24}


def test_a_resumed_run_goes_on_under_its_id(tmp_path: Path, wandb_runs: list[StubRun]) -> None:
    run(tmp_path / "a", wandb=True)
    run(tmp_path / "a", wandb=True, kimg=0.032, resume=True)
    run(tmp_path / "b", wandb=True)
    first, again, other = (sent.options["id"] for sent in wandb_runs)
    assert first == again != other
    assert wandb_runs[1].options["resume"] == "allow"


def test_without_the_package_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(InputError, match=r"pip install stylegan\[wandb\]"):
        run(tmp_path / "run", wandb=True)
    assert not (tmp_path / "run").exists()
    run(tmp_path / "other")
    assert not any("wandb" in name for name in files(tmp_path / "other"))


def test_the_package_itself_takes_what_it_is_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Offline, where it is installed."""
    pytest.importorskip("wandb")
    for name, value in {"WANDB_MODE": "offline", "WANDB_SILENT": "true", "HOME": str(tmp_path)}.items():
        monkeypatch.setenv(name, value)
    assert run(tmp_path / "run", wandb=True).reason == "finished"
    assert list((tmp_path / "run" / "wandb").glob("offline-run-*/*.wandb"))
