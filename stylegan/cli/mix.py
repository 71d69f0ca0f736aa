"""stylegan mix: the paper's style-mixing grid for one choice of layers, or images of three and more sources."""

import functools
from pathlib import Path
from typing import Any

import click

from stylegan.cli.arguments import recorded
from stylegan.cli.faces import choose_faces, count_rows, is_default, latents_settings
from stylegan.cli.mix_sources import Shares, mixes
from stylegan.cli.options import ModelOptions, image_options, latents_option, seeds_option, truncation_psi_option
from stylegan.cli.output import check_image, check_output
from stylegan.cli.photos import Photos, faces_options
from stylegan.cli.types import SeedsType, SharesType
from stylegan.errors import InputError
from stylegan.latents.bands import BAND_NAMES
from stylegan.latents.ranges import SeedRanges


@click.command()
@seeds_option("1-6", "--columns", help="Sources A, across the top: they give all other styles.")
@seeds_option("7-10", "--rows", help="Sources B, down the left side: they give the styles of --layers.")
@latents_option("--column-latents", help="Sources A from this file instead of --columns.")
@faces_options("Sources B from this file instead of --rows.")
@click.option(
    "--seeds",
    "--seed",
    type=SeedsType(),
    multiple=True,
    metavar="SEEDS",
    help="Instead of a grid, one image with the styles of all of these, 1,2,3; repeat the option for more images.",
)
@click.option(
    "--layers",
    type=SharesType(),
    default="coarse",
    help="Which styles come from B: coarse (4-8), middle (16-32), fine (64 up), a crossover (6), 4:8 or 0,3,5. "
    "For --seeds the layers of each, 0-3,4-7,8-11, or where the next takes over, 4,8.  [default: coarse; for three "
    "--seeds coarse,middle,fine]",
)
@truncation_psi_option
@image_options("mix.png")
def mix(
    columns: SeedRanges,
    rows: SeedRanges,
    column_latents: Path | None,
    latents: Path | Photos | None,
    seeds: tuple[SeedRanges, ...],
    layers: Any,  # Layers, or a tuple of those of each source.
    truncation_psi: float | None,
    truncation_cutoff: int | None,
    out: Path,
    options: ModelOptions,
) -> None:
    """Mix the styles of two sets of faces: each cell takes --layers from its row, all others from its column.

    Several PHOTOs are mixed with each other, one with --columns: each is cropped to its face and encoded at once.
    `stylegan project` takes longer and gets closer to them.

    With --seeds, mix two or more faces into one: coarse styles of the first, middle of the second, fine of the third.

    \b
    Examples:
      stylegan mix
      stylegan mix --columns 0-7 --rows 20-23 --layers middle --out middle.png
      stylegan mix --layers 4:8
      stylegan mix photo1.jpg photo2.jpg
      stylegan mix photo.jpg --columns 0-7
      stylegan mix --latents run/latents.safetensors
      stylegan mix --seeds 62,19,1 --out three.png
      stylegan mix --seeds 1,2,3,4 --seeds 5,6,7,8 --layers 0-1,2-3,4-7,8-11 --out four.png
    """
    import torch

    from stylegan import images
    from stylegan.figures.layout import column, row, text, text_size, upright

    check_output(out)
    if seeds and isinstance(latents, Photos):
        raise InputError("--seeds and photos both choose the sources; give one of them")
    if seeds:
        layers = _check_seeds(seeds, layers)
    elif isinstance(layers, tuple):
        raise InputError(f"--layers names those of {len(layers)} sources: name the sources by --seeds 1,2,3")
    G = options.load(out)
    choose = functools.partial(
        choose_faces, G, label=options.label, truncation_psi=truncation_psi, truncation_cutoff=truncation_cutoff
    )
    if seeds:
        check_image(out, columns=len(seeds[0]) + 1, rows=len(seeds), tile=G.img_resolution)
        rows_of_faces = [choose(own, None) for own in seeds]
        made = mixes(G, rows_of_faces, layers, options.batch_size)
        known = rows_of_faces[0].settings | recorded(layers=layers, columns=None, rows=None)
        if len(seeds) > 1:
            known["seeds"] = [list(own) for own in seeds]
        images.save(images.remember(made, known), out)
        click.echo(f"wrote a grid of {len(seeds)} x {len(seeds[0])} sources and their mixes to {out.resolve()}")
        return
    down_count = count_rows(rows, latents)
    # Several photos are mixed with each other, unless other faces are chosen for the columns.
    among = isinstance(latents, Photos) and down_count > 1 and column_latents is None and is_default("columns")
    across_count = down_count if among else count_rows(columns, column_latents)
    check_image(out, columns=across_count + 1, rows=down_count + 1, tile=G.img_resolution)
    b = choose(rows, latents, option="rows")
    a = b if among else choose(columns, column_latents, option="columns")
    mixed = G.mix_styles(a.ws[None], b.ws[:, None], layers).flatten(0, 1)  # [rows * columns, num_ws, w_dim]
    # The noise is not a style, and stays that of the column.
    noise = a.noise_for(torch.arange(len(a.ws), device="cpu").repeat(len(b.ws)))
    tiles = G.render(mixed, noise=noise, batch_size=options.batch_size)
    across, down = (G.render(faces.ws, noise=faces.noise, batch_size=options.batch_size) for faces in (a, b))
    # The names of the sources are above and to the left.
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


def _check_seeds(seeds: tuple[SeedRanges, ...], layers: Shares) -> Shares:
    """The --layers of these --seeds. Raises InputError for seeds that do not go together, or with other options."""
    for name in ("columns", "rows", "column_latents", "latents"):
        if not is_default(name):
            raise InputError(f"--seeds and --{name.replace('_', '-')} both choose the sources; give one of them")
    counts = {len(own) for own in seeds}
    if len(counts) > 1 or min(counts) < 2:
        raise InputError(
            f"--seeds must name two sources or more, and each time as many; got {', '.join(map(str, sorted(counts)))}"
        )
    if not is_default("layers"):
        return layers
    if counts != {len(BAND_NAMES)}:
        raise InputError(f"{counts.pop()} --seeds need --layers, the layers of each: --layers 0-5,6-11")
    return BAND_NAMES
