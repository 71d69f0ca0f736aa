"""The cache's records: what is none does not stop `cache list`, `verify`, `prune` or a load."""

import json
import os
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from stylegan.weights.hub.cache import Cache, Record, sha256_of

from ...conftest import ok


def noted(folder: Path) -> tuple[Cache, Path, Path]:
    """A cache with one file, and its record."""
    cache = Cache.open(folder)
    file = cache.own / "files" / "a" / "model.pkl"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"weights")
    cache.remember(file, sha256_of(file), source="https://example.org/model.pkl", expected=None)
    (record,) = (cache.own / "records").iterdir()
    return cache, file, record


ODD = [
    b"",
    b"null",
    b"[]",
    b"[" * 100_000,
    b'{"source": 3}',
    b"\xff",
    b" " * 2_000_000,
    {"size": "7"},
    {"size": None},
    {"size": -1},
    {"size": True},
    {"size": 7.0},
    {"size": 2**70},
    {"mtime_ns": []},
    {"source": None},
    {"source": ["a"]},
    {"source": "\ud800"},
    {"path": 3},
    {"path": "a\0b"},
    {"path": "/etc/passwd"},
    {"sha256": 5},
    {"expected": {}},
]


@pytest.mark.parametrize("change", ODD, ids=range(len(ODD)))
def test_odd_records_stop_nothing_and_are_pruned(
    run: Callable[..., Result], tmp_path: Path, change: bytes | dict[str, Any]
) -> None:
    cache, file, record = noted(tmp_path / "cache")
    fields = json.loads(record.read_bytes())
    record.write_bytes(change if isinstance(change, bytes) else json.dumps(fields | change).encode())
    assert cache.recall(file) is None
    folder = ("--cache-dir", tmp_path / "cache")
    assert "0 files" in ok(run("cache", "list", *folder))
    ok(run("cache", "verify", *folder))
    ok(run("cache", "prune", *folder))
    assert not record.exists()
    assert file.exists()


def test_a_record_of_a_file_elsewhere_deletes_nothing_there(run: Callable[..., Result], tmp_path: Path) -> None:
    cache, _, _ = noted(tmp_path / "cache")
    outside = tmp_path / "outside"
    outside.write_bytes(b"precious")
    cache.remember(outside, sha256_of(outside), source="elsewhere", expected=None)
    ok(run("cache", "prune", "--all", "--cache-dir", tmp_path / "cache"))
    assert outside.read_bytes() == b"precious"
    assert not list((cache.own / "records").iterdir())


def test_a_record_that_is_a_folder_or_a_pipe_is_not_waited_for(run: Callable[..., Result], tmp_path: Path) -> None:
    cache, file, record = noted(tmp_path / "cache")
    os.mkfifo(record.parent / "pipe.json")
    (record.parent / "folder.json").mkdir()
    assert "1 files" in ok(run("cache", "list", "--cache-dir", tmp_path / "cache"))
    ok(run("cache", "prune", "--cache-dir", tmp_path / "cache"))
    assert [r.path for r in cache.records()] == [str(file)]


def test_a_right_record_is_read_back(tmp_path: Path) -> None:
    cache, file, record = noted(tmp_path / "cache")
    stat = file.stat()
    source = "https://example.org/model.pkl"
    expected = Record(source, str(file), 7, stat.st_mtime_ns, sha256_of(file), None)
    assert (cache.recall(file), cache.records()) == (expected, [expected])
    # A later version may note more.
    record.write_text(json.dumps(asdict(expected) | {"more": 1}))
    assert cache.recall(file) == expected
