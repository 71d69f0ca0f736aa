"""Free memory, as machines and containers tell it, the batches that fit into it, and the memory that is kept."""

import platform
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from stylegan import Generator
from stylegan.runtime import batching as sampling
from stylegan.runtime.memory import free_host_memory, free_memory

MB = 2**20


def machine(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


MEMINFO = {
    "proc/meminfo": "MemTotal:       9999999 kB\nMemFree: 1 kB\nMemAvailable:    1024000 kB\nHugePages_Total: 0\n"
}


def test_a_machine_without_limits_tells_what_is_available(tmp_path: Path) -> None:
    assert free_host_memory(machine(tmp_path, MEMINFO)) == 1000 * MB


def test_a_system_that_tells_nothing_is_unknown(tmp_path: Path) -> None:
    assert free_host_memory(tmp_path) is None


def limited(folder: str, *, limit: int, used: int, inactive: int) -> dict[str, str]:
    """A group of version 2, in MB."""
    return {
        f"{folder}/memory.max": str(limit * MB),
        f"{folder}/memory.current": str(used * MB),
        f"{folder}/memory.stat": f"anon 5\ninactive_file {inactive * MB}\n",
    }


GROUP_1 = {
    "proc/self/cgroup": "9:memory:/docker/abc\n8:cpu:/\n",
    "sys/fs/cgroup/memory/memory.limit_in_bytes": str(100 * MB),
    "sys/fs/cgroup/memory/memory.usage_in_bytes": str(90 * MB),
    "sys/fs/cgroup/memory/memory.stat": f"total_inactive_file {5 * MB}\n",
}
CONTAINERS = {
    "the group of the container is the mount": (
        {"proc/self/cgroup": "0::/\n"} | limited("sys/fs/cgroup", limit=300, used=250, inactive=20),
        70,
    ),
    "the group has a path of its own": (
        {"proc/self/cgroup": "0::/job/step\n"} | limited("sys/fs/cgroup/job/step", limit=300, used=250, inactive=20),
        70,
    ),
    "the group around it is narrower": (
        {
            "proc/self/cgroup": "0::/job/step\n",
            "sys/fs/cgroup/job/memory.max": str(200 * MB),
            "sys/fs/cgroup/job/memory.current": str(150 * MB),
            "sys/fs/cgroup/job/step/memory.max": "max\n",
            "sys/fs/cgroup/job/step/memory.current": "1\n",
        },
        50,
    ),
    "version 1": (GROUP_1, 15),
    "more is used than allowed": (
        GROUP_1 | {"sys/fs/cgroup/memory/memory.usage_in_bytes": str(120 * MB)},
        0,
    ),
}


@pytest.mark.parametrize(("files", "free"), CONTAINERS.values(), ids=CONTAINERS)
def test_the_limits_of_containers_count(tmp_path: Path, files: dict[str, str], free: int) -> None:
    assert free_host_memory(machine(tmp_path, MEMINFO | files)) == free * MB


def test_this_machine_tells_a_plausible_number() -> None:
    free = free_memory(torch.device("cpu"))
    assert free is None or 2**20 < free < 2**50


def test_a_batch_takes_at_most_half_of_the_free_memory(tiny: Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    largest = 16 * 16 * 16 * 4  # The last layer's features, in float32.
    noise = 2 * (4 * 4 + 8 * 8 + 16 * 16) * 4  # A map for each layer.
    image = 8 * largest + noise
    assert tiny.default_batch_size(100) == 32
    for free, expected in [(2 * image * 5, 4), (2 * image * 2 - 1, 1), (2 * image, 1), (0, 1)]:
        monkeypatch.setattr(sampling, "free_memory", lambda device, free=free: free)
        assert tiny.default_batch_size(100) == expected
    monkeypatch.setattr(sampling, "free_memory", lambda device: None)
    assert tiny.default_batch_size(100) == 32
    assert tiny.default_batch_size(3) == 3


@pytest.mark.parametrize(("n", "resolution"), [(1, 16), (9, 512), (9, 1024)])
def test_single_images_do_not_ask_for_the_memory(monkeypatch: pytest.MonkeyPatch, n: int, resolution: int) -> None:
    monkeypatch.setattr(sampling, "free_memory", lambda device: pytest.fail("asked"))
    assert sampling.default_batch_size(n, resolution, torch.device("cpu"), 1) == 1


def test_the_free_memory_changes_no_image(tiny: Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    rich = tiny.sample(5, output_type="np").astype(int)
    monkeypatch.setattr(sampling, "free_memory", lambda device: 0)
    assert abs(tiny.sample(5, output_type="np") - rich).max() <= 1


FAULTS = """
import resource
import torch
from stylegan.runtime.memory import keep_freed_memory
from stylegan.training import TrainingConfig, new_state

{}
for _ in range(3):
    torch.zeros(2**23)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    torch.zeros(2**23)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other allocators keep memory as they like")
def test_freed_memory_is_used_again() -> None:
    """Fresh from the system, 10 tensors of 32 MB are 80,000 pages (160 if the system makes them large)."""
    calls = ["", "keep_freed_memory()", "new_state(TrainingConfig(resolution=8, fmap_max=8, device='cpu'))"]
    commands = [[sys.executable, "-c", FAULTS.format(call)] for call in calls]
    as_it_is, *kept = (int(subprocess.run(c, capture_output=True, check=True).stdout) for c in commands)
    assert as_it_is > 100
    assert max(kept) < 20
