"""Independent implementations to compare with; a test that needs one is skipped where it is not installed.

They import torchvision and others, for what no test calls: those are stood in for. `pip install --no-deps
torch-fidelity` installs what the extra `test` leaves out, as it would bring torchvision.
"""

import sys
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
    missing = [module for module in _UNWANTED if module not in sys.modules]
    sys.modules |= {module: MagicMock() for module in missing}
    try:
        return pytest.importorskip(name)
    finally:
        for module in missing:
            del sys.modules[module]
