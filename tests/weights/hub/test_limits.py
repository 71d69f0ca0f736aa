"""Every wait for a server has a limit in time, every answer one in size: the hub's real client and our downloader."""

import gzip
import json
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest

from stylegan import Generator
from stylegan.errors import DownloadError, IntegrityError, StyleGANError, UnsafeFileError, WeightsError
from stylegan.weights import hub
from stylegan.weights.hub import patience
from stylegan.weights.hub.access import Access
from stylegan.weights.hub.client import fetch
from stylegan.weights.hub.patience import Pace, Patience, watch
from stylegan.weights.hub.sources import Source
from stylegan.weights.loading import read_weights
from tests.hub_server import HubServer

from ...conftest import tiny_generator
from ...hub_server import answer, headers, raw
from .conftest import DATA, FAST, NAME, check, check_refused, left, path_of

OK = b"HTTP/1.1 200 OK\r\n"
# What a server may do for ever.
ENDLESS = {
    "dripped status": raw(b"HTTP/1", b"."),
    "dripped header": raw(OK + b"X-A: ", b"a"),
    "dripped headers": raw(OK, b"X-A: a\r\n", pause=0.1),
    "continue": raw(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "early hints": raw(b"", b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"),
    "dripped body": raw(OK + b"Content-Length: 20000\r\n\r\n", b"a"),
    "dripped chunk size": raw(OK + b"Transfer-Encoding: chunked\r\n\r\n1;", b"a"),
    "dripped trailers": raw(OK + b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n", b"X: a\r\n"),
    "silence": raw(b"", b""),
}


@pytest.fixture
def impatient(server: HubServer, monkeypatch: pytest.MonkeyPatch) -> HubServer:
    """The local hub, and nobody who waits for half a second."""
    monkeypatch.setattr(patience, "PATIENCE", replace(FAST, answer=0.4, silence=0.4, attempts=1))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_DOWNLOAD_TIMEOUT", 0.5)
    return server


@pytest.mark.parametrize("fault", ENDLESS.values(), ids=ENDLESS)
def test_a_server_that_never_comes_to_an_end_is_left(
    source: Source, impatient: HubServer, access: Access, fault: Callable[..., Any]
) -> None:
    impatient.fault("GET", path_of(source), fault, times=99)
    check_refused(source, access)


@pytest.mark.parametrize("fault", [fault for name, fault in ENDLESS.items() if "body" not in name])
def test_a_hub_that_never_answers_the_first_question_is_left(
    impatient: HubServer, access: Access, fault: Callable[..., Any]
) -> None:
    impatient.commit("user/repo", {NAME: DATA})
    impatient.fault("HEAD", NAME, fault, times=99)
    with pytest.raises(DownloadError, match=NAME):
        fetch(Source("hub", "user/repo", NAME), access)


@pytest.mark.parametrize("fault", ENDLESS.values(), ids=ENDLESS)
def test_a_list_of_files_that_never_ends_is_left(
    impatient: HubServer, access: Access, fault: Callable[..., Any]
) -> None:
    impatient.commit("user/repo", {"a.pkl": DATA})
    impatient.fault("GET", "/tree/", fault, times=99)
    with pytest.raises(DownloadError, match="user/repo"):
        hub.find_weights(Source("hub", "user/repo"), access)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_redirects_in_a_circle_are_left(source: Source, impatient: HubServer, access: Access, status: int) -> None:
    for method in ("HEAD", "GET"):
        for part in ("/resolve/", "/plain/", "/uc", "/download"):
            impatient.fault(method, part, answer(status, {"Location": "?again"}), times=999)
    with pytest.raises(StyleGANError, match=NAME):
        fetch(source, access)
    assert len(impatient.requests) < 100


# Lists of files.


def pages(server: Any, body: bytes, **more: str) -> None:
    link = f'<{server.url}/api/models/user/repo/tree/main?cursor=1>; rel="next"'
    server.commit("user/repo", {"a.pkl": DATA})
    server.fault("GET", "/tree/", answer(200, {"Link": link} | more, body), times=999)


@pytest.mark.parametrize(
    ("body", "more", "error", "message"),
    [
        (b"[]", {}, DownloadError, "more than 20 pages; name a file: hf:user/repo/FILE"),
        (b"[" + b" " * 5_000_000 + b"]", {}, DownloadError, "more than 4000000 bytes"),
        (gzip.compress(b"[" + b" " * 50_000_000 + b"]"), {"Content-Encoding": "gzip"}, DownloadError, "packed answer"),
        (b"[" * 100_000, {}, DownloadError, "malformed JSON"),
        (b"<html>", {}, DownloadError, "malformed JSON"),
        (b"null", {}, DownloadError, "not a list of files"),
        (b'{"error": 1}', {}, DownloadError, "not a list of files"),
        (b"[]", {"Link": '<https://evil.example/tree>; rel="next"'}, UnsafeFileError, "another server"),
        (b"[]", {"Link": '<file:///etc/passwd>; rel="next"'}, UnsafeFileError, "another server"),
        (b"[]", {"Link": "<<<;;;"}, StyleGANError, "holds no weight file"),
    ],
)
def test_lists_of_files_have_limits(
    server: HubServer, access: Access, body: bytes, more: dict[str, Any], error: type[Exception], message: str
) -> None:
    pages(server, body, **more)
    with pytest.raises(error, match=message):
        hub.find_weights(Source("hub", "user/repo"), access)
    assert server.count("GET", "/tree/") <= 20


def test_a_list_of_several_pages_is_read(server: HubServer, access: Access) -> None:
    server.commit("user/repo", {"a.pkl": DATA})
    link = f'<{server.url}/api/models/user/repo/tree/main?cursor=1>; rel="next"'
    server.fault(
        "GET", "/tree/", answer(200, {"Link": link}, json.dumps([{"type": "file", "path": "README.md"}]).encode())
    )
    assert hub.find_weights(Source("hub", "user/repo"), access).filename == "a.pkl"
    assert server.count("GET", "/tree/") == 2


def test_the_token_goes_to_the_list_and_stays_at_the_hub(server: HubServer, access: Access) -> None:
    server.commit("user/repo", {"a.pkl": DATA})
    hub.find_weights(Source("hub", "user/repo"), replace(access, token="hf_secret"))
    assert set(server.tokens) == {"Bearer hf_secret"}
    server.tokens.clear()
    # The same computer under another name is another host.
    elsewhere = server.url.replace("127.0.0.1", "localhost") + "/api/models/user/repo/tree/main"
    server.fault("GET", "/tree/", answer(307, {"Location": elsewhere}))
    hub.find_weights(Source("hub", "user/repo"), replace(access, token="hf_secret"))
    assert server.tokens == ["Bearer hf_secret", "Bearer hf_secret", None]


# A repository's config.json.


def foreign_weights() -> bytes:
    """Weights without our header: they need a config.json."""
    from safetensors.torch import save

    return save(tiny_generator().state_dict())


@pytest.mark.parametrize(
    ("config", "error"),
    [
        (None, "there is no such file"),
        (b"", "malformed JSON"),
        (b"<!DOCTYPE html><html></html>", "web page|malformed JSON"),
        (b"\x00\xff junk", "malformed JSON"),
        (b"[" * 100_000, "malformed JSON"),
        (b'{"a":' * 5000 + b"1" + b"}" * 5000, "malformed JSON"),
        (b"null", "no stylegan_format_version"),
        (b"{}", "no stylegan_format_version"),
        (
            b'{"stylegan_format_version": "1", "network": "Generator", "config": null, "metadata": {}}',
            "malformed header",
        ),
        (b" " * 1_100_000, "no more than 1000000"),
    ],
    ids=range(10),
)
def test_what_is_no_config_is_said_at_once(server: HubServer, access: Access, config: bytes | None, error: str) -> None:
    server.commit("user/repo", {NAME: foreign_weights()} | ({} if config is None else {"config.json": config}))
    with pytest.raises((WeightsError, DownloadError), match=error):
        read_weights("user/repo", access=access)


def test_a_config_that_unpacks_to_more_than_stated_is_left(server: HubServer, access: Access, tmp_path: Path) -> None:
    server.commit("user/repo", {NAME: foreign_weights(), "config.json": b"{}"})
    packed = gzip.compress(bytes(30_000_000))
    for _ in range(9):
        server.fault("GET", "config.json", headers(Content_Encoding="gzip"), lambda reply: replace_body(reply, packed))
    with pytest.raises((WeightsError, DownloadError), match=r"config\.json"):
        read_weights("user/repo", access=access)
    assert not [p for p in access.cache.hub.rglob("*") if p.is_file() and p.stat().st_size > 1_000_000]


def replace_body(reply: Any, body: bytes) -> Any:
    reply.body = body
    return reply


# Chunks, sizes and dates that are none.


@pytest.mark.parametrize(
    "fault",
    [
        raw(OK + b"Transfer-Encoding: chunked\r\n\r\n-5\r\nabcde\r\n0\r\n\r\n", times=0),
        raw(OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nabcde\r\n0\r\n\r\n", times=0),
        raw(OK + b"Transfer-Encoding: chunked\r\n\r\n" + b"f" * 3000 + b"\r\nabcde\r\n0\r\n\r\n", times=0),
        raw(OK + b"Content-Length: -5\r\n\r\nabcde" + b"a" * 9000, times=0),
        raw(b"HTTP/1.1 206 OK\r\nContent-Range: bytes " + b"9" * 5000 + b"-1/2\r\n\r\nabcde", times=0),
        raw(b"HTTP/1.1 503 Busy\r\nRetry-After: Mon, 01 Jan 0001 00:00:00 GMT\r\nContent-Length: 0\r\n\r\n", times=0),
        raw(b"HTTP/1.1 200\r\n" + b"A: b\r\n" * 200 + b"\r\n", times=0),
        raw(b"HTTP/1.1 200 OK\r\nA: " + b"a" * 200_000 + b"\r\n\r\n", times=0),
        raw(b"HTTP/1.1 302 OK\r\nLocation: http://[::1\r\n\r\n", times=0),
        raw(b"HTTP/9 banana\r\n\r\n", times=0),
        raw(b"", times=0),
    ],
    ids=range(11),
)
def test_answers_that_are_no_http_are_one_error(server: HubServer, access: Access, fault: Callable[..., Any]) -> None:
    server.fault("GET", "/plain/", fault, times=99)
    with pytest.raises(StyleGANError):
        fetch(Source("url", f"{server.url}/plain/{NAME}", NAME), access, sha256="0" * 64)
    assert left(access) == []


# The clockwork.


def test_a_transfer_is_left_when_less_comes_than_must() -> None:
    now = 0.0
    pace = Pace(Patience(silence=60, slowest=1000), clock=lambda: now)
    arrived = 0
    for _ in range(60):
        now += 10
        arrived += 10_001
        assert pace.problem(arrived) is None
    now += 61
    assert str(pace.problem(arrived + 30_000)).endswith(f"arrived for 60 s, after {pace.counted} bytes")
    quiet = Pace(Patience(silence=60), clock=lambda: now)
    now += 60
    assert quiet.problem(0) is None
    now += 1
    assert quiet.problem(0) == "nothing new arrived for 60 s, after 0 bytes"


def test_what_is_left_ends_its_thread() -> None:
    ended = threading.Event()

    def forever() -> None:
        try:
            while True:
                ended.wait(0.01)
        finally:
            ended.set()

    with pytest.raises(DownloadError, match=r"asked: no whole answer within 0\.1 s"):
        watch(forever, "asked", seconds=0.1)
    assert ended.wait(5)


def test_more_than_was_announced_is_left() -> None:
    count = iter(range(10**9))
    with pytest.raises(IntegrityError, match="more than the 5 bytes"):
        watch(threading.Event().wait, "asked", arrived=lambda: next(count), most=5)


def test_what_a_call_returns_or_raises_comes_back() -> None:
    assert watch(lambda: 3, "asked", seconds=9) == 3
    with pytest.raises(ZeroDivisionError):
        watch(lambda: 1 // 0, "asked", seconds=9)


def test_a_model_of_a_good_hub_still_loads(server: HubServer, access: Access) -> None:
    server.commit("user/repo", {NAME: DATA})
    check(fetch(Source("hub", "user/repo", NAME), access))
    G = tiny_generator()
    G.save(access.cache.own / "model.safetensors")
    server.commit("user/tiny", {NAME: (access.cache.own / "model.safetensors").read_bytes()})
    assert Generator.from_pretrained("user/tiny", cache_dir=access.cache_dir).img_resolution == 16
    assert isinstance(access, Access)
