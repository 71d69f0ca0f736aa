"""The benchmark of encoders runs, and its rows are those of docs/projection.md."""

import re
from pathlib import Path

from click.testing import CliRunner

from benchmarks.encoder import main
from stylegan import Generator

from ..conftest import ROOT


def test_rows_are_those_of_the_page(tmp_path: Path, default: Generator) -> None:
    for seed, image in enumerate(default.sample(seeds=[1, 2])):
        image.save(tmp_path / f"{seed}.png")
    options = ["--count", "1", "--edited", "2", "--own", "2", "--refined", "0"]
    options += ["--methods", "encoder", "--judges", "random-conv"]
    result = CliRunner().invoke(main, [str(tmp_path), *options])
    assert result.exit_code == 0, result.output
    rows = [line for line in result.output.splitlines() if re.search(r"\| \d", line)]
    page = (ROOT / "docs/projection.md").read_text(encoding="utf-8")
    for name in ("encoder, 1 look", "encoder, 3 looks"):
        assert any(row.startswith(f"| {name} |") for row in rows)
        assert f"| {name} |" in page
    for psi in ("1", "0.7"):
        assert any(row.startswith(f"| 2 at psi {psi}, refine 0 |") for row in rows)
        assert f"| 200 at psi {psi}, refine 0 |" in page
    assert re.search(r"gender rises with the strength, -3 to 3: \d+% of 2 photos", result.output)
