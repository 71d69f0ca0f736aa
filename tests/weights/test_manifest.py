"""The manifest: what it may say, and what is refused before anything is read or asked (W7)."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from stylegan.errors import InputError, NotFoundError, UnsafeFileError, WeightsError
from stylegan.weights import manifest
from stylegan.weights.hub.sources import Source, filename_of, parse_source
from stylegan.weights.manifest import parse_manifest, read_manifest

ENTRY = {
    "description": "Cats",
    "resolution": 16,
    "dataset": "cats",
    "license": "MIT",
    "license_url": "https://example.org/license",
    "files": [
        {
            "source": {"hub": "user/cats", "revision": "a" * 40},
            "filename": "cats.safetensors",
            "format": "safetensors",
            "size": 1000,
            "sha256": "b" * 64,
        }
    ],
}


def manifest_with(change: Any = lambda entry: None, **top: Any) -> bytes:
    entry = deepcopy(ENTRY)
    change(entry)
    return json.dumps({"version": 2, "models": {"cats": entry}} | top).encode()


def with_file(**changes: Any) -> bytes:
    return manifest_with(lambda entry: entry["files"][0].update(changes))


def parse(data: bytes) -> dict[str, manifest.Entry]:
    return parse_manifest(data, where="m.json")


_touched: list[str] | None = None


def _watch(event: str, args: tuple[Any, ...]) -> None:
    if _touched is not None and (event == "open" or event.startswith(("socket.", "os.", "urllib."))):
        _touched.append(event)


sys.addaudithook(_watch)


@contextmanager
def no_io() -> Iterator[None]:
    """Fails the test if a file is opened, or a connection made."""
    global _touched
    touched = _touched = []
    try:
        yield
    finally:
        _touched = None
        assert not touched


def test_a_whole_entry() -> None:
    entry = parse(manifest_with())["cats"]
    assert (entry.name, entry.limits, entry.metrics, entry.content_box, entry.tried) == ("cats", "", {}, None, False)
    assert entry.files[0].source == Source("hub", "user/cats", "cats.safetensors", "a" * 40)
    assert not entry.is_noncommercial
    assert entry.facts == {"name": "cats", "dataset": "cats", "license": "MIT", "license_url": ENTRY["license_url"]}


def test_the_manifest_of_the_package() -> None:
    entries = manifest.entries()
    assert list(entries)[:4] == ["faces-128", "faces-64", "avatars-128", "ffhq-1024-config-a"]
    assert entries["cars-512"].content_box == (0, 64, 512, 448)
    assert entries["ffhq-1024"].metrics["fid50k"] == 4.4159
    free = {name for name, entry in entries.items() if not entry.is_noncommercial}
    assert {"avatars-128", "huggan-animeface-512", "gwern-anime-portraits-512"} <= free
    assert not free & {"faces-128", "ffhq-1024", "ffhq-1024-config-a", "mmgen-ffhq-1024", "genforce-ffhq-256"}
    for entry in entries.values():
        assert entry.tried == (entry.is_bundled or bool(entry.tried_on))


def test_networks_of_the_package_by_their_servers() -> None:
    entries = manifest.entries()
    for name in ("ffhq-1024", "car-512", "cat-256", "church-256", "horse-256"):
        first = entries[f"{name}-config-a"].files[0]
        assert (first.source.host, first.format) == ("nvlabs-fi-cdn.nvidia.com", "official")
    for resolution, prefix in {256: "0094da86", 1024: "850a7234"}.items():
        files = entries[f"mmgen-ffhq-{resolution}"].files
        assert {(file.source.host, file.sha256) for file in files} == {("download.openmmlab.com", prefix)}
        assert str(files[0].source.filename).endswith(f"-{prefix}.pth")
    # Nothing that is not tried, official or easily had stands in the short list.
    assert {name.split("-")[0] for name, entry in entries.items() if entry.zoo} == {
        *("genforce", "gwern", "huggan", "rosinality", "wikiart")
    }
    assert len({file.source.key for entry in entries.values() for file in entry.files}) > 60


@pytest.mark.parametrize(
    ("changes", "sha256", "known"),
    [
        ({}, "b" * 64, "known"),
        ({"sha256": None}, None, "unverified"),
        ({"sha256": None, "sha256_prefix": "0094da86"}, "0094da86", "8 digits"),
    ],
)
def test_how_well_a_file_is_known(changes: dict[str, Any], sha256: str | None, known: str) -> None:
    file = parse(with_file(**changes))["cats"].files[0]
    assert (file.sha256, file.known) == (sha256, known)


def test_how_an_entry_was_tried() -> None:
    noted = {"date": "2026-12-31", "sha256": "c" * 64}
    entry = parse(manifest_with(lambda e: e.update(tried=noted, zoo=True)))["cats"]
    assert (entry.tried, entry.tried_on, entry.zoo) == (True, f"2026-12-31, sha256 {'c' * 64}", True)


def test_places_to_open_in_a_browser() -> None:
    assert Source("drive", "0123456789ab", "a.pkl").page == "https://drive.google.com/file/d/0123456789ab/view"
    assert Source("hub", "u/r", "a.bin", "v1").page == "https://huggingface.co/u/r/blob/v1/a.bin"
    page = parse(with_file(source={"page": "https://mega.nz/#!a!b"}))["cats"].files[0].source
    assert (page.page, page.host) == ("https://mega.nz/#!a!b", "mega.nz")


@pytest.mark.parametrize(
    "filename",
    [
        "../up.pkl",
        "a/../../up.pkl",
        "/etc/passwd",
        "C:/windows.pkl",
        "C:windows.pkl",
        "C:\\windows.pkl",
        "\\\\server\\share.pkl",
        "//server/share.pkl",
        "a\\b.pkl",
        "nul\x00.pkl",
        "a\n.pkl",
        "",
        ".",
        "..",
        "a//b",
        "a/",
        ".hidden",
        "aux",
        "NUL.pkl",
        "a/COM1.txt",
        "trailing.",
        "a" * 201,
        "~/x",
        "$HOME/x",
        "ü.pkl",
    ],
)
def test_w7_file_names_that_lead_elsewhere(filename: str) -> None:
    with pytest.raises(UnsafeFileError, match=r"m\.json: cats\.files\[0\]\.source: file name"), no_io():
        parse(with_file(filename=filename))


@pytest.mark.parametrize(
    "url",
    [
        "http://example.org/a.pkl",
        "file:///etc/passwd",
        "ftp://example.org/a",
        "data:text/plain,x",
        "javascript:alert(1)",
        "gopher://example.org",
        "https:///a",
        "https://",
        "//example.org/a",
        "example.org/a",
        "https://user:password@example.org/a",
        "https://example.org:99999/a",
        "https://[::1/a",
        "https://exa mple.org/a",
        "https://example.org/a\nHost: b",
        "https://example.org/\x00",
        "https://example.org\\@evil.org",
        "https://ex\u00e4mple.org/",
        "https://example.org/" + "a" * 2000,
        "http://127.0.0.1.evil.org/a",
        "",
    ],
)
def test_w7_urls_that_are_none_to_load_from(url: str) -> None:
    with pytest.raises(UnsafeFileError), no_io():
        parse(with_file(source={"url": url}))
    with pytest.raises(UnsafeFileError), no_io():
        parse(manifest_with(lambda entry: entry.update(license_url=url)))


@pytest.mark.parametrize(
    "source",
    [
        {"hub": "../x/y"},
        {"hub": "user"},
        {"hub": "user/repo/file"},
        {"hub": "user/..", "revision": None},
        {"hub": "user/a..b"},
        {"hub": "user/repo.git"},
        {"hub": "/user"},
        {"hub": "us er/repo"},
        {"hub": 3},
        {"drive": "short"},
        {"drive": "a/../../../../b"},
        {"drive": None},
    ],
)
def test_w7_places_that_are_malformed(source: dict[str, Any]) -> None:
    with pytest.raises(UnsafeFileError), no_io():
        parse(with_file(source=source))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "malformed JSON"),
        (b"<html>", "malformed JSON"),
        (b"\xff\xfe", "malformed JSON"),
        (b"[" * 100_000, "malformed JSON"),
        (b" " * 1_000_001, "more than 1000000 bytes"),
        (b"[]", "must be an object"),
        (b'{"version": 2, "version": 2, "models": {}}', "twice"),
        (b'{"version": 1, "models": {}}', "version 1; expected 2"),
        (b'{"version": ' + b"9" * 5000 + b', "models": {}}', "malformed JSON"),
        (json.dumps({"version": 2, "models": {f"m{i}": 0 for i in range(1001)}}).encode(), "at most 1000"),
        (manifest_with(default="dogs"), "'dogs' is not among"),
        (manifest_with(extra=1), "unknown key 'extra'"),
        (manifest_with(models={"UPPER": ENTRY}), "model name"),
        (manifest_with(models={"../up": ENTRY}), "model name"),
        (manifest_with(models={"cats": []}), "cats must be an object"),
        (manifest_with(lambda e: e.pop("license")), "cats lacks 'license'"),
        (manifest_with(lambda e: e.update(licence="MIT")), "unknown key 'licence'"),
        (manifest_with(lambda e: e.update(description="x" * 5000)), "cats.description must be a text"),
        (manifest_with(lambda e: e.update(resolution=-4)), "cats.resolution must be"),
        (manifest_with(lambda e: e.update(resolution=True)), "cats.resolution must be"),
        (manifest_with(lambda e: e.update(metrics={"fid": "low"})), "cats.metrics must be"),
        (manifest_with(lambda e: e.update(metrics={"fid": float("nan")})), "cats.metrics must be"),
        (manifest_with(lambda e: e.update(content_box=[0, 0, 99, 99])), "cats.content_box must be"),
        (manifest_with(lambda e: e.update(options=[])), "cats.options must be"),
        (manifest_with(lambda e: e.update(files=[])), "cats.files must be"),
        (with_file(size=0), r"files\[0\].size must be"),
        (with_file(size=2**50), r"files\[0\].size must be"),
        (with_file(sha256="B" * 64), r"files\[0\].sha256 must be"),
        (with_file(sha256="b" * 63), r"files\[0\].sha256 must be"),
        (with_file(format="pickle"), r"files\[0\].format must be"),
        (with_file(sha256_prefix="b" * 8), r"files\[0\].sha256_prefix must be 8 to 63 .* with a sha256 of null"),
        (with_file(sha256=None, sha256_prefix="b" * 7), r"files\[0\].sha256_prefix must be"),
        (with_file(networks=["F"]), r"files\[0\].networks must be a list of G, Gs, D and E"),
        (manifest_with(lambda e: e.update(tried={"date": "today", "sha256": "c" * 64})), "cats.tried.date must be"),
        (manifest_with(lambda e: e.update(tried=1)), "cats.tried must be"),
        (manifest_with(lambda e: e.update(zoo=1)), "cats.zoo must be"),
        (with_file(filename=None), r"files\[0\].filename must be"),
        (with_file(source={}), "one of hub, url or drive"),
        (with_file(source={"bundled": "assets/faces-64.safetensors"}), "one of hub, url or drive"),
        (with_file(source={"hub": "user/cats", "url": "https://example.org/a"}), "one of hub, url or drive"),
        (with_file(source={"hub": "user/cats", "revision": "main"}), "a whole commit id or null"),
        (with_file(source={"url": "https://example.org/a", "revision": "a" * 40}), "none, except for a hub"),
    ],
)
def test_w7_what_is_not_as_documented(data: bytes, message: str) -> None:
    with pytest.raises(WeightsError, match=message), no_io():
        parse(data)


def test_other_peoples_manifests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "ours.json"
    path.write_bytes(manifest_with())
    monkeypatch.setenv("STYLEGAN_MANIFEST", str(path))
    assert list(manifest.entries())[-1] == "cats"
    assert manifest.find("cats").license == "MIT"
    assert manifest.default_name() == "faces-128"
    path.write_bytes(b"{")
    with pytest.raises(WeightsError, match=r"ours\.json: malformed"):
        manifest.entries()
    path.unlink()
    with pytest.raises(NotFoundError, match="unset STYLEGAN_MANIFEST"):
        manifest.entries()
    path.write_bytes(b" " * 2_000_000)
    with pytest.raises(WeightsError, match="more than"):
        read_manifest(path)


# Places that people type.


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("user/repo", Source("hub", "user/repo")),
        ("hf:user/repo", Source("hub", "user/repo")),
        ("hf:user/repo@v1", Source("hub", "user/repo", None, "v1")),
        ("hf:user/repo/a/b.pkl@v1", Source("hub", "user/repo", "a/b.pkl", "v1")),
        ("https://example.org/a/b.pkl?x=1", Source("url", "https://example.org/a/b.pkl?x=1", "b.pkl")),
        ("https://huggingface.co/u/r/blob/main/a.pt", Source("hub", "u/r", "a.pt", "main")),
        ("https://huggingface.co/u/r/resolve/v1/b/a.pt", Source("hub", "u/r", "b/a.pt", "v1")),
        ("faces", None),
        ("a/b/c", None),
        ("./user/repo", None),
        ("folder/network.pkl", None),
        ("C:\\weights", None),
    ],
)
def test_places(text: str, source: Source | None) -> None:
    with no_io():
        assert parse_source(text) == source


@pytest.mark.parametrize("text", ["hf:user", "hf:", "hf:/", "hf:../../x", "hf:user/repo/../../x", "hf:user/repo@../x"])
def test_places_that_are_malformed(text: str) -> None:
    with pytest.raises((InputError, UnsafeFileError)), no_io():
        parse_source(text)


def test_two_revisions() -> None:
    assert parse_source("user/repo", revision="v1") == parse_source("hf:user/repo@v1", revision="v1")
    with pytest.raises(InputError, match="two revisions"):
        parse_source("hf:user/repo@v1", revision="v2")


def test_names_for_downloads() -> None:
    urls = ["https://a.org/x/../..", "https://a.org/%2e%2e%2fpasswd", "https://a.org/", "https://a.org/nul.pkl"]
    assert [filename_of(url) for url in urls] == ["weights", "passwd", "weights", "weights"]
    assert filename_of("https://a.org/my%20net.pkl") == "my_net.pkl"
