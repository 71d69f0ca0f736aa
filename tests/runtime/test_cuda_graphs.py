"""Which work is recorded, and what is kept: shown with recordings that are plain objects."""

import threading
import time

from stylegan.runtime import cuda_graphs
from stylegan.runtime.cuda_graphs import KeptRecordings

from ..conftest import in_threads


def test_work_is_recorded_when_it_comes_again():
    kept: KeptRecordings[str] = KeptRecordings("calls", lambda: None)
    made = iter(["first", "second"])
    assert [kept.find("a", lambda: next(made)) for _ in range(3)] == [None, "first", "first"]
    assert [kept.find("b", lambda: next(made)) for _ in range(2)] == [None, "second"]
    assert kept.find("a", lambda: next(made)) == "first"


def test_those_used_last_are_kept_and_none_is_let_go_while_it_may_run(monkeypatch):
    monkeypatch.setattr(cuda_graphs, "MAX_RECORDINGS", 2)
    waits = []
    kept: KeptRecordings[str] = KeptRecordings("calls", lambda: waits.append(None))
    for key in "aabbac":
        assert len(waits) == 0
        kept.find(key, lambda key=key: key)
    assert len(waits) == 1
    assert kept.find("a", lambda: "anew") == "a"
    assert kept.find("b", lambda: "anew") is None


def test_after_a_failure_all_runs_as_it_is(caplog):
    def fail() -> str:
        raise RuntimeError("out of memory")

    kept: KeptRecordings[str] = KeptRecordings("calls", lambda: None)
    kept.find("before", lambda: "before")
    kept.find("before", lambda: "before")
    assert [kept.find("a", fail) for _ in range(3)] == [None] * 3
    assert kept.find("before", lambda: "before") is None
    assert [record.message for record in caplog.records] == ["calls are not recorded as CUDA graphs: out of memory"]


def test_only_one_recording_is_under_way_in_a_process():
    under_way, most = [0], [0]

    def record() -> str:
        under_way[0] += 1
        most[0] = max(most[0], under_way[0])
        time.sleep(0.02)
        under_way[0] -= 1
        return "recording"

    start, found = threading.Barrier(4), []

    def run(i: int) -> None:
        kept: KeptRecordings[str] = KeptRecordings("calls", lambda: None)
        kept.find("a", record)
        start.wait()
        found.append(kept.find("a", record))

    in_threads(run, 4)
    assert found == ["recording"] * 4
    assert most == [1]
