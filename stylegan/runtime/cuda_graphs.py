"""Captures repeated GPU work, such as image calls and training steps, as CUDA graphs.

Launching hundreds of kernels one by one can take longer than running them.
"""

import contextlib
import logging
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from typing import Generic, Protocol, TypeVar

import torch

from .forks import ForkLock

T = TypeVar("T")

# How many graphs a network or a run keeps: the most recently used.
MAX_GRAPHS = 8

# Only one capture may run at a time in a process.
_capturing = ForkLock()


class Capture(Protocol):
    """What captures graphs on a device; `CudaCapture` is one."""

    def capture(self, work: Callable[[], T], *, warm_up: bool = False) -> tuple[T, Callable[[], None]]:
        """The work's outputs, not filled in yet, and a function that computes them into the same tensors.

        warm_up: run the work once first, since libraries initialize for each thread and stream.
        """

    def in_order(self) -> contextlib.AbstractContextManager[None]:
        """Work launched inside starts after all work launched inside earlier, on whatever streams."""

    def wait(self) -> None:
        """Wait until the device has finished all work launched so far."""


class CudaCapture:
    """Graphs of one GPU. They share memory for intermediate values, so only one may run at a time."""

    def __init__(self, device: torch.device):
        self._device = device
        self._stream = torch.cuda.Stream(device)
        self._pool = torch.cuda.graph_pool_handle()
        self._done = torch.cuda.Event()

    def capture(self, work: Callable[[], T], *, warm_up: bool = False) -> tuple[T, Callable[[], None]]:
        """See `Capture.capture`; the result is in the memory that the graphs share."""
        graph, caller = torch.cuda.CUDAGraph(), torch.cuda.current_stream(self._device)
        if warm_up:
            self._stream.wait_stream(caller)
            with torch.cuda.stream(self._stream):
                work()
        # The outer block restores the caller's stream, even if the capture cannot be ended. Other threads may
        # allocate meanwhile.
        with (
            torch.cuda.stream(caller),
            torch.cuda.graph(graph, self._pool, self._stream, capture_error_mode="thread_local"),
        ):
            result = work()
        return result, graph.replay

    @contextlib.contextmanager
    def in_order(self) -> Iterator[None]:
        """See `Capture.in_order`."""
        stream = torch.cuda.current_stream(self._device)
        stream.wait_event(self._done)
        yield
        self._done.record(stream)

    def wait(self) -> None:
        """Wait for all streams of the GPU."""
        torch.cuda.synchronize(self._device)


class GraphCache(Generic[T]):
    """Graphs by their work. Work runs without a graph the first time, since much is never repeated.

    what: the work's name, for the warning if a capture fails; nothing is captured after that. wait: waits until the
    device has finished, since a graph in use must not be freed.
    """

    def __init__(self, what: str, wait: Callable[[], None]):
        self._what = what
        self._wait = wait
        self._known: OrderedDict[Hashable, T | None] = OrderedDict()  # None = run once, not captured yet.
        self._failed = False

    def find(self, key: Hashable, capture: Callable[[], T]) -> T | None:
        """The graph of this work, captured the second time; None = run it without a graph."""
        if self._failed:
            return None
        if key not in self._known:
            self._known[key] = None
        elif self._known[key] is None:
            self._known[key] = self._capture(capture)
        self._known.move_to_end(key)
        if len(self._known) > MAX_GRAPHS:
            self._wait()
            self._known.popitem(last=False)
        return self._known[key]

    def _capture(self, capture: Callable[[], T]) -> T | None:
        try:
            with _capturing:
                return capture()
        except Exception as error:  # Drivers, and a lack of memory, may raise anything.
            logging.getLogger(__name__).warning("%s are not captured as CUDA graphs: %s", self._what, error)
            self._failed = True
            return None

    def clear(self) -> None:
        """Free the memory once the device is done with it."""
        self._wait()
        self._known.clear()
