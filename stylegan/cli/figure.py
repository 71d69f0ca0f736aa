"""stylegan figure: the paper's figures from any model."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from stylegan.cli.arguments import recorded
from stylegan.cli.options import (
    CommandT,
    ModelOptions,
    apply_options,
    model_options,
    output_option,
    psis_option,
    seeds_option,
    size_option,
    truncation_cutoff_option,
)
from stylegan.cli.output import check_output, check_picture
from stylegan.latents.ranges import SeedRanges

if TYPE_CHECKING:
    from PIL import Image

    from stylegan.generator import Generator


@click.group()
def figure() -> None:
    """Make a figure of the paper, with its caption, from any model.

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


def _figure(
    name: str, *options: Callable[[Any], Any]
) -> "Callable[[Callable[..., Image.Image]], Callable[..., Image.Image]]":
    """Turn a function that draws a figure into a command: G and the values of the options -> picture."""

    def decorate(draw: "Callable[..., Image.Image]") -> "Callable[..., Image.Image]":
        shared = (size_option(), output_option(f"{name}.png", "The picture file to write."), model_options)

        @figure.command(name, help=draw.__doc__)
        @apply_options((*options, *shared))
        def command(out: Path, options: ModelOptions, **settings: Any) -> None:
            from stylegan import images

            check_output(out)
            G = options.load()
            images_wanted = sum(len(given) for given in settings.values() if isinstance(given, SeedRanges))
            check_picture(
                out, columns=1, rows=images_wanted, tile=8
            )  # A lower bound; the figure determines its layout.
            picture = draw(G, labels=options.label, batch_size=options.batch_size, **settings)
            images.save(images.remember(picture, recorded()), out)
            click.echo(f"wrote {picture.width}x{picture.height} pixels to {out.resolve()}")

        return draw

    return decorate


@_figure(
    "style-mixing",
    seeds_option("1-5", "--sources-a", help="Seeds across the top, which give all other styles."),
    seeds_option(
        "7-9", "--coarse", help="Seeds down the left that give their coarse styles; '' = none.", may_be_empty=True
    ),
    seeds_option("10,11", "--middle", help="The same for the middle styles.", may_be_empty=True),
    seeds_option("12", "--fine", help="The same for the fine styles.", may_be_empty=True),
    _psi_option(1.0),
    truncation_cutoff_option,
)
def style_mixing(G: "Generator", **settings: Any) -> "Image.Image":
    """Figure 3: styles of one band from the left column, all others from the top row.

    For one band without captions, use `stylegan mix`.
    """
    from stylegan import figures

    return figures.style_mixing(G, **settings)


@_figure(
    "noise",
    seeds_option("5,6", "--seeds", help="Seeds of the images, one row each."),
    _noise_seed_option,
    click.option(
        "--realizations", type=click.IntRange(min=4), default=100, show_default=True, help="Draws for the deviation."
    ),
    _psi_option(1.0),
    truncation_cutoff_option,
)
def noise(G: "Generator", **settings: Any) -> "Image.Image":
    """Figure 4: details under four draws of the noise, and each pixel's standard deviation."""
    from stylegan import figures

    return figures.noise_examples(G, **settings)


@_figure(
    "noise-layers",
    seeds_option("5,6", "--seeds", help="Seeds of the images, two rows each."),
    _noise_seed_option,
    _psi_option(1.0),
    truncation_cutoff_option,
)
def noise_layers(G: "Generator", *, batch_size: int | None, **settings: Any) -> "Image.Image":
    """Figure 5: noise in all layers, the fine ones, the coarse ones, and none."""
    from stylegan import figures

    return figures.noise_layers(G, **settings)  # One image at a time is the smallest batch.


@_figure(
    "truncation",
    seeds_option("1,2,4", "--seeds", help="Seeds of the images, one row each."),
    psis_option("The columns. The default is the paper's."),
    truncation_cutoff_option,
)
def truncation(G: "Generator", **settings: Any) -> "Image.Image":
    """Figure 8: the same images from psi 1 through the average to the opposite."""
    from stylegan import figures

    return figures.truncation(G, **settings)


@_figure(
    "uncurated",
    seeds_option("0-23", "--seeds", help="Seeds of the images, row by row."),
    click.option("--columns", type=click.IntRange(min=1), default=8, show_default=True, help="Images in a row."),
    _psi_option(0.7),
    _cutoff_option(8),
)
def uncurated(G: "Generator", **settings: Any) -> "Image.Image":
    """Figure 2: images of consecutive seeds, not selected."""
    from stylegan import figures

    return figures.uncurated(G, **settings)
