"""Training steps on a GPU as CUDA graphs: each pass is one launch instead of a thousand."""

import copy
from dataclasses import fields, is_dataclass, replace
from math import floor
from typing import Any

import torch
from torch import Tensor

from ..runtime.cuda_graphs import Capture, GraphCache
from .passes import DiscriminatorPass, GeneratorPass, Inputs, Passes


class StepGraphs:
    """The graphs of one run. The first step of a kind runs eagerly, the second is captured.

    A kind is what stays the same from step to step: shapes, with or without R1, ADA, and so on.
    """

    def __init__(self, capture: Capture):
        self._capture = capture
        self._cache: GraphCache[CapturedPasses] = GraphCache("training steps", capture.wait)

    def find(self, passes: Passes, inputs: Inputs) -> "tuple[Passes | CapturedPasses, Inputs]":
        """What to run instead of these passes, and its inputs."""
        if passes.lod % 1:
            inputs = replace(inputs, fade=torch.tensor(passes.lod % 1, device=inputs.img.device, dtype=torch.float32))
            passes = replace(passes, lod=floor(passes.lod) + 0.5)
        key = passes, type(inputs.augment_reals), tuple((t.shape, t.dtype) for t in _tensors(inputs))
        return self._cache.find(key, lambda: CapturedPasses(passes, inputs, self._capture)) or passes, inputs


class CapturedPasses:
    """`Passes` with the settings at capture; results are valid until the next step."""

    def __init__(self, passes: Passes, inputs: Inputs, capture: Capture):
        self._inputs = own = copy.deepcopy(inputs)
        first, self._run_first = capture.capture(lambda: passes.discriminator(own))
        self._second, self._run_second = capture.capture(lambda: passes.generator(own, first))
        self._first = replace(first, fakes=None)

    def discriminator(self, inputs: Inputs) -> DiscriminatorPass:
        """Copy the inputs to the graph's buffers, and run it."""
        torch._foreach_copy_(_tensors(self._inputs), _tensors(inputs))
        self._run_first()
        return replace(self._first, losses={name: value.clone() for name, value in self._first.losses.items()})

    def generator(self, inputs: Inputs, first: DiscriminatorPass) -> GeneratorPass:
        """The inputs are those of the first pass."""
        self._run_second()
        return replace(self._second, loss=self._second.loss.clone())


def _tensors(value: Any) -> list[Tensor]:
    """All tensors in dataclasses and lists, in order."""
    if isinstance(value, Tensor):
        return [value]
    if is_dataclass(value):
        value = [getattr(value, field.name) for field in fields(value)]
    return [tensor for part in value for tensor in _tensors(part)] if isinstance(value, list) else []
