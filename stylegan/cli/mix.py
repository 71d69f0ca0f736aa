"""stylegan mix: the paper's style-mixing grid for one choice of layers."""

from pathlib import Path

import click
import torch

from stylegan import images
from stylegan.cli.common import (
    LayersType,
    ModelOptions,
    check_output,
    model_options,
    output_option,
    seeds_option,
    truncation_cutoff_option,
    truncation_psi_option,
)
from stylegan.latents import Layers
from stylegan.seeds import SeedRanges


@click.command()
@seeds_option("1-6", "--columns", help="Sources A, across the top: they give all the other styles.")
@seeds_option("7-10", "--rows", help="Sources B, down the left side: they give the styles of --layers.")
@click.option(
    "--layers",
    type=LayersType(),
    default="coarse",
    show_default=True,
    help="Which styles come from B: coarse (4-8), middle (16-32), fine (64 up), a crossover (6), 4:8 or 0,3,5.",
)
@truncation_psi_option
@truncation_cutoff_option
@output_option("mix.png", help="The picture file to write.")
@model_options
def mix(
    columns: SeedRanges,
    rows: SeedRanges,
    layers: Layers,
    truncation_psi: float,
    truncation_cutoff: int | None,
    out: Path,
    options: ModelOptions,
) -> None:
    """Mix the styles of two sets of faces: each cell takes --layers from its row, all else from its column.

    \b
    Examples:
      stylegan mix
      stylegan mix --columns 0-7 --rows 20-23 --layers middle --out middle.png
      stylegan mix --layers 4:8
    """
    check_output(out)
    G = options.load()
    a = G.ws(columns, labels=options.label, truncation_psi=truncation_psi, truncation_cutoff=truncation_cutoff)
    b = G.ws(rows, labels=options.label, truncation_psi=truncation_psi, truncation_cutoff=truncation_cutoff)
    mixed = G.mix_styles(a[None], b[:, None], layers).flatten(0, 1)  # [rows * columns, num_ws, w_dim]
    tiles, headings = (
        G.render(mixed, batch_size=options.batch_size),
        G.render(torch.cat([a, b]), batch_size=options.batch_size),
    )
    grid = images.grid(
        tiles,
        column_headings=headings[: len(columns)],
        row_headings=headings[len(columns) :],
        padding=max(2, G.img_resolution // 32),
    )
    settings: dict[str, object] = {
        "columns": list(columns),
        "rows": list(rows),
        "layers": layers,
        "truncation_psi": truncation_psi,
    }
    images.save(images.remember(grid, settings), out)
    click.echo(f"wrote a grid of {len(rows)} x {len(columns)} mixed images to {out.resolve()}")
