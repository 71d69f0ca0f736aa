"""How close a run gets to held-out images: a Frechet distance for each snapshot, at its resolution.

    pip install matplotlib
    python models/progress.py RUN held-out.zip

writes into RUN progress.jsonl, progress.png (the curve) and progress-fakes.webp (the first seeds over time). Entries of
progress.jsonl are not measured again, except with another --extractor or number of --images; the curve shows the
requested ones. Distances at different resolutions are not comparable: at each, the curve should fall. --training
training.zip draws the distance between training and held-out images: below it, distances say little.
"""

from collections.abc import Sequence
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any

import click
import torch
from matplotlib.figure import Figure
from PIL import Image
from tqdm import tqdm

from stylegan import Generator
from stylegan.data.dataset import ImageDataset
from stylegan.extractors import Extractor, load_extractor
from stylegan.figures.layout import column, row, text
from stylegan.images.convert import from_uint8, to_uint8
from stylegan.metrics import frechet_distance
from stylegan.runtime.run_log import append_log, read_log
from stylegan.training.reals import process_reals, shrink

BATCH = 32
SEEDS = 10  # Shown in a row.
ROWS = 8


@click.command()
@click.argument("run", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.argument("held_out", type=click.Path(path_type=Path, exists=True))
@click.option("--extractor", "name", default="st-lpips-alex", show_default=True)
@click.option("--images", type=int, default=2000, show_default=True, help="Generated for each snapshot.")
@click.option(
    "--training",
    type=click.Path(path_type=Path, exists=True),
    help="Draw the distance of these images, spread evenly.",
)
def main(run: Path, held_out: Path, name: str, images: int, training: Path | None) -> None:
    """Measure the snapshots of RUN against the images of HELD_OUT."""
    paths = sorted((run / "snapshots").glob("network-*.safetensors"))
    if not paths:
        raise click.UsageError(f"{run} has no snapshots; expected the folder of a run of stylegan train")
    log, extractor = run / "progress.jsonl", load_extractor(name)
    last = Generator.from_pretrained(paths[-1])
    unseen = ImageDataset(held_out, resolution=last.img_resolution)
    measured = {entry["snapshot"] for entry in asked_for(read_log(log), name, images)}

    @cache
    def real(lod: float) -> torch.Tensor:
        """Features of the held-out images."""
        return real_features(unseen, range(len(unseen)), extractor, lod)

    for path in paths:
        if path.name in measured:
            continue
        G = Generator.from_pretrained(path)
        lod = G.synthesis.lod
        entry = {
            "snapshot": path.name,
            "kimg": G.metadata["kimg"],
            "lod": lod,
            "resolution": G.img_resolution >> int(lod),
            "distance": frechet_distance(real(lod), fake_features(G, extractor, images)),
            "extractor": name,
            "generated": images,
            "held_out": len(unseen),
        }
        append_log(log, entry)
        click.echo(f"{entry['kimg']:7.1f} kimg  {entry['resolution']:3d} px  {entry['distance']:.4g}")
    entries = sorted(asked_for(read_log(log), name, images), key=lambda entry: entry["kimg"])
    floor = None
    if training is not None:
        learnt, lod = ImageDataset(training, resolution=last.img_resolution), last.synthesis.lod
        spread = range(0, len(learnt), max(1, len(learnt) // images))[:images]
        floor = frechet_distance(real(lod), real_features(learnt, spread, extractor, lod))
        click.echo(f"training images  {floor:.4g}")
    plot(entries, floor, run / "progress.png")
    show(entries, run / "snapshots", run / "progress-fakes.webp")


def asked_for(entries: list[dict[str, Any]], extractor: str, images: int) -> list[dict[str, Any]]:
    """The measurements with one extractor and number of images."""
    return [entry for entry in entries if (entry["extractor"], entry["generated"]) == (extractor, images)]


@torch.no_grad()
def real_features(dataset: ImageDataset, indices: Sequence[int], extractor: Extractor, lod: float) -> torch.Tensor:
    """Features of images as the discriminator sees them at a level of detail: [N, D]."""
    rows = []
    for some in tqdm(torch.tensor(indices).split(BATCH), desc="real", disable=None, leave=False):
        img, _ = dataset.batch(some.tolist())
        reals = process_reals(shrink(img, dataset.resolution >> int(lod)), lod, enlarge=False)
        rows.append(extractor.features(reals))
    return torch.cat(rows)


@torch.no_grad()
def fake_features(G: Generator, extractor: Extractor, n: int) -> torch.Tensor:
    """Features of the images of seeds 0 to n - 1, without truncation, rounded to 8 bits: [n, D]."""
    rows = []
    for seeds in tqdm(torch.arange(n).split(BATCH), desc="generated", disable=None, leave=False):
        ws = G.ws(seeds.tolist(), truncation_psi=1.0)
        img = G.synthesis(ws, lod=G.synthesis.lod, enlarge=False)
        rows.append(extractor.features(from_uint8(to_uint8(img))))
    return torch.cat(rows)


def plot(entries: list[dict[str, Any]], floor: float | None, path: Path) -> None:
    """The distances over the images seen: one line per resolution, dotted while it fades in."""
    figure = Figure(figsize=(9, 4), layout="constrained")
    axes = figure.subplots()
    for i, (resolution, group) in enumerate(groupby(entries, key=lambda entry: entry["resolution"])):
        points, colour = list(group), f"C{i}"
        fading = [entry for entry in points if entry["lod"] % 1 > 0]
        whole = [entry for entry in points if entry["lod"] % 1 == 0]
        for part, style in ((fading + whole[:1], ":"), (whole, "-")):
            label = f"{resolution}x{resolution}" if style == "-" else None
            x, y = [entry["kimg"] for entry in part], [entry["distance"] for entry in part]
            axes.semilogy(x, y, style, marker="o", markersize=4, color=colour, label=label)
    if floor is not None:
        axes.axhline(floor, linestyle="--", linewidth=1, color="grey", label="training images")
    axes.set_xlabel("thousands of images seen")
    axes.set_ylabel(f"Frechet distance, {entries[0]['extractor']}")
    axes.legend()
    axes.grid(alpha=0.3)
    figure.savefig(path, dpi=100)


def show(entries: list[dict[str, Any]], snapshots: Path, path: Path) -> None:
    """The images of the first seeds, from the first snapshot to the last whose image file still exists."""
    pictures = [snapshots / e["snapshot"].replace("network", "fakes").replace("safetensors", "png") for e in entries]
    found = [(entry, picture) for entry, picture in zip(entries, pictures, strict=True) if picture.exists()]
    if not found:
        return
    last = found[-1][0]["kimg"]
    nearest = [min(found, key=lambda e: abs(e[0]["kimg"] - i / (ROWS - 1) * last)) for i in range(ROWS)]
    lines = []
    for i, (entry, picture) in enumerate(nearest):
        if (entry, picture) in nearest[:i]:  # Fewer pictures than rows.
            continue
        fakes = Image.open(picture)
        side = fakes.width // 8  # Grids of 64 images are square.
        tiles = [
            fakes.crop((k % 8 * side, k // 8 * side, k % 8 * side + side, k // 8 * side + side)) for k in range(SEEDS)
        ]
        lines.append(row([text(f"{entry['kimg']:.0f} kimg", size=13, width=80, height=side), *tiles]))
    column(lines).save(path, quality=90)


if __name__ == "__main__":
    main()
