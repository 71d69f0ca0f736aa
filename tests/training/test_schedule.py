"""The schedule and the processing of real images against the official implementation."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from stylegan.errors import InputError
from stylegan.training.reals import process_reals, shrink
from stylegan.training.schedule import Schedule

from .golden_files import FOLDER

RECORDED = json.loads((FOLDER / "schedule.json").read_text())


@pytest.mark.parametrize("row", RECORDED["rows"], ids=lambda row: f"{row['kimg']:g}")
def test_schedule_matches_official(row: dict[str, float]) -> None:
    phase = Schedule(img_resolution=2 ** RECORDED["resolution_log2"]).at(row["kimg"])
    assert phase.lod == pytest.approx(row["lod"], abs=1e-12)
    assert (phase.resolution, phase.batch, phase.tick_kimg) == (row["resolution"], row["minibatch"], row["tick_kimg"])
    assert phase.learning_rate == row["G_lrate"] == row["D_lrate"]


def test_phases_can_have_their_own_lengths() -> None:
    schedule = Schedule(32, training_kimg={8: 10, 16: 20}, transition_kimg={16: 4, 32: 0}, batch=16)
    lods = {kimg: schedule.lod(kimg) for kimg in (0, 9, 10, 12, 14, 33, 34, 999)}
    assert lods == {0: 2, 9: 2, 10: 2, 12: 1.5, 14: 1, 33: 1, 34: 0, 999: 0}
    assert schedule.at(12).batch == 16


def test_no_growing_if_it_starts_at_the_full_resolution() -> None:
    assert Schedule(64, initial_resolution=64).at(0).lod == 0


def test_wrong_initial_resolution_is_an_error() -> None:
    with pytest.raises(InputError, match="initial_resolution must be one of"):
        Schedule(64, initial_resolution=128)


@pytest.mark.parametrize("lod", ["0", "0.3", "1", "1.75"])
def test_reals_match_official(lod: str) -> None:
    arrays = np.load(FOLDER / "misc.npz")
    reals, expected = (torch.from_numpy(arrays[k]) for k in ("reals_u8_16", f"process_reals_16_lod{lod}"))
    torch.testing.assert_close(process_reals(reals, float(lod)), expected, rtol=0, atol=1e-6)
    mirrored = process_reals(reals, float(lod), mirror=torch.tensor([False, True]))
    torch.testing.assert_close(mirrored[1], expected[1].flip(2), rtol=0, atol=1e-6)
    torch.testing.assert_close(mirrored[0], expected[0], rtol=0, atol=1e-6)


def test_shrinking_averages_and_rounds() -> None:
    img = torch.tensor([[0, 1], [1, 1]], dtype=torch.uint8).view(1, 1, 2, 2)
    assert shrink(img, 1).item() == 1
    assert shrink(img, 2) is img


@pytest.mark.parametrize("resolution", [1, 2, 8, 32])
def test_shrinking_is_an_average_of_blocks(resolution: int) -> None:
    img = torch.randint(256, (2, 3, 64, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    means = F.avg_pool2d(img.double(), 64 // resolution)
    assert torch.equal(shrink(img, resolution), means.round().to(torch.uint8))  # Halves to even.


COUNT_THREADS = """
import os, threading
from concurrent.futures import ThreadPoolExecutor
import torch
from stylegan.training.reals import shrink

def native_threads():
    return len(os.listdir("/proc/self/task")) - threading.active_count()

torch.set_num_threads(2)
img = torch.zeros(32, 3, 64, 64, dtype=torch.uint8)
img.float().exp()
with ThreadPoolExecutor(1) as reader:
    before = native_threads()
    reader.submit(shrink, img, 32).result()
    print(native_threads() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="counts threads by /proc")
def test_shrinking_beside_a_step_starts_no_team_of_threads() -> None:
    """With a second one, OpenMP's threads sleep between the operations of the step, which is slower."""
    command = [sys.executable, "-c", COUNT_THREADS]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "0\n"
