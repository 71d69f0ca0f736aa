"""A reader of what torch.save wrote; each test has a cache of its own."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from stylegan.weights.checkpoint import Checkpoint
from stylegan.weights.ports import read_port_file


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some tests average few w, which others must not find."""
    monkeypatch.setenv("STYLEGAN_CACHE", str(tmp_path.with_name(f"{tmp_path.name}-cache")))


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., list[Checkpoint]]:
    """Save an object as torch.save does, and read it back as checkpoints."""

    def save_and_read(value: Any, name: str = "port.pth", *, legacy: bool = False, **options: Any) -> list[Checkpoint]:
        path = tmp_path / name
        torch.save(value, path, _use_new_zipfile_serialization=not legacy)
        return read_port_file(path, **options)

    return save_and_read
