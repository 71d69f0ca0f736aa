"""`python -m tests.zoo`, against a server of this computer."""

import hashlib
import json
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from stylegan.weights.manifest import read_manifest

from . import zoo
from .conftest import HUB
from .weights.ports import writers as ports
from .weights.ports.golden_sets import golden_set


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, str, int]:
    """A manifest with a network that is there, under the beginning of its sha256, and one that is not."""
    HUB.reset()
    torch.save(ports.genforce_generator(golden_set("T").g), tmp_path / "cats.pth")
    data = (tmp_path / "cats.pth").read_bytes()
    HUB.plain["cats.pth"] = data
    digest = hashlib.sha256(data).hexdigest()
    about = {"description": "Cats", "resolution": 16, "dataset": "cats", "license": "MIT"}
    about |= {"license_url": "https://example.org/license", "tried": False, "zoo": True}

    def file(name: str, **known: Any) -> dict[str, Any]:
        source = {"url": f"{HUB.url}/plain/{name}"}
        return {"source": source, "filename": "cats.pth", "format": "port", "size": None, "sha256": None} | known

    entries = {
        "cats": about | {"files": [file("gone.pth"), file("cats.pth", sha256_prefix=digest[:8])]},
        "dogs": about | {"files": [file("dogs.pth")]},
    }
    path = tmp_path / "stylegan" / "ours.json"
    path.parent.mkdir()
    path.write_text(json.dumps({"version": 2, "models": entries}, indent=2) + "\n")
    monkeypatch.setenv("STYLEGAN_MANIFEST", str(path))
    monkeypatch.setenv("STYLEGAN_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return path, digest, len(data)


def test_what_was_tried_is_noted_as_a_patch(
    models: tuple[Path, str, int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, digest, size = models
    before = path.read_text()
    assert zoo.main(["cats", "dogs", "--out", "out"], path=path) == 1
    cats, dogs = read_manifest(path).values()
    assert cats.tried_on == f"{datetime.now(UTC).date().isoformat()}, sha256 {digest}"
    assert [(file.size, file.sha256) for file in cats.files] == [(None, None), (size, digest)]
    assert not dogs.tried
    assert "dogs: FAILED" in capsys.readouterr().out
    assert Image.open("out/cats.png").size == (64, 64)
    # The patch makes the one manifest of the other.
    after = path.read_text()
    path.write_text(before)
    subprocess.run(["git", "apply", "out/zoo.patch", "--include=stylegan/ours.json"], cwd=tmp_path, check=True)
    assert path.read_text() == after
