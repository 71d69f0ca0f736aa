"""A folder of pictures, and a place for what is made of them."""

from pathlib import Path

import pytest

from .pictures import noise


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
