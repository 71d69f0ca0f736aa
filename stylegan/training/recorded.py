"""Training steps on a GPU recorded as CUDA graphs: each pass is launched as one.

Launching the two thousand kernels of a step one by one takes longer than the work in them.
"""

import copy
from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from math import floor
from typing import Any, Protocol, TypeVar

import torch
from torch import Tensor

from ..runtime.cuda_graphs import KeptRecordings
from .passes import DiscriminatorPass, GeneratorPass, Inputs, Passes

T = TypeVar("T")


class Capture(Protocol):
    """What `Recordings` asks of a device."""

    def record(self, work: Callable[[], T]) -> tuple[T, Callable[[], None]]:
        """The tensors that the work will give, and what does it again into the same tensors."""

    def wait(self) -> None:
        """Until the device has done all that was begun."""


class Recordings:
    """The recordings of one run. The first step of a kind runs as it is, the second is recorded.

    A kind is all that does not change from step to step: shapes, with R1 or without, with ADA or without, and so on.
    """

    def __init__(self, capture: Capture):
        self._capture = capture
        self._kept: KeptRecordings[Recorded] = KeptRecordings("training steps", capture.wait)

    def find(self, passes: Passes, inputs: Inputs) -> "tuple[Passes | Recorded, Inputs]":
        """What to run instead of these passes, and its inputs."""
        if passes.lod % 1:
            inputs = replace(inputs, fade=torch.tensor(passes.lod % 1, device=inputs.img.device, dtype=torch.float32))
            passes = replace(passes, lod=floor(passes.lod) + 0.5)
        key = passes, type(inputs.augment_reals), tuple((t.shape, t.dtype) for t in _tensors(inputs))
        return self._kept.find(key, lambda: Recorded(passes, inputs, self._capture)) or passes, inputs


class Recorded:
    """The same as `Passes` with the settings that it was recorded with; results are valid until the next step."""

    def __init__(self, passes: Passes, inputs: Inputs, capture: Capture):
        self._inputs = own = copy.deepcopy(inputs)
        first, self._run_first = capture.record(lambda: passes.discriminator(own))
        self._second, self._run_second = capture.record(lambda: passes.generator(own, first))
        self._first = replace(first, fakes=None)

    def discriminator(self, inputs: Inputs) -> DiscriminatorPass:
        torch._foreach_copy_(_tensors(self._inputs), _tensors(inputs))
        self._run_first()
        return replace(self._first, losses={name: value.clone() for name, value in self._first.losses.items()})

    def generator(self, inputs: Inputs, first: DiscriminatorPass) -> GeneratorPass:
        """The inputs are those of the first pass."""
        self._run_second()
        return replace(self._second, loss=self._second.loss.clone())


class CudaCapture:
    """CUDA graphs on one GPU, in memory that they share: they are replayed in one order, on one stream."""

    def __init__(self, device: torch.device):
        self._device = device
        self._stream = torch.cuda.Stream(device)
        self._pool = torch.cuda.graph_pool_handle()

    def record(self, work: Callable[[], T]) -> tuple[T, Callable[[], None]]:
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, self._pool, self._stream, capture_error_mode="thread_local"):
            result = work()
        return result, graph.replay

    def wait(self) -> None:
        torch.cuda.synchronize(self._device)


def _tensors(value: Any) -> list[Tensor]:
    """All tensors in dataclasses and lists, in order."""
    if isinstance(value, Tensor):
        return [value]
    if is_dataclass(value):
        value = [getattr(value, field.name) for field in fields(value)]
    return [tensor for part in value for tensor in _tensors(part)] if isinstance(value, list) else []
