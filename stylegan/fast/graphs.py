"""Calls on a GPU captured as CUDA graphs: at batch 1, launching the kernels takes longer than running them."""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ..runtime.cuda_graphs import Capture, GraphCache
from ..runtime.forks import ForkLock

# Reads inputs, writes outputs.
Work = Callable[[list[Tensor], list[Tensor]], None]


@dataclass(frozen=True)
class _Graph:
    """A captured call with its own input and output tensors."""

    inputs: list[Tensor]
    outputs: list[Tensor]
    replay: Callable[[], None]

    def run(self, inputs: list[Tensor], outputs: list[Tensor]) -> None:
        _copy(inputs, self.inputs)
        self.replay()
        _copy(self.outputs, outputs)


class Graphs:
    """The graphs of one prepared network."""

    def __init__(self, capture: Capture):
        self._capture = capture
        self._lock = ForkLock()
        self._cache: GraphCache[_Graph] = GraphCache("calls", capture.wait)

    def run(self, key: Hashable, work: Work, inputs: list[Tensor], outputs: list[Tensor]) -> None:
        """Do the work: directly at first, with a graph from the second time on.

        key: what distinguishes this work from other work on tensors of the same shapes.
        """
        key = key, tuple((t.shape, t.dtype) for t in (*inputs, *outputs))
        # Graphs share memory: they start one after the other.
        with self._lock:
            graph = self._cache.find(key, lambda: self._captured(work, inputs, outputs))
            if graph is not None:
                with self._capture.in_order():
                    graph.run(inputs, outputs)
        if graph is None:
            work(inputs, outputs)

    def _captured(self, work: Work, inputs: list[Tensor], outputs: list[Tensor]) -> _Graph:
        own_inputs, own_outputs = [t.clone() for t in inputs], [torch.empty_like(t) for t in outputs]
        _, replay = self._capture.capture(lambda: work(own_inputs, own_outputs), warm_up=True)
        return _Graph(own_inputs, own_outputs, replay)

    def release(self) -> None:
        """Free the memory once the device is done with it."""
        with self._lock:
            self._cache.clear()


def _copy(sources: Sequence[Tensor], targets: Sequence[Tensor]) -> None:
    for source, target in zip(sources, targets, strict=True):
        target.copy_(source)
