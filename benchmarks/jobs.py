"""Speed of `stylegan sample` to a folder, and where it goes: python -m benchmarks.jobs

Per image: rendering alone; encoding and writing alone, one thread; the two in turn, as a loop would do it; and
overlapped, as `write_folder` does it. The cases run in this process one after the other, round after round; the medians
are printed as a table.
"""

import platform
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import torch

from stylegan import Generator, images
from stylegan.jobs import Job, write_folder


@contextmanager
def folder() -> Iterator[Path]:
    """A new folder below the current one, so that it is on a disk, for a while."""
    with tempfile.TemporaryDirectory() as path:
        yield Path(path)


def model(resolution: int | None, device: str) -> Generator:
    """The bundled model, or one of random weights with noise in its images, as those of photographs have."""
    if resolution is None:
        return Generator.from_pretrained(device=device)
    G = Generator(img_resolution=resolution)
    generator = torch.Generator().manual_seed(0)
    for name, tensor in G.state_dict().items():
        if name.endswith("noise_strength"):
            tensor.normal_(0, 0.1, generator=generator)
    G.metadata["name"] = f"random-{resolution}"
    return G.to(device).eval().requires_grad_(False)


def cases(job: Job, count: int, batch_size: int, threads: list[int]) -> dict[str, Callable[[], object]]:
    """What is measured: the name of each case and a function that does it for count images."""
    seeds = range(count)
    some = [image for _, image in job.render(range(min(count, 16)), batch_size)]

    def render() -> None:
        for _ in job.render(seeds, batch_size):
            pass

    def save() -> None:
        with folder() as out:
            for seed in seeds:
                images.save(some[seed % len(some)], out / f"{seed}.png")

    def in_turn() -> None:
        with folder() as out:
            for seed, image in job.render(seeds, batch_size):
                images.save(image, out / f"{seed}.png")

    def overlapped(number: int) -> None:
        with folder() as out:
            write_folder(job, seeds, out, batch_size=batch_size, threads=number, progress=False)

    named: dict[str, Callable[[], object]] = {"render": render, "save": save, "in turn": in_turn}
    return named | {f"overlapped, {n} threads": lambda n=n: overlapped(n) for n in threads}


@click.command()
@click.option("--resolution", type=int, help="Of a model with random weights.  [default: the bundled model]")
@click.option("--images", "count", default=1000, show_default=True)
@click.option("--rounds", default=3, show_default=True)
@click.option("--encoders", default="1,2", show_default=True, help="Threads that encode: some numbers.")
@click.option("--threads", type=int, help="Of PyTorch.  [default: one for each CPU]")
@click.option("--device", default="cpu", show_default=True)
def main(resolution: int | None, count: int, rounds: int, encoders: str, threads: int | None, device: str) -> None:
    """Measure `stylegan sample --out folder/`."""
    if threads is not None:
        torch.set_num_threads(threads)
    job = Job(G=model(resolution, device))
    batch_size = job.G.default_batch_size(count)
    functions = cases(job, count, batch_size, [int(n) for n in encoders.split(",")])
    seconds: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(rounds):
        for name, function in functions.items():
            begun = time.perf_counter()
            function()
            seconds[name].append(time.perf_counter() - begun)
    click.echo(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {platform.machine()}, device {device}")
    click.echo(f"{job.G.name}, {count} images, batch {batch_size}, medians of {rounds} rounds\n")
    click.echo("| | s | img/s | ms an image |\n|---|---|---|---|")
    for name, measured in seconds.items():
        median = statistics.median(measured)
        click.echo(f"| {name} | {median:.2f} | {count / median:.1f} | {median / count * 1000:.2f} |")


if __name__ == "__main__":
    main()
