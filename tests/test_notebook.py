"""The notebook: its cells run in order and end in something to look at, and it is stored without outputs."""

import ast
import json
import sys
import types
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from .conftest import ROOT

TOUR = ROOT / "examples" / "tour.ipynb"


@pytest.fixture(scope="module")
def cells() -> list[dict[str, Any]]:
    return [cell for cell in json.loads(TOUR.read_text())["cells"] if cell["cell_type"] == "code"]


def stand_in_for_ipython() -> dict[str, types.ModuleType]:
    """IPython is heavy: here its pictures are those that Pillow opens."""
    display: Any = types.ModuleType("IPython.display")
    display.Image = Image.open
    return {"IPython": types.ModuleType("IPython"), "IPython.display": display}


def run(source: str, namespace: dict[str, Any]) -> object:
    """Run a cell; the value of its last expression, as a notebook shows it."""
    *body, last = ast.parse(source).body
    assert isinstance(last, ast.Expr), "the cell shows nothing"
    exec(compile(ast.Module(body, []), str(TOUR), "exec"), namespace)
    return eval(compile(ast.Expression(last.value), str(TOUR), "eval"), namespace)


def test_the_tour_runs_and_every_cell_shows_something(
    cells: list[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name, module in stand_in_for_ipython().items():
        monkeypatch.setitem(sys.modules, name, module)
    namespace: dict[str, Any] = {}
    shown = [run("".join(cell["source"]), namespace) for cell in cells]
    pictures = [value for value in shown if isinstance(value, Image.Image)]
    assert len(shown) == 11
    assert len(pictures) >= 9
    assert all(len(picture.convert("L").getcolors(256) or []) > 50 for picture in pictures)
    assert getattr(pictures[-1], "n_frames", 1) == 72


def test_the_tour_is_stored_without_outputs(cells: list[dict[str, Any]]) -> None:
    """They would be out of date with the next bundled model, and every run would change the file."""
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in cells)
