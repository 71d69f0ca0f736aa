"""Independent implementations to compare with; a test that needs one is skipped where it is not installed.

They import torchvision and others, for what no test calls: those are stood in for. `pip install --no-deps
torch-fidelity` installs what the extra `test` leaves out, as it would bring torchvision.
"""

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import ModuleType
from unittest.mock import MagicMock

import pytest

_UNWANTED = (
    "torchvision",
    "torchvision.models",
    "torchvision.datasets",
    "torchvision.transforms",
    "torchvision.transforms.functional",
    "IPython",
    "torchsummary",
)


def import_reference(name: str) -> ModuleType:
    """A module of torch_fidelity, torchmetrics or stlpips_pytorch."""
    if name.startswith("torchmetrics"):  # It imports torch_fidelity where that is installed.
        with _standing_in(), suppress(ImportError):
            importlib.import_module("torch_fidelity")
        module: ModuleType = pytest.importorskip(name)
    else:
        with _standing_in():
            module = pytest.importorskip(name)
    return module


@contextmanager
def _standing_in() -> Iterator[None]:
    missing = [module for module in _UNWANTED if module not in sys.modules]
    sys.modules |= {module: MagicMock() for module in missing}
    try:
        yield
    finally:
        for module in missing:
            del sys.modules[module]
