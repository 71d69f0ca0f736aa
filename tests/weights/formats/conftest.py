"""An official file read, and files to write from it."""

import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stylegan.weights.formats.official_pickle import OfficialNetwork, read_official_pickle

from ...conftest import GOLDEN
from .official import official_modules


@pytest.fixture
def dump(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Write an object to a file, with our stand-ins under the official names."""
    for name, module in official_modules().items():
        monkeypatch.setitem(sys.modules, name, module)

    def write(value: Any, protocol: int = 4) -> Path:
        path = tmp_path / "network.pkl"
        path.write_bytes(pickle.dumps(value, protocol))
        return path

    return write


@pytest.fixture(scope="module")
def networks() -> dict[str, OfficialNetwork]:
    return read_official_pickle(GOLDEN / "T" / "network_nosrc.pkl")
