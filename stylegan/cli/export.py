"""stylegan export: a model in a format that other programs run."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from stylegan.cli.options import choice_option, resolution_option
from stylegan.cli.types import EncoderType
from stylegan.weights.manifest import DEFAULT_MODEL

if TYPE_CHECKING:
    from stylegan.export import NoiseForm


@click.command()
@click.argument("model", default=DEFAULT_MODEL, metavar="[NAME|PATH|REPO|URL]")
@click.option("--format", "form", type=click.Choice(["onnx"]), default="onnx", show_default=True)
@click.option("--out", type=click.Path(path_type=Path), default="onnx", show_default=True, metavar="FOLDER")
@choice_option(
    "--noise",
    ["const", "input"],
    "const",
    "const: the network contains the stored noise; input: it takes one map per layer.",
)
@click.option(
    "--encoder",
    type=EncoderType(),
    metavar="FILE|MODEL",
    help="Export an encoder of photos as well: a file, a training run, or the name of a model with one.",
)
@resolution_option
@click.option("--force", is_flag=True, help="Overwrite existing files.")
def export(
    model: str,
    form: str,
    out: Path,
    noise: "NoiseForm",
    encoder: Path | str | None,
    resolution: int | None,
    force: bool,
) -> None:
    """Export a generator as ONNX: mapping.onnx, synthesis.onnx and model.json, equal to PyTorch within 1e-4.

    Bundled directions are written to directions.json.

    \b
    Examples:
      stylegan export
      stylegan export avatars-128 --format onnx --out avatars/ --noise input
      stylegan export faces-128 --encoder faces-128 --noise input --out faces/
    """
    from stylegan.encoder import Encoder
    from stylegan.export import export_onnx
    from stylegan.generator import Generator

    G = Generator.from_pretrained(model, resolution=resolution)
    click.echo(f"{G.name}: {G.metadata.get('license', 'licence unknown')}", err=True)
    click.echo("exporting; this may take a minute", err=True)
    E = None if encoder is None else Encoder.from_pretrained(encoder)
    paths = export_onnx(G, out, noise=noise, encoder=E, overwrite=force)
    for path in paths:
        click.echo(f"wrote {path.resolve()} ({path.stat().st_size / 1e6:.1f} MB)")
