"""Memory: how much is free on a GPU, or on this machine and in its containers; keeping freed memory."""

import ctypes
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath

import torch


def free_memory(device: torch.device) -> int | None:
    """Bytes that can be allocated on a device now; None = unknown (neither Linux nor CUDA)."""
    if device.type == "cuda":
        cached = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + cached
    return free_host_memory() if device.type == "cpu" else None


def free_host_memory(root: Path = Path("/")) -> int | None:
    """Bytes that a process may allocate without swapping: what the machine and each control group around it have left.

    root: where /proc and /sys are.
    """
    known = [*_machine(root), *_unified_groups(root), *_old_groups(root)]
    return max(0, min(known)) if known else None


def keep_freed_memory() -> None:
    """Let this process keep freed memory for its next allocations (glibc only).

    Otherwise large tensors are returned to the system, and every new one is mapped and cleared page by page: on a CPU
    that took a quarter of a training step's time, and a fifth of that for VGG's features.
    """
    with suppress(OSError, AttributeError, TypeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(-4, 0)  # M_MMAP_MAX: nothing gets a mapping of its own.
        mallopt(-1, 2**31 - 1)  # M_TRIM_THRESHOLD: the top of the heap stays.


def _machine(root: Path) -> Iterator[int]:
    with suppress(OSError, KeyError):
        yield _fields(root / "proc/meminfo")["MemAvailable:"] * 1024


def _unified_groups(root: Path) -> Iterator[int]:
    """Version 2: one hierarchy for all limits."""
    for folder in _folders(root, "0::", "sys/fs/cgroup"):
        with suppress(OSError, ValueError):  # "max" means no limit.
            limit = int((folder / "memory.max").read_text())
            yield limit - int((folder / "memory.current").read_text()) + _reclaimable(folder, "inactive_file")


def _old_groups(root: Path) -> Iterator[int]:
    """Version 1: a separate hierarchy for memory. A limit near 2^63 means none."""
    for folder in _folders(root, ":memory:", "sys/fs/cgroup/memory"):
        with suppress(OSError, ValueError):
            limit = int((folder / "memory.limit_in_bytes").read_text())
            used = int((folder / "memory.usage_in_bytes").read_text())
            yield limit - used + _reclaimable(folder, "total_inactive_file")


def _folders(root: Path, marker: str, mount: str) -> Iterator[Path]:
    """The control group of this process and those around it; in a container, the mount itself may be the innermost."""
    with suppress(OSError):
        for line in (root / "proc/self/cgroup").read_text().splitlines():
            _, found, path = line.partition(marker)
            if found:
                own = PurePosixPath(path.lstrip("/"))
                yield from (root / mount / group for group in (own, *own.parents))


def _reclaimable(folder: Path, field: str) -> int:
    """Cached file pages, which are reclaimed first."""
    try:
        return _fields(folder / "memory.stat").get(field, 0)
    except OSError:
        return 0


def _fields(path: Path) -> dict[str, int]:
    """Parse lines of a name and a number."""
    lines = (line.split() for line in path.read_text().splitlines())
    return {line[0]: int(line[1]) for line in lines if len(line) > 1 and line[1].isdecimal()}
