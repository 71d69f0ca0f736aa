"""What the tests of the fast paths are run with."""

from collections.abc import Iterator

import pytest

from stylegan.fast import bands, renderer
from stylegan.fast.library import CAPABILITIES, _capability, load_library
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


@pytest.fixture(params=CAPABILITIES)
def capability(request: pytest.FixtureRequest) -> Iterator[str]:
    """Each variant of the compiled kernels that this processor can run."""
    library = load_library()
    assert library
    most = library.stylegan_use_capability(CAPABILITIES["avx512"])
    if CAPABILITIES[request.param] > most:
        pytest.skip("this processor has no such instructions")
    library.stylegan_use_capability(CAPABILITIES[request.param])
    yield request.param
    library.stylegan_use_capability(_capability())
