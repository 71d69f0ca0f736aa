"""One computation at a time, for pages that may be left while they wait."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from ..errors import InputError


class Turns:
    """Calls functions one at a time, first come, first served.

    limit: how many calls may wait besides the running one.
    """

    def __init__(self, *, limit: int):
        self.limit = limit
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="demo")
        self._sessions: dict[Future[Any], str] = {}  # The session of each running or waiting call.

    async def take(self, session: str, function: Callable[..., Any], *arguments: Any) -> Any:
        """The function's result, once those before it are done.

        Raises InputError if too many wait already, and CancelledError if the session ends before its turn.
        """
        if len(self._sessions) > self.limit:
            raise InputError(f"{self.limit} requests are waiting already; try again in a moment")
        call = self._worker.submit(function, *arguments)
        self._sessions[call] = session
        try:
            return await asyncio.wrap_future(call)
        finally:
            del self._sessions[call]

    def forget(self, session: str) -> None:
        """Cancel what this session still waits for."""
        for call, owner in list(self._sessions.items()):
            if owner == session:
                call.cancel()
