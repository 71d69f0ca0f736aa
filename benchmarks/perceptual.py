"""Time of a perceptual network: python -m benchmarks.perceptual [--extractor st-lpips-vgg] [--sizes 128,64,32]

Its embedding with the gradient of the image, and without, on torch's convolutions and on the compiled kernels, in turn.
"""

import statistics
import time
from typing import Any
from unittest import mock

import click
import torch
from torch import Tensor

from stylegan.extractors import load_extractor
from stylegan.fast import frozen, native_kernels


@click.command()
@click.option("--extractor", default="st-lpips-vgg", show_default=True)
@click.option("--sizes", default="128,64,32", show_default=True)
@click.option("--batches", default="1,4", show_default=True)
@click.option("--rounds", default=5, show_default=True)
def main(extractor: str, sizes: str, batches: str, rounds: int) -> None:
    """Compare the compiled convolutions of a perceptual network with torch's."""
    network = load_extractor(extractor)
    kernels = {"torch": lambda: None, "compiled": native_kernels}
    click.echo(f"{extractor}, torch {torch.__version__}, {torch.get_num_threads()} threads, medians of {rounds}\n")
    click.echo("| size | batch | gradient | torch, ms | compiled, ms | times as fast |\n|---|---|---|---|---|---|")
    for size in map(int, sizes.split(",")):
        for batch in map(int, batches.split(",")):
            images = torch.rand(batch, 3, size, size, generator=torch.Generator().manual_seed(0)) * 2 - 1
            for with_gradient in (True, False):
                images.requires_grad_(with_gradient)

                times: dict[str, list[float]] = {name: [] for name in kernels}
                for _ in range(1 + rounds):
                    for name, used in kernels.items():
                        with mock.patch.object(frozen, "native_kernels", used):
                            times[name].append(seconds_of(network, images))
                medians = {name: statistics.median(found[1:]) for name, found in times.items()}
                cells = [f"{1e3 * seconds:.1f}" for seconds in medians.values()]
                what = "yes" if with_gradient else "no"
                ratio = medians["torch"] / medians["compiled"]
                click.echo(f"| {size}x{size} | {batch} | {what} | {' | '.join(cells)} | {ratio:.2f} |")


def seconds_of(network: Any, images: Tensor) -> float:
    """Of the embedding, and of its gradient if the images need one."""
    begun = time.perf_counter()
    vector = network.embed(images)
    if images.requires_grad:
        torch.autograd.grad(vector.square().sum(), images)
    return time.perf_counter() - begun


if __name__ == "__main__":
    main()
