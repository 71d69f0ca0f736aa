"""stylegan evaluate: FID, KID, precision and recall, perceptual path length, linear separability."""

import json
from pathlib import Path
from typing import Any

import click

from stylegan.cli.options import noise_mode_option, resolution_option
from stylegan.cli.output import show_table
from stylegan.runtime.atomic_files import write_atomically
from stylegan.runtime.choices import (
    DEFAULT_CLASSIFIERS,
    DEFAULT_DISTANCE,
    DEFAULT_EVALUATION_NOISE,
    DEFAULT_EXTRACTOR,
    DEFAULT_METRICS,
)
from stylegan.weights.manifest import DEFAULT_MODEL

# Below, a distance between sets of images depends more on their number than on the model.
FEW = 5000


@click.command()
@click.argument("model", default=DEFAULT_MODEL, metavar="[NAME|PATH|REPO|URL]")
@click.option("--data", metavar="PATH", help="Real images, a zip or folder, for metrics that compare with them.")
@click.option(
    "--metrics",
    default=DEFAULT_METRICS,
    show_default=True,
    metavar="NAME,...",
    help="Append a number of images to change it: fid10k, ppl_w20k, ls20k...",
)
@click.option(
    "--extractor",
    default=DEFAULT_EXTRACTOR,
    show_default=True,
    metavar="NAME|FILE",
    help="Features that such metrics compare: inception-2015, st-lpips-vgg, st-lpips-alex, or a weight file.",
)
@click.option(
    "--distance",
    default=DEFAULT_DISTANCE,
    show_default=True,
    metavar="NAME|FILE",
    help="Distance for ppl: st-lpips-vgg or st-lpips-alex.",
)
@click.option(
    "--classifiers",
    default=",".join(DEFAULT_CLASSIFIERS),
    show_default=True,
    metavar="NAME,...",
    help="Attributes for ls.",
)
@click.option("--num-latents", type=click.IntRange(min=1), default=1, help="Latents mixed in each image.  [default: 1]")
@noise_mode_option(DEFAULT_EVALUATION_NOISE)
@click.option("--face-crop/--no-face-crop", default=True, help="Crop images to the face for ppl.  [default: yes]")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Image i has z of seed + i.")
@click.option("--batch-size", type=click.IntRange(min=1), help="Images in a batch.  [default: by resolution]")
@resolution_option
@click.option("--device", default="cpu", show_default=True, help="cpu, cuda, cuda:1...")
@click.option("--cache-dir", metavar="FOLDER", help="Where features of real images are cached.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="Write the full result as JSON.")
def evaluate(
    model: str,
    metrics: str,
    classifiers: str,
    resolution: int | None,
    device: str,
    out: Path | None,
    **given: Any,
) -> None:
    """Measure a model. --out records everything needed to repeat it.

    Numbers can only be compared with the same extractor or distance. Several GPUs or processes:
    torchrun --nproc-per-node 8 -m stylegan.metrics MODEL --data ...

    \b
    Examples:
      stylegan evaluate --data faces.zip --out faces-128.json
      stylegan evaluate runs/faces --data faces.zip --metrics fid10k --extractor st-lpips-vgg
      stylegan evaluate --metrics ppl_w10k,ppl_z10k,ls20k
    """
    from stylegan.generator import Generator
    from stylegan.metrics import Settings
    from stylegan.metrics import evaluate as measure
    from stylegan.metrics.names import parse_metrics
    from stylegan.runtime.distributed import connect, disconnect, own_device
    from stylegan.runtime.memory import keep_freed_memory

    settings = Settings(metrics=parse_metrics(metrics), classifiers=tuple(classifiers.split(",")), **given)
    place = own_device(device)
    keep_freed_memory()
    G = Generator.from_pretrained(model, resolution=resolution, device=place)
    world = connect(place)
    try:
        result = measure(G, settings, world=world)
    finally:
        disconnect()
    if not world.is_first:
        return
    if out is not None:
        write_atomically(out, (json.dumps(result, indent=2) + "\n").encode())
    show_table(
        [(name, f"{entry['value']:.4g}", _measured(name, entry, result)) for name, entry in result["metrics"].items()]
    )
    compared = {
        name: min(entry["images"], entry["reals"]) for name, entry in result["metrics"].items() if "reals" in entry
    }
    if few := [name for name, count in compared.items() if count < FEW]:
        fewest = f"{min(compared.values()):,} images"
        click.echo(f"note: {', '.join(few)} of {fewest} are rough; compare them only at equal counts")


def _measured(name: str, entry: dict[str, Any], result: dict[str, Any]) -> str:
    """The number of images behind a value, and its extractor or distance."""
    from stylegan.metrics.names import definition_of

    definition = definition_of(name)
    parts = [text.format(entry[count]) for count, text in _counted(entry) if count in entry]
    if definition and definition.network:
        parts.append(result[definition.network]["name"])
    return ", ".join(parts)


def _counted(entry: dict[str, Any]) -> list[tuple[str, str]]:
    """The counts that a value may have, and their formats."""
    images = "{:,} generated" if "reals" in entry else "{:,} images"
    return [("images", images), ("reals", "{:,} real images"), ("paths", "{:,} paths")]
