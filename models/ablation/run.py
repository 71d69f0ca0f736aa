"""The paper in miniature: tables 1 to 4 on rendered heads of 32x32, in a night on two cores.

    python models/ablation/run.py --work FOLDER

makes or continues everything: renders the heads (npm), trains classifiers of their attributes, trains and measures
twelve networks with two seeds each, and writes docs/ablation.md and docs/images/ablation.webp. An interrupted call
continues where it stopped. What each network gave is kept in models/ablation/results, with the repository: networks
that are there are not trained again, on any machine. `--smoke` does the same in a size that shows nothing, `--only E`
only some networks.
"""

import dataclasses
import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import click
from PIL import Image

FOLDER = Path(__file__).resolve().parent
ROOT = FOLDER.parents[1]
sys.path.insert(0, str(ROOT))  # For the modules next to this script.

from models.ablation import page  # noqa: E402
from models.attributes import train as attributes  # noqa: E402
from models.attributes.labels import HEADS  # noqa: E402
from stylegan import Generator, images  # noqa: E402
from stylegan.data.dataset import ImageDataset  # noqa: E402
from stylegan.extractors.attributes import AttributeClassifier  # noqa: E402
from stylegan.metrics import Settings, evaluate  # noqa: E402
from stylegan.runtime.atomic_files import write_atomically  # noqa: E402
from stylegan.training import TrainingConfig, train  # noqa: E402

RESOLUTION = 32

# The networks by their name, with what differs from the common settings.
NETWORKS: dict[str, dict[str, Any]] = {
    **{preset: {"preset": preset} for preset in "ABCDEF"},
    "50": {"preset": "F", "style_mixing_prob": 0.5},
    "100": {"preset": "F", "style_mixing_prob": 1.0},
    "traditional-8": {"preset": "B", "mapping_layers": 8},
    "style-0": {"preset": "F", "mapping_layers": 0},
    "style-1": {"preset": "F", "mapping_layers": 1},
    "style-2": {"preset": "F", "mapping_layers": 2},
}
MIXING = ("E", "50", "F", "100")  # Those that table 2 tests with 1 to 4 latents.

COLUMNS = 10  # Heads of each network in the image.


@dataclasses.dataclass(frozen=True)
class Size:
    """How much is computed."""

    pictures: int = 20_000
    seeds: int = 2
    kimg: float = 120
    training: dict[str, Any] = dataclasses.field(
        default_factory=lambda: {
            "training_kimg": {4: 8, 8: 12, 16: 20},
            "transition_kimg": {8: 8, 16: 12, 32: 20},
            "batch": 32,
            "fmap_base": 512,
            "fmap_max": 64,
            "z_dim": 128,
            "w_dim": 128,
            "hidden_dim": 128,
            "learning_rate": 0.002,
            "r1_gamma": {8: 0.5, 16: 1, 32: 2},
            "r1_interval": 4,
            "ema_kimg": 10,
            "snapshot_kimg": 30,
            "dtype": "float32",  # "auto" would be another type on some processors.
        }
    )
    epochs: int = 5
    metrics: str = "fid10k,ppl_z1k,ppl_w1k,ppl_zend1k,ppl_wend1k,ls10k"
    mixed: str = "fid10k"
    extractor: str = "st-lpips-alex"
    distance: str = "st-lpips-vgg"


SMOKE = Size(
    pictures=64,
    seeds=1,
    kimg=0.016,
    training={
        "initial_resolution": 32,
        "batch": 8,
        "fmap_base": 64,
        "fmap_max": 8,
        "z_dim": 8,
        "w_dim": 8,
        "hidden_dim": 8,
    },
    epochs=1,
    metrics="fid64,ppl_z100,ppl_w100,ppl_zend100,ppl_wend100,ls64",
    mixed="fid64",
    extractor="random-conv",
    distance="random-conv",
)


@dataclasses.dataclass(frozen=True, eq=False)
class Work:
    """The size of the experiment, the folder of data and runs, and the folder of what the networks gave."""

    folder: Path
    results: Path
    size: Size

    @property
    def data(self) -> Path:
        """The rendered heads."""
        return self.folder / f"heads-{RESOLUTION}.zip"

    def result(self, network: str, seed: int) -> Path:
        """The measurements of a network, by its number of latents."""
        return self.results / f"{network}-{seed}.json"

    def heads(self, network: str) -> Path:
        """Some heads of a network, of the first training."""
        return self.results / f"{network}.png"

    def run(self, network: str, seed: int) -> Path:
        """The folder of a network's training."""
        return self.folder / f"runs/{network}-{seed}"


def render(work: Work, pictures: Path | None) -> None:
    """Render the heads, unless they are given, and make a data set of them."""
    if work.data.exists():
        return
    folder = pictures or work.folder / "pictures"
    if pictures is None:
        renderer = work.folder / "renderer"
        shutil.copytree(ROOT / "models/avatars-128", renderer, dirs_exist_ok=True)
        subprocess.run(["npm", "ci", "--silent"], cwd=renderer, check=True)
        count = str(work.size.pictures)
        subprocess.run(["node", "render.mjs", folder.resolve(), count, str(RESOLUTION)], cwd=renderer, check=True)
    command = [sys.executable, "-m", "stylegan", "dataset", str(folder), str(work.data)]
    subprocess.run([*command, "--resolution", str(RESOLUTION)], check=True)
    write_atomically(work.folder / "heads.json", (folder / "attributes.json").read_bytes())


@cache
def classifiers(work: Work) -> list[AttributeClassifier]:
    """The classifiers of all attributes; trained anew in each process, to the same numbers, in a minute."""
    dataset = ImageDataset(work.data)
    heads = json.loads((work.folder / "heads.json").read_text())
    labels = attributes.labels_of(dataset.names, heads, HEADS)
    found = attributes.fit(dataset, labels, HEADS, epochs=work.size.epochs)
    right = {name: round(figures["accuracy"], 4) for name, (_, figures) in found.items()}
    write_json(work.results / "classifiers.json", right)
    return [classifier for classifier, _ in found.values()]


def write_json(path: Path, found: Any) -> None:
    """Keep a result."""
    write_atomically(path, (json.dumps(found, indent=2) + "\n").encode())


def make(work: Work, network: str, seed: int) -> None:
    """Train a network, or finish its training, and measure it."""
    run, size = work.run(network, seed), work.size
    settings = {**size.training, **NETWORKS[network], "kimg": size.kimg, "seed": seed, "data": str(work.data)}
    train(TrainingConfig(**settings, mirror=False, device="cpu"), run, resume=True)
    G = Generator.from_pretrained(run)
    common: dict[str, Any] = {"data": work.data, "extractor": size.extractor, "distance": size.distance}
    if seed == 0:
        heads = images.grid(list(G.sample(COLUMNS, truncation_psi=1.0)), columns=COLUMNS)
        images.save(heads, work.heads(network))
    found = {}
    for latents in (1, 2, 3, 4) if network in MIXING else (1,):
        what = size.metrics if latents == 1 else size.mixed
        given: dict[str, Any] = {"classifiers": classifiers(work)} if latents == 1 else {}
        measured = evaluate(G, Settings(metrics=what, face_crop=False, num_latents=latents, **common, **given))
        found[latents] = measured | {"kimg": size.kimg}
    write_json(work.result(network, seed), found)


def picture(work: Work, out: Path) -> None:
    """A row of heads for each network: the first seeds, without truncation, of the first training."""
    networks = [name for name in NETWORKS if work.heads(name).exists()]
    tiles = []
    for network in networks:
        row, size = Image.open(work.heads(network)), RESOLUTION
        tiles += [images.resize(row.crop((i, 0, i + size, size)), 64) for i in range(0, row.width, size)]
    images.save(images.grid(tiles, columns=COLUMNS, row_headings=networks, padding=2), out)


@click.command()
@click.option("--work", "folder", type=click.Path(path_type=Path, file_okay=False), required=True)
@click.option("--smoke", is_flag=True, help="A size for tests: nothing can be read from its numbers.")
@click.option("--only", multiple=True, type=click.Choice(list(NETWORKS)), help="Only this network. Repeatable.")
@click.option("--seed", "only_seed", type=int, help="Only this training seed.")
@click.option("--jobs", type=click.IntRange(min=1), default=2, show_default=True, help="Networks at a time.")
@click.option("--pictures", type=click.Path(path_type=Path, exists=True), help="What render.mjs has rendered already.")
@click.option("--docs", type=click.Path(path_type=Path), default=ROOT / "docs", help="Where the page is written.")
def main(
    folder: Path,
    smoke: bool,
    only: tuple[str, ...],
    only_seed: int | None,
    jobs: int,
    pictures: Path | None,
    docs: Path,
) -> None:
    """Make or continue all, and write the page."""
    work = Work(folder, folder / "results", SMOKE) if smoke else Work(folder, FOLDER / "results", Size())
    networks = list(only or NETWORKS)
    seeds = [seed for seed in range(work.size.seeds) if only_seed in (None, seed)]
    todo = [(n, s) for s in seeds for n in networks if not work.result(n, s).exists()]
    if todo:
        folder.mkdir(parents=True, exist_ok=True)
        render(work, pictures)
    if len(todo) == 1:
        make(work, *todo[0])
    else:
        # Each in its own process with one thread: two of these on two cores are faster than two threads.
        arguments = [sys.executable, __file__, "--work", str(folder), *(["--smoke"] if smoke else [])]

        def start(network: str, seed: int) -> None:
            click.echo(f"{network}, seed {seed}: {work.run(network, seed)}")
            environment = os.environ | {"OMP_NUM_THREADS": "1"}
            subprocess.run([*arguments, "--only", network, "--seed", str(seed)], check=True, env=environment)

        with ThreadPoolExecutor(jobs) as pool:
            list(pool.map(lambda item: start(*item), todo))
    if only_seed is not None:
        return
    found = {path.stem: json.loads(path.read_text()) for path in sorted(work.results.glob("*-*.json"))}
    right = json.loads((work.results / "classifiers.json").read_text())
    write_atomically(docs / "ablation.md", page.page(found, right).encode())
    picture(work, docs / "images/ablation.webp")
    click.echo(f"wrote {docs / 'ablation.md'}")


if __name__ == "__main__":
    main()
