"""A model with several sources: each fails in each way, the next one is tried, and one error tells of all."""

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from stylegan import cli
from stylegan.errors import DownloadError, IntegrityError, NotFoundError, OfflineError, RateLimitError
from stylegan.extractors.inception import fetch_inception
from stylegan.weights import hub, manifest
from stylegan.weights.fetching import fetch
from stylegan.weights.files import WeightFile
from stylegan.weights.hub.access import Access
from stylegan.weights.hub.sources import SUFFIXES, Source

from ...hub_server import HubServer, answer, drive_page, flip, page, pause, quota
from .conftest import DATA, NAME, SHA256, left

DRIVE = "drive-id-0123"
HTML = b"<!DOCTYPE html><html><body>Not found, but politely</body></html>"
# The sources in their order: what finds their requests, the parts of their places in messages.
PATHS = {"drive": "/uc", "release": "/objects/", "plain": "/plain/"}
ALL = "gave the file:"


def entry(server: HubServer, **changes: Any) -> dict[str, Any]:
    """The same bytes on Google Drive, on a release page and on a plain server, of which two name the sha256."""
    file = {"filename": NAME, "format": "port", "size": len(DATA), "sha256": SHA256}
    sources = [
        {"drive": DRIVE},
        {"url": f"{server.url}/releases/download/{NAME}"},
        {"url": f"{server.url}/plain/{NAME}"},
    ]
    files = [file | {"source": source} for source in sources]
    files[1] |= {"sha256": None, "sha256_prefix": SHA256[:8], "size": None}
    return {
        "description": "Cats",
        "resolution": 16,
        "dataset": "cats",
        "license": "MIT",
        "license_url": "https://example.org/license",
        "files": files,
    } | changes


def name_it(monkeypatch: pytest.MonkeyPatch, model: dict[str, Any]) -> None:
    Path("manifest.json").write_text(json.dumps({"version": 2, "models": {"cats": model}}))
    monkeypatch.setenv("STYLEGAN_MANIFEST", str(Path("manifest.json").absolute()))


@pytest.fixture
def named(server: HubServer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> HubServer:
    """The server, with the model `cats` at all three places."""
    monkeypatch.chdir(tmp_path)
    server.plain |= {NAME: DATA, DRIVE: DATA}
    name_it(monkeypatch, entry(server))
    return server


def get(access: Access, network: Any = None) -> WeightFile:
    with fetch("cats", network=network, access=access) as file:
        assert file.path.read_bytes() == DATA
        return file


FAILURES = {
    "absent": (answer(404), NotFoundError, "404"),
    "wrong": (flip(), IntegrityError, "sha256"),
    "page": (answer(200, {"Content-Type": "text/html"}, HTML), DownloadError, "page"),
    "login": (page(), DownloadError, "page"),
    "broken": (answer(503), DownloadError, "503"),
    "refused": (answer(403), DownloadError, "403"),
    "slow": (pause(5), DownloadError, r"nothing new|timed out|broke off"),
}


def break_it(server: HubServer, source: str, failure: str) -> None:
    fault = FAILURES[failure][0]
    path = "/download?" if source == "drive" and failure in ("wrong", "slow") else PATHS[source]
    server.fault("GET", path, fault, times=99)


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize(("source", "following"), [("drive", "/releases/"), ("release", "/plain/")])
def test_a_source_that_fails_leads_to_the_next(
    named: HubServer, access: Access, caplog: pytest.LogCaptureFixture, source: str, following: str, failure: str
) -> None:
    if source == "release":
        named.fault("GET", PATHS["drive"], quota(), times=99)
    break_it(named, source, failure)
    file = get(access)
    assert following in file.source
    told = [message for message in caplog.messages if message.endswith("; trying the next source")]
    assert re.search(FAILURES[failure][2], told[-1])
    assert len(told) == (2 if source == "release" else 1)
    assert len(left(access)) == 1
    named.requests.clear()
    assert get(access).source == file.source  # From the cache, though another source goes before.
    assert named.requests == []


@pytest.mark.parametrize("failure", FAILURES)
def test_all_fail(named: HubServer, access: Access, failure: str) -> None:
    for source in PATHS:
        break_it(named, source, failure)
    with pytest.raises((DownloadError, IntegrityError)) as caught:
        get(access)
    _, kind, what = FAILURES[failure]
    assert isinstance(caught.value, kind)
    first, *told, by_hand = str(caught.value).splitlines()
    assert first == f"cats: none of its 3 sources {ALL}"
    assert [bool(re.search(what, line)) for line in told] == [True] * 3
    places = [f"  {NAME} (Google Drive {DRIVE}): ", f"  {named.url}/releases/", f"  {named.url}/plain/"]
    assert [line.startswith(place) for line, place in zip(told, places, strict=True)] == [True] * 3
    assert f"https://drive.google.com/file/d/{DRIVE}/view in a browser and save {NAME} (20000 bytes)" in by_hand
    assert by_hand.endswith(f"as in `stylegan sample --model ./{NAME}`")
    assert left(access) == []


def test_each_in_another_way(named: HubServer, access: Access) -> None:
    named.fault("GET", "/uc", quota(), times=99)
    named.fault("GET", "/releases/", answer(302, {"Location": "http://example.org/x"}), times=99)
    named.fault("GET", "/plain/", answer(404), times=99)
    with pytest.raises(DownloadError) as caught:
        get(access)
    drive, release, plain = str(caught.value).splitlines()[1:4]
    assert "quota" in drive
    assert "only fetched over https" in release
    assert "not there (HTTP 404)" in plain
    result = CliRunner().invoke(cli.main, ["download", "cats", "--cache-dir", str(access.cache_dir)])
    assert result.exit_code == 1
    assert result.output.startswith("Error: cats: none of its 3 sources")
    assert len(result.output.strip().splitlines()) == 5


# Google Drive.


@pytest.mark.parametrize("place", ["/uc", "/download?"])
def test_quota_is_told_before_and_behind_the_confirmation(named: HubServer, access: Access, place: str) -> None:
    named.fault("GET", place, quota(), times=99)
    source = Source("drive", DRIVE, NAME)
    with pytest.raises(RateLimitError, match="quota"):
        hub.fetch(source, access, size=len(DATA), sha256=SHA256)
    assert left(access) == []


def test_other_pages_are_told_in_their_own_words(named: HubServer, access: Access) -> None:
    named.fault("GET", "/uc", drive_page("Google Drive - Access denied", "The owner has removed the file."), times=99)
    with pytest.raises(DownloadError, match=r"The owner has removed the file.*in a browser"):
        hub.fetch(Source("drive", DRIVE, NAME), access)


def test_a_page_in_place_of_a_known_size_is_not_half_a_file(named: HubServer, access: Access) -> None:
    named.fault("GET", "/plain/", page(), times=99)
    source = Source("url", f"{named.url}/plain/{NAME}", NAME)
    with pytest.raises(DownloadError, match="a web page, not a weight file"):
        hub.fetch(source, access, size=len(DATA), sha256=SHA256)
    assert named.count("GET", "/plain/") == 1


# What is checked.


def test_the_beginning_of_a_sha256_is_a_check_and_shown_as_such(named: HubServer, access: Access) -> None:
    source = Source("url", f"{named.url}/releases/download/{NAME}", NAME)
    fetched = hub.fetch(source, access, sha256=SHA256[:8])
    assert fetched.shown_sha256 == f"{SHA256} (its first 8 digits were checked, no more are known)"
    assert hub.fetch(source, replace(access, verify=True), sha256=SHA256[:8]).is_verified
    wrong = f"{int(SHA256[:8], 16) ^ 1:08x}"
    with pytest.raises(IntegrityError, match=f"sha256 that begins with {wrong}"):
        hub.fetch(source, access, sha256=wrong)
    assert left(access) == []


def test_what_is_no_weights_is_not_kept_without_a_sha256(
    named: HubServer, access: Access, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = entry(named)
    for file in model["files"]:
        file |= {"sha256": None, "size": None}
        file.pop("sha256_prefix", None)
    name_it(monkeypatch, model)
    named.plain |= {DRIVE: b"gone, " * 1000, NAME: b"{}" + b" " * 1000}
    with pytest.raises(IntegrityError, match="what the server sent is refused: a text file"):
        get(access)
    assert left(access) == []
    assert access.cache.records() == []


def test_sources_without_the_network_are_left_out(
    named: HubServer, access: Access, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = entry(named)
    model["files"][0]["networks"] = ["Gs"]
    name_it(monkeypatch, model)
    assert "/releases/" in get(access, network="D").source
    assert DRIVE in get(access, network="Gs").source or named.count("GET", "/uc") == 0
    assert named.count("GET", "/uc") == 0  # The one in the cache serves both.


def test_a_page_for_browsers_is_told_and_not_asked(
    named: HubServer, access: Access, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = "https://mega.example/#!a!b"
    model = entry(named)
    model["files"] = [model["files"][0] | {"source": {"page": address}}]
    name_it(monkeypatch, model)
    with pytest.raises(DownloadError, match=rf"only a browser.*\n.*open {address} in a browser"):
        get(access)
    assert named.requests == []


@pytest.mark.parametrize("name", [name for name, model in manifest.entries().items() if not model.is_bundled])
def test_what_to_do_by_hand_for_every_model(access: Access, name: str) -> None:
    with pytest.raises(DownloadError) as caught, fetch(name, access=replace(access, local_files_only=True)):
        pass
    file = manifest.find(name).files[0]
    by_hand = str(caught.value).splitlines()[-1]
    assert by_hand.startswith(f"by hand: open {file.source.page} in a browser and save {file.source.filename}")
    command = re.search(r"stands for (\S+), as in `stylegan sample --model \./(\S+)`$", by_hand)
    assert command is not None
    assert command[1] == name
    assert command[2].endswith(SUFFIXES)  # None that must be unpacked first.
    assert f"{command[2]} stands for" in by_hand
    assert ("`unxz " in by_hand) == str(file.source.filename).endswith(".xz")


# Without a network, and together.


def test_offline(named: HubServer, access: Access) -> None:
    offline = replace(access, local_files_only=True)
    with pytest.raises(OfflineError, match="not in the cache") as caught:
        get(offline)
    assert len(str(caught.value).splitlines()) == 2
    named.fault("GET", "/uc", quota(), times=99)
    get(access)
    named.requests.clear()
    assert "/releases/" in get(offline).source
    assert named.requests == []


SCRIPT = """
import sys
from stylegan.weights.fetching import fetch
from stylegan.weights.hub import Access, drive
drive.DRIVE_URL = sys.argv[2]
with fetch("cats", access=Access(sys.argv[1])) as file:
    print(file.facts["sha256"][:64], file.source)
"""


def test_processes_together(named: HubServer, access: Access) -> None:
    named.fault("GET", "/uc", quota(), times=99)
    named.fault("GET", "/objects/", pause(0.1), times=9)
    url = f"{named.url}/uc?export=download&id="
    arguments = [sys.executable, "-c", SCRIPT, str(access.cache_dir), url]
    processes = [subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    expected = f"{SHA256} {named.url}/releases/download/{NAME}"
    assert [process.communicate()[0].strip() for process in processes] == [expected] * 4
    assert named.count("GET", "/objects/") == 1


def test_the_network_of_fid_has_several_sources_too(
    named: HubServer, access: Access, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = {"filename": NAME, "format": "port", "size": len(DATA), "sha256": SHA256}
    places = [{"url": f"{named.url}/plain/{name}"} for name in ("first", "second")]
    model = entry(named, files=[file | {"source": place} for place in places])
    known = manifest.parse_manifest(json.dumps({"version": 2, "models": {"inception-2015": model}}).encode(), where="m")
    monkeypatch.setattr(manifest, "extractors", lambda: known)
    monkeypatch.setenv("STYLEGAN_CACHE", str(access.cache_dir))
    named.plain |= {"first": DATA[::-1], "second": DATA}
    assert fetch_inception("inception-2015").read_bytes() == DATA
    named.plain["second"] = DATA[::-1]
    access.cache.prune(everything=True)
    with pytest.raises(
        IntegrityError, match=rf"(?s)none of its 2 sources.*evaluate MODEL --data DATA --extractor ./{NAME}"
    ):
        fetch_inception("inception-2015")
