"""What pivotal tuning gains and costs: python -m benchmarks.tuning photo.jpg [--steps 10,20,30] [--locality-weight 0]

After so many steps: perceptual distance, that of a judge that was not minimized, the difference of pixels, and how much
images of seeds have changed, beside the difference of two of them. Then what the delta takes, stored in several ways,
and what is left of the gain. The photo is cropped by the detector, and projected by the hybrid method.
"""

from collections.abc import Mapping
from typing import Any

import click
import torch
from torch import Tensor

from stylegan import Generator, project
from stylegan.extractors import load_extractor
from stylegan.projection import cut_face, load_photo
from stylegan.projection.tuning import Tuner, TuneSettings
from stylegan.weights.deltas import in_steps
from stylegan.weights.manifest import DEFAULT_MODEL

_SMALL = 4096  # Numbers in a tensor whose rank is not worth a thought.


def rms(a: Tensor, b: Tensor) -> float:
    """The root mean square difference of images, the mean over them."""
    return (a - b).square().mean(dim=(1, 2, 3)).sqrt().mean().item()


def of_rank(difference: Tensor, rank: int) -> tuple[Tensor, int]:
    """The nearest tensor of that rank, in float16, and its bytes; whole if it is small, or that takes no more."""
    matrix = difference.flatten(1) if difference.ndim > 1 else difference[:, None]
    sides = sum(matrix.shape)
    if matrix.numel() < _SMALL or rank * sides >= matrix.numel():
        return difference.half().float(), 2 * matrix.numel()
    u, s, v = torch.linalg.svd(matrix, full_matrices=False)
    nearest = (u[:, :rank] * s[:rank]).half().float() @ v[:rank].half().float()
    return nearest.view_as(difference), 2 * rank * sides


def stored_in_steps(difference: Tensor) -> tuple[Tensor, int]:
    """As deltas store it, and the bytes."""
    steps, scale = in_steps(difference)
    return steps.float() * scale, steps.numel()


@click.command()
@click.argument("photo", metavar="PHOTO")
@click.option("--model", default=DEFAULT_MODEL, show_default=True)
@click.option("--projection-steps", default=100, show_default=True, help="Before, after the encoder.")
@click.option("--steps", default="10,20,30", show_default=True)
@click.option("--locality-weight", default=TuneSettings.locality_weight, show_default=True)
@click.option("--extractor", default=TuneSettings.extractor, show_default=True)
@click.option("--judge", default="st-lpips-alex", show_default=True, help="Looks at the results; was not minimized.")
def main(
    photo: str, model: str, projection_steps: int, steps: str, locality_weight: float, extractor: str, judge: str
) -> None:
    """Measure pivotal tuning to a photo."""
    G = Generator.from_pretrained(model)
    network: Any = load_extractor(extractor)
    other = load_extractor(judge)
    face = cut_face(load_photo(photo), G.img_resolution)
    found = project(face, G, method="hybrid", steps=projection_steps, extractor=network)
    numbers = [0, *map(int, steps.split(","))]
    settings = TuneSettings(numbers[-1], extractor, locality_weight=locality_weight)
    tuner = Tuner(G, found, network.embed, settings)
    before = G.sample(16, output_type="pt")

    def look() -> str:
        result = tuner.result()
        judged = other.distance(result.img, result.target).item()
        return f"{result.distances.item():.4f} | {judged:.4f} | {result.pixel_errors.item():.4f}"

    click.echo(f"two seeds differ by {rms(before[1:], before[:-1]):.3f}\n")
    click.echo(f"| steps | {extractor} | {judge} | pixel RMS | seeds change by |\n|---|---|---|---|---|")
    for number in numbers:
        while tuner.step < number:
            tuner.advance()
        with torch.no_grad():
            click.echo(f"| {number} | {look()} | {rms(tuner.network.sample(16, output_type='pt'), before):.4f} |")
    base = {key: tensor.clone() for key, tensor in G.state_dict().items()}
    differences = {key: (tensor - base[key]).clone() for key, tensor in tuner.weights().items()}
    ways: Mapping[str, list[tuple[Tensor, int]]] = {
        "float16": [of_rank(d, 2**31) for d in differences.values()],
        "int8, a scale for each tensor": [stored_in_steps(d) for d in differences.values()],
        **{f"float16, rank {r}": [of_rank(d, r) for d in differences.values()] for r in (32, 16, 4)},
    }
    click.echo(f"\n| stored as | MB | {extractor} | {judge} | pixel RMS |\n|---|---|---|---|---|")
    for way, stored in ways.items():
        added = {key: base[key] + tensor for key, (tensor, _) in zip(differences, stored, strict=True)}
        tuner.network.load_state_dict(base | added)
        click.echo(f"| {way} | {sum(size for _, size in stored) / 1e6:.2f} | {look()} |")


if __name__ == "__main__":
    main()
