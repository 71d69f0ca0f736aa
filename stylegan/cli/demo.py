"""stylegan demo: the generator in a local web page."""

import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from stylegan.cli.models import where_is
from stylegan.cli.options import resolution_option
from stylegan.errors import InputError
from stylegan.weights import manifest
from stylegan.weights.manifest import DEFAULT_MODEL

if TYPE_CHECKING:
    from torch import Tensor

    from stylegan.latents.directions import Direction


@click.command()
@click.option(
    "--model",
    "models",
    multiple=True,
    metavar="NAME|PATH|REPO|URL",
    help="A model to offer on the page. Repeatable.  [default: those on this computer, see `stylegan list`]",
)
@click.option(
    "--encoder",
    "encoders",
    multiple=True,
    metavar="FILE",
    help="Encoder for photos, of a model on the page. Repeatable.  [default: the models' own]",
)
@resolution_option
@click.option("--host", default="127.0.0.1", show_default=True, help="0.0.0.0 shows the page to the whole network.")
@click.option("--port", type=click.IntRange(0, 65535), default=7860, show_default=True, help="0 = any free port.")
@click.option("--device", default="cpu", show_default=True, help="cpu, cuda, cuda:1...")
def demo(
    models: tuple[str, ...], encoders: tuple[str, ...], resolution: int | None, host: str, port: int, device: str
) -> None:
    """Play with a generator in the browser: seeds, truncation, noise, style mixing, interpolation, your own photos.

    \b
    Examples:
      stylegan demo
      stylegan demo --model avatars-128 --model runs/photos/network.safetensors --port 8000
      stylegan demo --model runs/photos/network.safetensors --encoder runs/encoder
    """
    from stylegan.demo import Studio, serve
    from stylegan.encoder import Encoder

    if resolution is not None and not models:
        raise InputError(f"--resolution {resolution} is for a file without it; name the file with --model")
    named = {_name(model): model for model in models} if models else _models_here()
    studio = Studio(
        named,
        directions=_directions(named),
        encoders=[Encoder.from_pretrained(encoder, device=device) for encoder in encoders],
        resolution=resolution,
        device=device,
    )
    serve(studio, host=host, port=port, ready=_tell)


def _directions(named: dict[str, str]) -> "dict[str, dict[str, Callable[[Tensor, float], Tensor]]]":
    """The bundled editing directions, by the models' names on the page."""
    from stylegan.editing import bundled_directions
    from stylegan.generator import Generator

    known = manifest.entries()
    bundled = {name: model for name, model in named.items() if model in known and known[model].is_bundled}
    return {
        name: {
            direction.name: functools.partial(_move, direction)
            for direction in bundled_directions(Generator.from_pretrained(model)).values()
        }
        for name, model in bundled.items()
    }


def _move(direction: "Direction", ws: "Tensor", strength: float) -> "Tensor":
    from stylegan.latents.directions import edit

    return edit(ws, direction, strength)


def _models_here() -> dict[str, str]:
    """The models of the manifest that need no download, the default one first."""
    from stylegan.weights.hub.cache import Cache

    cache = Cache.open()
    here = [name for name, entry in manifest.entries().items() if where_is(entry, cache) != "to download"]
    return {name: name for name in sorted(here, key=lambda name: name != DEFAULT_MODEL)}


def _name(model: str) -> str:
    """The name of a model on the page: the last two parts of a path."""
    return os.sep.join(Path(model).parts[-2:])


def _tell(address: str) -> None:
    click.echo(f"the demo is at {address}  (Ctrl+C ends it)")
