"""The discriminator of a run's last checkpoint in half precision, for the package: fine-tuning needs it.

    python models/discriminator.py RUN stylegan/assets/discriminator-NAME.safetensors

prints the entry's size and sha256 for `weights_manifest.json`.
"""

import hashlib
from pathlib import Path

import click

from stylegan.discriminator import Discriminator
from stylegan.training import TrainingConfig
from stylegan.training.source import read_source
from stylegan.weights.loading import Loaded, build_network

KEPT = ("license", "license_url", "attribution", "dataset", "kimg")


@click.command()
@click.argument("run", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.argument("out", type=click.Path(path_type=Path, dir_okay=False))
def main(run: Path, out: Path) -> None:
    """Write the discriminator of RUN's last checkpoint to OUT."""
    checkpoint = read_source(run, TrainingConfig()).networks["D"]
    D = build_network(Discriminator, Loaded(checkpoint, str(run)))
    name = out.stem.removeprefix("discriminator-")
    D.metadata = {"name": name} | {key: value for key, value in checkpoint.metadata.items() if key in KEPT}
    D.save(out, dtype="float16")
    data = out.read_bytes()
    click.echo(f"{out}: {len(data)} bytes, sha256 {hashlib.sha256(data).hexdigest()}")


if __name__ == "__main__":
    main()
