"""The benchmark runs, and prints a row for each case."""

from click.testing import CliRunner

from benchmarks.training import main


def test_every_case_has_a_row() -> None:
    small = ["--rounds", "1", "--steps", "1", "--batch", "4", "--fmap-max", "8", "--width", "8"]
    result = CliRunner().invoke(main, ["--resolutions", "8,16", "--augment", "none,ada", *small])
    assert result.exit_code == 0, result.output
    rows = [line for line in result.output.splitlines() if line.startswith(("| 8x8", "| 16x16"))]
    assert len(rows) == 8
    assert "| 16x16 | bfloat16 | ada |" in rows[-1]
