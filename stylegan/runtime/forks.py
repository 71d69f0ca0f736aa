"""Forked processes can compute: on one thread, with any locks of the parent's other threads released.

Only one thread survives a fork. Torch's thread pool (OpenMP) is gone, and operations that need it would wait forever,
both in torch and in the C kernels. One thread needs no pool. Spawned processes have their own pools.
"""

import logging
import os
import threading
import weakref
from types import TracebackType

import torch


class ForkLock:
    """A lock that is free in a forked child, even if the parent held it."""

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
