"""Which work is captured, and what is kept: shown with graphs that are plain objects."""

import threading
import time
from functools import partial

import pytest

from stylegan.runtime import cuda_graphs
from stylegan.runtime.cuda_graphs import GraphCache

from ..conftest import in_threads


def test_work_is_captured_when_it_comes_again() -> None:
    cache: GraphCache[str] = GraphCache("calls", lambda: None)
    made = iter(["first", "second"])
    assert [cache.find("a", lambda: next(made)) for _ in range(3)] == [None, "first", "first"]
    assert [cache.find("b", lambda: next(made)) for _ in range(2)] == [None, "second"]
    assert cache.find("a", lambda: next(made)) == "first"


def test_those_used_last_are_kept_and_none_is_freed_in_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda_graphs, "MAX_GRAPHS", 2)
    waits: list[None] = []
    cache: GraphCache[str] = GraphCache("calls", lambda: waits.append(None))
    for key in "aabbac":
        assert len(waits) == 0
        cache.find(key, partial(str, key))
    assert len(waits) == 1
    assert cache.find("a", lambda: "anew") == "a"
    assert cache.find("b", lambda: "anew") is None


def test_after_a_failure_all_runs_as_it_is(caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> str:
        raise RuntimeError("out of memory")

    cache: GraphCache[str] = GraphCache("calls", lambda: None)
    cache.find("before", lambda: "before")
    cache.find("before", lambda: "before")
    assert [cache.find("a", fail) for _ in range(3)] == [None] * 3
    assert cache.find("before", lambda: "before") is None
    assert [record.message for record in caplog.records] == ["calls are not captured as CUDA graphs: out of memory"]


def test_only_one_capture_is_under_way_in_a_process() -> None:
    under_way, most = [0], [0]

    def capture() -> str:
        under_way[0] += 1
        most[0] = max(most[0], under_way[0])
        time.sleep(0.02)
        under_way[0] -= 1
        return "graph"

    start, found = threading.Barrier(4), []

    def run(i: int) -> None:
        cache: GraphCache[str] = GraphCache("calls", lambda: None)
        cache.find("a", capture)
        start.wait()
        found.append(cache.find("a", capture))

    in_threads(run, 4)
    assert found == ["graph"] * 4
    assert most == [1]
