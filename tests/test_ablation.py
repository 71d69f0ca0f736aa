"""models/ablation: one command trains, measures, continues and writes its page, in a size for tests."""

import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from models.ablation import page

from .conftest import ROOT

FIELDS = ("hairColor", "skinColor", "primaryBackgroundColor")


@pytest.fixture(scope="module")
def run() -> Any:
    """The script, as a module."""
    spec = importlib.util.spec_from_file_location("ablation_run", ROOT / "models/ablation/run.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the renderer writes."""
    folder, heads, state = tmp_path_factory.mktemp("pictures"), {}, np.random.RandomState(0)
    for i in range(64):
        Image.fromarray(state.randint(0, 255, (64, 64, 3), dtype=np.uint8)).save(folder / f"{i:08d}.png")
        kinds = {"hair": "bun" if i % 2 else "spiky", "eyes": "wide"}
        heads[f"{i:08d}.png"] = dict.fromkeys(FIELDS, f"#{i:02x}{i:02x}00") | kinds
    (folder / "attributes.json").write_text(json.dumps(heads))
    return folder


def test_one_command_trains_measures_and_writes(run: Any, pictures: Path, tmp_path: Path) -> None:
    (tmp_path / "docs/images").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    options = [
        "--smoke",
        "--work",
        str(tmp_path / "work"),
        "--pictures",
        str(pictures),
        "--docs",
        str(tmp_path / "docs"),
    ]
    result = CliRunner().invoke(run.main, [*options, "--only", "E"], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    text = (tmp_path / "docs/ablation.md").read_text()
    assert "| E: + noise inputs | " in text
    assert "without mixing, two latents cost FID" in text
    assert (tmp_path / "docs/images/ablation.webp").is_file()
    found = json.loads((tmp_path / "work/results/E-0.json").read_text())
    assert list(found) == ["1", "2", "3", "4"]
    # What is known is not computed again, nor are data and run needed for the page.
    for path in ("heads-32.zip", "runs/E-0"):
        (tmp_path / "work" / path).rename(tmp_path / "elsewhere" / path.replace("/", "-"))
    CliRunner().invoke(run.main, [*options, "--only", "E"], catch_exceptions=False)
    assert (tmp_path / "docs/ablation.md").read_text() == text
    assert not (tmp_path / "work/heads-32.zip").exists()


def test_every_network_can_be_built(run: Any) -> None:
    for network in run.NETWORKS:
        settings = {**run.Size().training, **run.NETWORKS[network], "resolution": 32}
        config = run.TrainingConfig(**settings, kimg=1)
        G = config.make_generator()
        assert (G.num_ws == 1) == (network in ("A", "B", "traditional-8"))
        config.schedule()


def test_tables_take_every_network(run: Any) -> None:
    used = {network for rows in page.ROWS.values() for network in rows.values()}
    assert used == set(run.NETWORKS)
    claimed = {name.partition("@")[0] for claim in page.CLAIMS for name in (claim.lower, claim.higher)}
    assert claimed <= set(run.NETWORKS)


def result(fid: float) -> dict[str, Any]:
    about = {"software": {"torch": "2"}, "device": "cpu", "date": "2026-01-01T00:00", "settings": {"num_latents": 1}}
    return {"1": {"metrics": {"fid10k": {"value": fid, "images": 10_000}}, "kimg": 120, **about}}


@pytest.mark.parametrize(
    ("b", "held"), [((1, 2), "yes (2 of 2)"), ((1, 9), "in part (1 of 2)"), ((8, 9), "no (0 of 2)")]
)
def test_claims_are_held_to_every_seed(b: tuple[int, int], held: str) -> None:
    results = {"A-0": result(5), "A-1": result(6), "B-0": result(b[0]), "B-1": result(b[1])}
    (line,) = (line for line in page.agreement(results) if line.startswith("| B has a lower FID"))
    assert f"| {held} |" in line


def test_numbers_are_means_of_the_seeds() -> None:
    text = page.page({"A-0": result(5), "A-1": result(6)}, {"beard": 0.9})
    assert "| A: baseline progressive GAN | 5.50 | 7.79 | 8.04 |" in text
    assert "| A | 5, 6 |" in text
    assert "120 thousand images each" in text
