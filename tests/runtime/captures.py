"""What stands in for CUDA graphs on a CPU."""

import contextlib
from collections.abc import Iterator
from typing import Any

from stylegan.training.graphs import _tensors


class Again:
    """Does the work again and puts what it gives where a CUDA graph would."""

    def __init__(self, error: Exception | None = None):
        self.captured = self.replays = self.waits = self.orders = 0
        self._error = error

    def capture(self, work: Any, *, warm_up: bool = False) -> Any:
        self.captured += 1
        if self._error:
            raise self._error
        result = work()

        def replay() -> None:
            self.replays += 1
            for old, new in zip(tensors(result), tensors(work()), strict=True):
                old.detach().copy_(new.detach())

        return result, replay

    @contextlib.contextmanager
    def in_order(self) -> Iterator[None]:
        self.orders += 1
        yield

    def wait(self) -> None:
        self.waits += 1


def tensors(result: Any) -> Any:
    """All tensors in what a pass gives."""
    return [*getattr(result, "losses", {}).values(), *_tensors(result)]
