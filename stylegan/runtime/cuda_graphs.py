"""Repeated work on a GPU is captured as a CUDA graph and launched at once: image calls and training steps.

Launching hundreds of kernels one by one can take longer than the work in them.
"""

import contextlib
import logging
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from typing import Generic, Protocol, TypeVar

import torch

from .forks import ForkLock

T = TypeVar("T")

# Graphs that a network or a run keeps, those used last.
MAX_GRAPHS = 8

# Only one capture may be under way in a process.
_capturing = ForkLock()


class Capture(Protocol):
    """What captures graphs on a device; `CudaCapture` is one."""

    def capture(self, work: Callable[[], T], *, warm_up: bool = False) -> tuple[T, Callable[[], None]]:
        """What the work will give, in tensors that hold nothing yet, and what does it again into the same tensors.

        warm_up: do the work once before, as libraries set themselves up for each thread and stream.
        """

    def in_order(self) -> contextlib.AbstractContextManager[None]:
        """What is launched within begins after all that was launched within before, whatever streams callers use."""

    def wait(self) -> None:
        """Until the device has done all that was begun."""


class CudaCapture:
    """Graphs of one GPU. They share memory for what is between their inputs and outputs: only one may run at a time."""

    def __init__(self, device: torch.device):
        self._device = device
        self._stream = torch.cuda.Stream(device)
        self._pool = torch.cuda.graph_pool_handle()
        self._done = torch.cuda.Event()

    def capture(self, work: Callable[[], T], *, warm_up: bool = False) -> tuple[T, Callable[[], None]]:
        """See `Capture.capture`; the result lies in the memory that the graphs share."""
        graph, caller = torch.cuda.CUDAGraph(), torch.cuda.current_stream(self._device)
        if warm_up:
            self._stream.wait_stream(caller)
            with torch.cuda.stream(self._stream):
                work()
        # The outer block brings back the caller's stream, also if the capture cannot be ended. Other threads may
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

    what: the work's name, for the warning if a capture fails; nothing is captured after that. wait: until the device
    has done all that was begun, since a graph in use may not be let go.
    """

    def __init__(self, what: str, wait: Callable[[], None]):
        self._what = what
        self._wait = wait
        self._known: OrderedDict[Hashable, T | None] = OrderedDict()  # None = done once, not captured yet.
        self._failed = False

    def find(self, key: Hashable, capture: Callable[[], T]) -> T | None:
        """The graph of this work, captured if it comes for the second time; None: do it as it is."""
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
        except Exception as error:  # Drivers, and memory that is short, raise whatever they like.
            logging.getLogger(__name__).warning("%s are not captured as CUDA graphs: %s", self._what, error)
            self._failed = True
            return None

    def clear(self) -> None:
        """Give the memory back once the device is done with it."""
        self._wait()
        self._known.clear()
