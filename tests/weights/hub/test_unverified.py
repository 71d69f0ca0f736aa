"""Files that nobody named the sha256 of: what they hold tells whether they are right, and wrong ones are not kept."""

import io
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch

from stylegan import Discriminator, Generator
from stylegan.errors import IntegrityError, NotFoundError, WeightsError
from stylegan.weights.hub.access import Access

from ...conftest import GOLDEN
from ...hub_server import HubServer
from ..ports import writers as ports
from ..ports.golden_sets import golden_set
from .conftest import left
from .test_several import DRIVE, entry, name_it


def saved(**parts: Any) -> bytes:
    file = io.BytesIO()
    torch.save(parts, file)
    return file.getvalue()


@pytest.fixture
def unverified(server: HubServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> HubServer:
    """The model `cats`, of 16x16, at three places, of whose files the manifest knows no sha256."""
    monkeypatch.chdir(tmp_path)
    unknown = {"filename": "cats.pth", "format": "port", "size": None, "sha256": None}
    places = [{"drive": DRIVE}, {"hub": "user/cats", "revision": None}, {"url": f"{server.url}/plain/cats.pth"}]
    name_it(monkeypatch, entry(server, files=[unknown | {"source": place} for place in places]))
    return server


def send(server: HubServer, data: bytes, *, last: bytes) -> None:
    """What the first two places send, and the last one."""
    server.plain |= {DRIVE: data, "cats.pth": last}
    server.commit("user/cats", {"cats.pth": data})


GENERATOR = ports.genforce_generator(golden_set("T").g)  # Of 16x16.
WRONG = {
    "another network": (saved(bias=torch.ones(300)), "no known layout"),
    "another resolution": ((GOLDEN / "B/network_nosrc.pkl").read_bytes(), "is of 256x256, not 16x16"),
    "no numbers": (saved(generator=GENERATOR | {"synthesis.layer1.bias": torch.full((16,), torch.nan)}), "NaN"),
    "half a pickle": (pickle.dumps({"a": b"x" * 3000}, 2)[:2000], "it ends early"),
    "a program": (b"cos\nsystem\n(S'echo'\ntR." + b" " * 600 + b".", "asks for 'os'.'system'"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_weights_of_something_else_lead_to_the_next_source(unverified: HubServer, access: Access, wrong: str) -> None:
    data, why = WRONG[wrong]
    send(unverified, data, last=saved(generator=GENERATOR))
    G = Generator.from_pretrained("cats", cache_dir=access.cache_dir)
    assert (G.source, G.img_resolution) == (f"{unverified.url}/plain/cats.pth", 16)
    files, converted = sorted(left(access), key=lambda name: "/converted/" in name)
    assert files.endswith("/cats.pth")
    assert "/converted/" in converted
    unverified.plain["cats.pth"] = data
    with pytest.raises(IntegrityError) as caught:
        Generator.from_pretrained("cats", cache_dir=access.cache_dir, force_download=True)
    told = str(caught.value).splitlines()[1:-1]
    assert [(line.count("what the server sent is refused: "), why in line) for line in told] == [(1, True)] * 3
    assert left(access) == [converted]


def test_a_wish_that_the_right_file_cannot_meet_deletes_nothing(unverified: HubServer, access: Access) -> None:
    data = saved(generator=GENERATOR)
    send(unverified, data, last=data)
    with pytest.raises(WeightsError, match="holds no Discriminator"):
        Discriminator.from_pretrained("cats", cache_dir=access.cache_dir)
    with pytest.raises(WeightsError, match="resolution 512 does not go with"):
        Generator.from_pretrained("cats", cache_dir=access.cache_dir, resolution=512)
    assert unverified.count("GET", "/resolve/") == 0  # The file from the Drive stays.
    assert [name for name in left(access) if "/files/" in name]


def test_a_revision_is_the_hubs_and_nothing_stands_in_for_it(unverified: HubServer, access: Access) -> None:
    data = saved(generator=GENERATOR)
    send(unverified, data, last=data)
    commit = unverified.branches["user/cats"]["main"]
    G = Generator.from_pretrained("cats", revision=commit, cache_dir=access.cache_dir)
    assert G.source == f"hf:user/cats/cats.pth@{commit}"
    with pytest.raises(NotFoundError, match="there is no such revision"):
        Generator.from_pretrained("cats", revision="v9", cache_dir=access.cache_dir)
    assert unverified.count("GET", "/uc") == 0


def test_a_url_that_sent_no_weights_is_asked_again(server: HubServer, access: Access) -> None:
    url = f"{server.url}/plain/cats.pth"
    server.plain["cats.pth"] = b"Sorry, " * 1000
    with pytest.raises(WeightsError, match="a text file"):
        Generator.from_pretrained(url, cache_dir=access.cache_dir)
    assert left(access) == []
    server.plain["cats.pth"] = saved(generator=GENERATOR)
    assert Generator.from_pretrained(url, cache_dir=access.cache_dir).img_resolution == 16
