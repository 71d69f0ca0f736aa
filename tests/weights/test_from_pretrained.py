"""Networks from a hub, a URL or other people's manifests, the same ones to a hub, and the commands for it."""

import hashlib
import io
import json
import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import huggingface_hub
import numpy as np
import pytest
import safetensors.torch
import torch
from click.testing import CliRunner, Result

from stylegan import Discriminator, Generator, cli
from stylegan.errors import (
    AuthError,
    DownloadError,
    InputError,
    IntegrityError,
    LicenseWarning,
    NotFoundError,
    OfflineError,
    UnsafeFileError,
    WeightsError,
)
from stylegan.weights import conversion, manifest
from stylegan.weights.formats.official_pickle import read_official_pickle
from stylegan.weights.hub import drive, patience
from stylegan.weights.hub.cache import Cache
from stylegan.weights.ports.checkpoints import average_w

from ..conftest import GOLDEN, HUB, ok, tiny_generator
from ..hub_server import HubServer, answer, flip
from .ports import writers as ports
from .ports.golden_sets import golden_set

OFFICIAL = GOLDEN / "T" / "network_nosrc.pkl"


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


def same(a: torch.nn.Module, b: torch.nn.Module) -> bool:
    one, two = a.state_dict(), b.state_dict()
    return one.keys() == two.keys() and all(torch.equal(one[key], two[key]) for key in one)


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


# Models of a manifest.


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


# Publishing.


def test_push_to_hub_and_back(server: HubServer, tiny: Generator) -> None:
    G = tiny_generator()
    G.metadata = {"name": "my | cats", "license": "CC BY-NC 4.0", "dataset": "my\ncats", "metrics": {"fid50k": 8.5}}
    address = G.push_to_hub("me/cats", token="hf_secret", commit_message="First")
    assert address.startswith(f"{server.url}/me/cats/commit/")
    assert server.private["me/cats"] is True
    assert "Bearer hf_secret" in server.tokens
    again = Generator.from_pretrained("me/cats", token="hf_secret")
    assert same(again, G)
    assert again.metadata == G.metadata
    files = server.commits["me/cats"][server.branches["me/cats"]["main"]]
    assert sorted(files) == ["README.md", "config.json", "model.safetensors", "samples.png"]
    card = files["README.md"].decode()
    assert card.startswith("---\nlicense: cc-by-nc-4.0\nlibrary_name: stylegan\n")
    for part in ("# my \\| cats", "(samples.png)", 'from_pretrained("me/cats")', "my cats", "| fid50k | 8.5 |"):
        assert part in card
    G.push_to_hub("me/cats")  # Again, as a further commit.


def test_publishing_is_private_unless_asked(server: HubServer, tiny: Generator) -> None:
    tiny.push_to_hub("me/open", private=False)
    assert server.private["me/open"] is False
    with pytest.raises(InputError, match="public repository; pass private=False"):
        tiny.push_to_hub("me/open")
    assert server.count("POST", "/commit/") == 1


def test_publishing_that_is_refused(server: HubServer, tiny: Generator) -> None:
    server.fault("POST", "/api/repos/create", answer(401), times=9)
    with pytest.raises(AuthError, match="publish to me/cats"):
        tiny.push_to_hub("me/cats")
    with pytest.raises(UnsafeFileError):
        tiny.push_to_hub("not a repository")


def test_publishing_without_a_network_speaks_of_no_cache(
    server: HubServer, tiny: Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(OfflineError, match=r"^publish to me/cats: the hub cannot be reached \(HF_HUB_OFFLINE is set\)"):
        tiny.push_to_hub("me/cats")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(OfflineError, match=r"^publish to me/cats: the hub cannot be reached") as failure:
        tiny.push_to_hub("me/cats")
    assert "cache" not in str(failure.value)


def test_unknown_licences_in_the_card(tiny: Generator, tmp_path: Path) -> None:
    G = tiny_generator()
    G.metadata = {"license": 'odd: "yes"\n- no', "license_url": "https://example.org"}
    G.save_model_card(tmp_path)
    header = (tmp_path / "README.md").read_text().split("---\n")[1].splitlines()
    assert header[:3] == [
        "license: other",
        'license_name: "odd: \\"yes\\" - no"',
        'license_link: "https://example.org"',
    ]


# Commands.


@pytest.fixture
def run(server: HubServer) -> Callable[..., Any]:
    return lambda *arguments: CliRunner().invoke(cli.main, [str(a) for a in arguments])


def test_download_list_and_info(run: Callable[..., Result], server: HubServer, named: dict[str, Any]) -> None:
    assert re.search(r"my-cats +16x16 .* to download +known +CC BY-NC 4.0", ok(run("list")))
    text = ok(run("download", "my-cats"))
    assert "note: my-cats: CC BY-NC 4.0" in text
    assert "my-cats is ready: 16x16, licence: CC BY-NC 4.0" in text
    assert re.search(r"my-cats +16x16 .* cached", ok(run("list")))
    server.requests.clear()
    text = ok(run("info", "my-cats", "--offline"))
    for part in ("content_box", "[0, 2, 16, 14]", "by-nc", named["files"][0]["sha256"], "fid50k"):
        assert part in text
    assert server.requests == []
    ok(run("sample", "--model", "my-cats", "--seeds", "1"))


def test_info_keeps_addresses_whole(run: Callable[..., Result]) -> None:
    text = ok(run("info", "ffhq-1024", "--offline"))
    for file in manifest.find("ffhq-1024").files:
        assert file.source.location in text


def test_cache_commands(run: Callable[..., Result], server: HubServer, published: dict[str, bytes]) -> None:
    server.commit("user/official", {"network.pkl": OFFICIAL.read_bytes()})
    ok(run("download", "user/official"))
    text = ok(run("cache", "list"))
    assert "verified    hf:user/official/network.pkl@main" in text
    assert "converted from hf:user/official/network.pkl@main" in text
    assert "2 files" in text
    text = ok(run("cache", "verify"))
    assert (text.count("good"), text.count("read 2 files"), text.count("none is damaged")) == (2, 1, 1)
    (record, *_) = Cache.open().records()
    Path(record.path).write_bytes(b"damaged")
    result = run("cache", "verify")
    assert (result.exit_code, "Error: 1 damaged" in result.output) == (1, True)
    assert "changed" in ok(run("cache", "list"))
    ok(run("download", "user/official"))
    assert ok(run("cache", "prune")) == "freed 0.0 MB\n"
    assert re.fullmatch(r"freed \d\.\d MB\n", ok(run("cache", "prune", "--all")))
    assert "0 files" in ok(run("cache", "list"))
    assert "read 0 files" in ok(run("cache", "verify"))
    assert run("download", "user/official", "--offline").exit_code == 1


def test_publish_command(run: Callable[..., Result], server: HubServer, published: dict[str, bytes]) -> None:
    arguments = ["publish", "tiny", "me/cats", "--metadata", "license=MIT", "--metadata", "name=cats"]
    assert "published cats (private)" in ok(run(*arguments))
    assert server.private["me/cats"]
    assert "licence" in run("publish", "tiny", "me/dogs").output
    assert "me/dogs" not in server.commits
    ok(run("publish", "tiny", "card", "--metadata", "license=MIT", "--dry-run"))
    assert sorted(p.name for p in Path("card").iterdir()) == [
        "README.md",
        "config.json",
        "model.safetensors",
        "samples.png",
    ]
    assert same(Generator.from_pretrained("card"), Generator.from_pretrained("tiny"))


def test_convert_from_the_hub(run: Callable[..., Result], server: HubServer) -> None:
    server.commit("user/official", {"network.pkl": OFFICIAL.read_bytes()})
    ok(run("convert", "hf:user/official/network.pkl", "G.safetensors"))
    ok(run("convert", "hf:user/official/network.pkl", "D.safetensors", "--network", "D"))
    assert same(Discriminator.from_pretrained("D.safetensors"), Discriminator.from_pretrained(OFFICIAL))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["download", "user/gone"], "there is no such repository"),
        (["download", "user/tiny", "--offline"], "not in the cache"),
        (["download", "hf:user/tiny/x.pkl"], "there is no such file"),
        (["download", "hf:user/tiny@v7"], "there is no such revision"),
        (["download", "file:///etc/passwd"], "only fetched over https"),
        (["download", "http://example.org/x.pkl"], "only fetched over https"),
        (["info", "hf:user"], "expected hf:user/repo"),
        (["sample", "--model", "user/gone"], "there is no such repository"),
    ],
)
def test_errors_are_one_line(
    run: Callable[..., Result], published: dict[str, bytes], arguments: list[str], message: str
) -> None:
    result = run(*arguments)
    assert result.exit_code == 1
    lines = result.output.strip().splitlines()
    assert lines[-1].startswith("Error: ")
    assert message in lines[-1]
    assert "Traceback" not in result.output


def test_the_hubs_client_is_the_real_one() -> None:
    assert HUB.url == huggingface_hub.constants.ENDPOINT
