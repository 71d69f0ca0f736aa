"""Networks from a hub, a URL or other people's manifests."""

import io
import re
import warnings
from pathlib import Path
from typing import Any

import huggingface_hub
import numpy as np
import pytest
import safetensors.torch
import torch

from stylegan import Discriminator, Generator
from stylegan.errors import (
    DownloadError,
    InputError,
    IntegrityError,
    LicenseWarning,
    NotFoundError,
    OfflineError,
    UnsafeFileError,
    WeightsError,
)
from stylegan.weights import conversion
from stylegan.weights.formats.official_pickle import read_official_pickle
from stylegan.weights.hub.cache import Cache
from stylegan.weights.ports.checkpoints import average_w

from ..conftest import HUB, tiny_generator
from ..hub_server import HubServer, answer, flip
from .ports import writers as ports
from .ports.golden_sets import golden_set
from .served import OFFICIAL, same


@pytest.mark.parametrize("name", ["user/tiny", "hf:user/tiny", "hf:user/tiny/model.safetensors@main", "{url}"])
def test_every_way_to_name_it(server: HubServer, published: dict[str, bytes], tiny: Generator, name: str) -> None:
    server.plain["tiny.safetensors"] = published["model.safetensors"]
    G = Generator.from_pretrained(name.format(url=f"{server.url}/plain/tiny.safetensors"))
    assert same(G, tiny)
    assert G.source.startswith(("hf:user/tiny/model.safetensors@main", "http://127.0.0.1"))


def test_a_local_folder_goes_before_a_repository(
    server: HubServer, published: dict[str, bytes], tiny: Generator
) -> None:
    tiny_generator(z_dim=16).save_pretrained("user/tiny")
    assert Generator.from_pretrained("user/tiny").z_dim == 16
    assert server.requests == []
    assert same(Generator.from_pretrained("hf:user/tiny"), tiny)


def test_arguments_take_effect(server: HubServer, published: dict[str, bytes], tiny: Generator, tmp_path: Path) -> None:
    other = tiny_generator(truncation_psi=0.25)
    other.save_pretrained("other")
    server.commit("user/tiny", {p.name: p.read_bytes() for p in Path("other").iterdir()}, branch="v1")
    G = Generator.from_pretrained("user/tiny", revision="v1", cache_dir=tmp_path / "mine", token="hf_secret")
    assert (G.recommended_truncation["truncation_psi"], same(G, other)) == (0.25, True)
    assert (tmp_path / "mine" / "models--user--tiny").is_dir()
    assert set(server.tokens) == {"Bearer hf_secret"}
    with pytest.raises(OfflineError):
        Generator.from_pretrained("user/tiny", local_files_only=True)
    before = server.count("GET", "resolve")
    kept: dict[str, Any] = {"revision": "v1", "cache_dir": tmp_path / "mine"}
    server.requests.clear()
    Generator.from_pretrained("user/tiny", local_files_only=True, **kept)
    assert server.requests == []
    Generator.from_pretrained("user/tiny", force_download=True, **kept)
    assert server.count("GET", "resolve") == before == 1
    with pytest.raises(InputError, match="a path"):
        Generator.from_pretrained("./other", revision="v1")
    with pytest.raises(InputError, match="no revision"):
        Generator.from_pretrained("faces-64", revision="v1")


def test_bare_tensors_beside_their_config(server: HubServer, published: dict[str, bytes], tiny: Generator) -> None:
    server.commit("user/tiny", published | {"model.safetensors": safetensors.torch.save(tiny.state_dict())})
    assert same(Generator.from_pretrained("user/tiny"), tiny)
    server.commit("user/tiny", {"model.safetensors": safetensors.torch.save(tiny.state_dict())})
    with pytest.raises(NotFoundError, match=r"config\.json"):
        Generator.from_pretrained("user/tiny")


@pytest.mark.parametrize("place", ["hub", "url"])
def test_an_official_file_is_converted_once(server: HubServer, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    server.commit("user/official", {"network.pkl": OFFICIAL.read_bytes()})
    server.plain["network.pkl"] = OFFICIAL.read_bytes()
    name = {"hub": "user/official", "url": f"{server.url}/plain/network.pkl"}[place]
    local_G, local_D = Generator.from_pretrained(OFFICIAL), Discriminator.from_pretrained(OFFICIAL)
    first = Generator.from_pretrained(name)
    D = Discriminator.from_pretrained(name)
    assert same(first, local_G)
    assert same(D, local_D)
    assert first.metadata["source"] == "Gs of network.pkl"
    monkeypatch.setattr(conversion, "_read", None)  # Nobody reads the official file again.
    again = Generator.from_pretrained(name)
    assert same(again, first)
    assert again.metadata == first.metadata
    assert same(Discriminator.from_pretrained(name), D)
    assert server.count("GET", "network.pkl") == 1


def test_a_file_of_another_port(server: HubServer, named_port: bytes) -> None:
    """As the hub's community files are: genforce's layout under a name that says nothing."""
    server.commit("huggan/stylegan_tiny16", {"pytorch_model.bin": named_port})
    G = Generator.from_pretrained("huggan/stylegan_tiny16")
    assert G.name == "stylegan_tiny16"
    assert G.metadata["source"].endswith("of pytorch_model.bin")
    torch.testing.assert_close(G.state_dict(), Generator.from_pretrained(OFFICIAL).state_dict())
    assert same(Generator.from_pretrained("huggan/stylegan_tiny16", local_files_only=True), G)


@pytest.fixture
def named_port() -> bytes:
    """The official generator in genforce's layout, as torch.save writes it."""
    Gs = read_official_pickle(OFFICIAL)["Gs"]
    variables = Gs.variables | Gs.components["mapping"].variables | Gs.components["synthesis"].variables
    tensors = {name: torch.from_numpy(np.array(value, np.float32)) for name, value in variables.items()}
    file = io.BytesIO()
    torch.save(ports.genforce_generator(tensors), file)
    return file.getvalue()


def test_the_average_w_of_a_local_file_is_computed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STYLEGAN_CACHE", str(tmp_path / "cache"))
    path = tmp_path / "cats.pth"
    variables = golden_set("T").g
    torch.save(ports.lernapparat_generator(variables), path)
    computed = []

    def count(*arguments: Any) -> torch.Tensor:
        computed.append(arguments)
        return average_w(*arguments)

    monkeypatch.setattr(conversion, "average_w", count)
    first, again = Generator.from_pretrained(path), Generator.from_pretrained(path)
    assert len(computed) == 1
    assert same(first, again)
    assert first.metadata == again.metadata
    assert [record.source for record in Cache.open().records()] == ["the average w of cats.pth"]
    other = variables | {"Dense0/bias": variables["Dense0/bias"] + 1}
    torch.save(ports.lernapparat_generator(other), path)
    assert not torch.equal(Generator.from_pretrained(path).w_avg, first.w_avg)
    monkeypatch.setenv("STYLEGAN_CACHE", str(path / "a-file-is-no-folder"))
    assert not torch.equal(Generator.from_pretrained(path).w_avg, first.w_avg)
    assert len(computed) == 3


def test_a_damaged_conversion_is_made_again(server: HubServer) -> None:
    server.commit("user/official", {"network.pkl": OFFICIAL.read_bytes()})
    first = Generator.from_pretrained("user/official")
    (kept,) = (Cache.open().own / "converted").iterdir()
    kept.write_bytes(kept.read_bytes()[:-10])
    assert same(Generator.from_pretrained("user/official"), first)


def test_hostile_and_broken_files_from_the_hub(server: HubServer, published: dict[str, bytes], tmp_path: Path) -> None:
    data = published["model.safetensors"]
    for name, body, error in [
        ("evil.pkl", b"cos\nsystem\n(S'touch " + str(tmp_path / "sentinel").encode() + b"'\ntR.", UnsafeFileError),
        ("cut.safetensors", data[:-5], WeightsError),
        ("page.safetensors", b"<!DOCTYPE html><html></html>", DownloadError),
        ("pointer.safetensors", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n", WeightsError),
        ("what.xyz", b"hello", WeightsError),
    ]:
        server.commit("user/bad", {name: body})
        with pytest.raises(error, match=re.escape(name) if error is DownloadError else None):
            Generator.from_pretrained(f"hf:user/bad/{name}")
    assert not (tmp_path / "sentinel").exists()


def test_a_failed_download_never_gives_initial_weights(server: HubServer, published: dict[str, bytes]) -> None:
    server.fault("GET", "resolve", flip(), times=9)
    with pytest.raises(IntegrityError):
        Generator.from_pretrained("user/tiny")
    server.fault("HEAD", "", answer(500), times=99)
    with pytest.raises(DownloadError):
        Generator.from_pretrained("user/tiny")


def test_a_named_model_tells_its_licence_once(server: HubServer, named: dict[str, Any], tiny: Generator) -> None:
    with pytest.warns(LicenseWarning, match=r"my-cats: CC BY-NC 4\.0 \(https://creativecommons") as told:
        G = Generator.from_pretrained("my-cats")
    assert told[0].filename == __file__
    assert (G.name, G.recommended_truncation["truncation_psi"], G.metadata["content_box"]) == (
        "my-cats",
        0.6,
        [0, 2, 16, 14],
    )
    assert G.sample()[0].info["license"] == "CC BY-NC 4.0"
    server.requests.clear()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert same(Generator.from_pretrained("my-cats"), tiny)
    assert server.requests == []


@pytest.mark.filterwarnings("ignore::stylegan.errors.LicenseWarning")
def test_the_second_place_is_used_where_the_first_fails(
    server: HubServer, named: dict[str, Any], tiny: Generator
) -> None:
    server.fault("HEAD", "", answer(404, {"X-Error-Code": "RepoNotFound"}), times=99)
    assert same(Generator.from_pretrained("my-cats"), tiny)
    assert server.count("GET", "/plain/") == 1


def test_a_named_model_whose_file_changed(
    server: HubServer, named: dict[str, Any], published: dict[str, bytes]
) -> None:
    other = published["model.safetensors"][::-1]
    server.commit("user/tiny", published | {"model.safetensors": other})
    server.plain["cats.safetensors"] = other
    with pytest.raises(IntegrityError, match="sha256"):
        Generator.from_pretrained("my-cats")


def test_the_hubs_client_is_the_real_one() -> None:
    assert HUB.url == huggingface_hub.constants.ENDPOINT
