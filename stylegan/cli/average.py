"""stylegan average: the mean of several networks."""

from typing import Any

import click

from stylegan.cli.options import resolution_option
from stylegan.cli.types import NumbersType
from stylegan.cli.write import network_options, write_network
from stylegan.errors import InputError


@click.command()
@click.argument("models", nargs=-1, required=True, metavar="MODEL MODEL...")
@click.option(
    "--weights",
    type=NumbersType(),
    metavar="W,W...",
    help="Weights of the mean, one per network.  [default: equal]",
)
@resolution_option
@network_options
def average(
    models: tuple[str, ...],
    weights: list[float] | None,
    resolution: int | None,
    **target: Any,
) -> None:
    """Average the weights of related networks: snapshots of a run, or runs from one start. All licences apply.

    \b
    Examples:
      stylegan average runs/a runs/b runs/c --out mean.safetensors
      stylegan average faces-128 runs/drawings --weights 0.3,0.7 --out half-drawn.safetensors
    """
    from stylegan.generator import Generator

    def make() -> Generator:
        G, *others = (Generator.from_pretrained(model, resolution=resolution) for model in models)
        return G.average(others, weights=weights)

    if len(models) < 2:
        raise InputError(f"expected two or more networks, got only {models[0]}")
    write_network(make, **target)
