"""Style mixing, the paper's figure 3."""

import torch
from PIL import Image

from ..errors import InputError
from ..generator import Generator
from ..images.grids import display_size, resize
from ..latents.bands import bands, resolutions
from ..latents.labels import Labels
from ..latents.seeds import Seeds, check_seeds
from ..runtime.checks import typed
from .layout import column, finish, gap_size, row, text, text_size, upright


@typed
def style_mixing(
    G: Generator,
    *,
    sources_a: Seeds = (1, 2, 3, 4, 5),
    coarse: Seeds = (7, 8, 9),
    middle: Seeds = (10, 11),
    fine: Seeds = (12,),
    truncation_psi: float = 1.0,
    truncation_cutoff: int | None = None,
    labels: Labels = None,
    size: int | None = None,
    batch_size: int | None = None,
    progress: bool | None = None,
) -> Image.Image:
    """Sources A across, sources B down; each image takes one band of styles from B and all others from A (figure 3).

    sources_a: seeds of the top row. coarse, middle, fine: seeds of the left column, whose styles of that band are
        copied; a band without seeds is omitted. For the bands of small networks see `latents.bands`.
    truncation_psi, truncation_cutoff: as in `G.truncate`; the paper shows this figure without truncation.
    labels: a class index or a vector [label_dim], for conditional models.
    size: width of each image in pixels; None = the model's, at least 256; see `images.display_size`.
    batch_size, progress: see `G.sample`.

    Raises InputError for settings that do not fit the model, such as a band that it lacks.
    """
    size = display_size(G.img_resolution, size)
    sources = {"coarse": check_seeds(coarse), "middle": check_seeds(middle), "fine": check_seeds(fine)}
    sources = {name: seeds for name, seeds in sources.items() if seeds}
    a = check_seeds(sources_a)
    if not a or not sources:
        raise InputError("a style mixing figure needs at least one seed of sources A and one of sources B")
    if G.num_ws == 1:
        raise InputError("this network has no styles to mix (use_styles=False)")
    known = {str(name): layers for name, layers in bands(G.num_ws).items()}
    if missing := sources.keys() - known.keys():
        raise InputError(
            f"a {G.img_resolution}x{G.img_resolution} network has no {missing.pop()} band: give no seeds for it"
        )

    def tiles(ws: torch.Tensor) -> list[Image.Image]:
        return [resize(tile, size) for tile in G.render(ws, batch_size=batch_size, progress=progress)]

    def styles(seeds: list[int]) -> torch.Tensor:
        return G.ws(seeds, labels=labels, truncation_psi=truncation_psi, truncation_cutoff=truncation_cutoff)

    letters, gap = text_size(size), gap_size(size)
    ws_a = styles(a)
    top = tiles(ws_a)
    across = row(top, gap=gap)
    corner = text("Source B", size=letters, width=size, height=across.height, bottom=True)
    blocks = [text("Source A", size=letters, width=across.width), row([corner, across], gap=2 * gap)]
    for name, seeds in sources.items():
        ws_b = styles(seeds)
        mixed = tiles(G.mix_styles(ws_a[None], ws_b[:, None], known[name]).flatten(0, 1))
        blocks.append(_block(f"{name.capitalize()} styles from B", tiles(ws_b), mixed, size))
    explained = ", ".join(f"{name} = {resolutions(known[name])}" for name in sources)
    caption = (
        "Style mixing (figure 3). The styles of one band come from source B on the left, all others from source A "
        f"above: {explained}. {G.name}, truncation psi {truncation_psi:g}."
    )
    settings: dict[str, object] = {"figure": "style-mixing", "sources_a": a, **sources}
    settings |= {"truncation_psi": truncation_psi, "truncation_cutoff": truncation_cutoff}
    settings |= {"labels": labels, "size": size}
    return finish(G, column(blocks, gap=2 * gap, align="right"), caption, size=letters, settings=settings)


def _block(heading: str, left: list[Image.Image], mixed: list[Image.Image], size: int) -> Image.Image:
    """The rows of one band: a vertical heading, sources B, and the mixed images."""
    gap, n = gap_size(size), len(mixed) // len(left)
    lines = [row(mixed[i : i + n], gap=gap) for i in range(0, len(mixed), n)]
    block = row([column(left, gap=gap), column(lines, gap=gap)], gap=2 * gap)
    return row([upright(heading, size=text_size(size), height=block.height), block], gap=gap)
