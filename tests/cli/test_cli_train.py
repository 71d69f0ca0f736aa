"""stylegan train: options, settings and exit codes."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from stylegan.cli import main
from stylegan.training import TrainingConfig, loop

from ..training.tiny import TinyImages

SMALL = [
    "--device",
    "cpu",
    "--set",
    "z_dim=8",
    "--set",
    "w_dim=8",
    "--set",
    "hidden_dim=8",
    "--set",
    "fmap_base=64",
    "--set",
    "fmap_max=8",
]


def invoke(*args: Any) -> Result:
    return CliRunner().invoke(main, ["train", *map(str, args)])


def test_settings_come_from_file_options_and_set(tmp_path: Path) -> None:
    (tmp_path / "base.yaml").write_text("kimg: 5\nbatch: 64\npreset: E\n")
    result = invoke(
        *("--out", tmp_path, "--config", tmp_path / "base.yaml", "--batch", "{8: 128}", "--gamma", "0.5"),
        *("--set", "fmap_max=32", "--show-settings"),
    )
    assert result.exit_code == 0, result.output
    shown = yaml.safe_load(result.output)
    assert (shown["kimg"], shown["preset"], shown["batch"], shown["r1_gamma"]) == (5, "E", {8: 128}, 0.5)
    assert shown["fmap_max"] == 32
    assert TrainingConfig.of(shown).resolution is None


def test_trains_and_resumes_with_the_settings_of_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "ImageDataset", lambda path, **options: TinyImages())
    run = tmp_path / "run"
    result = invoke("--data", "x.zip", "--out", run, "--kimg", 0.008, "--batch", 8, *SMALL, "--dtype", "float32")
    assert result.exit_code == 0, result.output
    assert "finished at 0.0 kimg; saved in" in result.output
    result = invoke("--data", "x.zip", "--out", run)
    assert result.exit_code == 1
    assert "holds a run already; --resume continues it" in result.output
    result = invoke("--out", run, "--resume", "--kimg", 0.016)
    assert result.exit_code == 0, result.output
    config = TrainingConfig.load(run / "config.yaml")
    assert (config.kimg, config.fmap_max, config.data) == (0.016, 8, "x.zip")
    assert (run / "checkpoints/step-000000002.safetensors").exists()


def test_mistakes_are_told_in_one_line(tmp_path: Path) -> None:
    for args, message in (
        ([], "no data set; give one with --data"),
        (["--resume"], "run: there is no run to resume; check --out, or give --data to begin one"),
        (["--set", "fmap_maxx=3"], "unknown setting 'fmap_maxx'; did you mean 'fmap_max'?"),
        (["--set", "fmap_max"], "expected NAME=VALUE"),
        (["--data", tmp_path / "nothing.zip"], "nothing.zip"),
    ):
        result = invoke("--out", tmp_path / "run", *args)
        assert result.exit_code == 1
        assert message in result.output
        assert "Traceback" not in result.output
