"""A hub on this computer, with a tiny network and a manifest that names it."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from stylegan import Generator
from stylegan.weights.hub import drive, patience

from ..conftest import HUB
from ..hub_server import HubServer


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> HubServer:
    """The local hub with the tiny generator and an official file; an empty cache."""
    HUB.reset()
    monkeypatch.setattr(patience, "PATIENCE", patience.Patience(wait=0.01, timeout=2, silence=5))
    monkeypatch.setattr(drive, "DRIVE_URL", f"{HUB.url}/uc?export=download&id=")
    monkeypatch.setenv("STYLEGAN_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return HUB


@pytest.fixture
def published(server: HubServer, tiny: Generator, tmp_path: Path) -> dict[str, bytes]:
    """The files of the repository user/tiny."""
    tiny.save_pretrained(tmp_path / "tiny")
    files = {path.name: path.read_bytes() for path in (tmp_path / "tiny").iterdir()}
    server.commit("user/tiny", files)
    return files


@pytest.fixture
def named(server: HubServer, published: dict[str, bytes], monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A manifest with the model my-cats: on a hub and at a URL, non-commercial, with a content box."""
    data = published["model.safetensors"]
    server.plain["cats.safetensors"] = data
    file = {
        "filename": "model.safetensors",
        "format": "safetensors",
        "size": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
    }
    entry = {
        "description": "Cats",
        "resolution": 16,
        "dataset": "LSUN Cat",
        "license": "CC BY-NC 4.0",
        "license_url": "https://creativecommons.org/licenses/by-nc/4.0/",
        "attribution": "Someone",
        "metrics": {"fid50k": 8.5},
        "content_box": [0, 2, 16, 14],
        "options": {"truncation_psi": 0.6},
        "files": [
            file | {"source": {"hub": "user/tiny", "revision": None}},
            file | {"source": {"url": f"{server.url}/plain/cats.safetensors"}},
        ],
    }
    Path("m.json").write_text(json.dumps({"version": 2, "models": {"my-cats": entry}}))
    monkeypatch.setenv("STYLEGAN_MANIFEST", "m.json")
    return entry
