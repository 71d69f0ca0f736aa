"""stylegan directions: find directions in a model's w, and keep them in a file."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from stylegan.cli.options import resolution_option
from stylegan.cli.output import show_table
from stylegan.cli.types import LayersType
from stylegan.errors import InputError
from stylegan.latents.bands import Layers
from stylegan.runtime.choices import GRADIENT_SAMPLES, SAMPLES
from stylegan.weights.manifest import DEFAULT_MODEL

if TYPE_CHECKING:
    from stylegan.generator import Generator
    from stylegan.latents.directions import Direction


@click.command()
@click.argument("model", default=DEFAULT_MODEL, metavar="[NAME|PATH|REPO|URL]")
@click.option(
    "--method",
    "methods",
    type=click.Choice(["sefa", "pca", "boundary", "gradient"]),
    multiple=True,
    default=["sefa"],
    show_default=True,
    help="sefa factorizes the style layers, pca decomposes samples of w; boundary or gradient finds each --attribute. "
    "Repeatable.",
)
@click.option("-n", "count", type=click.IntRange(min=1), default=10, show_default=True, help="For sefa and pca, each.")
@click.option("--layers", type=LayersType(), help="Layers to factorize and to move: a band, 6, 4:8.  [default: all]")
@click.option(
    "--samples", type=click.IntRange(min=2), help=f"Draws of w.  [default: {SAMPLES}; {GRADIENT_SAMPLES} for gradient]"
)
@click.option(
    "--attribute",
    "attributes",
    multiple=True,
    default=["age", "gender"],
    show_default=True,
    help="A classifier's name or file. Repeatable: each direction keeps the other attributes constant.",
)
@click.option(
    "--hold-colours/--no-hold-colours",
    default=True,
    show_default=True,
    help="For gradient: the directions keep the mean red, green and blue of images constant.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    default="directions.safetensors",
    show_default=True,
    metavar="FILE",
)
@resolution_option
@click.option("--device", default="cpu", show_default=True, help="cpu, cuda, cuda:1...")
def directions(
    model: str,
    methods: tuple[str, ...],
    count: int,
    layers: Layers | None,
    samples: int | None,
    attributes: tuple[str, ...],
    hold_colours: bool,
    out: Path,
    resolution: int | None,
    device: str,
) -> None:
    """Find directions in a model's w, for `stylegan edit`. The file is for this model only.

    \b
    Examples:
      stylegan directions
      stylegan directions ffhq-1024 --method sefa -n 10 --layers coarse --out coarse.safetensors
      stylegan directions --method gradient --attribute age --attribute gender
    """
    from stylegan.generator import Generator
    from stylegan.latents.directions import save_directions

    if out.suffix != ".safetensors":
        raise InputError(f"--out {out}: a file of directions must end in .safetensors")
    if {"boundary", "gradient"} <= set(methods):
        raise InputError("--method boundary and --method gradient both name directions by attributes; give one of them")
    G = Generator.from_pretrained(model, resolution=resolution, device=device)
    found: list[Direction] = []
    for method in dict.fromkeys(methods):
        found += find(
            G, method, count=count, layers=layers, samples=samples, attributes=attributes, hold_colours=hold_colours
        )
    save_directions(out, found)
    rows = [("name", "std", "layers", "")]
    for direction in found:
        facts = ", ".join(f"{key} {value:.3g}" for key, value in direction.facts.items() if isinstance(value, float))
        first, stop = direction.layers
        rows.append((direction.name, f"{direction.std:.3f}", f"{first}:{stop}", facts))
    show_table(rows)
    click.echo(f"wrote {len(found)} directions to {out.resolve()}")


def find(
    G: "Generator",
    method: str,
    *,
    count: int,
    layers: Layers | None,
    samples: int | None,
    attributes: tuple[str, ...],
    hold_colours: bool,
) -> "list[Direction]":
    """The directions of one method."""
    from stylegan.editing import COLOURS, attribute_directions, gradient_directions, pca, sefa

    if method == "sefa":
        return sefa(G, n=count, layers=layers)
    if method == "pca":
        return pca(G, n=count, layers=layers, samples=samples or SAMPLES)
    from stylegan.extractors import load_classifier

    classifiers = {Path(name).stem: load_classifier(name, device=G.device) for name in attributes}
    if method == "gradient":
        hold = COLOURS if hold_colours else None
        return gradient_directions(G, classifiers, hold=hold, layers=layers, samples=samples or GRADIENT_SAMPLES)
    return attribute_directions(G, classifiers, layers=layers, samples=samples or SAMPLES)
