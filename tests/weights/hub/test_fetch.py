"""Fetching weights: what arrives, from where, and what of it is kept.

The letters are those of the table in docs/reliability.md.
"""

import os
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import huggingface_hub
import pytest

from stylegan.errors import (
    DownloadError,
    InputError,
    IntegrityError,
    NotFoundError,
    OfflineError,
    RateLimitError,
)
from stylegan.weights import hub
from stylegan.weights.hub import client
from stylegan.weights.hub.access import Access
from stylegan.weights.hub.cache import Cache, sha256_of
from stylegan.weights.hub.client import fetch
from stylegan.weights.hub.sources import Source
from tests.hub_server import HubServer

from ...hub_server import answer, flip, headers, page
from .conftest import DATA, NAME, SHA256, check, check_refused, left, path_of

# What should happen.


def test_a_file_once_here_costs_no_request_and_no_reading(
    source: Source, server: HubServer, access: Access, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = fetch(source, access, sha256=SHA256)
    check(first)
    assert first.is_new
    server.requests.clear()
    monkeypatch.setattr(client, "sha256_of", None)  # Nobody reads it again.
    again = fetch(source, access, sha256=SHA256)
    assert (again.path, again.is_new, again.is_verified) == (first.path, False, True)
    assert server.requests == []


def test_an_unmoved_branch_costs_questions_but_no_reading(
    server: HubServer, access: Access, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.commit("user/repo", {NAME: DATA})
    source = Source("hub", "user/repo", NAME)
    assert fetch(source, access, update=True).is_new
    monkeypatch.setattr(client, "sha256_of", None)
    assert not fetch(source, access, update=True).is_new
    assert server.count("GET") == 1


def test_force_download_fetches_again(source: Source, server: HubServer, access: Access) -> None:
    fetch(source, access)
    check(fetch(source, replace(access, force_download=True)))
    assert server.count("GET", path_of(source)) == 2


def test_the_token_goes_to_the_hub(server: HubServer, access: Access) -> None:
    server.commit("user/repo", {NAME: DATA})
    fetch(Source("hub", "user/repo", NAME), replace(access, token="hf_secret"))
    assert set(server.tokens) == {"Bearer hf_secret"}


def test_revisions(server: HubServer, access: Access) -> None:
    old = server.commit("user/repo", {NAME: DATA})
    server.commit("user/repo", {NAME: DATA[::-1]})
    server.commit("user/repo", {NAME: DATA[:9000]}, branch="v1")
    for revision, data in {old: DATA, None: DATA[::-1], "main": DATA[::-1], "v1": DATA[:9000]}.items():
        assert fetch(Source("hub", "user/repo", NAME, revision), access).path.read_bytes() == data


def test_unverified_files_must_stay_what_they_were(
    server: HubServer, access: Access, caplog: pytest.LogCaptureFixture
) -> None:
    server.plain[NAME] = DATA
    source = Source("url", f"{server.url}/plain/{NAME}", NAME)
    fetched = fetch(source, access)
    assert not fetched.is_verified
    assert "unverified" in caplog.text
    damage(fetched.path)
    with pytest.raises(IntegrityError, match=SHA256):
        fetch(source, replace(access, local_files_only=True))


# W2: right size, wrong content.


def damage(path: Path, *, keep_time: bool = False) -> None:
    before = path.stat()
    reply: Any = SimpleNamespace(body=path.read_bytes())
    path.write_bytes(flip()(reply).body)
    if keep_time:
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_w2_a_bit_flipped_on_the_way_is_fetched_once_more(source: Source, server: HubServer, access: Access) -> None:
    server.fault("GET", path_of(source), flip())
    check(fetch(source, access, sha256=SHA256))
    assert server.count("GET", path_of(source)) == 2


def test_w2_the_hub_names_the_sha256_itself(server: HubServer, access: Access) -> None:
    server.commit("user/repo", {NAME: DATA})
    server.fault("GET", NAME, flip())
    fetched = fetch(Source("hub", "user/repo", NAME), access)
    check(fetched)
    assert fetched.is_verified


def test_w2_a_file_that_stays_wrong_is_refused_and_not_kept(source: Source, server: HubServer, access: Access) -> None:
    server.fault("GET", path_of(source), flip(), times=9)
    with pytest.raises(IntegrityError, match=f"sha256 {SHA256}"):
        fetch(source, access, sha256=SHA256)
    assert server.count("GET", path_of(source)) == 2
    assert left(access) == []
    with pytest.raises((OfflineError, IntegrityError)):
        fetch(source, replace(access, local_files_only=True), sha256=SHA256)


def test_w2_another_size_is_refused(source: Source, access: Access) -> None:
    check_refused(source, access, (IntegrityError, DownloadError), match=r"19999|20000", size=19_999, sha256=SHA256)


def test_w2_rot_in_the_cache_is_fetched_again(source: Source, server: HubServer, access: Access) -> None:
    damage(fetch(source, access, sha256=SHA256).path)
    check(fetch(source, access, sha256=SHA256))
    assert server.count("GET", path_of(source)) == 2


def test_w2_rot_in_the_cache_offline_is_refused_and_deleted(source: Source, access: Access) -> None:
    damage(fetch(source, access, sha256=SHA256).path)
    offline = replace(access, local_files_only=True)
    with pytest.raises(IntegrityError):
        fetch(source, offline, sha256=SHA256)
    assert left(access) == []
    with pytest.raises(OfflineError):
        fetch(source, offline, sha256=SHA256)


def test_w2_rot_that_keeps_size_and_time_is_found_by_verifying(source: Source, access: Access) -> None:
    path = fetch(source, access, sha256=SHA256).path
    damage(path, keep_time=True)
    assert [state for _, state in access.cache.verify()] == ["damaged"]
    check(fetch(source, replace(access, verify=True), sha256=SHA256))
    assert [state for _, state in access.cache.verify()] == ["good"]


# N10, N11: what is there changed.


def test_n10_a_branch_that_moved(server: HubServer, access: Access) -> None:
    pinned = Source("hub", "user/repo", NAME, server.commit("user/repo", {NAME: DATA}))
    check(fetch(pinned, access))
    moving = replace(pinned, revision=None)
    check(fetch(moving, access))
    server.commit("user/repo", {NAME: DATA[::-1]})
    check(fetch(pinned, access))
    check(fetch(pinned, replace(access, force_download=True)))
    server.requests.clear()
    check(fetch(moving, access))  # A name of the manifest: what is in the cache is used,
    assert server.requests == []
    assert fetch(moving, access, update=True).path.read_bytes() == DATA[::-1]  # a repository: the newest.


def test_n11_a_login_page_is_no_weight_file(source: Source, server: HubServer, access: Access) -> None:
    server.fault("HEAD", "", page(), times=99)
    server.fault("GET", "", page(), times=99)
    check_refused(source, access, match=r"login page|a page that is not known")


def test_n11_a_login_page_behind_a_right_head(server: HubServer, access: Access) -> None:
    server.commit("user/repo", {NAME: DATA})
    server.fault("HEAD", NAME, headers(X_Linked_Size=None, Content_Length="70"), times=99)
    server.fault("GET", NAME, page(), times=99)
    with pytest.raises(DownloadError, match=NAME):
        fetch(Source("hub", "user/repo", NAME), access)
    assert not list(access.cache.hub.rglob("blobs/*"))


# Google Drive.


@pytest.mark.parametrize(
    ("body", "error", "message"),
    [
        (b"<html>Too many users have viewed or downloaded this file recently</html>", RateLimitError, "quota"),
        (b"<html>Hello</html>", DownloadError, "in a browser"),
        (b"<html><form action='https://evil.example/x'><input name='id' value='1'></form>", DownloadError, "browser"),
        (b"<html><form action='file:///etc/passwd'><input name='id' value='1'></form>", DownloadError, "browser"),
    ],
)
def test_other_pages_of_the_drive(
    server: HubServer, access: Access, body: bytes, error: type[Exception], message: str
) -> None:
    server.fault("GET", "/uc", answer(200, {"Content-Type": "text/html"}, body))
    with pytest.raises(error, match=message):
        fetch(Source("drive", "drive-id-0123", NAME), access)


# Finding the file of a repository.


def test_the_weight_file_of_a_repository_is_found(server: HubServer, access: Access) -> None:
    server.commit("user/one", {"README.md": b"# x", "pytorch_model.bin": DATA})
    server.commit("user/two", {"a.pkl": DATA, "b.pkl": DATA})
    server.commit("user/none", {"README.md": b"# x"})
    server.commit("user/loud", {"README.md": b"# x", "Faces.PKL": DATA})
    server.commit("user/ours", {"other.safetensors": DATA, NAME: DATA})
    assert hub.find_weights(Source("hub", "user/one"), access).filename == "pytorch_model.bin"
    assert hub.find_weights(Source("hub", "user/ours"), access).filename == NAME
    assert hub.find_weights(Source("hub", "user/loud"), access).filename == "Faces.PKL"
    with pytest.raises(InputError, match=r"which file\? It has a\.pkl, b\.pkl; write hf:user/two/FILE"):
        hub.find_weights(Source("hub", "user/two"), access)
    with pytest.raises(NotFoundError, match="holds no weight file"):
        hub.find_weights(Source("hub", "user/none"), access)
    with pytest.raises(NotFoundError, match="repository"):
        hub.find_weights(Source("hub", "user/gone"), access)
    offline = replace(access, local_files_only=True)
    with pytest.raises(OfflineError):
        hub.find_weights(Source("hub", "user/one"), offline)
    fetch(Source("hub", "user/one", "pytorch_model.bin"), access)
    assert hub.find_weights(Source("hub", "user/one"), offline).filename == "pytorch_model.bin"


def test_the_cache_follows_its_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert Cache.open().hub == Path(huggingface_hub.constants.HF_HUB_CACHE)
    assert Cache.open(tmp_path / "x").hub == tmp_path / "x"
    monkeypatch.setenv("STYLEGAN_CACHE", str(tmp_path / "y"))
    assert Cache.open().own == tmp_path / "y" / "stylegan"
    (tmp_path / "file").write_bytes(DATA)
    assert sha256_of(tmp_path / "file") == SHA256
