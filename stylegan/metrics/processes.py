"""Computes rows for many samples: in batches, shared among processes, in order."""

from collections.abc import Callable

import torch
import torch.distributed as dist
from torch import Tensor

from ..runtime.device import FLOAT32_CPU
from ..runtime.distributed import World
from ..runtime.progress import is_hidden, progress_bar


def rows_of_all(
    compute: Callable[[range], Tensor],
    n: int,
    *,
    batch_size: int,
    world: World,
    device: torch.device,
    what: str,
    progress: bool | None,
) -> Tensor:
    """Rows 0 to n, float32 [n, ...] on the CPU, in every process.

    compute: the rows of a range; each process computes whole batches, so the result does not depend on the number of
    processes. progress: show a bar; None = on a terminal.
    """
    rows: Tensor | None = None
    starts = range(0, n, batch_size)
    hidden = True if not world.is_first else is_hidden(progress)
    with progress_bar(total=n, desc=what, unit="img", hidden=hidden, leave=False) as bar:
        for k, start in enumerate(starts):
            batch = range(start, min(start + batch_size, n))
            if k % world.size == world.rank or rows is None:  # Every process learns the width from the first batch.
                found = compute(batch).float().cpu()
                if rows is None:
                    rows = torch.zeros(n, *found.shape[1:], **FLOAT32_CPU)
                if k % world.size == world.rank:
                    rows[batch.start : batch.stop] = found
            bar.update(len(batch))
    assert rows is not None
    if world.size > 1:
        shared = rows.to(device)  # NCCL does not support CPU tensors.
        dist.all_reduce(shared)
        rows = shared.cpu()
    return rows
