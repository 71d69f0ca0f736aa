"""Speed and memory of training steps: python -m benchmarks.training

Every case runs in this process, the cases in turn, round after round, so that whatever else the machine does hits them
alike; the medians are printed as a table. A case is a resolution, a type and an augmentation. As in the training loop,
a thread shrinks the next batch of pictures meanwhile, where those of the data set are larger than a case's. CPU time is
what a step would take alone on the machine, with --threads 1 on a CPU. Memory is what the steps of a case add at their
peak to the process that holds the networks, sampled while they run (Linux), or what they allocate on the GPU; taken
once, apart from the times. On a GPU, steps are captured as CUDA graphs and cuDNN times its convolutions, as in the
training loop; two R1 intervals go by before the times are taken.
"""

import contextlib
import ctypes
import gc
import itertools
import platform
import statistics
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import click
import torch

from stylegan.runtime.cuda_graphs import CudaCapture
from stylegan.runtime.device import check_dtype
from stylegan.training import TrainingConfig, new_state, train_step
from stylegan.training.augment import AugmentName
from stylegan.training.config import Dtype
from stylegan.training.graphs import StepGraphs
from stylegan.training.reals import shrink


@dataclass
class Case:
    """What is measured, and what came out."""

    resolution: int
    dtype: Dtype
    augment: AugmentName
    seconds: list[float] = field(default_factory=list)  # For a step, in each round,
    cpu_seconds: list[float] = field(default_factory=list)  # over all threads.
    megabytes: float = 0.0


class PeakMemory:
    """The most memory above that at the start, in MB, while it is entered; 0 where it cannot be told."""

    def __init__(self, device: torch.device):
        self.device, self.megabytes = device, 0.0

    def __enter__(self) -> "PeakMemory":
        give_memory_back()
        self.before = self.used()
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.device)
            return self
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self.watch)
        self.thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        if self.device.type == "cuda":
            self.megabytes = torch.cuda.max_memory_allocated(self.device) / 2**20 - self.before
            return
        self.stop.set()
        self.thread.join()

    def watch(self) -> None:
        """Sample until the steps are done, in a thread."""
        while not self.stop.wait(0.002):
            self.megabytes = max(self.megabytes, self.used() - self.before)

    def used(self) -> float:
        """Memory in use, in MB."""
        if self.device.type == "cuda":
            return torch.cuda.memory_allocated(self.device) / 2**20
        statm = Path("/proc/self/statm")
        return int(statm.read_text().split()[1]) * 4096 / 2**20 if statm.exists() else 0.0


def give_memory_back() -> None:
    """Return what is free in the process to the system, so that it is not taken for used (glibc)."""
    gc.collect()
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL("libc.so.6").malloc_trim(0)


def prepare(
    case: Case, *, batch: int, device: torch.device, data_resolution: int, record: bool, settings: dict[str, int]
) -> Callable[[int], None]:
    """A function that trains for some steps at full resolution."""
    config = TrainingConfig.of(
        {
            **settings,
            "resolution": case.resolution,
            "batch": batch,
            "augment": case.augment,
            "ada_target": -2.0,  # p only grows.
            "initial_resolution": case.resolution,
            "device": str(device),
        }
    )
    state = new_state(config)
    state.augment_p = 1.0
    phase = config.schedule().at(0)
    generator = torch.Generator().manual_seed(0)
    graphs = StepGraphs(CudaCapture(device)) if record and device.type == "cuda" else None
    size = max(data_resolution, case.resolution)
    img = torch.randint(0, 256, (batch, 3, size, size), dtype=torch.uint8, generator=generator)

    def steps(count: int) -> None:
        with ThreadPoolExecutor(max_workers=1) as reader:
            ahead = reader.submit(shrink, img, case.resolution)
            for _ in range(count):
                reals = ahead.result()
                ahead = reader.submit(shrink, img, case.resolution)
                dtype = check_dtype(case.dtype)
                train_step(state, config, phase, reals, None, dtype=dtype, graphs=graphs)
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    return steps


def measure(cases: list[Case], *, rounds: int, steps: int, r1_interval: int, **options: object) -> None:
    """Time every case in turn, round after round; the first steps of a case, which set things up, are not counted."""
    device = options["device"]
    assert isinstance(device, torch.device)
    for _ in range(rounds):
        for case in cases:
            run = prepare(case, **options)  # type: ignore[arg-type]
            run(2 * r1_interval if device.type == "cuda" else 1)
            if not case.megabytes:
                with PeakMemory(device) as memory:
                    run(steps)
                case.megabytes = memory.megabytes
            begun, cpu_begun = time.perf_counter(), time.process_time()
            run(steps)
            case.cpu_seconds.append((time.process_time() - cpu_begun) / steps)
            case.seconds.append((time.perf_counter() - begun) / steps)


def table(cases: list[Case], batch: int) -> str:
    """The medians as Markdown."""
    lines = ["| resolution | type | augmentation | ms a step | img/s | CPU ms a step | memory |"]
    lines.append("|---|---|---|---|---|---|---|")
    for case in cases:
        seconds = statistics.median(case.seconds)
        name = f"{case.resolution}x{case.resolution}"
        speed = f"{seconds * 1000:.0f} | {batch / seconds:.0f} | {statistics.median(case.cpu_seconds) * 1000:.0f}"
        lines.append(f"| {name} | {case.dtype} | {case.augment} | {speed} | {case.megabytes:.0f} MB |")
    return "\n".join(lines)


def numbers(ctx: click.Context, param: click.Parameter, value: str) -> list[int]:
    """An option's numbers, separated by commas."""
    return [int(part) for part in value.split(",")]


@click.command()
@click.option("--resolutions", default="8,16,32,64", show_default=True, callback=numbers)
@click.option("--types", default="float32,bfloat16", show_default=True, help="Of the features.")
@click.option("--augment", default="none", show_default=True, help="none,diffaugment,ada: any of them.")
@click.option("--batch", default=32, show_default=True)
@click.option("--fmap-base", default=1024, show_default=True)
@click.option("--fmap-max", default=128, show_default=True)
@click.option("--width", default=256, show_default=True, help="Of z, w and the mapping network.")
@click.option("--data-resolution", default=0, help="Of the pictures, if above that of a case, as while growing.")
@click.option("--r1-interval", default=4, show_default=True)
@click.option("--compile", is_flag=True, help="Let torch compile what comes between the convolutions.")
@click.option("--no-record", is_flag=True, help="On a GPU, launch kernels one by one.")
@click.option("--rounds", default=5, show_default=True)
@click.option("--steps", default=4, show_default=True, help="Timed in a round; whole R1 intervals are fair.")
@click.option("--threads", type=int, help="Of PyTorch.  [default: one for each CPU]")
@click.option("--device", default="cpu", show_default=True)
def main(
    resolutions: list[int],
    types: str,
    augment: str,
    batch: int,
    fmap_base: int,
    fmap_max: int,
    width: int,
    data_resolution: int,
    r1_interval: int,
    compile: bool,
    no_record: bool,
    rounds: int,
    steps: int,
    threads: int | None,
    device: str,
) -> None:
    """Measure training steps: D, averages, G; without reading files, logging or saving."""
    if threads is not None:
        torch.set_num_threads(threads)
    cases = [
        Case(*case)  # type: ignore[arg-type]
        for case in itertools.product(resolutions, types.split(","), augment.split(","))
    ]
    settings = {"fmap_base": fmap_base, "fmap_max": fmap_max, "r1_interval": r1_interval}
    settings |= {"z_dim": width, "w_dim": width, "hidden_dim": width, "compile": compile}
    options = {"batch": batch, "device": torch.device(device), "data_resolution": data_resolution}
    torch.backends.cudnn.benchmark = True
    measure(
        cases, rounds=rounds, steps=steps, r1_interval=r1_interval, record=not no_record, settings=settings, **options
    )
    click.echo(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {platform.machine()}, device {device}")
    click.echo(f"batch {batch}, {settings}, medians of {rounds} rounds of {steps} steps\n")
    click.echo(table(cases, batch))


if __name__ == "__main__":
    main()
