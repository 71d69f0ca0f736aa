"""Work on a GPU that comes again is recorded as a CUDA graph: what image calls and training steps have in common."""

import logging
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

from .forks import ForkLock

T = TypeVar("T")

# Recordings that a network or a run keeps, those used last.
MAX_RECORDINGS = 8

# Only one recording may be under way in a process.
_recording = ForkLock()


class KeptRecordings(Generic[T]):
    """Recordings by what they do. Work that comes for the first time runs as it is, since much is never repeated.

    what: the work's name, for the warning if a recording fails; nothing is recorded after that. wait: until the device
    has done all that was begun, since a recording in use may not be let go.
    """

    def __init__(self, what: str, wait: Callable[[], None]):
        self._what = what
        self._wait = wait
        self._known: OrderedDict[Hashable, T | None] = OrderedDict()  # None = done once, not recorded yet.
        self._failed = False

    def find(self, key: Hashable, record: Callable[[], T]) -> T | None:
        """The recording of this work, made if it comes for the second time; None: do it as it is."""
        if self._failed:
            return None
        if key not in self._known:
            self._known[key] = None
        elif self._known[key] is None:
            self._known[key] = self._record(record)
        self._known.move_to_end(key)
        if len(self._known) > MAX_RECORDINGS:
            self._wait()
            self._known.popitem(last=False)
        return self._known[key]

    def _record(self, record: Callable[[], T]) -> T | None:
        try:
            with _recording:
                return record()
        except Exception as error:  # Drivers, and memory that is short, raise whatever they like.
            logging.getLogger(__name__).warning("%s are not recorded as CUDA graphs: %s", self._what, error)
            self._failed = True
            return None

    def clear(self) -> None:
        """Give the memory back once the device is done with it."""
        self._wait()
        self._known.clear()
