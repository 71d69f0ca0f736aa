"""Quality and time of projection: python -m benchmarks.projection photo.jpg... [--data FOLDER|ZIP --count 4]

For photos: the perceptual distance reached after so many steps, beside that of the best of 1,000 random samples and
that between two random samples; and what two judges say of photos and results at 64x64, where models of all resolutions
compare: the network that was minimized, and one that was not. For images that the model made itself: how far w and the
image end from the truth, in parts of what lies between two random images. Photos are cropped by the detector; those of
a data set are used whole.
"""

import platform
import statistics
import time
from pathlib import Path
from typing import Any

import click
import torch
from PIL import Image
from torch import Tensor

from stylegan import Generator, images, project
from stylegan.data.dataset import ImageDataset
from stylegan.extractors import load_extractor
from stylegan.networks import ops
from stylegan.projection import cut_face, load_photo
from stylegan.projection.objective import embed_images, perceptual_distance
from stylegan.projection.optimize import Perceptual
from stylegan.weights.manifest import DEFAULT_MODEL


@torch.no_grad()
def judged(judge: Perceptual, img: Tensor, target: Tensor) -> str:
    """The mean perceptual distance at 64x64."""
    small = (ops.downscale(x, max(1, x.shape[-1] // 64)) for x in (img, target))
    return f"{perceptual_distance(*map(judge.embed, small)).mean():.3f}"


def best_of_samples(G: Generator, network: Perceptual, target: Tensor, samples: int) -> tuple[list[float], float]:
    """The least distance of each picture to random samples at psi 0.7, and the mean distance between two samples."""
    with torch.no_grad():
        goal = embed_images(target, network.embed)
        least, between = torch.full((len(goal),), float("inf")), []
        for start in range(0, samples, 20):
            img = G.sample(seeds=range(10_000 + start, 10_020 + start), output_type="pt", progress=False)
            found = embed_images(img, network.embed)
            least = torch.minimum(least, torch.stack([(found - row).square().sum(1).min() for row in goal]))
            between.append(perceptual_distance(found, found.roll(1, 0)).mean().item())
    return least.tolist(), statistics.mean(between)


def recovery(G: Generator, network: Perceptual, *, count: int, steps: int, refine: int) -> tuple[float, float]:
    """Errors of w and of the image for images of the model, in parts of those between random ones."""
    truth = G.ws(range(500, 500 + 2 * count))
    img = G.render(truth, output_type="pt")
    target = images.from_uint8(images.to_uint8(img[:count]))
    options: dict[str, Any] = {"space": "w", "optimize_noise": False, "candidates": 100, "extractor": network}
    found = project(target, G, steps=steps, refine=refine, **options)
    with torch.no_grad():
        between = perceptual_distance(*(embed_images(half, network.embed) for half in img.split(count)))
    w_between = (truth[:count, 0] - truth[count:, 0]).norm(dim=1)
    w_error = (found.latents.ws[:, 0] - truth[:count, 0]).norm(dim=1)
    return (w_error / w_between).mean().item(), (found.distances / between).mean().item()


def read_photos(paths: tuple[str, ...], data: str | None, count: int, resolution: int) -> list[Image.Image]:
    """Photos cropped to their faces, and pictures spread evenly over a data set."""
    photos = [cut_face(load_photo(path), resolution) for path in paths]
    if data is not None:
        dataset = ImageDataset(data, resolution=resolution, memory_limit=0)
        chosen = [(2 * i + 1) * len(dataset) // (2 * count) for i in range(count)]
        photos += images.to_pil(images.from_uint8(dataset.batch(chosen)[0]))
    return photos


@click.command()
@click.argument("paths", nargs=-1, metavar="PHOTO...")
@click.option(
    "--data", help="A folder or zip of further pictures, used whole: better of faces that the model did not learn from."
)
@click.option("--count", default=4, show_default=True, help="Of them, and of images of the model's own.")
@click.option("--model", default=DEFAULT_MODEL, show_default=True)
@click.option("--steps", default="50,100,200,500", show_default=True)
@click.option("--recovery-steps", default=200, show_default=True, help="For images of the model's own, in w.")
@click.option("--samples", default=1000, show_default=True)
@click.option("--extractor", default="st-lpips-vgg", show_default=True)
@click.option("--judge", default="st-lpips-alex", show_default=True, help="Looks at the results; was not minimized.")
@click.option("--out", type=click.Path(path_type=Path), help="A picture: photos, and the results after so many steps.")
def main(
    paths: tuple[str, ...],
    data: str | None,
    count: int,
    model: str,
    steps: str,
    recovery_steps: int,
    samples: int,
    extractor: str,
    judge: str,
    out: Path | None,
) -> None:
    """Measure projection of photos and of the model's own images."""
    G = Generator.from_pretrained(model)
    judges: list[Perceptual] = [load_extractor(name) for name in (extractor, judge)]  # type: ignore[misc]
    network = judges[0]
    photos = read_photos(paths, data, count, G.img_resolution)
    click.echo(f"{len(photos)} photos, {extractor}, torch {torch.__version__}, {torch.get_num_threads()} threads")
    click.echo(f"{platform.machine()}\n")
    headings = ["model", "least", "mean", "most", *(f"{name}, 64x64" for name in (extractor, judge)), "CPU s a photo"]
    click.echo(f"| {' | '.join(headings)} |\n{'|---' * len(headings)}|")
    rows, made = [photos], ["photo"]
    for number in map(int, steps.split(",")):
        begun = time.process_time()
        found = project(photos, G, steps=number, extractor=network)
        seconds = (time.process_time() - begun) / len(photos)
        small = [judged(one, found.img, found.target) for one in judges]
        show(f"{model}, {number} steps", found.distances.tolist(), *small, f"{seconds:.0f}")
        rows.append(images.to_pil(found.img))
        made.append(f"{number} steps")
        if out is not None:
            tiles = [image for row in rows for image in row]
            images.save(images.grid(tiles, columns=len(photos), row_headings=made, padding=2), out)
    least, between = best_of_samples(G, network, found.target, samples)
    show(f"{model}, best of {samples:,} samples", least, "", "", "")
    click.echo(f"| {model}, two random samples | | {between:.3f} | | | | |\n")
    click.echo("| own images | error of w | perceptual distance |\n|---|---|---|")
    for refine in (0, 8):
        w, image = recovery(G, network, count=count, steps=recovery_steps, refine=refine)
        click.echo(f"| {model}, {recovery_steps} steps, --refine {refine} | {w:.2g} | {image:.2g} |")


def show(name: str, distances: list[float], *more: str) -> None:
    """One row of the table."""
    spread = (min(distances), statistics.mean(distances), max(distances))
    click.echo(f"| {' | '.join([name, *(f'{distance:.3f}' for distance in spread), *more])} |")


if __name__ == "__main__":
    main()
