"""Fetching weights: without network, killed, beside other processes, and with a full or read-only disk.

The letters are those of the table in docs/reliability.md.
"""

import errno
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import huggingface_hub
import huggingface_hub.file_download
import pytest

from stylegan.errors import DownloadError, OfflineError
from stylegan.weights.hub import drive, patience
from stylegan.weights.hub.access import Access
from stylegan.weights.hub.client import fetch
from stylegan.weights.hub.sources import Source
from tests.hub_server import HubServer

from ...conftest import ROOT
from ...hub_server import pause
from .conftest import DATA, FAST, NAME, SHA256, check, check_refused, left, path_of

# N5: no network.

OFFLINE_SCRIPT = """
import sys
from stylegan.errors import OfflineError
from stylegan.weights.hub import Access, fetch
from stylegan.weights.hub.sources import Source
try:
    path = fetch(Source("hub", "user/repo", "model.safetensors", *sys.argv[2:]), Access(sys.argv[1]), update=True).path
    print("got", path)
except OfflineError as error:
    print("OfflineError", error)
"""


def closed_port() -> str:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{listener.getsockname()[1]}"


def python(script: str, *arguments: object, **environment: str) -> subprocess.Popen[str]:
    env = os.environ | {"PYTHONPATH": str(ROOT)} | environment
    command = [sys.executable, "-c", script, *map(str, arguments)]
    return subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def output(process: subprocess.Popen[str]) -> str:
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    return out


def test_n5_without_network_the_cache_is_enough_or_named(server: HubServer, access: Access) -> None:
    closed = closed_port()
    empty = python(OFFLINE_SCRIPT, access.cache_dir, HF_ENDPOINT=closed)
    text = output(empty)
    assert text.startswith(f"OfflineError hf:user/repo/{NAME}@main: not in the cache {access.cache_dir}")
    fetch(Source("hub", "user/repo", NAME, server.commit("user/repo", {NAME: DATA})), access)
    fetch(Source("hub", "user/repo", NAME), access)
    assert output(python(OFFLINE_SCRIPT, access.cache_dir, HF_ENDPOINT=closed)).startswith("got")


@pytest.mark.parametrize("setting", ["local_files_only", "HF_HUB_OFFLINE"])
def test_n5_offline_makes_no_request(
    source: Source, server: HubServer, access: Access, monkeypatch: pytest.MonkeyPatch, setting: str
) -> None:
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


def test_n5_refused_connections_of_plain_servers(access: Access, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "PATIENCE", FAST)
    monkeypatch.setattr(drive, "DRIVE_URL", f"{closed_port()}/uc?id=")
    for source in (Source("url", f"{closed_port()}/{NAME}", NAME), Source("drive", "drive-id-0123", NAME)):
        with pytest.raises(OfflineError, match=f"not in the cache {access.cache.own}"):
            fetch(source, access)


# N6, N7: other processes.

FETCH_SCRIPT = """
import sys
from stylegan.weights.hub import Access, fetch
from stylegan.weights.hub.sources import Source
kind, location, name, cache = sys.argv[1:]
print(fetch(Source(kind, location, name), Access(cache)).sha256)
"""


def arguments(source: Source, access: Access) -> list[object]:
    return [source.kind, source.location, source.filename, access.cache_dir]


@pytest.mark.parametrize("source", ["hub", "url"], indirect=True)
def test_n6_a_killed_download_leaves_nothing_for_long(source: Source, server: HubServer, access: Access) -> None:
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


def test_n6_prune_deletes_orphans_but_no_files_in_the_making(source: Source, access: Access) -> None:
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


def hub_lock(path: Path) -> Any:
    from filelock import FileLock

    return FileLock(path)


@pytest.mark.parametrize("source", ["hub", "url"], indirect=True)
def test_n7_four_processes_fetch_once(source: Source, server: HubServer, access: Access) -> None:
    server.fault("GET", path_of(source), pause(0.1), times=9)
    processes = [python(FETCH_SCRIPT, *arguments(source, access)) for _ in range(4)]
    assert [output(process).strip() for process in processes] == [SHA256] * 4
    assert server.count("GET", path_of(source)) == 1


# N8, N9: the disk.


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 64 KB that can be made read-only."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder], capture_output=True)
    if mounted.returncode:
        pytest.skip("mounting needs rights; the faults below stand for it")
    yield folder
    subprocess.run(["umount", folder], check=True)


@pytest.mark.parametrize("source", ["hub", "url"], indirect=True)
def test_n8_a_full_disk_is_told_before_the_download(source: Source, server: HubServer, disk: Path) -> None:
    (disk / "other").write_bytes(bytes(50_000))
    with pytest.raises(DownloadError, match=r"needs 20000 bytes .* free"):
        fetch(source, Access(disk), size=len(DATA))
    assert server.count("GET", path_of(source)) == 0


@pytest.mark.parametrize("source", ["hub", "url"], indirect=True)
def test_n8_a_disk_that_fills_up_on_the_way(source: Source, disk: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (disk / "other").write_bytes(bytes(50_000))
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=10**9))
    with pytest.raises(DownloadError, match="is full"):
        fetch(source, Access(disk))
    assert left(Access(disk)) == [str(disk / "other")]


def test_n8_as_a_fault_of_the_file_layer(
    source: Source, server: HubServer, access: Access, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=5))
        with pytest.raises(DownloadError, match=r"needs 20000 bytes and .* has 5 free; free 19995 bytes"):
            fetch(source, access, size=len(DATA))
    assert left(access) == []

    def fail(*args: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    monkeypatch.setattr(huggingface_hub.file_download, "_chmod_and_move", fail)
    check_refused(source, access, match="is full")


@pytest.mark.parametrize("source", ["hub", "url"], indirect=True)
def test_n9_a_read_only_cache(source: Source, server: HubServer, disk: Path) -> None:
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


def test_n9_as_a_fault_of_the_file_layer(source: Source, access: Access, monkeypatch: pytest.MonkeyPatch) -> None:
    fetched = fetch(source, access)

    def fail(*args: Any, **kwargs: Any) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    for name in ("mkdir", "replace", "makedirs", "open"):
        monkeypatch.setattr(os, name, fail)
    assert fetch(source, access).path == fetched.path
    with pytest.raises(DownloadError, match=r"cannot write into the cache .*; name another folder by cache_dir"):
        fetch(replace(source, filename="other.pkl"), access)
