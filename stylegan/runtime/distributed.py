"""Distributed training: which process computes which samples, and averages over all processes.

Every process holds all networks. The global batch does not depend on their number: each process takes whole groups of
the minibatch standard deviation, and gradients are averaged, so that a step equals a single process's up to rounding.
"""

import importlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor

from ..errors import InputError
from .device import check_device


@dataclass(frozen=True)
class World:
    """The processes of a training run, and which one this is."""

    rank: int = 0
    size: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this process writes the files."""
        return self.rank == 0

    def average(self, tensors: Iterable[Tensor | None]) -> None:
        """Replace each tensor, in place, by its mean over the processes; None, the same in all of them, is skipped."""
        given = [t for t in tensors if t is not None]
        if self.size == 1 or not given:
            return
        flat = torch.cat([t.detach().flatten() for t in given])
        dist.all_reduce(flat)
        flat /= self.size
        for tensor, mean in zip(given, flat.split([t.numel() for t in given]), strict=True):
            tensor.copy_(mean.view_as(tensor))

    def any(self, flag: bool, device: torch.device) -> bool:
        """Whether the flag is set in any process."""
        if self.size == 1:
            return flag
        tensor = torch.tensor(float(flag), device=device, dtype=torch.float32)
        dist.all_reduce(tensor, op=dist.ReduceOp.MAX)
        return bool(tensor.item())

    def samples(self, batch: int, group_size: int) -> Tensor:
        """Indices into the global batch of the samples that this process computes.

        Sample i belongs to group i mod M, M = batch / group_size; each process takes M / size neighbouring groups.
        Raises InputError if the groups cannot be split evenly.
        """
        group_size = max(1, min(group_size, batch))
        groups = batch // group_size
        if not self.can_share(batch, group_size):
            raise InputError(
                f"batch {batch} cannot be shared out: it must be a multiple of {group_size * self.size}, which is "
                f"mbstd_group_size {group_size} x {self.size} processes"
            )
        share = groups // self.size
        return (
            torch.arange(batch, device="cpu")
            .view(group_size, groups)[:, self.rank * share : (self.rank + 1) * share]
            .flatten()
        )

    def check_batches(self, batches: Mapping[int, int], group_size: int) -> None:
        """Raise InputError, with numbers that would work, if a batch of {resolution: batch} cannot be split."""
        wrong = {r: batch for r, batch in batches.items() if not self.can_share(batch, group_size)}
        if not wrong:
            return
        if group_size > max(batches.values()):  # One group, whatever the batch.
            raise InputError(
                f"the discriminator takes the deviation of the whole batch (mbstd_group_size {group_size}), which "
                f"{self.size} processes cannot share out; start one process, or name a smaller mbstd_group_size"
            )
        unit = max(group_size, 1) * self.size
        where = ", nor ".join(
            f"batch {batch} {'' if i else 'cannot be shared out '}at {r}x{r}"
            for i, (r, batch) in enumerate(wrong.items())
        )
        better = {r: max(round(batch / unit), 1) * unit for r, batch in wrong.items()}
        fitting = [
            n for n in range(1, self.size) if all(World(0, n).can_share(b, group_size) for b in batches.values())
        ]
        fewer = f", or at most {fitting[-1]} processes" if fitting else ""
        raise InputError(
            f"{where}: every batch must be a multiple of {unit}, which is mbstd_group_size {max(group_size, 1)} x "
            f'{self.size} {"processes" if self.size > 1 else "process"}; --batch "{better}" would do{fewer}'
        )

    def can_share(self, batch: int, group_size: int) -> bool:
        """Whether every process gets the same number of whole groups."""
        group_size = max(1, min(group_size, batch))
        return batch % group_size == 0 and batch // group_size % self.size == 0


def own_device(name: str) -> torch.device:
    """This process's device; with several GPUs, torchrun gives each process one. auto = a GPU, if there is one."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and "LOCAL_RANK" in os.environ and torch.cuda.is_available():
        index, count = int(os.environ["LOCAL_RANK"]), torch.cuda.device_count()
        if index >= count:
            raise InputError(
                f"process {index + 1} of this machine has no GPU of its own, of {count} here; start at most {count} "
                "processes, or name --device cpu"
            )
        torch.cuda.set_device(index)
        name = f"cuda:{index}"
    return check_device(name)


def connect(device: torch.device) -> World:
    """Join the other processes if torchrun started this one, else be the only one."""
    if "RANK" not in os.environ or "WORLD_SIZE" not in os.environ:
        return World()
    if not dist.is_initialized():
        # Its functions' default arguments are the group at import. Imported later, as by the first optimizer, they keep
        # our group, and with it gloo's threads, until the interpreter exits, which these may abort.
        importlib.import_module("torch.distributed.nn.functional")
        # After a restart, torchrun's store still holds the addresses of dead processes.
        store, rank, size = next(dist.rendezvous("env://"))
        store = dist.PrefixStore(f"restart-{os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}", store)
        backend = "nccl" if device.type == "cuda" else "gloo"
        dist.init_process_group(backend, store=store, rank=rank, world_size=size)
    return World(dist.get_rank(), dist.get_world_size())


def disconnect() -> None:
    """Leave the other processes."""
    if dist.is_available() and dist.is_initialized():
        dist.destroy_process_group()
