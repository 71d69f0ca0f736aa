"""The paper's tables with results of one's own."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from stylegan.cli import main
from stylegan.errors import InputError
from stylegan.metrics.tables import TABLES, make_table


def result(num_latents: int = 1, extractor: str = "st-lpips-vgg", **values: float) -> dict[str, Any]:
    return {
        "format": 1,
        "metrics": {name: {"value": value, "images": 1000} for name, value in values.items()},
        "settings": {"num_latents": num_latents},
        "extractor": {"name": extractor, "sha256": extractor},
        "data": {"name": "faces.zip", "sha256": "d"},
    }


def cells(text: str, row: str) -> list[str]:
    (line,) = [line for line in text.splitlines() if line.startswith(f"| {row} |")]
    return [cell.strip() for cell in line.strip("|").split("|")][1:]


def test_own_numbers_stand_beside_the_published_ones() -> None:
    text = make_table("configurations", [("F", result(fid50k=12.345)), ("E", result(fid50k=13.0))])
    assert cells(text, "F: + mixing regularization") == ["12.35", "5.17", "4.40"]
    assert cells(text, "E: + noise inputs") == ["13.00", "5.06", "4.42"]
    assert cells(text, "A: baseline progressive GAN") == ["", "7.79", "8.04"]
    assert text.endswith("Own numbers: FID with st-lpips-vgg; data faces.zip; fid50k: 1,000 images.\n")


def test_numbers_on_another_scale_keep_three_digits() -> None:
    text = make_table(
        "configurations", [("F", result(fid50k=3.14159e-4)), ("E", result(fid50k=0.0271)), ("D", result(fid50k=0))]
    )
    assert cells(text, "F: + mixing regularization")[0] == "0.000314"
    assert cells(text, "E: + noise inputs")[0] == "0.0271"
    assert cells(text, "D: + no traditional input")[0] == "0.00"


def test_mixing_has_one_result_for_each_number_of_latents() -> None:
    runs = [("90", result(num_latents=n, fid10k=float(n))) for n in (4, 1, 2)]
    assert cells(make_table("mixing", runs), "F: 90%")[:4] == ["1.00", "2.00", "", "4.00"]


def test_mapping_shows_a_row_in_the_space_that_it_is_about() -> None:
    own = result(fid50k=1, ppl_z=2, ppl_zend=3, ls_z=4, ppl_w=5, ppl_wend10k=6, ls_w20k=7)
    text = make_table("mapping", [("traditional-8", own)])
    assert cells(text, "traditional, depth 8, Z")[:4] == ["1.00", "2.00", "3.00", "4.00"]
    assert cells(text, "traditional, depth 8, W")[:4] == ["1.00", "5.00", "6.00", "7.00"]
    assert cells(text, "style-based, depth 0, Z") == ["", "", "", "", "5.06", "283.5", "285.5", "9.88"]


@pytest.mark.parametrize("name", TABLES)
def test_every_row_is_as_wide_as_its_header(name: str) -> None:
    lines = [line for line in make_table(name, []).splitlines() if line.startswith("|")]
    assert len({line.count("|") for line in lines}) == 1
    for row in TABLES[name].rows:
        assert len(row.published) == len(TABLES[name].columns) * len(TABLES[name].data)


def test_different_extractors_are_not_put_in_one_table() -> None:
    runs = [("E", result(fid50k=1)), ("F", result(extractor="inception-2015", fid50k=1))]
    with pytest.raises(InputError, match="differ in their extractor"):
        make_table("configurations", runs)


def test_unknown_rows_and_tables_are_told_the_known_ones() -> None:
    with pytest.raises(InputError, match="expected one of A, B, C, D, E, F"):
        make_table("configurations", [("G", result())])
    with pytest.raises(InputError, match="configurations, mixing, paths, mapping"):
        make_table("figures", [])


def test_the_command_reads_results_and_writes_markdown(tmp_path: Path) -> None:
    path = tmp_path / "f.json"
    path.write_text(json.dumps(result(fid50k=3.0)))
    shown = CliRunner().invoke(main, ["table", "configurations", f"F={path}"])
    assert shown.exit_code == 0, shown.output
    assert cells(shown.output, "F: + mixing regularization") == ["3.00", "5.17", "4.40"]
    written = CliRunner().invoke(main, ["table", "configurations", f"F={path}", "--out", str(tmp_path / "t.md")])
    assert written.exit_code == 0
    assert (tmp_path / "t.md").read_text() == shown.output


def test_files_that_are_no_results_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    for content in ("no json", "[]", "{}"):
        path.write_text(content)
        done = CliRunner().invoke(main, ["table", "paths", f"F={path}"])
        assert done.exit_code == 1
        assert "not a result that `stylegan evaluate --out` wrote" in done.output
    assert "expected ROW=RESULT.json" in CliRunner().invoke(main, ["table", "paths", "F"]).output
