"""What all of these tests need: one thread, and a folder of pictures."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from .pictures import noise


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> Iterator[None]:
    """Tiny networks gain nothing from more, and lose much where other work shares the CPUs."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A folder with five good 16x16 PNGs; tests add theirs."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for i in range(5):
        noise(seed=i).save(folder / f"{i}.png")
    return folder


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out" / "set.zip"
