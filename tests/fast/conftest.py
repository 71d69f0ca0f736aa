"""What the tests of the fast paths are run with."""

import pytest

from stylegan.fast import bands, renderer
from stylegan.runtime.choices import RenderPath

from ..conftest import FAST_PATHS


@pytest.fixture(params=FAST_PATHS)
def path(request: pytest.FixtureRequest) -> RenderPath:
    path: RenderPath = request.param
    return path


@pytest.fixture
def small_bands(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several bands for each layer, and groups of three images, even in tiny networks."""
    monkeypatch.setattr(bands, "BAND_BYTES", 2**12)
    monkeypatch.setattr(renderer, "GROUP_PIXELS", 3 * 32**2)
