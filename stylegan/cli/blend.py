"""stylegan blend: the coarse layers of one network with the fine ones of another."""

import re
from typing import Any

import click

from stylegan.cli.options import resolution_option
from stylegan.cli.write import network_options, write_network
from stylegan.errors import InputError


@click.command()
@click.argument("a", metavar="A")
@click.argument("b", metavar="B")
@click.option(
    "--from",
    "first",
    type=int,
    default=32,
    show_default=True,
    metavar="PIXELS",
    help="The first resolution whose layers come from B.",
)
@click.option(
    "--width",
    type=float,
    default=0.0,
    show_default=True,
    metavar="N",
    help="Number of resolutions over which the share of B rises; 0 = switch at once.",
)
@click.option(
    "--mapping",
    type=click.Choice(["A", "B"], case_sensitive=False),
    default="A",
    show_default=True,
    help="Source of the mapping network and average w; with A's, latents and directions of A stay valid.",
)
@resolution_option
@network_options
def blend(
    a: str,
    b: str,
    first: int,
    width: float,
    mapping: str,
    resolution: int | None,
    **target: Any,
) -> None:
    """Blend two related networks: the layers of A below a resolution, those of B from there on (layer swapping).

    A and B must have the same architecture; one should be fine-tuned from the other, or both from a third. Coarse
    layers set pose and shape, fine ones colours and textures: a face model with the layers of a drawing model from
    32x32 on gives drawings of its faces. The licences of both apply.

    \b
    Examples:
      stylegan blend faces-128 runs/drawings --from 32 --out blend.safetensors
      stylegan blend faces-128 runs/drawings --from 16 --width 2 --out soft.safetensors --metadata name=soft
      stylegan blend runs/drawings faces-128 --from 16 --out reverse.safetensors
      stylegan sample --model blend.safetensors
    """
    from stylegan.generator import Generator

    def make() -> Generator:
        G, other = (Generator.from_pretrained(model, resolution=resolution) for model in (a, b))
        try:
            return G.blend(other, resolution=first, width=width, mapping="own" if mapping.upper() == "A" else "other")
        except InputError as error:  # The argument has another name here, where --resolution is that of the files.
            raise InputError(re.sub("^resolution must", "--from must", str(error))) from error

    write_network(make, **target)
