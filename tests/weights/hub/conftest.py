"""The same file at a hub, at a URL and at Google Drive, on a local server, and a cache to fetch it into."""

import hashlib
import time
from pathlib import Path
from typing import Any

import huggingface_hub
import huggingface_hub.file_download
import huggingface_hub.utils._http as hub_http
import numpy as np
import pytest

from stylegan.errors import DownloadError
from stylegan.weights.hub import drive, patience
from stylegan.weights.hub.access import Access, Fetched
from stylegan.weights.hub.client import fetch
from stylegan.weights.hub.sources import Source

from ...conftest import HUB
from ...hub_server import HubServer

DATA = np.random.RandomState(0).bytes(20_000)
SHA256 = hashlib.sha256(DATA).hexdigest()
NAME = "model.safetensors"
Errors = type[Exception] | tuple[type[Exception], ...]
FAST = patience.Patience(wait=0.01, longest_wait=5, timeout=2, silence=2)


class _Hurry:
    """The module `time` for this library and the hub's client, whose sleeps last a hundredth."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        time.sleep(seconds / 100)

    def __getattr__(self, name: str) -> Any:
        return getattr(time, name)


@pytest.fixture
def hurry(monkeypatch: pytest.MonkeyPatch) -> _Hurry:
    hurry = _Hurry()
    monkeypatch.setattr(huggingface_hub.file_download, "time", hurry)
    monkeypatch.setattr(hub_http, "time", hurry)
    monkeypatch.setattr(patience, "time", hurry)
    return hurry


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, hurry: _Hurry) -> HubServer:
    """The local hub, empty; nobody waits long."""
    HUB.reset()
    monkeypatch.setattr(patience, "PATIENCE", FAST)
    monkeypatch.setattr(drive, "DRIVE_URL", f"{HUB.url}/uc?export=download&id=")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_DOWNLOAD_TIMEOUT", 1)
    monkeypatch.setattr(huggingface_hub.constants, "DOWNLOAD_CHUNK_SIZE", 1000)  # Not all of the file at once.
    return HUB


@pytest.fixture
def access(tmp_path: Path) -> Access:
    return Access(tmp_path / "cache")


@pytest.fixture(params=["hub", "url", "drive"])
def source(request: pytest.FixtureRequest, server: HubServer) -> Source:
    """The same file at each kind of place."""
    server.commit("user/repo", {NAME: DATA})
    server.plain |= {NAME: DATA, "drive-id-0123": DATA}
    return {
        "hub": Source("hub", "user/repo", NAME),
        "url": Source("url", f"{server.url}/plain/{NAME}", NAME),
        "drive": Source("drive", "drive-id-0123", NAME),
    }[request.param]


def path_of(source: Source) -> str:
    """The part of a path that tells a GET of the file from other requests."""
    return {"hub": "/resolve/", "url": "/plain/", "drive": "/download"}[source.kind]


def left(access: Access) -> list[str]:
    """The files of the cache that hold, or held, weights."""
    names = [str(p) for p in access.cache.hub.rglob("*") if p.is_file() and p.stat().st_size >= 500]
    return [name for name in names if "/records/" not in name]


def check_refused(
    source: Source, access: Access, error: Errors = DownloadError, match: str = NAME, **known: Any
) -> None:
    """Fetching is this error, and leaves nothing in the cache."""
    with pytest.raises(error, match=match):
        fetch(source, access, **known)
    assert left(access) == []


def check(fetched: Fetched) -> None:
    assert fetched.path.read_bytes() == DATA
    assert fetched.sha256 == SHA256
