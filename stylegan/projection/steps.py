"""The steps of an optimization, its progress bar, its checkpoints, and Adam's state in them."""

import os
import time
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from ..runtime.device import FLOAT32_CPU
from ..runtime.progress import start_at

SAVE_STEPS, SAVE_SECONDS = 50, 30.0  # The state is saved after this many steps or seconds.

NamedTensors = Sequence[tuple[str, Tensor]]


class Task(Protocol):
    """Something optimized step by step."""

    step: int  # Steps taken.

    def advance(self) -> float:
        """One step; returns the mean perceptual distance before it."""

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a checkpoint, complete or not at all."""


def make_steps(
    task: Task, steps: int, bar: Any, checkpoint: str | os.PathLike[str] | None, *, save_from: int | None = None
) -> None:
    """Advance to this many steps in total. save_from: save after each step from this one on; None = the last.

    checkpoint: the file to save to; None = none.
    """
    save_from = steps if save_from is None else save_from
    start_at(bar, task.step)
    saved_at = time.monotonic()
    while task.step < steps:
        distance = task.advance()
        bar.set_postfix(distance=f"{distance:.3f}", refresh=False)
        bar.update()
        is_due = task.step % SAVE_STEPS == 0 or task.step >= save_from or time.monotonic() - saved_at > SAVE_SECONDS
        if checkpoint is not None and is_due:
            task.save(checkpoint)
            saved_at = time.monotonic()


def adam_tensors(optimizer: torch.optim.Adam, named: NamedTensors) -> dict[str, Tensor]:
    """Parameters and their moments, by name."""
    tensors: dict[str, Tensor] = {}
    for name, parameter in named:
        state = optimizer.state[parameter]
        tensors |= {name: parameter, f"{name}.exp_avg": state["exp_avg"], f"{name}.exp_avg_sq": state["exp_avg_sq"]}
    return tensors


def restore_adam(optimizer: torch.optim.Adam, named: NamedTensors, tensors: Mapping[str, Tensor], step: int) -> None:
    """Restore what `adam_tensors` returned after `step` steps. Raises KeyError or RuntimeError on a mismatch."""
    for name, parameter in named:
        parameter.data.copy_(tensors[name])
        moments = {key: tensors[f"{name}.{key}"].to(parameter.device) for key in ("exp_avg", "exp_avg_sq")}
        optimizer.state[parameter] = {"step": torch.tensor(float(step), **FLOAT32_CPU), **moments}
