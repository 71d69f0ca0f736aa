"""A reader of what torch.save wrote."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from stylegan.weights.checkpoint import Checkpoint
from stylegan.weights.ports import read_port_file


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., list[Checkpoint]]:
    """Save an object as torch.save does, and read it back as checkpoints."""

    def save_and_read(value: Any, name: str = "port.pth", *, legacy: bool = False, **options: Any) -> list[Checkpoint]:
        path = tmp_path / name
        torch.save(value, path, _use_new_zipfile_serialization=not legacy)
        return read_port_file(path, **options)

    return save_and_read
