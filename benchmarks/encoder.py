"""Quality and time of an encoder: python -m benchmarks.encoder held-out.zip [--count 16] [--methods ...]

For photos that nothing was trained on: how near each way to project them comes, by two perceptual networks and by
pixels, and how long it takes. For images that the model made itself: the error of w, in parts of the distance between
the w of two random images. For edits of encoded photos: whether the classifiers of age and gender move with the
strength.
"""

import itertools
import statistics
import time
from typing import Any

import click
import torch
from torch import Tensor

from stylegan import Encoder, Generator, project
from stylegan.data.dataset import ImageDataset
from stylegan.extractors import load_classifier, load_extractor
from stylegan.images.convert import from_uint8, to_uint8
from stylegan.projection.objective import embed_images, perceptual_distance
from stylegan.weights.manifest import DEFAULT_MODEL

# Name, options of `project`.
METHODS: dict[str, dict[str, Any]] = {
    "encoder, 1 look": {"method": "encoder", "looks": 1},
    "encoder, 3 looks": {"method": "encoder"},
    "encoder, 100 steps on pixels": {"method": "encoder", "pixel_steps": 100},
    "hybrid": {"method": "hybrid"},
    "optimization, 100 steps": {"steps": 100},
    "optimization, 1,000 steps": {"steps": 1000},
}


def held_out(path: str, count: int, resolution: int) -> Tensor:
    """Pictures spread evenly over a data set, [count, 3, R, R]."""
    dataset = ImageDataset(path, resolution=resolution, use_labels=False, memory_limit=0)
    chosen = [(2 * i + 1) * len(dataset) // (2 * count) for i in range(count)]
    return from_uint8(dataset.batch(chosen)[0])


@torch.no_grad()
def round_trip(G: Generator, encoder: Encoder, psi: float, *, count: int, **options: Any) -> tuple[float, float]:
    """Error of w of the model's own images, in parts of that between two: of distances, and of their squares.

    options: of `project`, after the encoder.
    """
    truth = G.ws(range(20_000, 20_000 + count), truncation_psi=psi)
    img = from_uint8(to_uint8(G.render(truth, output_type="pt")))
    options |= {"space": "w"} if options else {}
    found = project(img, G, method="encoder", encoder=encoder, batch_size=16, progress=False, **options).latents.ws
    error, between = (
        (found - truth).square().mean(dim=1).sum(dim=1),
        (truth - truth.roll(1, 0))[:, 0].square().sum(dim=1),
    )
    return (error.sqrt().mean() / between.sqrt().mean()).item(), (error.mean() / between.mean()).item()


@torch.no_grad()
def moves(G: Generator, ws: Tensor, attribute: str, strengths: tuple[float, ...] = (-3, -1.5, 0, 1.5, 3)) -> float:
    """The share of encoded photos whose attribute, by its classifier, rises with every step of the strength."""
    classifier = load_classifier(attribute)
    made = (G.render(G.edit(ws, attribute, strength), output_type="pt") for strength in strengths)
    values = torch.stack([classifier(img) for img in made])
    rises = torch.stack([after > before for before, after in itertools.pairwise(values)])
    return rises.all(dim=0).float().mean().item()


@click.command()
@click.argument("data")
@click.option("--model", default=DEFAULT_MODEL, show_default=True)
@click.option("--encoder", "source", help="A file or model.  [default: the model's]")
@click.option("--count", default=16, show_default=True, help="Photos, spread evenly over DATA.")
@click.option("--edited", default=100, show_default=True, help="Photos that are edited.")
@click.option("--own", default=200, show_default=True, help="Images of the model, of which the w is known.")
@click.option("--refined", default=16, show_default=True, help="Those of them whose w is refined.")
@click.option("--methods", default="encoder,hybrid,optimization", show_default=True, help="Beginnings of rows.")
@click.option("--judges", default="st-lpips-vgg,st-lpips-alex", show_default=True)
def main(
    data: str,
    model: str,
    source: str | None,
    count: int,
    edited: int,
    own: int,
    refined: int,
    methods: str,
    judges: str,
) -> None:
    """Measure encoder, hybrid and optimization."""
    G = Generator.from_pretrained(model)
    encoder = Encoder.of(G) if source is None else Encoder.from_pretrained(source)
    photos = held_out(data, count, G.img_resolution)
    networks: dict[str, Any] = {name: load_extractor(name) for name in judges.split(",")}
    click.echo(f"{count} photos of {data}, torch {torch.__version__}, {torch.get_num_threads()} threads\n")
    headings = ["method", *networks, "pixel RMS", "seconds a photo"]
    click.echo(f"| {' | '.join(headings)} |\n{'|---' * len(headings)}|")
    for name, options in METHODS.items():
        if not name.startswith(tuple(methods.split(","))):
            continue
        seconds, errors, distances = [], [], dict[str, list[float]]()
        for photo in photos.split(1):
            begun = time.perf_counter()
            found = project(photo, G, encoder=encoder, progress=False, **options)
            seconds.append(time.perf_counter() - begun)
            errors.append(found.pixel_errors.item())
            for judge, network in networks.items():
                with torch.no_grad():
                    pair = (embed_images(img, network.embed) for img in (found.img, photo))
                    distances.setdefault(judge, []).append(perceptual_distance(*pair).item())
        means = [f"{statistics.mean(values):.4f}" for values in distances.values()]
        row = [name, *means, f"{statistics.mean(errors):.4f}", f"{statistics.median(seconds):.2f}"]
        click.echo(f"| {' | '.join(row)} |")
    click.echo()
    click.echo("| the model's own images | error of w | squared | seconds an image |\n|---|---|---|---|")
    for psi, (pixel_steps, steps) in itertools.product((1.0, 0.7), ((0, 0), (100, 2), (0, 8))):
        number, begun = refined if steps else own, time.perf_counter()
        if number:
            further: dict[str, Any] = {"pixel_steps": pixel_steps, "refine": steps} if steps else {}
            distance, square = round_trip(G, encoder, psi, count=number, **further)
            each = (time.perf_counter() - begun) / number
            before = f"{pixel_steps} pixel steps, " if pixel_steps else ""
            images = f"{number} at psi {psi:g}, {before}refine {steps}"
            click.echo(f"| {images} | {distance:.3f} | {square:.3f} | {each:.2f} |")
    click.echo()
    ws = encoder.encode(held_out(data, edited, G.img_resolution), G)
    for attribute in ("age", "gender"):
        click.echo(f"{attribute} rises with the strength, -3 to 3: {moves(G, ws, attribute):.0%} of {edited} photos")


if __name__ == "__main__":
    main()
