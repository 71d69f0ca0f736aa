"""Images with the styles of two or more sources each, for `stylegan mix --seeds`."""

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from stylegan.errors import InputError
from stylegan.latents.bands import BAND_NAMES, Layers, layer_indices

if TYPE_CHECKING:  # Help needs no torch: commands import what they need when they run.
    from PIL import Image

    from stylegan.cli.faces import Faces
    from stylegan.generator import Generator

Shares = Layers | tuple[Layers, ...]


def check_layers(layers: Shares, count: int, num_ws: int) -> list[Sequence[int]]:
    """The layers that each of `count` sources gives.

    layers: a tuple of each source's layers, or the crossovers at which the next source takes over.
    Raises InputError unless each layer of the network has one source.
    """
    if count > num_ws:
        raise InputError(f"this network has {num_ws} layers, too few for {count} seeds to give one each")
    starts = [i * num_ws // count for i in range(count)]  # An example.
    parts = [range(*ends) for ends in pairwise([*starts, num_ws])]
    crossovers = [layers] if isinstance(layers, int) else layers if isinstance(layers, list) else None
    found: list[Sequence[int]]
    if crossovers is not None:
        found = [range(*ends) for ends in pairwise([0, *crossovers, num_ws])]
    else:
        found = [layer_indices(own, num_ws) for own in (layers if isinstance(layers, tuple) else (layers,))]
    times = Counter(i for part in found for i in part)
    if len(found) != count or not all(found) or times != Counter(range(num_ws)):
        each, crossings = ",".join(map(_span, parts)), ",".join(map(str, starts[1:]))
        raise InputError(
            f"--layers must give each of the network's {num_ws} layers to one of {count} seeds, in their order, as "
            f"{each} does, or name the layers from which the next seed takes over, as {crossings} does"
        )
    return found


def mixes(G: "Generator", rows: "Sequence[Faces]", layers: Shares, batch_size: int | None) -> "Image.Image":
    """One row per set of seeds: their images, under the layers that they give, and the mix."""
    import torch

    from stylegan import images
    from stylegan.figures.layout import text, text_size, upright

    parts = check_layers(layers, len(rows[0].ws), G.num_ws)
    ws = torch.stack([row.ws for row in rows])  # [rows, sources, num_ws, w_dim]
    mixed = G.mix_styles(ws[:, 0], {tuple(part): ws[:, i] for i, part in enumerate(parts)})
    tiles = G.render(torch.cat([ws, mixed[:, None]], dim=1).flatten(0, 1), batch_size=batch_size)
    side, size = G.img_resolution, text_size(G.img_resolution)
    words = layers if isinstance(layers, tuple) else [None] * len(parts)
    names = [word if word in BAND_NAMES else f"layers {_span(part)}" for word, part in zip(words, parts, strict=True)]
    return images.grid(
        tiles,
        column_headings=[text(name, size=size, width=side) for name in [*names, "mixed"]],
        row_headings=[upright(f"seeds {row.settings['seeds']}", size=size, height=side) for row in rows],
        padding=max(2, side // 32),
    )


def _span(layers: Sequence[int]) -> str:
    """Layers as they are written, 4-7."""
    if list(layers) == list(range(layers[0], layers[-1] + 1)) and len(layers) > 1:
        return f"{layers[0]}-{layers[-1]}"
    return ",".join(map(str, layers))
