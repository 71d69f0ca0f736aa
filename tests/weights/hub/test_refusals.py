"""Fetching weights: what the hub's real client and our own downloader make of a server that refuses, stumbles or lies.

The letters are those of the table in docs/reliability.md.
"""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import huggingface_hub
import huggingface_hub.utils._http as hub_http
import pytest

from stylegan.errors import (
    AuthError,
    DownloadError,
    IntegrityError,
    NotFoundError,
    RateLimitError,
    UnsafeFileError,
)
from stylegan.weights.hub import patience
from stylegan.weights.hub.access import Access
from stylegan.weights.hub.client import fetch
from stylegan.weights.hub.sources import Source
from tests.hub_server import HubServer
from tests.weights.hub.conftest import _Hurry

from ...hub_server import answer, cut, headers, pause
from .conftest import DATA, FAST, NAME, SHA256, check, check_refused, left, path_of

# N1, N2: the server says no.


@pytest.mark.parametrize(
    ("status", "code", "error"),
    [
        (403, "GatedRepo", AuthError),
        (401, "GatedRepo", AuthError),
        (401, "RepoNotFound", NotFoundError),
        (404, "RepoNotFound", NotFoundError),
        (404, "RevisionNotFound", NotFoundError),
        (404, "EntryNotFound", NotFoundError),
        (401, None, AuthError),  # N2: the client hides these four
        (403, None, AuthError),
        (404, None, NotFoundError),
        (410, None, NotFoundError),
    ],
)
def test_n1_n2_refusals_are_named_at_once(
    server: HubServer, access: Access, hurry: _Hurry, status: int, code: str | None, error: type[Exception]
) -> None:
    server.commit("user/repo", {NAME: DATA})
    server.fault("HEAD", NAME, answer(status, {"X-Error-Code": code} if code else {}), times=99)
    with pytest.raises(error, match=f"hf:user/repo/{NAME}@main: {'a gated repository' if code == 'GatedRepo' else ''}"):
        fetch(Source("hub", "user/repo", NAME), access)
    assert hurry.slept == []


@pytest.mark.parametrize(("status", "error"), [(401, AuthError), (403, AuthError), (404, NotFoundError)])
@pytest.mark.parametrize("force_download", [False, True])
def test_n2_refusals_of_the_clients_own_question(
    server: HubServer, access: Access, status: int, error: type[Exception], force_download: bool
) -> None:
    """Ours came first and was answered; the client hides the reason behind a LocalEntryNotFoundError or ValueError."""
    server.commit("user/repo", {NAME: DATA})
    for _ in range(FAST.attempts):
        server.fault("HEAD", NAME, headers())
        server.fault("HEAD", NAME, answer(status))
    with pytest.raises(error, match=f"HTTP {status}"):
        fetch(Source("hub", "user/repo", NAME), replace(access, force_download=force_download))


@pytest.mark.parametrize(("status", "error"), [(401, AuthError), (403, AuthError), (404, NotFoundError)])
def test_n1_refusals_of_plain_servers(
    source: Source, server: HubServer, access: Access, status: int, error: type[Exception]
) -> None:
    server.fault("GET", path_of(source), answer(status), times=99)
    check_refused(source, access, error)


def test_n1_what_is_not_there(server: HubServer, access: Access) -> None:
    server.commit("user/repo", {NAME: DATA})
    for place, word in {
        ("user/gone", NAME, None): "repository",
        ("user/repo", "gone.pkl", None): "file",
        ("user/repo", NAME, "v9"): "revision",
    }.items():
        with pytest.raises(NotFoundError, match=f"no such {word}"):
            fetch(Source("hub", *place), access)


# N3, N4: the server stumbles.

STUMBLES = {
    "500": answer(500),
    "503": answer(503),
    "reset": cut(3000, reset=True),
    "truncated": lambda reply: cut(3000)(answer(200, {"Content-Length": "20000"}, DATA)(reply)),
    "408": answer(408),
    "429": answer(429, {"Retry-After": "1"}),
    "dead": cut(0),
}


@pytest.mark.parametrize("fault", STUMBLES.values(), ids=STUMBLES)
def test_n3_n4_a_stumble_is_overcome(
    source: Source, server: HubServer, access: Access, fault: Callable[..., Any]
) -> None:
    server.fault("GET", path_of(source), fault)
    check(fetch(source, access, sha256=SHA256))


def test_n3_what_arrived_before_each_reset_is_kept(server: HubServer, access: Access) -> None:
    server.plain[NAME] = DATA
    server.fault("GET", "/plain/", cut(3000, reset=True), times=999)
    check(fetch(Source("url", f"{server.url}/plain/{NAME}", NAME), access))
    assert server.count("GET", "/plain/") <= 30


HOPELESS = STUMBLES | {"reset": cut(0, reset=True)}


@pytest.mark.parametrize("fault", HOPELESS.values(), ids=HOPELESS)
def test_n3_n4_a_server_that_keeps_stumbling_is_left(
    source: Source, server: HubServer, access: Access, fault: Callable[..., Any]
) -> None:
    server.fault("GET", path_of(source), fault, times=999)
    check_refused(source, access, sha256=SHA256)
    assert server.count("GET", path_of(source)) < 600  # The hub's client sleeps a hundredth of its time here.


@pytest.mark.parametrize("status", [500, 503, 408, 429])
def test_n3_n4_the_first_question_to_the_hub_is_repeated(server: HubServer, access: Access, status: int) -> None:
    server.commit("user/repo", {NAME: DATA})
    server.fault("HEAD", NAME, answer(status), times=2)
    check(fetch(Source("hub", "user/repo", NAME), access))


def test_n3_a_transfer_is_resumed_where_it_broke_off(source: Source, server: HubServer, access: Access) -> None:
    server.fault("GET", path_of(source), cut(7000))
    server.fault("GET", path_of(source), cut(5000))
    check(fetch(source, access))
    ranges = [r for method, path, r in server.requests if method == "GET" and path_of(source) in path]
    assert ranges == [None, "bytes=7000-", "bytes=12000-"]


def test_n3_a_file_that_changed_in_between_comes_anew(server: HubServer, access: Access) -> None:
    server.fault("GET", "/plain/", answer(200, {"ETag": '"old"'}, DATA[::-1]), cut(7000))
    server.plain[NAME] = DATA
    check(fetch(Source("url", f"{server.url}/plain/{NAME}", NAME), access))


def test_n4_416_starts_from_the_beginning(source: Source, server: HubServer, access: Access) -> None:
    server.fault("GET", path_of(source), cut(7000))
    server.fault("GET", path_of(source), answer(416))
    check(fetch(source, access, sha256=SHA256))
    ranges = [r for method, path, r in server.requests if method == "GET" and path_of(source) in path]
    assert ranges == [None, "bytes=7000-", None]


@pytest.mark.parametrize("method", ["HEAD", "GET"])
def test_n4_retry_after_is_honoured(
    source: Source, server: HubServer, access: Access, hurry: _Hurry, method: str
) -> None:
    if (source.kind, method) in (("url", "HEAD"), ("drive", "HEAD")):
        pytest.skip("only hubs are asked by HEAD")
    server.fault(method, path_of(source), answer(429, {"Retry-After": "1"}))
    check(fetch(source, access))
    (seconds,) = hurry.slept
    assert 1 <= seconds <= 2  # The hub's client adds one to what the server asks for.


def test_n4_a_server_that_asks_for_too_long_a_wait_is_left(
    source: Source, server: HubServer, access: Access, hurry: _Hurry
) -> None:
    method = "HEAD" if source.kind == "hub" else "GET"
    server.fault(method, path_of(source), answer(429, {"Retry-After": "3600"}), times=9)
    with pytest.raises(RateLimitError, match="3600 s"):
        fetch(source, access)
    assert hurry.slept == []
    assert server.count(method, path_of(source)) == 1


def test_n4_the_clients_own_long_wait_is_cut_short(
    server: HubServer, access: Access, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A 429 on the file itself: the hub's client would sleep for an hour."""
    monkeypatch.setattr(hub_http, "time", time)
    monkeypatch.setattr(patience, "PATIENCE", replace(FAST, silence=0.5))
    server.commit("user/repo", {NAME: DATA})
    server.fault("GET", NAME, answer(429, {"Retry-After": "3600"}), times=9)
    with pytest.raises(DownloadError, match=r"nothing new arrived|3600 s"):  # Older clients do not wait at all.
        fetch(Source("hub", "user/repo", NAME), access)


def test_n4_a_server_that_falls_silent_is_left(
    source: Source, server: HubServer, access: Access, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "PATIENCE", replace(FAST, timeout=0.3, attempts=2, silence=1))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_DOWNLOAD_TIMEOUT", 0.3)
    server.fault("GET", path_of(source), pause(1), times=99)
    with pytest.raises(DownloadError):
        fetch(source, access)
    assert server.count("GET", path_of(source)) < 8


def test_n4_a_slow_server_is_waited_for(source: Source, server: HubServer, access: Access) -> None:
    server.fault("GET", path_of(source), pause(0.1))
    check(fetch(source, access))


# Places outside.


@pytest.mark.parametrize(
    "lie",
    [
        {"X_Linked_Etag": '"../../../../outside"'},
        {"X_Linked_Etag": '"/tmp/outside"'},
        {"X_Linked_Etag": None, "ETag": '"..\\\\outside"'},
        {"X_Repo_Commit": "../../../outside"},
    ],
)
def test_a_hostile_server_cannot_leave_the_cache(server: HubServer, tmp_path: Path, lie: dict[str, Any]) -> None:
    server.commit("user/repo", {NAME: DATA})
    server.fault("HEAD", NAME, headers(**lie), times=99)
    with pytest.raises(UnsafeFileError, match="not file names"):
        fetch(Source("hub", "user/repo", NAME), Access(tmp_path / "a" / "b" / "cache"))
    assert not list(tmp_path.rglob("*outside*"))


def test_a_link_out_of_the_cache_is_not_followed(source: Source, access: Access, tmp_path: Path) -> None:
    path = fetch(source, access).path
    (tmp_path / "outside").write_bytes(DATA)
    path.unlink()
    path.symlink_to(tmp_path / "outside")
    with pytest.raises(UnsafeFileError, match="outside the cache"):
        fetch(source, access)
    assert (tmp_path / "outside").read_bytes() == DATA


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://127.0.0.1/x", "http://192.0.2.1/x", "data:,x"])
def test_redirects_to_other_places_are_not_followed(server: HubServer, access: Access, target: str) -> None:
    server.fault("GET", "/plain/", answer(302, {"Location": target}), times=9)
    with pytest.raises((UnsafeFileError, DownloadError)):
        fetch(Source("url", f"{server.url}/plain/{NAME}", NAME), access)
    assert len(server.requests) == 1
    assert left(access) == []


def test_endless_files_and_endless_redirects(
    server: HubServer, access: Access, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.plain[NAME] = DATA
    source = Source("url", f"{server.url}/plain/{NAME}", NAME)
    server.fault("GET", "/plain/", answer(302, {"Location": f"{server.url}/plain/{NAME}"}), times=99)
    with pytest.raises(DownloadError):
        fetch(source, access)
    server.reset()
    server.plain[NAME] = DATA
    with pytest.raises(IntegrityError, match="more than the 100 bytes"):
        fetch(source, access, size=100)
