"""Time limits and retries of transfers, both our own and those of the hub's client.

A call to a server runs in a thread, which `watch` abandons if it takes too long or receives too much.
"""

import ctypes
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from ...errors import DownloadError, IntegrityError, OfflineError

logger = logging.getLogger(__name__)
T = TypeVar("T")


@dataclass(frozen=True)
class Patience:
    """Limits of a transfer."""

    attempts: int = 3  # In succession without a new byte.
    most_attempts: int = 30  # In total.
    wait: float = 1.0  # Seconds before the second attempt; doubled for each one after.
    longest_wait: float = 60.0  # Longer waits (Retry-After) are not waited for.
    timeout: float = 8.0  # Seconds to connect, or without a byte.
    offline: float = 12.0  # Seconds after which a server that was never reached is given up.
    answer: float = 30.0  # Seconds for a complete small response: connection, headers, redirects, body, pages.
    silence: float = 60.0  # A transfer is abandoned if, over this many seconds,
    slowest: float = 1000.0  # it brings fewer bytes per second than this.


PATIENCE = Patience()


@dataclass(eq=False)
class Transient(Exception):
    """A failure that a retry may overcome; `error` is what to raise if it does not."""

    error: DownloadError
    retry_after: float | None = None
    progress: bool = False  # Whether new bytes arrived in this attempt.


def persist(attempt: Callable[[], T], patience: Patience | None = None) -> T:
    """Call until no Transient is raised, with growing waits; finally raise the error of the last one."""
    patience = patience or PATIENCE
    start, failures = time.monotonic(), 0
    for _ in range(patience.most_attempts):
        try:
            return attempt()
        except Transient as failure:
            last = failure
        failures = 1 if last.progress else failures + 1
        tired = isinstance(last.error, OfflineError) and time.monotonic() - start > patience.offline
        wait = max(patience.wait * 2 ** (failures - 1), last.retry_after or 0)
        if failures >= patience.attempts or tired or wait > patience.longest_wait:
            break
        logger.warning("%s; trying again in %.0f s", last.error, wait)
        time.sleep(wait)
    raise last.error


class Pace:
    """Whether a transfer makes progress: at least `silence * slowest` new bytes in every `silence` seconds."""

    def __init__(self, patience: Patience, clock: Callable[[], float] = time.monotonic):
        self.patience, self.clock = patience, clock
        self.counted, self.since = 0, clock()

    def problem(self, arrived: int) -> str | None:
        """What is wrong after so many bytes in total, in words."""
        now, new = self.clock(), arrived - self.counted
        if new >= self.patience.silence * self.patience.slowest:
            self.counted, self.since = arrived, now
        elif now - self.since > self.patience.silence:
            what = f"only {new} bytes" if new > 0 else "nothing new"
            return f"{what} arrived for {self.patience.silence:.0f} s, after {self.counted} bytes"
        return None


class _Left(SystemExit):
    """Ends an abandoned thread; threads exit silently on SystemExit."""


def watch(
    call: Callable[[], T],
    asked: str,
    *,
    seconds: float | None = None,
    arrived: Callable[[], int] | None = None,
    most: int | None = None,
) -> T:
    """Run a call to a server in its own thread, and return its result or raise its error.

    seconds: time limit; None = as long as `arrived` grows fast enough, see `Pace`. arrived: bytes received so far.
    most: limit in bytes.

    Raises DownloadError, or IntegrityError for too many bytes; the call is then ended when it next runs Python.
    """
    results: list[tuple[T | None, BaseException | None]] = []

    def run() -> None:
        try:
            results.append((call(), None))
        except BaseException as error:
            results.append((None, error))

    thread = threading.Thread(target=run, name="stylegan download", daemon=True)
    pace, start, furthest = Pace(PATIENCE), time.monotonic(), 0
    thread.start()
    try:
        while thread.is_alive():
            thread.join(0.05)
            if seconds is not None and time.monotonic() - start > seconds:
                raise DownloadError(
                    f"{asked}: no whole answer within {seconds:g} s; the server, or what is in between, is broken or "
                    "overloaded: try again later"
                )
            if arrived is not None:
                furthest = max(furthest, arrived())
                if most is not None and furthest > most:
                    raise IntegrityError(f"{asked}: more than the {most} bytes that were announced; not kept")
                if seconds is None and (problem := pace.problem(furthest)):
                    raise DownloadError(
                        f"{asked}: {problem}; the server is broken, or limits how much one may fetch: try again later"
                    )
    finally:
        if thread.is_alive():
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident or 0), ctypes.py_object(_Left))
            thread.join(
                1
            )  # Its resources are released, unless it is waiting for the server, which has a time limit as well.
    value, error = results[0]
    if error is not None:
        raise error
    return value  # type: ignore[return-value]
