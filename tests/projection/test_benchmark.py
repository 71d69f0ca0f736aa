"""The benchmark of projection runs, and prints a row for each number of steps."""

import re
from pathlib import Path

from click.testing import CliRunner

from benchmarks.projection import main
from stylegan import Generator


def test_every_number_of_steps_has_a_row(tmp_path: Path, faces: Generator) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    for seed in (1, 2):
        faces.sample(seeds=[seed])[0].save(folder / f"{seed}.png")
    options = [
        "--model",
        "faces-64",
        "--extractor",
        "random-conv",
        "--judge",
        "random-conv",
        "--steps",
        "1,2",
        "--samples",
        "20",
        "--count",
        "1",
        "--recovery-steps",
        "2",
    ]
    result = CliRunner().invoke(main, ["--data", str(folder), "--out", str(tmp_path / "p.png"), *options])
    assert result.exit_code == 0, result.output
    for name in ("1 steps", "2 steps", "best of 20 samples", "2 steps, --refine 8"):
        row = f"| faces-64, {name} | "
        assert re.search(re.escape(row) + r"\d+\.\d+", result.output)
    assert (tmp_path / "p.png").is_file()
