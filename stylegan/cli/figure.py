"""stylegan figure: the paper's figures from any model."""

from collections.abc import Callable
from pathlib import Path

import click
from PIL import Image

from stylegan import figures, images
from stylegan.cli.common import (
    CommandT,
    ModelOptions,
    NumbersType,
    apply_options,
    check_output,
    model_options,
    output_option,
    seeds_option,
    size_option,
    truncation_cutoff_option,
)
from stylegan.seeds import SeedRanges


@click.group()
def figure() -> None:
    """Make a figure of the paper, with caption, from any model.

    \b
    Examples:
      stylegan figure style-mixing
      stylegan figure noise --seeds 5,6 --out noise.png
      stylegan figure uncurated --model ffhq-1024 --size 256 --seeds 0-63
    """


def _psi_option(default: float) -> Callable[[CommandT], CommandT]:
    return click.option(
        "--truncation-psi",
        type=float,
        default=default,
        show_default=True,
        metavar="PSI",
        help="1 = full variety, 0 = the average image. The default is the paper's.",
    )


def _cutoff_option(default: int) -> Callable[[CommandT], CommandT]:
    return click.option(
        "--truncation-cutoff",
        type=int,
        default=default,
        show_default=True,
        metavar="LAYER",
        help="Truncate only the layers below this one. The default is the paper's: 4x4 to 32x32.",
    )


_noise_seed_option = click.option(
    "--noise-seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of the first draw."
)


def _drawing_options(name: str) -> Callable[[CommandT], CommandT]:
    return apply_options((size_option(), output_option(f"{name}.png", "The picture file to write."), model_options))


def _write(picture: Image.Image, out: Path) -> None:
    images.save(picture, out)
    click.echo(f"wrote {picture.width}x{picture.height} pixels to {out.resolve()}")


@figure.command("style-mixing")
@seeds_option("1-5", "--sources-a", help="Seeds across the top, which give all other styles.")
@seeds_option("7-9", "--coarse", help="Seeds down the left, of which the coarse styles are taken; '' = none.")
@seeds_option("10,11", "--middle", help="The same for the middle styles.")
@seeds_option("12", "--fine", help="The same for the fine styles.")
@_psi_option(1.0)
@truncation_cutoff_option
@_drawing_options("style-mixing")
def style_mixing(
    sources_a: SeedRanges,
    coarse: SeedRanges,
    middle: SeedRanges,
    fine: SeedRanges,
    truncation_psi: float,
    truncation_cutoff: int | None,
    size: int | None,
    out: Path,
    options: ModelOptions,
) -> None:
    """Figure 3: styles of one band from the left column, all others from the top row.

    For one band alone and without captions, there is `stylegan mix`.
    """
    check_output(out)
    picture = figures.style_mixing(
        options.load(),
        sources_a=sources_a,
        coarse=coarse,
        middle=middle,
        fine=fine,
        truncation_psi=truncation_psi,
        truncation_cutoff=truncation_cutoff,
        labels=options.label,
        size=size,
        batch_size=options.batch_size,
    )
    _write(picture, out)


@figure.command()
@seeds_option("5,6", "--seeds", help="Seeds of the images, one row each.")
@_noise_seed_option
@click.option(
    "--realizations", type=click.IntRange(min=4), default=100, show_default=True, help="Draws behind the deviation."
)
@_psi_option(1.0)
@truncation_cutoff_option
@_drawing_options("noise")
def noise(
    seeds: SeedRanges,
    noise_seed: int,
    realizations: int,
    truncation_psi: float,
    truncation_cutoff: int | None,
    size: int | None,
    out: Path,
    options: ModelOptions,
) -> None:
    """Figure 4: details under four draws of the noise, and each pixel's standard deviation."""
    check_output(out)
    picture = figures.noise_examples(
        options.load(),
        seeds=seeds,
        noise_seed=noise_seed,
        realizations=realizations,
        truncation_psi=truncation_psi,
        truncation_cutoff=truncation_cutoff,
        labels=options.label,
        size=size,
        batch_size=options.batch_size,
    )
    _write(picture, out)


@figure.command("noise-layers")
@seeds_option("5,6", "--seeds", help="Seeds of the images, two rows each.")
@_noise_seed_option
@_psi_option(1.0)
@truncation_cutoff_option
@_drawing_options("noise-layers")
def noise_layers(
    seeds: SeedRanges,
    noise_seed: int,
    truncation_psi: float,
    truncation_cutoff: int | None,
    size: int | None,
    out: Path,
    options: ModelOptions,
) -> None:
    """Figure 5: noise in all layers, the fine ones, the coarse ones, and none."""
    check_output(out)
    picture = figures.noise_layers(
        options.load(),
        seeds=seeds,
        noise_seed=noise_seed,
        truncation_psi=truncation_psi,
        truncation_cutoff=truncation_cutoff,
        labels=options.label,
        size=size,
    )
    _write(picture, out)


@figure.command()
@seeds_option("1,2,4", "--seeds", help="Seeds of the images, one row each.")
@click.option(
    "--truncation-psi",
    type=NumbersType(),
    default="1,0.7,0.5,0,-0.5,-1",
    show_default=True,
    metavar="PSI,PSI...",
    help="The columns. The default is the paper's.",
)
@truncation_cutoff_option
@_drawing_options("truncation")
def truncation(
    seeds: SeedRanges,
    truncation_psi: list[float],
    truncation_cutoff: int | None,
    size: int | None,
    out: Path,
    options: ModelOptions,
) -> None:
    """Figure 8: the same images from psi 1 through the average to the opposite."""
    check_output(out)
    picture = figures.truncation(
        options.load(),
        seeds=seeds,
        truncation_psi=truncation_psi,
        truncation_cutoff=truncation_cutoff,
        labels=options.label,
        size=size,
        batch_size=options.batch_size,
    )
    _write(picture, out)


@figure.command()
@seeds_option("0-23", "--seeds", help="Seeds of the images, row by row.")
@click.option("--columns", type=click.IntRange(min=1), default=8, show_default=True, help="Images in a row.")
@_psi_option(0.7)
@_cutoff_option(8)
@_drawing_options("uncurated")
def uncurated(
    seeds: SeedRanges,
    columns: int,
    truncation_psi: float,
    truncation_cutoff: int,
    size: int | None,
    out: Path,
    options: ModelOptions,
) -> None:
    """Figure 2: images of consecutive seeds, none left out."""
    check_output(out)
    picture = figures.uncurated(
        options.load(),
        seeds=seeds,
        columns=columns,
        truncation_psi=truncation_psi,
        truncation_cutoff=truncation_cutoff,
        labels=options.label,
        size=size,
        batch_size=options.batch_size,
    )
    _write(picture, out)
