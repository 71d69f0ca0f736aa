"""The demo computes one picture at a time, and nothing for pages that were left."""

import asyncio
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from stylegan import Generator
from stylegan.demo.turns import Turns
from stylegan.errors import InputError


def ends(*calls: Callable[[Turns], asyncio.Future[object]], limit: int = 9) -> list[object]:
    """What calls end with that wait behind a long one; `calls` are made while it runs, and then it is let go."""
    released = threading.Event()

    async def run() -> list[object]:
        turns = Turns(limit=limit)
        first = asyncio.ensure_future(turns.take("first", released.wait))
        waiting = []
        for call in calls:
            await asyncio.sleep(0)
            waiting.append(call(turns))
        await asyncio.sleep(0)
        released.set()
        return (await asyncio.gather(first, *waiting, return_exceptions=True))[1:]

    return asyncio.run(run())


def take(session: str, function: Callable[[], object]) -> Callable[[Turns], asyncio.Future[object]]:
    return lambda turns: asyncio.ensure_future(turns.take(session, function))


def test_calls_run_in_the_order_in_which_they_came() -> None:
    seen: list[int] = []
    ends(*[take("a", partial(seen.append, i)) for i in range(8)])
    assert seen == list(range(8))


def test_a_session_that_ended_is_not_computed_for() -> None:
    seen: list[str] = []

    def leave(turns: Turns) -> asyncio.Future[object]:
        turns.forget("a")
        return asyncio.ensure_future(asyncio.sleep(0))

    results = ends(take("a", lambda: seen.append("a")), take("b", lambda: seen.append("b")), leave)
    assert isinstance(results[0], asyncio.CancelledError)
    assert seen == ["b"]


def test_too_many_are_turned_away_and_told() -> None:
    results = ends(*[take("a", lambda: "done")] * 3, limit=2)
    assert results[:2] == ["done", "done"]
    assert isinstance(results[2], InputError)
    assert "2 requests are waiting already" in str(results[2])


def test_an_error_is_the_callers_and_the_next_goes_on() -> None:
    results = ends(take("a", lambda: 1 // 0), take("b", lambda: "done"))
    assert isinstance(results[0], ZeroDivisionError)
    assert results[1] == "done"


def test_no_event_of_the_page_is_in_gradios_queue(tmp_path: Path, tiny: Generator) -> None:
    pytest.importorskip("gradio", reason="needs the extra demo")
    from stylegan.demo.page import build_page
    from stylegan.demo.studio import Studio

    tiny.save(tmp_path / "tiny.safetensors")
    config = build_page(Studio({"tiny": str(tmp_path / "tiny.safetensors")}), tmp_path).get_config_file()
    calls = [d for d in config["dependencies"] if d["backend_fn"]]
    assert len(calls) > 10
    # Programs ask for the one, the server itself calls the other.
    assert {d["api_name"] for d in calls if d["queue"] is not False} == {"picture", "ended"}
