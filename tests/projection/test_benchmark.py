"""The benchmarks of projection and of tuning run, and print a row for each number of steps."""

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from benchmarks import tuning
from benchmarks.projection import main
from stylegan import Encoder, Generator
from stylegan.encoder import new_encoder


def test_every_number_of_steps_has_a_row(tmp_path: Path, tiny: Generator) -> None:
    model, folder = tmp_path / "tiny.safetensors", tmp_path / "data"
    tiny.save(model)
    folder.mkdir()
    for seed in (1, 2):
        tiny.sample(seeds=[seed])[0].save(folder / f"{seed}.png")
    options = ["--extractor", "random-conv", "--judge", "random-conv", "--steps", "1,2", "--samples", "20"]
    options += ["--model", str(model), "--count", "1", "--recovery-steps", "2"]
    result = CliRunner().invoke(main, ["--data", str(folder), "--out", str(tmp_path / "p.png"), *options])
    assert result.exit_code == 0, result.output
    for name in ("1 steps", "2 steps", "best of 20 samples", "2 steps, --refine 8"):
        row = f"| {model}, {name} | "
        assert re.search(re.escape(row) + r"\d+\.\d+", result.output)
    assert (tmp_path / "p.png").is_file()


def test_tuning_has_rows_of_steps_and_of_sizes(
    tmp_path: Path, faces: Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    face = faces.sample(seeds=[1])[0]
    face.save(tmp_path / "face.png")
    monkeypatch.setattr(tuning, "cut_face", lambda photo, resolution: face)
    monkeypatch.setattr(Encoder, "of", new_encoder)
    options = ["--model", "faces-64", "--extractor", "random-conv", "--judge", "random-conv", "--steps", "1,2"]
    result = CliRunner().invoke(tuning.main, [str(tmp_path / "face.png"), "--projection-steps", "1", *options])
    assert result.exit_code == 0, result.output
    for name in ("0", "1", "2", "float16", "int8, a scale for each tensor", "float16, rank 4"):
        assert re.search(rf"^\| {name} \| [\d.]+ \| [\d.]+ \| [\d.]+ \| [\d.]+ \|$", result.output, re.MULTILINE)
