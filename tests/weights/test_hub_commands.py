"""The commands for hubs and the cache: list, info, download, cache, publish, convert."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from stylegan import Discriminator, Generator, cli
from stylegan.weights import manifest
from stylegan.weights.hub.cache import Cache

from ..conftest import ok
from ..hub_server import HubServer
from .served import OFFICIAL, same


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
