"""Calls on a GPU recorded as CUDA graphs: some hundred kernels are launched as one.

At batch 1 launching them one by one takes longer than the work in them.
"""

from collections.abc import Callable, Hashable
from typing import Protocol

import torch
from torch import Tensor

from ..runtime.cuda_graphs import KeptRecordings
from ..runtime.forks import ForkLock

# Reads inputs, writes outputs.
Work = Callable[[list[Tensor], list[Tensor]], None]


class Recorder(Protocol):
    """What `Graphs` asks of a device."""

    def record(self, work: Work, inputs: list[Tensor], outputs: list[Tensor]) -> Work:
        """The same work as a recording, for tensors of the same shapes; these are examples, nothing is computed."""

    def wait(self) -> None:
        """Until the device has done all that was begun."""


class Graphs:
    """The recordings of one prepared network. They share memory for what is between inputs and outputs."""

    def __init__(self, recorder: Recorder):
        self._recorder = recorder
        self._lock = ForkLock()
        self._kept: KeptRecordings[Work] = KeptRecordings("calls", recorder.wait)

    def run(self, key: Hashable, work: Work, inputs: list[Tensor], outputs: list[Tensor]) -> None:
        """Do the work: as it is at first, and recorded from the second time on.

        key: what makes this work another than one with tensors of the same shapes.
        """
        key = key, tuple((t.shape, t.dtype) for t in (*inputs, *outputs))
        # Recordings work in the same memory: they are begun one after the other.
        with self._lock:
            replay = self._kept.find(key, lambda: self._recorder.record(work, inputs, outputs))
            if replay is not None:
                replay(inputs, outputs)
        if replay is None:
            work(inputs, outputs)

    def release(self) -> None:
        """Give the memory back once the device is done with it."""
        with self._lock:
            self._kept.clear()


class CudaRecorder:
    """Recordings on one GPU. Their replays wait for each other, whatever streams their callers use."""

    def __init__(self, device: torch.device):
        self._device = device
        self._stream = torch.cuda.Stream(device)
        self._pool = torch.cuda.graph_pool_handle()
        self._done = torch.cuda.Event()

    def record(self, work: Work, inputs: list[Tensor], outputs: list[Tensor]) -> Work:
        own_inputs = [t.clone() for t in inputs]
        own_outputs = [torch.empty_like(t) for t in outputs]
        graph, caller = torch.cuda.CUDAGraph(), torch.cuda.current_stream(self._device)
        # Once as it is: libraries set themselves up for each thread and stream, which a recording does not allow.
        self._stream.wait_stream(caller)
        with torch.cuda.stream(self._stream):
            work(own_inputs, own_outputs)
        # The outer block brings back the caller's stream, also if the recording cannot be ended. Other threads may
        # allocate meanwhile.
        with (
            torch.cuda.stream(caller),
            torch.cuda.graph(graph, self._pool, self._stream, capture_error_mode="thread_local"),
        ):
            work(own_inputs, own_outputs)

        def replay(inputs: list[Tensor], outputs: list[Tensor]) -> None:
            stream = torch.cuda.current_stream(self._device)
            stream.wait_event(self._done)
            for own, given in zip(own_inputs, inputs, strict=True):
                own.copy_(given)
            graph.replay()
            for own, wanted in zip(own_outputs, outputs, strict=True):
                wanted.copy_(own)
            self._done.record(stream)

        return replay

    def wait(self) -> None:
        torch.cuda.synchronize(self._device)
