"""Buffers that calls reuse: page faults of new ones this large would cost more than the work in them."""

import contextlib
from collections.abc import Iterator
from math import prod

import torch
from torch import Tensor

from ..runtime.forks import ForkLock


class Workspace:
    """Named buffers of one running call. A buffer holds whatever the last user of its name left there."""

    def __init__(self) -> None:
        self._flat: dict[tuple[str, torch.dtype, torch.device], Tensor] = {}
        self._shaped: dict[tuple[str, tuple[int, ...], torch.dtype, torch.device], Tensor] = {}

    def take(self, name: str, shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
        """The buffer of that name in this shape, enlarged if it is too small."""
        shaped = self._shaped.get((name, shape, dtype, device))
        if shaped is not None:
            return shaped
        key, size = (name, dtype, device), prod(shape)
        if key not in self._flat or self._flat[key].numel() < size:
            # Views would keep the smaller one.
            self._shaped.clear()
            self._flat[key] = torch.empty(size, dtype=dtype, device=device)
        return self._shaped.setdefault((name, shape, dtype, device), self._flat[key][:size].view(shape))


class WorkspacePool:
    """Lends each call its own workspace, so that threads may render at the same time."""

    def __init__(self) -> None:
        self._lock = ForkLock()
        self._free: list[Workspace] = []
        self._generation = 0

    @contextlib.contextmanager
    def lend(self) -> Iterator[Workspace]:
        """A workspace until the end of the block."""
        with self._lock:
            generation = self._generation
            workspace = self._free.pop() if self._free else Workspace()
        try:
            yield workspace
        finally:
            with self._lock:
                # Workspaces lent before `release` are dropped.
                if generation == self._generation:
                    self._free.append(workspace)

    def release(self) -> None:
        """Free all memory."""
        with self._lock:
            self._free.clear()
            self._generation += 1
