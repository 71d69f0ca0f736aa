"""Work on several threads, results in order."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")


def default_threads() -> int:
    """The CPUs that this process may use, at most 16."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(usable, 16)


def map_in_order(
    function: Callable[[ItemT], ResultT], items: Iterable[ItemT], *, threads: int | None = None, ahead: int = 4
) -> Iterator[ResultT]:
    """Like `map`, computed by threads; at most `ahead` items per thread are computed in advance.

    threads: None = one per CPU. If the caller stops early, nothing more is started.
    """
    threads = threads or default_threads()
    pending: deque[Future[ResultT]] = deque()
    pool = ThreadPoolExecutor(threads)
    try:
        for item in items:
            pending.append(pool.submit(function, item))
            if len(pending) >= threads * ahead:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
