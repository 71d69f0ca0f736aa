"""Make the networks of a run the package's own.

    python models/bundle.py RUN MODEL

writes the averaged generator and the discriminator (needed for fine-tuning) in half precision to stylegan/assets, their
sizes and sha256 to the model's entry in weights_manifest.json, and config, log and grid next to its card. Name, licence
and other metadata in the files come from the entry. From a run of `stylegan encoder train`, it writes only the encoder.
"""

import gzip
import hashlib
import json
from pathlib import Path

import click
from PIL import Image

from stylegan.discriminator import Discriminator
from stylegan.encoder import Encoder
from stylegan.generator import Generator
from stylegan.runtime.atomic_files import write_atomically
from stylegan.training import TrainingConfig
from stylegan.training.source import read_source
from stylegan.weights import manifest
from stylegan.weights.checkpoint import Checkpoint, config_to_json
from stylegan.weights.loading import Loaded, build_network

ROOT = Path(__file__).parents[1]
ASSETS = ROOT / "stylegan/assets"
MANIFEST = ROOT / "stylegan/weights_manifest.json"
# What the files keep from the run's metadata.
OF_GENERATOR = ("kimg", "preset", "start_from", "lineage")
OF_NETWORK = ("license", "license_url", "attribution", "dataset", "kimg")


def generator(run: Path, entry: manifest.Entry, out: Path) -> Generator:
    """Write the averaged generator from a run's last stop."""
    G = Generator.from_pretrained(run)
    about = {key: G.metadata[key] for key in OF_GENERATOR if key in G.metadata}
    source = {"source": f"trained by the stylegan authors with stylegan train (models/{entry.name})"}
    G.metadata = {"name": entry.name, **about, **source, "description": entry.description, **entry.facts}
    G.save(out, dtype="float16")
    return G


def discriminator(run: Path, name: str, out: Path, facts: dict[str, object] | None = None) -> None:
    """Write the discriminator from a run's last checkpoint. facts: the model's; None = those that the run knows."""
    checkpoint = read_source(run, TrainingConfig()).networks["D"]
    D = build_network(Discriminator, Loaded(checkpoint, str(run)))
    known = checkpoint.metadata | (facts or {})
    D.metadata = {"name": name} | {key: value for key, value in known.items() if key in OF_NETWORK}
    D.save(out, dtype="float16")


def encoder(run: Path, entry: manifest.Entry, out: Path) -> None:
    """Write the averaged encoder from a run."""
    E = Encoder.from_pretrained(run)
    known = E.metadata | entry.facts | {"dataset": f"{entry.facts['dataset']}, and images of {entry.name}"}
    E.metadata = {"name": entry.name} | {key: value for key, value in known.items() if key in OF_NETWORK}
    E.save(out, dtype="float16")


def write_entry(name: str, path: Path, assets: Path) -> None:
    """Write size and sha256 of a model's files to its entry in a manifest."""
    found = json.loads(path.read_text(encoding="utf-8"))
    for file in found["models"][name]["files"]:
        data = (assets / file["filename"]).read_bytes()
        file |= {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        click.echo(f"{file['filename']}: {len(data):,} bytes, sha256 {file['sha256']}")
    write_atomically(path, (json.dumps(found, indent=2, ensure_ascii=False) + "\n").encode())


@click.command()
@click.argument("run", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.argument("model")
def main(run: Path, model: str) -> None:
    """Make the networks of RUN those of MODEL, an entry of the manifest."""
    entry, card = manifest.entries()[model], ROOT / "models" / model
    if (run / "encoder.safetensors").exists():
        encoder(run, entry, ASSETS / f"encoder-{model}.safetensors")
        write_entry(model, MANIFEST, ASSETS)
        return
    G = generator(run, entry, ASSETS / f"{model}.safetensors")
    discriminator(run, model, ASSETS / f"discriminator-{model}.safetensors", entry.facts)
    write_entry(model, MANIFEST, ASSETS)
    described = config_to_json(Checkpoint("Generator", G.config, {}, G.metadata))
    write_atomically(card / "config.json", described.encode())
    write_atomically(card / "config.yaml", (run / "config.yaml").read_bytes())
    write_atomically(card / "log.jsonl.gz", gzip.compress((run / "log.jsonl").read_bytes(), mtime=0))
    with Image.open(run / "fakes.png") as fakes:
        fakes.save(card / "fakes.webp", quality=90, method=6)


if __name__ == "__main__":
    main()
