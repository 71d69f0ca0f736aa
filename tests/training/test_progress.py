"""models/progress.py: the distance of each snapshot of a run to pictures held out."""

import json
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

from stylegan.extractors import load_extractor
from stylegan.generator import Generator
from stylegan.images.convert import from_uint8, to_pil
from stylegan.metrics import frechet_distance

from ..conftest import ROOT
from .tiny import TinyImages, run


def write_pictures(pictures: torch.Tensor, folder: Path) -> Path:
    """uint8 [N, 3, R, R] as a data set."""
    folder.mkdir()
    for i, img in enumerate(to_pil(from_uint8(pictures))):
        img.save(folder / f"{i:05d}.png")
    return folder


# A run, its data set, one held out, and the pictures of that.
Trained = tuple[Path, Path, Path, torch.Tensor]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """A tiny run: 8x8 until 1 kimg, then fading for two; and two data sets: learnt from, and held out."""
    folder = tmp_path_factory.mktemp("progress")
    pictures = TinyImages().pictures
    training, held_out = (write_pictures(pictures[i::2], folder / str(i)) for i in (0, 1))
    growing: dict[str, Any] = {"training_kimg": 1, "transition_kimg": 2, "kimg": 4, "batch": 40}
    run(folder / "run", snapshot_kimg=1, snapshot_images=64, log_kimg=1, **growing)
    return folder / "run", training, held_out, pictures[1::2]


def measure(run: Path, held_out: Path, *options: str) -> list[dict[str, Any]]:
    """The lines of progress.jsonl."""
    main = runpy.run_path(str(ROOT / "models/progress.py"))["main"]
    args = [str(run), str(held_out), "--extractor", "random-conv", *options]
    CliRunner().invoke(main, args, catch_exceptions=False)
    return [json.loads(line) for line in (run / "progress.jsonl").read_text().splitlines()]


def test_each_snapshot_has_its_distance_in_two_pictures(trained: Trained) -> None:
    run, training, held_out, pictures = trained
    entries = measure(run, held_out, "--images", "8", "--training", str(training))
    assert [(e["kimg"], e["resolution"], round(e["lod"], 1)) for e in entries] == [
        (0, 8, 1),
        (1, 8, 1),
        (2, 16, 0.5),
        (3, 16, 0),
        (4, 16, 0),
    ]
    # The last, from the whole network's images as files hold them.
    fakes = Generator.from_pretrained(run / "snapshots" / entries[-1]["snapshot"]).sample(
        seeds=range(8), truncation_psi=1
    )
    bytes_of = torch.stack([torch.from_numpy(np.array(img)).permute(2, 0, 1) for img in fakes])
    real, fake = (load_extractor("random-conv").features(from_uint8(img)) for img in (pictures, bytes_of))
    assert entries[-1]["distance"] == pytest.approx(frechet_distance(real, fake), rel=1e-3)
    assert Image.open(run / "progress.png").size == (900, 400)
    assert Image.open(run / "progress-fakes.webp").size == (80 + 10 * 16, 16 * len(entries))
    # Once measured, only what is asked for anew: another number of images, here.
    assert measure(run, held_out, "--images", "8") == entries
    more = measure(run, held_out, "--images", "9")
    assert more[:5] == entries
    assert [e["generated"] for e in more[5:]] == [9] * 5


def test_a_folder_without_snapshots_is_refused(trained: Trained, tmp_path: Path) -> None:
    main = runpy.run_path(str(ROOT / "models/progress.py"))["main"]
    result = CliRunner().invoke(main, [str(tmp_path), str(trained[2])])
    assert result.exit_code == 2
    assert "has no snapshots" in result.output
