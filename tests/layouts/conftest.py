"""One thread, and a reader of what torch.save wrote."""

import pytest
import torch

from stylegan.weights.checkpoint import Checkpoint
from stylegan.weights.layouts import read_port_file


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    """Networks as small as these lose more by threads than they gain."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def read(tmp_path):
    """Save an object as torch.save does, and read it back as checkpoints."""

    def save_and_read(value, name: str = "port.pth", *, legacy: bool = False, **options) -> list[Checkpoint]:
        path = tmp_path / name
        torch.save(value, path, _use_new_zipfile_serialization=not legacy)
        return read_port_file(path, **options)

    return save_and_read
