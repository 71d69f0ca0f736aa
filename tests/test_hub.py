"""Fetching weights: what the hub's real client and our own downloader make of every fault of a server or disk.

The letters are those of the table in docs/reliability.md.
"""

import errno
import hashlib
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import huggingface_hub
import huggingface_hub.file_download
import huggingface_hub.utils._http as hub_http
import numpy as np
import pytest

from stylegan.errors import (
    AuthError,
    DownloadError,
    InputError,
    IntegrityError,
    NotFoundError,
    OfflineError,
    RateLimitError,
    UnsafeFileError,
)
from stylegan.weights import hub, transfer
from stylegan.weights.cache import Cache, sha256_of
from stylegan.weights.hub import Access, Fetched, fetch
from stylegan.weights.sources import Source

from .conftest import HUB
from .hub_server import HubServer, answer, cut, flip, headers, page, pause

ROOT = Path(__file__).parents[1]
DATA = np.random.RandomState(0).bytes(20_000)
SHA256 = hashlib.sha256(DATA).hexdigest()
NAME = "model.safetensors"
FAST = transfer.Patience(wait=0.01, longest_wait=5, timeout=2, silence=2)


class _Hurry:
    """The module `time` for the hub's client, whose sleeps last a hundredth."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        time.sleep(seconds / 100)

    def __getattr__(self, name: str):
        return getattr(time, name)


@pytest.fixture
def hurry(monkeypatch) -> _Hurry:
    hurry = _Hurry()
    monkeypatch.setattr(huggingface_hub.file_download, "time", hurry)
    monkeypatch.setattr(hub_http, "time", hurry)
    return hurry


@pytest.fixture
def server(monkeypatch, hurry) -> HubServer:
    """The local hub, empty; nobody waits long."""
    HUB.reset()
    monkeypatch.setattr(transfer, "PATIENCE", FAST)
    monkeypatch.setattr(transfer, "DRIVE_URL", f"{HUB.url}/uc?export=download&id=")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_DOWNLOAD_TIMEOUT", 1)
    monkeypatch.setattr(huggingface_hub.constants, "DOWNLOAD_CHUNK_SIZE", 1000)  # Not all of the file at once.
    return HUB


@pytest.fixture
def access(tmp_path) -> Access:
    return Access(tmp_path / "cache")


@pytest.fixture(params=["hub", "url", "drive"])
def source(request, server: HubServer) -> Source:
    """The same file at each kind of place."""
    server.commit("user/repo", {NAME: DATA})
    server.plain |= {NAME: DATA, "drive-id-0123": DATA}
    return {
        "hub": Source("hub", "user/repo", NAME),
        "url": Source("url", f"{server.url}/plain/{NAME}", NAME),
        "drive": Source("drive", "drive-id-0123", NAME),
    }[request.param]


def path_of(source: Source) -> str:
    """The part of a path that tells a GET of the file from other requests."""
    return {"hub": "/resolve/", "url": "/plain/", "drive": "/download"}[source.kind]


def left(access: Access) -> list[str]:
    """The files of the cache that hold, or held, weights."""
    names = [str(p) for p in access.cache.hub.rglob("*") if p.is_file() and p.stat().st_size >= 500]
    return [name for name in names if "/records/" not in name]


def check(fetched: Fetched) -> None:
    assert fetched.path.read_bytes() == DATA
    assert fetched.sha256 == SHA256


# What should happen.


def test_a_file_arrives_and_then_costs_no_request_and_no_reading(source: Source, server, access, monkeypatch):
    first = fetch(source, access, sha256=SHA256)
    check(first)
    assert first.is_new
    server.requests.clear()
    monkeypatch.setattr(hub, "sha256_of", None)  # Nobody reads it again.
    again = fetch(source, access, sha256=SHA256)
    assert (again.path, again.is_new, again.is_verified) == (first.path, False, True)
    assert server.requests == []


def test_a_branch_that_has_not_moved_costs_questions_but_no_reading(server, access, monkeypatch):
    server.commit("user/repo", {NAME: DATA})
    source = Source("hub", "user/repo", NAME)
    assert fetch(source, access, update=True).is_new
    monkeypatch.setattr(hub, "sha256_of", None)
    assert not fetch(source, access, update=True).is_new
    assert server.count("GET") == 1


def test_force_download_fetches_again(source: Source, server, access):
    fetch(source, access)
    check(fetch(source, replace(access, force_download=True)))
    assert server.count("GET", path_of(source)) == 2


def test_the_token_goes_to_the_hub(server, access):
    server.commit("user/repo", {NAME: DATA})
    fetch(Source("hub", "user/repo", NAME), replace(access, token="hf_secret"))
    assert set(server.tokens) == {"Bearer hf_secret"}


def test_revisions(server, access):
    old = server.commit("user/repo", {NAME: DATA})
    server.commit("user/repo", {NAME: DATA[::-1]})
    server.commit("user/repo", {NAME: DATA[:9000]}, branch="v1")
    for revision, data in {old: DATA, None: DATA[::-1], "main": DATA[::-1], "v1": DATA[:9000]}.items():
        assert fetch(Source("hub", "user/repo", NAME, revision), access).path.read_bytes() == data


def test_unverified_files_must_stay_what_they_were(server, access, caplog):
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
    path.write_bytes(flip()(SimpleNamespace(body=path.read_bytes())).body)
    if keep_time:
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_w2_a_bit_flipped_on_the_way_is_fetched_once_more(source: Source, server, access):
    server.fault("GET", path_of(source), flip())
    check(fetch(source, access, sha256=SHA256))
    assert server.count("GET", path_of(source)) == 2


def test_w2_the_hub_names_the_sha256_itself(server, access):
    server.commit("user/repo", {NAME: DATA})
    server.fault("GET", NAME, flip())
    fetched = fetch(Source("hub", "user/repo", NAME), access)
    check(fetched)
    assert fetched.is_verified


def test_w2_a_file_that_stays_wrong_is_refused_and_not_kept(source: Source, server, access):
    server.fault("GET", path_of(source), flip(), times=9)
    with pytest.raises(IntegrityError, match=f"sha256 {SHA256}"):
        fetch(source, access, sha256=SHA256)
    assert server.count("GET", path_of(source)) == 2
    assert left(access) == []
    with pytest.raises((OfflineError, IntegrityError)):
        fetch(source, replace(access, local_files_only=True), sha256=SHA256)


def test_w2_another_size_is_refused(source: Source, access):
    with pytest.raises((IntegrityError, DownloadError), match=r"19999|20000"):
        fetch(source, access, size=19_999, sha256=SHA256)
    assert left(access) == []


def test_w2_rot_in_the_cache_is_fetched_again(source: Source, server, access):
    damage(fetch(source, access, sha256=SHA256).path)
    check(fetch(source, access, sha256=SHA256))
    assert server.count("GET", path_of(source)) == 2


def test_w2_rot_in_the_cache_without_network_is_refused_and_deleted(source: Source, access):
    damage(fetch(source, access, sha256=SHA256).path)
    offline = replace(access, local_files_only=True)
    with pytest.raises(IntegrityError):
        fetch(source, offline, sha256=SHA256)
    assert left(access) == []
    with pytest.raises(OfflineError):
        fetch(source, offline, sha256=SHA256)


def test_w2_rot_that_keeps_size_and_time_is_found_by_verifying(source: Source, access):
    path = fetch(source, access, sha256=SHA256).path
    damage(path, keep_time=True)
    assert [state for _, state in access.cache.verify()] == ["damaged"]
    check(fetch(source, replace(access, verify=True), sha256=SHA256))
    assert [state for _, state in access.cache.verify()] == ["good"]


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
def test_n1_n2_refusals_are_named_at_once(server, access, status, code, error):
    server.commit("user/repo", {NAME: DATA})
    server.fault("HEAD", NAME, answer(status, {"X-Error-Code": code} if code else {}), times=99)
    start = time.monotonic()
    with pytest.raises(error, match=f"hf:user/repo/{NAME}@main: {'a gated repository' if code == 'GatedRepo' else ''}"):
        fetch(Source("hub", "user/repo", NAME), access)
    assert time.monotonic() - start < 1


@pytest.mark.parametrize(("status", "error"), [(401, AuthError), (403, AuthError), (404, NotFoundError)])
@pytest.mark.parametrize("force_download", [False, True])
def test_n2_refusals_of_the_clients_own_question(server, access, status, error, force_download):
    """Ours came first and was answered; the client hides the reason behind a LocalEntryNotFoundError or ValueError."""
    server.commit("user/repo", {NAME: DATA})
    for _ in range(FAST.attempts):
        server.fault("HEAD", NAME, headers())
        server.fault("HEAD", NAME, answer(status))
    with pytest.raises(error, match=f"HTTP {status}"):
        fetch(Source("hub", "user/repo", NAME), replace(access, force_download=force_download))


@pytest.mark.parametrize(("status", "error"), [(401, AuthError), (403, AuthError), (404, NotFoundError)])
def test_n1_refusals_of_plain_servers(source: Source, server, access, status, error):
    server.fault("GET", path_of(source), answer(status), times=99)
    with pytest.raises(error, match=NAME):
        fetch(source, access)
    assert left(access) == []


def test_n1_what_is_not_there(server, access):
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
def test_n3_n4_a_stumble_is_overcome(source: Source, server, access, fault):
    server.fault("GET", path_of(source), fault)
    check(fetch(source, access, sha256=SHA256))


@pytest.mark.parametrize("fault", STUMBLES.values(), ids=STUMBLES)
def test_n3_n4_a_server_that_keeps_stumbling_is_left(source: Source, server, access, fault):
    server.fault("GET", path_of(source), fault, times=999)
    start = time.monotonic()
    with pytest.raises(DownloadError, match=NAME):
        fetch(source, access, sha256=SHA256)
    assert time.monotonic() - start < 10
    assert server.count("GET", path_of(source)) < 600  # The hub's client sleeps a hundredth of its time here.
    assert left(access) == []


@pytest.mark.parametrize("status", [500, 503, 408, 429])
def test_n3_n4_the_first_question_to_the_hub_is_repeated(server, access, status):
    server.commit("user/repo", {NAME: DATA})
    server.fault("HEAD", NAME, answer(status), times=2)
    check(fetch(Source("hub", "user/repo", NAME), access))


def test_n3_a_transfer_is_resumed_where_it_broke_off(source: Source, server, access):
    server.fault("GET", path_of(source), cut(7000))
    server.fault("GET", path_of(source), cut(5000))
    check(fetch(source, access))
    ranges = [r for method, path, r, _ in server.requests if method == "GET" and path_of(source) in path]
    assert ranges == [None, "bytes=7000-", "bytes=12000-"]


def test_n3_a_file_that_changed_in_between_comes_anew(server, access):
    server.fault("GET", "/plain/", answer(200, {"ETag": '"old"'}, DATA[::-1]), cut(7000))
    server.plain[NAME] = DATA
    check(fetch(Source("url", f"{server.url}/plain/{NAME}", NAME), access))


def test_n4_416_starts_from_the_beginning(source: Source, server, access):
    server.fault("GET", path_of(source), cut(7000))
    server.fault("GET", path_of(source), answer(416))
    check(fetch(source, access, sha256=SHA256))
    ranges = [r for method, path, r, _ in server.requests if method == "GET" and path_of(source) in path]
    assert ranges == [None, "bytes=7000-", None]


@pytest.mark.parametrize("method", ["HEAD", "GET"])
def test_n4_retry_after_is_honoured(source: Source, server, access, hurry, method):
    if (source.kind, method) in (("url", "HEAD"), ("drive", "HEAD")):
        pytest.skip("only hubs are asked by HEAD")
    server.fault(method, path_of(source), answer(429, {"Retry-After": "1"}))
    check(fetch(source, access))
    times = [t for m, path, _, t in server.requests if m == method and path_of(source) in path]
    assert times[1] - times[0] >= 1 or hurry.slept[0] >= 1  # The hub's client sleeps itself, faster here.


def test_n4_a_server_that_asks_for_too_long_a_wait_is_left(source: Source, server, access):
    method = "HEAD" if source.kind == "hub" else "GET"
    server.fault(method, path_of(source), answer(429, {"Retry-After": "3600"}), times=9)
    start = time.monotonic()
    with pytest.raises(RateLimitError, match="3600 s"):
        fetch(source, access)
    assert time.monotonic() - start < 2
    assert server.count(method, path_of(source)) == 1


def test_n4_the_clients_own_long_wait_is_cut_short(server, access, monkeypatch):
    """A 429 on the file itself: the hub's client would sleep for an hour."""
    monkeypatch.setattr(hub_http, "time", time)
    monkeypatch.setattr(transfer, "PATIENCE", replace(FAST, silence=0.5))
    server.commit("user/repo", {NAME: DATA})
    server.fault("GET", NAME, answer(429, {"Retry-After": "3600"}), times=9)
    start = time.monotonic()
    with pytest.raises(DownloadError, match=r"nothing new arrived|3600 s"):  # Older clients do not wait at all.
        fetch(Source("hub", "user/repo", NAME), access)
    assert time.monotonic() - start < 4


def test_n4_a_server_that_falls_silent_is_left(source: Source, server, access, monkeypatch):
    monkeypatch.setattr(transfer, "PATIENCE", replace(FAST, timeout=0.3, attempts=2, silence=1))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_DOWNLOAD_TIMEOUT", 0.3)
    server.fault("GET", path_of(source), pause(1), times=99)
    start = time.monotonic()
    with pytest.raises(DownloadError):
        fetch(source, access)
    assert time.monotonic() - start < 8


def test_n4_a_slow_server_is_waited_for(source: Source, server, access):
    server.fault("GET", path_of(source), pause(0.1))
    check(fetch(source, access))


# N5: no network.

OFFLINE_SCRIPT = """
import sys, time
from stylegan.errors import OfflineError
from stylegan.weights.hub import Access, fetch
from stylegan.weights.sources import Source
start = time.monotonic()
try:
    path = fetch(Source("hub", "user/repo", "model.safetensors", *sys.argv[2:]), Access(sys.argv[1]), update=True).path
    print("got", path)
except OfflineError as error:
    print("OfflineError", error)
assert time.monotonic() - start < 30
"""


def closed_port() -> str:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{listener.getsockname()[1]}"


def python(script: str, *arguments: object, **environment: str) -> subprocess.Popen:
    env = os.environ | {"PYTHONPATH": str(ROOT)} | environment
    command = [sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def output(process: subprocess.Popen) -> str:
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    return out


def test_n5_without_network_the_cache_is_enough_or_named(server, access):
    closed = closed_port()
    empty = python(OFFLINE_SCRIPT, access.cache_dir, HF_ENDPOINT=closed)
    text = output(empty)
    assert text.startswith(f"OfflineError hf:user/repo/{NAME}@main: not in the cache {access.cache_dir}")
    fetch(Source("hub", "user/repo", NAME, server.commit("user/repo", {NAME: DATA})), access)
    fetch(Source("hub", "user/repo", NAME), access)
    assert output(python(OFFLINE_SCRIPT, access.cache_dir, HF_ENDPOINT=closed)).startswith("got")


@pytest.mark.parametrize("setting", ["local_files_only", "HF_HUB_OFFLINE"])
def test_n5_offline_makes_no_request(source: Source, server, access, monkeypatch, setting):
    if setting == "HF_HUB_OFFLINE":
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
        offline = access
    else:
        offline = replace(access, local_files_only=True)
    with pytest.raises(OfflineError, match=str(access.cache_dir)):
        fetch(source, offline)
    with pytest.raises(OfflineError, match="force_download"):
        fetch(source, replace(offline, force_download=True))
    assert server.requests == []
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    fetch(source, access)
    server.requests.clear()
    check(fetch(source, replace(access, local_files_only=True), update=True))
    assert server.requests == []


def test_n5_refused_connections_of_plain_servers(access, monkeypatch):
    monkeypatch.setattr(transfer, "PATIENCE", FAST)
    monkeypatch.setattr(transfer, "DRIVE_URL", f"{closed_port()}/uc?id=")
    for source in (Source("url", f"{closed_port()}/{NAME}", NAME), Source("drive", "drive-id-0123", NAME)):
        with pytest.raises(OfflineError, match=f"not in the cache {access.cache.own}"):
            fetch(source, access)


# N6, N7: other processes.

FETCH_SCRIPT = """
import sys
from stylegan.weights.hub import Access, fetch
from stylegan.weights.sources import Source
kind, location, name, cache = sys.argv[1:]
print(fetch(Source(kind, location, name), Access(cache)).sha256)
"""


def arguments(source: Source, access: Access) -> list[object]:
    return [source.kind, source.location, source.filename, access.cache_dir]


@pytest.mark.parametrize("source", ["hub", "url"], indirect=True)
def test_n6_a_killed_download_leaves_nothing_for_long(source: Source, server, access):
    server.fault("GET", path_of(source), pause(3))
    process = python(FETCH_SCRIPT, *arguments(source, access))
    deadline = time.monotonic() + 30
    while not server.count("GET", path_of(source)) and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.3)
    process.send_signal(signal.SIGKILL)
    process.wait()
    orphans = [*access.cache.hub.rglob("*.incomplete"), *access.cache.hub.rglob("*.part")]
    assert len(orphans) == 1
    check(fetch(source, access))
    assert not orphans[0].exists()


def test_n6_prune_deletes_orphans_and_leaves_files_in_the_making(source: Source, access):
    fetched = fetch(source, access)
    folder = fetched.path.parent
    name = f"{fetched.path.name}.1234.incomplete" if source.kind == "hub" else f".{NAME}.1234.part"
    (folder / name).write_bytes(b"x" * 1000)
    lock = access.cache._writers_lock(folder / name)
    lock.parent.mkdir(parents=True, exist_ok=True)
    with hub_lock(lock):
        assert access.cache.prune() == 0
    assert access.cache.prune() == 1000
    check(fetch(source, replace(access, local_files_only=True)))
    assert access.cache.prune(everything=True) == len(DATA)
    assert left(access) == []
    assert access.cache.records() == []


def hub_lock(path: Path):
    from filelock import FileLock

    return FileLock(path)


@pytest.mark.parametrize("source", ["hub", "url"], indirect=True)
def test_n7_four_processes_fetch_once(source: Source, server, access):
    server.fault("GET", path_of(source), pause(0.1), times=9)
    processes = [python(FETCH_SCRIPT, *arguments(source, access)) for _ in range(4)]
    assert [output(process).strip() for process in processes] == [SHA256] * 4
    assert server.count("GET", path_of(source)) == 1


# N8, N9: the disk.


@pytest.fixture
def disk(tmp_path):
    """A disk of 64 KB that can be made read-only."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder], capture_output=True)
    if mounted.returncode:
        pytest.skip("mounting needs rights; the faults below stand for it")
    yield folder
    subprocess.run(["umount", folder], check=True)


@pytest.mark.parametrize("source", ["hub", "url"], indirect=True)
def test_n8_a_full_disk_is_told_before_the_download(source: Source, server, disk):
    (disk / "other").write_bytes(bytes(50_000))
    with pytest.raises(DownloadError, match=r"needs 20000 bytes .* free"):
        fetch(source, Access(disk), size=len(DATA))
    assert server.count("GET", path_of(source)) == 0


@pytest.mark.parametrize("source", ["hub", "url"], indirect=True)
def test_n8_a_disk_that_fills_up_on_the_way(source: Source, disk, monkeypatch):
    (disk / "other").write_bytes(bytes(50_000))
    monkeypatch.setattr(transfer.shutil, "disk_usage", lambda path: SimpleNamespace(free=10**9))
    with pytest.raises(DownloadError, match="is full"):
        fetch(source, Access(disk))
    assert left(Access(disk)) == [str(disk / "other")]


def test_n8_as_a_fault_of_the_file_layer(source: Source, server, access, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(transfer.shutil, "disk_usage", lambda path: SimpleNamespace(free=5))
        with pytest.raises(DownloadError, match=r"needs 20000 bytes and .* has 5 free; free 19995 bytes"):
            fetch(source, access, size=len(DATA))
    assert left(access) == []

    def fail(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    monkeypatch.setattr(huggingface_hub.file_download, "_chmod_and_move", fail)
    with pytest.raises(DownloadError, match="is full"):
        fetch(source, access)
    assert left(access) == []


@pytest.mark.parametrize("source", ["hub", "url"], indirect=True)
def test_n9_a_read_only_cache(source: Source, server, disk):
    fetch(source, Access(disk))
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    check(fetch(source, Access(disk)))
    check(fetch(source, Access(disk), update=True))
    check(fetch(source, Access(disk, verify=True)))
    other = {"hub": "user/other", "url": f"{server.url}/plain/other"}[source.kind]
    server.commit("user/other", {NAME: DATA})
    with pytest.raises(
        DownloadError, match=r"cannot write into the cache .*; name another folder by cache_dir=.*HF_HOME"
    ):
        fetch(replace(source, location=other), Access(disk))


def test_n9_as_a_fault_of_the_file_layer(source: Source, access, monkeypatch):
    fetched = fetch(source, access)

    def fail(*args, **kwargs):
        raise OSError(errno.EROFS, "Read-only file system")

    for name in ("mkdir", "replace", "makedirs", "open"):
        monkeypatch.setattr(os, name, fail)
    assert fetch(source, access).path == fetched.path
    with pytest.raises(DownloadError, match=r"cannot write into the cache .*; name another folder by cache_dir"):
        fetch(replace(source, filename="other.pkl"), access)


# N10, N11 and places outside.


def test_n10_a_branch_that_moved(server, access):
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


def test_n11_a_login_page_is_no_weight_file(source: Source, server, access):
    server.fault("HEAD", "", page(), times=99)
    server.fault("GET", "", page(), times=99)
    with pytest.raises(DownloadError, match=r"login page|a page that is not known"):
        fetch(source, access)
    assert left(access) == []


def test_n11_a_login_page_behind_a_right_head(server, access):
    server.commit("user/repo", {NAME: DATA})
    server.fault("HEAD", NAME, headers(X_Linked_Size=None, Content_Length="70"), times=99)
    server.fault("GET", NAME, page(), times=99)
    with pytest.raises(DownloadError, match=NAME):
        fetch(Source("hub", "user/repo", NAME), access)
    assert not list(access.cache.hub.rglob("blobs/*"))


@pytest.mark.parametrize(
    "lie",
    [
        {"X_Linked_Etag": '"../../../../outside"'},
        {"X_Linked_Etag": '"/tmp/outside"'},
        {"X_Linked_Etag": None, "ETag": '"..\\\\outside"'},
        {"X_Repo_Commit": "../../../outside"},
    ],
)
def test_a_hostile_server_cannot_leave_the_cache(server, tmp_path, lie):
    server.commit("user/repo", {NAME: DATA})
    server.fault("HEAD", NAME, headers(**lie), times=99)
    with pytest.raises(UnsafeFileError, match="not file names"):
        fetch(Source("hub", "user/repo", NAME), Access(tmp_path / "a" / "b" / "cache"))
    assert not list(tmp_path.rglob("*outside*"))


def test_a_link_out_of_the_cache_is_not_followed(source: Source, access, tmp_path):
    path = fetch(source, access).path
    (tmp_path / "outside").write_bytes(DATA)
    path.unlink()
    path.symlink_to(tmp_path / "outside")
    with pytest.raises(UnsafeFileError, match="outside the cache"):
        fetch(source, access)
    assert (tmp_path / "outside").read_bytes() == DATA


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://127.0.0.1/x", "http://192.0.2.1/x", "data:,x"])
def test_redirects_to_other_places_are_not_followed(server, access, target):
    server.fault("GET", "/plain/", answer(302, {"Location": target}), times=9)
    with pytest.raises((UnsafeFileError, DownloadError)):
        fetch(Source("url", f"{server.url}/plain/{NAME}", NAME), access)
    assert len(server.requests) == 1
    assert left(access) == []


def test_endless_files_and_endless_redirects(server, access, monkeypatch):
    server.plain[NAME] = DATA
    source = Source("url", f"{server.url}/plain/{NAME}", NAME)
    server.fault("GET", "/plain/", answer(302, {"Location": f"{server.url}/plain/{NAME}"}), times=99)
    with pytest.raises(DownloadError):
        fetch(source, access)
    server.reset()
    server.plain[NAME] = DATA
    with pytest.raises(IntegrityError, match="more than the 100 bytes"):
        fetch(source, access, size=100)


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
def test_other_pages_of_the_drive(server, access, body, error, message):
    server.fault("GET", "/uc", answer(200, {"Content-Type": "text/html"}, body))
    with pytest.raises(error, match=message):
        fetch(Source("drive", "drive-id-0123", NAME), access)


# Finding the file of a repository.


def test_the_weight_file_of_a_repository_is_found(server, access):
    server.commit("user/one", {"README.md": b"# x", "pytorch_model.bin": DATA})
    server.commit("user/two", {"a.pkl": DATA, "b.pkl": DATA})
    server.commit("user/none", {"README.md": b"# x"})
    server.commit("user/ours", {"other.safetensors": DATA, NAME: DATA})
    assert hub.find_weights(Source("hub", "user/one"), access).filename == "pytorch_model.bin"
    assert hub.find_weights(Source("hub", "user/ours"), access).filename == NAME
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


def test_the_cache_follows_its_settings(monkeypatch, tmp_path):
    assert Cache.open().hub == Path(huggingface_hub.constants.HF_HUB_CACHE)
    assert Cache.open(tmp_path / "x").hub == tmp_path / "x"
    monkeypatch.setenv("STYLEGAN_CACHE", str(tmp_path / "y"))
    assert Cache.open().own == tmp_path / "y" / "stylegan"
    (tmp_path / "file").write_bytes(DATA)
    assert sha256_of(tmp_path / "file") == SHA256
