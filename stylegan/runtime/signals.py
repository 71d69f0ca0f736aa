"""Requests to stop, SIGTERM and Ctrl-C: acknowledged at once, obeyed at the end of a step."""

import contextlib
import os
import signal
import threading
from types import FrameType, TracebackType
from typing import Any


class StopSignals:
    """In the context, SIGTERM and the first SIGINT are recorded in `received`; a second SIGINT interrupts.

    says: acknowledge them on standard error.
    """

    def __init__(self, *, says: bool = True) -> None:
        self.says = says
        self.received: signal.Signals | None = None
        self._previous: dict[signal.Signals, Any] = {}

    def __enter__(self) -> "StopSignals":
        # Only the main thread may set handlers; elsewhere, the caller stops training in its own way.
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                self._previous[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.received is signal.SIGINT and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.received = signal.Signals(number)
        again = "; Ctrl-C again stops without saving" if number == signal.SIGINT else ""
        if self.says:
            with contextlib.suppress(OSError):  # sys.stderr cannot be used by a handler that interrupts a write to it.
                os.write(2, f"\nstopping after this step, then saving{again}\n".encode())
