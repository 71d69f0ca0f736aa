"""Speed, memory and error of the paths to an image: python -m benchmarks.inference

A case is a resolution, a batch, a type and a path, of the FFHQ architecture at that resolution with random weights (or
of a model that --model names). All run in this process, in turn, round after round, so that whatever else the machine
does hits them alike. The table tells the medians; how many times as fast as the plain float32 path each is; the share
of the roofline; the RMS error against that path, relative to the deviation of its images; and peak memory.

The roofline is the time that the multiplications of the definition take (4 taps a pixel in the layers that double the
size) at the speed of one large convolution, measured at the beginning in the type of each case; or the time to write
and read each layer's features once at the speed of a large copy, if that is longer, as it is on GPUs. Winograd's
filtering needs fewer multiplications, so that the share can exceed 100%. Memory is the peak of a fresh process that
makes three batches: its resident size, all of it, import included (Linux); on a GPU, what torch reserves there.

On a GPU every call is waited for, and three are not counted: they compile, prove and record (docs/speed.md). All of it:

    python -m benchmarks.inference --device cuda --resolutions 256,1024 --batches 1,2,4,8,16,32,64 \\
        --types float32,bfloat16,float16 --memory

--tune-allocator lets glibc keep freed memory, for all paths alike: that alone makes the plain path about twice as fast.
"""

import itertools
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import click
import torch
import torch.nn.functional as F
from torch import Tensor

from stylegan import Generator
from stylegan.errors import RenderError
from stylegan.fast import RENDER_PATHS, check_path
from stylegan.runtime.choices import RenderPath
from stylegan.runtime.device import check_dtype
from stylegan.runtime.memory import keep_freed_memory


@dataclass
class Case:
    """What is measured, and what came out."""

    resolution: int
    batch: int
    dtype: str
    path: RenderPath
    seconds: list[float] = field(default_factory=list)  # For a batch, in each round.
    error: float = 0.0
    megabytes: float = 0.0
    operations: float = 0.0  # Of the convolutions of an image.
    traffic: float = 0.0  # Bytes of the features of an image, written and read once.
    fault: str = ""  # Why there are no numbers.

    @property
    def median(self) -> float:
        """Not a number where there are none."""
        return statistics.median(self.seconds) if self.seconds else float("nan")


def make_generator(resolution: int, dtype: str, device: torch.device, model: str | None) -> Generator:
    """A generator whose noise, biases and constant are not those of new weights."""
    if model is not None:
        return Generator.from_pretrained(model, dtype=dtype, device=device)
    G = Generator(img_resolution=resolution).eval().requires_grad_(False)
    generator = torch.Generator().manual_seed(0)
    for name, tensor in G.state_dict().items():
        if name.endswith(("bias", "noise_strength", "const")):
            tensor.copy_(torch.randn(tensor.shape, generator=generator) * (1 if name.endswith("const") else 0.1))
    G.synthesis.to(check_dtype(dtype))
    return G.to(device)


def renderer(case: Case, device: torch.device, model: str | None) -> Callable[[], Tensor]:
    """A function that makes a batch of images."""
    G = make_generator(case.resolution, case.dtype, device, model)
    G.path = case.path
    case.operations, case.traffic = operations(G), traffic(G)
    ws = G.ws(range(case.batch))

    def render() -> Tensor:
        img = G.synthesis(ws)
        wait(device)
        return img

    return render


def wait(device: torch.device) -> None:
    """Until the device has done all that was begun."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def measure(cases: Sequence[Case], rounds: int, device: torch.device, model: str | None) -> None:
    """Time cases of the same images in turn, round after round, the plain float32 one first among them.

    The first calls of a case, which prepare things, are not counted.
    """
    renderers: dict[int, Callable[[], Tensor]] = {}
    reference: Tensor | None = None
    for i, case in enumerate(cases):
        try:
            render = renderer(case, device, model)
            for _ in range(3 if device.type == "cuda" else 1):
                img = render()
        except (torch.OutOfMemoryError, RenderError) as error:
            case.fault = str(error).splitlines()[0]
            continue
        renderers[i] = render
        reference = img if reference is None else reference
        case.error = float((img - reference).square().mean().sqrt() / reference.std())
    for _ in range(rounds):
        for i, render in renderers.items():
            begun = time.perf_counter()
            render()
            cases[i].seconds.append(time.perf_counter() - begun)


def plain(cases: Sequence[Case], case: Case) -> Case:
    """The plain float32 case of the same images."""
    same = [c for c in cases if (c.resolution, c.batch) == (case.resolution, case.batch)]
    return next(c for c in same if (c.dtype, c.path) == ("float32", "plain"))


def peak_megabytes(case: Case, threads: int, device: torch.device) -> float:
    """Peak memory of a process of its own that makes three batches."""
    arguments = ["--alone", f"{case.resolution},{case.batch},{case.dtype},{case.path}", "--threads", str(threads)]
    command = [sys.executable, "-m", "benchmarks.inference", *arguments, "--device", str(device)]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def fastest(work: Callable[[], object], device: torch.device) -> float:
    """Seconds of the fastest of some runs."""
    best = float("inf")
    for _ in range(30):
        begun = time.perf_counter()
        work()
        wait(device)
        best = min(best, time.perf_counter() - begun)
    return best


def convolution_speed(dtype: torch.dtype, device: torch.device) -> float:
    """Floating-point operations a second of a large convolution, as the layer of 256 features has it at 64x64."""
    n = 64 if device.type == "cuda" else 1
    x = torch.randn(n, 256, 64, 64, device=device).to(dtype=dtype, memory_format=torch.channels_last)
    weight = torch.randn(256, 256, 3, 3, device=device).to(dtype=dtype, memory_format=torch.channels_last)
    return 2 * 256 * 256 * 9 * x[:, 0].numel() / fastest(lambda: F.conv2d(x, weight, padding=1), device)


def copy_speed(device: torch.device) -> float:
    """Bytes a second of a large copy, reading and writing counted."""
    x = torch.ones(2**28 if device.type == "cuda" else 2**26, device=device)
    y = torch.empty_like(x)
    return 2 * x.nbytes / fastest(lambda: y.copy_(x), device)


def operations(G: Generator) -> float:
    """Floating-point operations of the convolutions of an image, with 4 taps a pixel where the size doubles."""
    total = 0.0
    for i, (layer, (h, w)) in enumerate(zip(G.synthesis.layers, G.synthesis.noise_shapes, strict=True)):
        weight = layer.source.weight if hasattr(layer.source, "weight") else None
        if isinstance(weight, Tensor):
            total += 2 * weight.shape[0] * weight.shape[1] * (9 if i % 2 else 4) * h * w
    return total


def traffic(G: Generator) -> float:
    """Bytes of the features of all layers of an image, written and read once."""
    layers = zip(cast(Any, G.synthesis.layers), G.synthesis.noise_shapes, strict=True)
    return 2.0 * G.dtype.itemsize * float(sum(layer.bias.numel() * h * w for layer, (h, w) in layers))


def table(cases: Sequence[Case], speeds: dict[str, float], bandwidth: float) -> str:
    """The medians as Markdown."""
    lines = ["| size | batch | type | path | ms an image | times as fast | of the roofline | error | peak memory |"]
    lines.append("|---|---|---|---|---|---|---|---|---|")
    for case in cases:
        if not case.seconds:
            lines.append(f"| {case.resolution} | {case.batch} | {case.dtype} | {case.path} | {case.fault} | | | | |")
            continue
        roofline = case.batch * max(case.operations / speeds[case.dtype], case.traffic / bandwidth)
        milliseconds = case.median / case.batch * 1000
        cells = [
            *(str(case.resolution), str(case.batch), case.dtype, case.path),
            f"{milliseconds:.3g}" if milliseconds < 10 else f"{milliseconds:.1f}",
            f"{plain(cases, case).median / case.median:.2f}",
            f"{roofline / case.median:.0%}",
            f"{case.error:.1e}",
            f"{case.megabytes:.0f} MiB" if case.megabytes else "-",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def numbers(ctx: click.Context, param: click.Parameter, value: str) -> list[int]:
    """An option's numbers, separated by commas."""
    return [int(part) for part in value.split(",")]


def words(ctx: click.Context, param: click.Parameter, value: str) -> list[str]:
    """An option's words, separated by commas."""
    return value.split(",")


@click.command()
@click.option("--resolutions", default="1024", show_default=True, callback=numbers)
@click.option("--batches", default="1", show_default=True, callback=numbers)
@click.option("--types", default="float32", show_default=True, callback=words, help="float32,bfloat16,float16")
@click.option("--paths", default="plain,fast,native", show_default=True, callback=words, help=", ".join(RENDER_PATHS))
@click.option("--model", help="Any model in place of random weights; its own resolution is the one to name.")
@click.option("--rounds", default=7, show_default=True)
@click.option("--memory", is_flag=True, help="Measure peak memory too.")
@click.option("--tune-allocator", "tuned", is_flag=True, help="Let glibc keep freed memory.")
@click.option("--threads", type=int, help="Of PyTorch.  [default: one for each CPU]")
@click.option("--device", default="cpu", show_default=True)
@click.option("--alone", hidden=True, help="resolution,batch,dtype,path: make three batches, tell the peak memory.")
def main(
    resolutions: list[int],
    batches: list[int],
    types: list[str],
    paths: list[RenderPath],
    model: str | None,
    rounds: int,
    memory: bool,
    tuned: bool,
    threads: int | None,
    device: str,
    alone: str | None,
) -> None:
    """Measure the paths to an image, the plain float32 one always among them."""
    if threads is not None:
        torch.set_num_threads(threads)
    if tuned:
        keep_freed_memory()
    where = torch.device(device)
    if alone is not None:
        size, count, dtype, path = alone.split(",")
        render = renderer(Case(int(size), int(count), dtype, check_path(path)), where, model)
        for _ in range(3):
            render()
        if where.type == "cuda":
            click.echo(torch.cuda.max_memory_reserved(where) / 2**20)
            return
        # VmHWM is of this program alone; getrusage would count the process that it was forked from.
        status = Path("/proc/self/status").read_text()
        click.echo(int(status.split("VmHWM:")[1].split()[0]) / 1024)
        return
    if where.type == "cuda":
        torch.backends.cudnn.allow_tf32 = False  # As the networks have it.
    cases: list[Case] = []
    for resolution, batch in itertools.product(resolutions, batches):
        kinds = dict.fromkeys([("float32", "plain"), *itertools.product(types, paths)])
        same = [Case(resolution, batch, dtype, check_path(path)) for dtype, path in kinds]
        measure(same, rounds, where, model)
        cases += same
    speeds = {dtype: convolution_speed(check_dtype(dtype), where) for dtype in {case.dtype for case in cases}}
    bandwidth = copy_speed(where)
    if memory:
        for case in cases:
            if case.seconds:
                case.megabytes = peak_megabytes(case, torch.get_num_threads(), where)
    name = torch.cuda.get_device_name(where) if where.type == "cuda" else platform.machine()
    click.echo(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {name}, device {device}")
    known = ", ".join(f"{speed / 1e9:.0f} GFLOP/s in {dtype}" for dtype, speed in sorted(speeds.items()))
    click.echo(f"a large convolution: {known}; a copy: {bandwidth / 1e9:.0f} GB/s; medians of {rounds} rounds\n")
    click.echo(table(cases, speeds, bandwidth))


if __name__ == "__main__":
    main()
