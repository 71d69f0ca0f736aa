"""stylegan mix: the paper's style-mixing grid for one choice of layers."""

import functools
from pathlib import Path

import click

from stylegan.cli.arguments import recorded
from stylegan.cli.faces import choose_faces, latents_settings
from stylegan.cli.options import (
    ModelOptions,
    latents_option,
    model_options,
    output_option,
    seeds_option,
    truncation_cutoff_option,
    truncation_psi_option,
)
from stylegan.cli.output import check_output, check_picture
from stylegan.cli.types import LayersType
from stylegan.latents.bands import Layers
from stylegan.latents.ranges import SeedRanges


@click.command()
@seeds_option("1-6", "--columns", help="Sources A, across the top: they give all other styles.")
@seeds_option("7-10", "--rows", help="Sources B, down the left side: they give the styles of --layers.")
@latents_option("--column-latents", help="Sources A of this file instead of --columns.")
@latents_option("--latents", help="Sources B of this file instead of --rows.")
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
    column_latents: Path | None,
    latents: Path | None,
    layers: Layers,
    truncation_psi: float | None,
    truncation_cutoff: int | None,
    out: Path,
    options: ModelOptions,
) -> None:
    """Mix the styles of two sets of faces: each cell takes --layers from its row, all others from its column.

    \b
    Examples:
      stylegan mix
      stylegan mix --columns 0-7 --rows 20-23 --layers middle --out middle.png
      stylegan mix --layers 4:8
      stylegan mix --latents run/latents.safetensors
    """
    import torch

    from stylegan import images
    from stylegan.figures.layout import column, row, text, text_size, upright

    check_output(out)
    G = options.load(out)
    choose = functools.partial(
        choose_faces, G, label=options.label, truncation_psi=truncation_psi, truncation_cutoff=truncation_cutoff
    )
    across_count, down_count = (1 if file else len(own) for own, file in ((columns, column_latents), (rows, latents)))
    check_picture(out, columns=across_count + 1, rows=down_count + 1, tile=G.img_resolution)
    a = choose(columns, column_latents, option="columns")
    b = choose(rows, latents, option="rows")
    mixed = G.mix_styles(a.ws[None], b.ws[:, None], layers).flatten(0, 1)  # [rows * columns, num_ws, w_dim]
    # The noise is not a style, and stays that of the column.
    noise = a.noise_for(torch.arange(len(a.ws), device="cpu").repeat(len(b.ws)))
    tiles = G.render(mixed, noise=noise, batch_size=options.batch_size)
    across, down = (G.render(faces.ws, noise=faces.noise, batch_size=options.batch_size) for faces in (a, b))
    # The names of the sources are above and beside them.
    side, letters = G.img_resolution, text_size(G.img_resolution)
    grid = images.grid(
        tiles,
        column_headings=[
            column([text(name, size=letters, width=side), source]) for name, source in zip(a.names, across, strict=True)
        ],
        row_headings=[
            row([upright(name, size=letters, height=side), source]) for name, source in zip(b.names, down, strict=True)
        ],
        padding=max(2, G.img_resolution // 32),
    )
    # Seeds as --columns and --rows take them, or the names in a file.
    sources = {key: faces.settings.get("seeds", faces.names) for key, faces in (("rows", b), ("columns", a))}
    settings = b.settings | sources | {"layers": layers} | recorded()
    settings.pop("seeds", None)
    if column_latents is not None:
        settings |= {f"column_{key}": value for key, value in latents_settings(column_latents).items()}
    images.save(images.remember(grid, settings), out)
    click.echo(f"wrote a grid of {len(b.ws)} x {len(a.ws)} mixed images to {out.resolve()}")
