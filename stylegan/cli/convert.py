"""stylegan convert: a weight file of another format -> our checkpoint."""

from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from stylegan.cli.models import build
from stylegan.cli.options import choice_option, resolution_option
from stylegan.cli.write import add_metadata, check_target, force_option, metadata_option, stored_dtype_option

if TYPE_CHECKING:
    from stylegan.weights.checkpoint import NetworkName

# Lowest resolution that genforce's networks reach by a transposed convolution, by their option fused_scale.
_FUSED_FROM = {"auto": 128, "true": 8, "false": 2**16}


@click.command()
@click.argument("source", metavar="IN")
@click.argument("target", metavar="OUT", type=click.Path(path_type=Path))
@click.option(
    "--network",
    type=click.Choice(["Gs", "G", "D"]),
    help="Network to take from the file: Gs is the generator with averaged weights, G the raw one, D the discriminator."
    "  [default: Gs, or the only one]",
)
@resolution_option
@choice_option(
    "--fused-scale",
    list(_FUSED_FROM),
    "auto",
    "genforce's option of that name, which its files omit: auto = from 128x128 on.",
)
@stored_dtype_option
@metadata_option("What to record: name, dataset, license...")
@force_option
def convert(
    source: str,
    target: Path,
    network: str | None,
    resolution: int | None,
    fused_scale: str,
    dtype: str,
    metadata: tuple[str, ...],
    force: bool,
) -> None:
    """Convert weights to our checkpoint.

    IN is an official .pkl, a file of another port, a name, folder, repository or URL; OUT is a .safetensors file or a
    folder for a model hub.

    \b
    Examples:
      stylegan convert karras2019stylegan-ffhq-1024x1024.pkl ffhq.safetensors
      stylegan convert network.pkl my-model/ --dtype float16 --metadata name=my-model --metadata license=MIT
      stylegan convert network.pkl D.safetensors --network D
    """
    from stylegan.runtime.device import check_dtype
    from stylegan.weights.checkpoint import save_checkpoint, save_folder
    from stylegan.weights.loading import read_weights

    written = check_target(target, force=force, what="OUT")
    loaded = read_weights(
        source,
        network=cast("NetworkName | None", network),
        resolution=resolution,
        fused_from=_FUSED_FROM[fused_scale],
    )
    checkpoint = loaded.checkpoint
    add_metadata(checkpoint.metadata, metadata)
    # A file that does not fit its own config is refused here, before anything is written.
    build(loaded)
    save = save_checkpoint if target.suffix else save_folder
    save(target, checkpoint, dtype=check_dtype(dtype))
    click.echo(f"wrote the {checkpoint.network} of {loaded.source} to {written.resolve()}")
