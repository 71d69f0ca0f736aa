"""A child that was forked can compute: on one thread, and whatever locks the parent's other threads held.

Of a forked process only one thread goes on. The pool of torch's threads (OpenMP) is one of those that are gone, and an
operation that wants it waits for them for ever, in torch itself as well as in the compiled kernels. One thread needs no
pool. Children that are spawned have pools of their own.
"""

import logging
import os
import threading
import weakref
from types import TracebackType

import torch


class ForkLock:
    """A lock that is free in a forked child, whoever held it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        _locks.add(self)

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lock.release()

    def renew(self) -> None:
        """Replace the lock by a free one, in a child."""
        self._lock = threading.Lock()


_locks: "weakref.WeakSet[ForkLock]" = weakref.WeakSet()


def _in_child() -> None:
    for lock in list(_locks):
        lock.renew()
    if torch.get_num_threads() > 1:
        torch.set_num_threads(1)
        message = "this process was forked and computes on one thread; start it with 'spawn' to have them all"
        logging.getLogger(__name__).info(message)


if hasattr(os, "register_at_fork"):  # Not on Windows, where nothing is forked.
    os.register_at_fork(after_in_child=_in_child)
