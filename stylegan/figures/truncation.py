"""Truncated images: the uncurated grid and the sweep of psi, the paper's figures 2 and 8."""

from collections.abc import Sequence

import torch
from PIL import Image

from ..errors import InputError
from ..generator import Generator
from ..images.grids import display_size, resize
from ..latents.bands import resolutions
from ..latents.labels import Labels
from ..latents.seeds import Seeds, check_seeds
from ..latents.styles import check_cutoff
from ..runtime.checks import check_integer, typed
from .layout import column, finish, gap_size, row, seeds_text, text, text_size, upright

# As in figure 8.
PSIS = (1.0, 0.7, 0.5, 0.0, -0.5, -1.0)
# As in figure 2: 4x4 to 32x32, all layers of a smaller network.
CUTOFF = 8


@typed
def truncation(
    G: Generator,
    *,
    seeds: Seeds = (1, 2, 4),
    truncation_psi: Sequence[float] = PSIS,
    truncation_cutoff: int | None = None,
    labels: Labels = None,
    size: int | None = None,
    batch_size: int | None = None,
    progress: bool | None = None,
) -> Image.Image:
    """The same images at several truncation psi, in all layers, as in figure 8; psi 0 is the average image.

    seeds: one per row. truncation_psi: one per column. truncation_cutoff: as in `G.truncate`; figure 8 has None. The
    other arguments are those of `style_mixing`. Raises InputError likewise.
    """
    size, numbers, psis = display_size(G.img_resolution, size), check_seeds(seeds), list(truncation_psi)
    if not numbers or not psis:
        raise InputError("a truncation figure needs at least one seed and one truncation psi")
    ws = G.ws(numbers, labels=labels, truncation_psi=1.0)
    check_cutoff(truncation_cutoff, G.num_ws)
    sweep = torch.stack([G.truncate(ws, psi, truncation_cutoff) for psi in psis], dim=1).flatten(0, 1)
    tiles = [resize(tile, size) for tile in G.render(sweep, batch_size=batch_size, progress=progress)]

    letters, gap = text_size(size), gap_size(size)
    lines = [row([text(f"psi {psi:g}", size=letters, width=size) for psi in psis], gap=gap)]
    for i, seed in enumerate(numbers):
        images = row(tiles[i * len(psis) : (i + 1) * len(psis)], gap=gap)
        lines.append(row([upright(f"seed {seed}", size=letters, height=images.height), images], gap=gap))
    caption = (
        f"The truncation trick (figure 8): w_avg + psi (w - w_avg){_where(G, truncation_cutoff)}. At 1 nothing is "
        f"truncated, 0 is the average image, and negative values give opposites. {G.name}."
    )
    settings = {
        "figure": "truncation",
        "seeds": numbers,
        "truncation_psi": psis,
        "truncation_cutoff": truncation_cutoff,
        "labels": labels,
        "size": size,
    }
    return finish(G, column(lines, gap=gap, align="right"), caption, size=letters, settings=settings)


@typed
def uncurated(
    G: Generator,
    *,
    seeds: Seeds = range(24),
    columns: int = 8,
    truncation_psi: float = 0.7,
    truncation_cutoff: int | None = CUTOFF,
    labels: Labels = None,
    size: int | None = None,
    batch_size: int | None = None,
    progress: bool | None = None,
) -> Image.Image:
    """Images of consecutive seeds, not selected, truncated only at 4x4 to 32x32, as in figure 2.

    seeds: of the images, row by row. columns: images per row. truncation_psi, truncation_cutoff: as in `G.truncate`;
    figure 2 has 0.7 and 8, which is all layers of a network below 64x64. The other arguments are those of
    `style_mixing`. Raises InputError likewise.
    """
    size, numbers = display_size(G.img_resolution, size), check_seeds(seeds)
    if not numbers:
        raise InputError("a figure needs at least one seed")
    check_integer(columns, what="columns", low=1, high=1000)
    shown = G.sample(
        seeds=numbers,
        n=len(numbers),
        truncation_psi=truncation_psi,
        truncation_cutoff=truncation_cutoff,
        labels=labels,
        batch_size=batch_size,
        progress=progress,
    )
    tiles = [resize(tile, size) for tile in shown]
    gap = gap_size(size)
    body = column([row(tiles[i : i + columns], gap=gap) for i in range(0, len(tiles), columns)], gap=gap)
    caption = (
        f"Uncurated images of {seeds_text(numbers)} (figure 2). {G.name}, truncation psi {truncation_psi:g}"
        f"{_where(G, truncation_cutoff)}."
    )
    settings = {
        "figure": "uncurated",
        "seeds": numbers,
        "columns": columns,
        "truncation_psi": truncation_psi,
        "truncation_cutoff": truncation_cutoff,
        "labels": labels,
        "size": size,
    }
    return finish(G, body, caption, size=text_size(size), settings=settings)


def _where(G: Generator, truncation_cutoff: int | None) -> str:
    """Where ws are truncated, for a caption."""
    truncated = range(G.num_ws)[:truncation_cutoff]
    if len(truncated) == G.num_ws:
        return " in all layers"
    return f" at {resolutions(truncated)}" if truncated else " in no layer"
