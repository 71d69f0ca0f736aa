"""stylegan figure: the paper's figures from any model."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

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
from stylegan.cli.output import check_image, check_output
from stylegan.latents.ranges import SeedRanges


@click.group()
def figure() -> None:
    """Make a figure of the paper, with its caption, from any model.

    \b
    Examples:
      stylegan figure style-mixing
      stylegan figure noise --seeds 5,6 --out noise.png
      stylegan figure uncurated --model ffhq-1024 --size 256 --seeds 0-63
    """


_option = functools.partial(click.option, show_default=True)


def _psi_option(default: float) -> Callable[[CommandT], CommandT]:
    text = "1 = full variety, 0 = the average image. The default is the paper's."
    return _option("--truncation-psi", type=float, default=default, metavar="PSI", help=text)


_cutoff_option = _option(
    "--truncation-cutoff",
    type=int,
    default=8,
    metavar="LAYER",
    help="Truncate only the layers below this one. The default is the paper's: 4x4 to 32x32.",
)
_noise_seed_option = _option("--noise-seed", type=click.IntRange(min=0), default=0, help="Seed of the first draw.")


def _figure(name: str, function: str, text: str, *options: Callable[[Any], Any], batched: bool = True) -> None:
    """Add the command of a function of `stylegan.figures`, which is given the values of the options.

    batched: whether the function takes a batch size.
    """
    shared = (size_option(), output_option(f"{name}.png", "The image file to write."), model_options)

    @figure.command(name, help=text)
    @apply_options((*options, *shared))
    def command(out: Path, options: ModelOptions, **settings: Any) -> None:
        from stylegan import figures, images

        check_output(out)
        G = options.load()
        images_wanted = sum(len(given) for given in settings.values() if isinstance(given, SeedRanges))
        check_image(out, columns=1, rows=images_wanted, tile=8)  # A lower bound; the figure determines its layout.
        settings |= {"labels": options.label} | ({"batch_size": options.batch_size} if batched else {})
        image = getattr(figures, function)(G, **settings)
        images.save(images.remember(image, recorded()), out)
        click.echo(f"wrote {image.width}x{image.height} pixels to {out.resolve()}")


_figure(
    "style-mixing",
    "style_mixing",
    """Figure 3: styles of one band from the left column, all others from the top row.

    For one band without captions, use `stylegan mix`.
    """,
    seeds_option("1-5", "--sources-a", help="Seeds across the top, which give all other styles."),
    seeds_option(
        "7-9", "--coarse", help="Seeds down the left that give their coarse styles; '' = none.", may_be_empty=True
    ),
    seeds_option("10,11", "--middle", help="The same for the middle styles.", may_be_empty=True),
    seeds_option("12", "--fine", help="The same for the fine styles.", may_be_empty=True),
    _psi_option(1.0),
    truncation_cutoff_option,
)
_figure(
    "noise",
    "noise_examples",
    "Figure 4: details under four draws of the noise, and each pixel's standard deviation.",
    seeds_option("5,6", "--seeds", help="Seeds of the images, one row each."),
    _noise_seed_option,
    _option("--realizations", type=click.IntRange(min=4), default=100, help="Draws for the deviation."),
    _psi_option(1.0),
    truncation_cutoff_option,
)
_figure(
    "noise-layers",
    "noise_layers",
    "Figure 5: noise in all layers, the fine ones, the coarse ones, and none.",
    seeds_option("5,6", "--seeds", help="Seeds of the images, two rows each."),
    _noise_seed_option,
    _psi_option(1.0),
    truncation_cutoff_option,
    batched=False,  # One image at a time is the smallest batch.
)
_figure(
    "truncation",
    "truncation",
    "Figure 8: the same images from psi 1 through the average to the opposite.",
    seeds_option("1,2,4", "--seeds", help="Seeds of the images, one row each."),
    psis_option("The columns. The default is the paper's."),
    truncation_cutoff_option,
)
_figure(
    "uncurated",
    "uncurated",
    "Figure 2: images of consecutive seeds, not selected.",
    seeds_option("0-23", "--seeds", help="Seeds of the images, row by row."),
    _option("--columns", type=click.IntRange(min=1), default=8, help="Images in a row."),
    _psi_option(0.7),
    _cutoff_option,
)
