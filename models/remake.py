"""Make everything again that follows from a bundled model: assets, directions, images, screenshots, numbers.

    python models/remake.py                      # all bundled models, what is out of date
    python models/remake.py faces-128 --run runs/faces-128 --encoder runs/encoder --data faces.zip --held-out test.zip
    python models/remake.py --only pictures --list

Steps run in this order. A step is skipped if made.json records it for the same model, directions and command, so an
interrupted call continues where it stopped. --only takes groups, or single steps by their names in --list.
The file is long because it is one list: all that follows from a model.

    weights      from --run: stylegan/assets, the entry in weights_manifest.json; config, log and grid next to the card;
                 from --encoder: the model's encoder
    curve        from --run and --held-out: the distance to held-out images, next to the card (models/progress.py)
    directions   the bundled editing directions of a model that has them
    pictures     every image of docs/images that a page shows with the command that makes it
    screenshots  of `stylegan demo` and examples/web, by tests/browser
    numbers      the tables of docs/measured-*.md; prints what changed, and which sentences quote it
    checks       the tests about the bundled models
"""

import hashlib
import json
import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import click
from PIL import Image

from stylegan import Generator, grid, images, project
from stylegan.figures.layout import column, row, text
from stylegan.projection import cut_face, load_photo
from stylegan.runtime.atomic_files import write_atomically
from stylegan.weights import manifest
from stylegan.weights.manifest import DEFAULT_MODEL

ROOT = Path(__file__).parents[1]
IMAGES = ROOT / "docs/images"
ASSETS = ROOT / "stylegan/assets"
MADE = ROOT / "models/made.json"
WORK = ROOT / "build/remake"  # May be deleted: results, judges, photos.

# The attributes of heads that have a direction. Kinds of hair, eyes and beards do not lie on a line in w.
HEADS = ("light-hair", "warm-hair", "light-skin", "warm-background")

# In backticks, perhaps over several lines, or on a line of its own.
COMMAND = re.compile(
    r"`((?:stylegan|python) [^`]+ --out [\w.-]+\.webp)`|^((?:stylegan|python) .+ --out [\w.-]+\.webp)$", re.MULTILINE
)


@dataclass(frozen=True)
class Given:
    """What the caller has provided."""

    run: Path | None = None
    encoder: Path | None = None
    data: Path | None = None
    held_out: Path | None = None


@dataclass(frozen=True)
class Step:
    """Something that follows from a model."""

    group: str
    what: str
    model: str
    command: str  # How it is made, for the state; a step whose command changed runs again.
    make: Callable[[], object]
    needs: tuple[str, ...] = ()  # Fields of Given that it requires.
    source: Path | None = None  # The network that decides it; None = the bundled files.

    @property
    def name(self) -> str:
        """Its name in made.json and --only."""
        return f"{self.group}/{self.what}"


def is_of_faces(model: str) -> bool:
    """Whether it makes faces; the others make cartoon heads."""
    return model.startswith("faces-")


def files_of(model: str) -> list[Path]:
    """The bundled files that decide what a model shows: its weights and its directions."""
    paths = [ASSETS / f"{model}.safetensors", ASSETS / f"directions-{model}.safetensors"]
    return [path for path in paths if path.exists()]


def fingerprint(step: Step) -> str:
    """What decides whether a step is up to date: its command, and the sha256 of its network or model."""
    paths = [step.source] if step.source else files_of(step.model)
    if step.group == "directions":
        paths = paths[:1]  # It makes the directions itself.
    total = hashlib.sha256(step.command.encode())
    for path in paths:
        total.update(hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()[:16]


def call(*words: object, folder: Path = ROOT, **environment: str) -> None:
    """Run a command of this Python: stylegan, python or pytest."""
    first, *rest = map(str, words)
    start = {"python": [sys.executable], "pytest": [sys.executable, "-m", "pytest"]}
    command = [*start.get(first, [sys.executable, "-m", first]), *rest]
    paths = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    subprocess.run(command, cwd=folder, check=True, env=os.environ | {"PYTHONPATH": paths} | environment)


# Weights.


def measure_run(model: str, run: Path, held_out: Path, data: Path | None) -> None:
    """The curve of a run, next to its card."""
    training = ["--training", data.resolve()] if data else []
    call("python", "models/progress.py", run.resolve(), held_out.resolve(), *training)
    for name in ("progress.jsonl", "progress.png"):
        write_atomically(ROOT / "models" / model / name, (run / name).read_bytes())
    with Image.open(run / "progress-fakes.webp") as grown:
        grown.save(ROOT / "models" / model / "progress-fakes.webp", quality=90, method=6)


# Images.


def commands(pages: Sequence[Path]) -> dict[str, list[str]]:
    """The commands that pages show with images, by the image's name."""
    found = {}
    for page in pages:
        for match in COMMAND.finditer(page.read_text(encoding="utf-8")):
            words = shlex.split(match[1] or match[2])
            found[words[-1]] = words
    return found


def model_of(words: Sequence[str]) -> str:
    """The model that a command takes."""
    return words[words.index("--model") + 1] if "--model" in words else DEFAULT_MODEL


def make_image(words: Sequence[str]) -> None:
    """Run the command of an image in the folder of images; scripts are named relative to the repository."""
    script = [str(ROOT / words[1])] if words[0] == "python" else [words[1]]
    call(words[0], *script, *words[2:], folder=IMAGES)


def make_faces() -> None:
    """The image of README.md's first lines of Python."""
    faces = Generator.from_pretrained().sample(seeds=range(32), truncation_psi=0.7)
    images.save(grid(faces, columns=8), IMAGES / "faces.webp")


def photos() -> list[Path]:
    """Two photos in the public domain, from scikit-image and matplotlib."""
    from matplotlib import cbook
    from skimage import data

    paths = [WORK / "eileen.png", WORK / "grace.jpg"]
    Image.fromarray(data.astronaut()).save(paths[0])
    paths[1].write_bytes(Path(cbook.get_sample_data("grace_hopper.jpg", asfileobj=False)).read_bytes())
    return paths


def make_projection() -> None:
    """The steps from the average face to the photos."""
    call("stylegan", "project", *photos(), "--steps", 200, "--out", WORK / "projection")
    with Image.open(WORK / "projection/way.png") as way:
        way.convert("RGB").save(IMAGES / "projection.webp", quality=90, method=6)


def make_photos() -> None:
    """The photos, cropped; found by the encoder; after the steps of a hybrid; and these edited."""
    G = Generator.from_pretrained()
    faces = [cut_face(load_photo(path), G.img_resolution) for path in photos()]
    at_once, found = (project(faces, G, method=method) for method in ("encoder", "hybrid"))
    columns = {"photo": faces, "encoder": images.to_pil(at_once.img), "hybrid": images.to_pil(found.img)}
    for name, strength in (("age", -2), ("age", 2), ("gender", 2)):
        ws = G.edit(found.latents.ws, name, strength)
        columns[f"{name} {strength:+}"] = G.render(ws, noise=found.latents.noise)
    headings = row([text(name, size=13, width=G.img_resolution, height=20) for name in columns])
    shown = column([headings, *(row(list(tiles)) for tiles in zip(*columns.values(), strict=True))])
    shown.save(IMAGES / "photos.webp", quality=90, method=6)


def make_screenshots() -> None:
    """Screenshots of the demo and the static page by the browser tests."""
    kept = "opens_with_a_face or mixing_board or of_a_person or stays_in_view_on_a_phone or phone_shows"
    kept += " or made_by_the_library"
    files = [f"tests/browser/test_{name}.py" for name in ("demo", "demo_words", "web", "web_photo")]
    call("pytest", *files, "-k", kept, SCREENSHOTS=str(IMAGES))


# Numbers.


def put(table: str, page: str, *further: str) -> None:
    """Put the numbers of a table into a page, and print what changed; see tables.py."""
    command = [sys.executable, "models/tables.py", f"docs/{page}", *further]
    subprocess.run(command, cwd=ROOT, input=table, text=True, check=True)


def benchmark(page: str, model: str, *words: object) -> None:
    """Run a benchmark, and put its tables into a page."""
    command = [sys.executable, "-m", *map(str, words), "--model", model]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    click.echo(done.stdout)
    put(done.stdout, page, f"models/{model}/README.md", "README.md")


def evaluate(model: str, metrics: str, *words: object) -> None:
    """Measure a model, and put the values into the page of metrics."""
    out = WORK / f"{model}-{metrics.replace(',', '-')}.json"
    call("stylegan", "evaluate", model, "--metrics", metrics, *words, "--out", out)
    found = json.loads(out.read_text())["metrics"]
    lines = [f"| {name} | {short(entry['value'])} |" for name, entry in found.items()]
    table = "\n".join([f"| metric | {model} |", "|---|---|", *lines])
    put(table, "measured-metrics.md", f"models/{model}/README.md", "README.md")


def short(number: float) -> str:
    """Two digits of small numbers, two decimals of others."""
    mantissa, exponent = f"{number:.1e}".split("e")
    return f"{mantissa}e{int(exponent)}" if number < 0.01 else f"{number:.3f}" if number < 1 else f"{number:.2f}"


def classifiers(names: Sequence[str], data: Path, seed: int) -> Path:
    """The folder of the classifiers of some attributes, which are trained first."""
    folder = WORK / f"classifiers-{seed}"
    if not all((folder / f"{name}.safetensors").exists() for name in names):
        words = [*names, "--data", data.resolve(), "--seed", seed, "--out", folder]
        # There are more heads than faces, and their labels are exact.
        call("python", "models/attributes/train.py", *words, *(("--epochs", 3) if names == HEADS else ()))
    return folder


def find_directions(search: Sequence[str], model: str, data: Path) -> None:
    """The bundled directions. The package has the classifiers of faces; those of heads are trained first."""
    if not is_of_faces(model):
        folder = classifiers(HEADS, data, 0)
        search = [str(folder / f"{word}.safetensors") if word in HEADS else word for word in search]
    call(*search, "--out", ASSETS / f"directions-{model}.safetensors")


def measure_directions(model: str, data: Path) -> None:
    """What the directions change, judged by classifiers that were not used to find them and are trained first."""
    names = ("age", "gender") if is_of_faces(model) else HEADS
    words: list[object] = ["--attributes", ",".join(names), "--judges", classifiers(names, data, 1)]
    if not is_of_faces(model):
        words += ["--classifiers", classifiers(names, data, 0)]
    for strength in ([], ["--strength", 1]):
        benchmark("measured-editing.md", model, "benchmarks.editing", *words, *strength)


def measure_projection(model: str, held_out: Path) -> None:
    """How close photos come."""
    words = ("--data", held_out.resolve(), "--count", 8, "--steps", 200)
    benchmark("measured-projection.md", model, "benchmarks.projection", *photos(), *words)


def measure_encoder(model: str, held_out: Path) -> None:
    """How close the encoder comes. The slow rows, of optimization and refinement, take an hour and more by hand."""
    words = ("--count", 32, "--methods", "encoder", "--refined", 0)
    benchmark("projection.md", model, "benchmarks.encoder", held_out.resolve(), *words)


# All steps.


def steps(model: str, given: Given) -> Iterator[Step]:
    """Everything that follows from a model, in order."""
    run, data, held_out = given.run, given.data, given.held_out
    if run:
        make: Callable[[], object] = partial(call, "python", "models/bundle.py", run.resolve(), model)
        yield Step("weights", model, model, "models/bundle.py", make, source=run / "network.safetensors")
    if given.encoder:
        make = partial(call, "python", "models/bundle.py", given.encoder.resolve(), model)
        source = given.encoder / "encoder.safetensors"
        yield Step("weights", f"encoder-{model}", model, "models/bundle.py", make, source=source)
    if run and held_out:
        make = partial(measure_run, model, run, held_out, data)
        yield Step("curve", model, model, "models/progress.py", make, source=run / "network.safetensors")
    search = f"stylegan directions {model} --method sefa --method pca --method gradient -n 3".split()
    if not is_of_faces(model):
        search += ["--no-hold-colours", *(word for name in HEADS for word in ("--attribute", name))]
    make, needs = partial(find_directions, search, model, data or Path()), () if is_of_faces(model) else ("data",)
    yield Step("directions", model, model, shlex.join(search), make, needs)
    shown = {path.name for path in IMAGES.iterdir()}
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    for name, words in sorted(commands(pages).items()):
        if model_of(words) == model and name in shown:
            yield Step("pictures", name, model, shlex.join(words), partial(make_image, words))
    if model == DEFAULT_MODEL:
        yield Step("pictures", "faces.webp", model, "README.md", make_faces)
        yield Step("pictures", "projection.webp", model, "stylegan project --steps 200", make_projection)
        source = ASSETS / f"encoder-{model}.safetensors"
        yield Step("pictures", "photos.webp", model, "stylegan project --method hybrid", make_photos, source=source)
        yield Step("screenshots", "pages", model, "tests/browser", make_screenshots)
    yield from numbers(model, data, held_out)
    files = ["tests/weights/test_checkpoint.py", "tests/weights/test_manifest.py", "tests/editing/test_bundled.py"]
    yield Step("checks", model, model, " ".join(files), partial(call, "pytest", *files))


def numbers(model: str, data: Path | None, held_out: Path | None) -> Iterator[Step]:
    """The measurements of a model. Faces have classifiers in the package, and photos to project."""
    measured = {
        "distances": ("fid50k,kid50k,pr50k", ("--data", data, "--extractor", "st-lpips-alex")),
        "paths": ("ppl_z1k,ppl_w1k,ppl_zend1k,ppl_wend1k", ()),
        "separability": ("ls10k", ()),
    }
    for name, (metrics, words) in measured.items() if is_of_faces(model) else ():
        make: Callable[[], object] = partial(evaluate, model, metrics, *words)
        needs = ("data",) if name == "distances" else ()
        yield Step("numbers", f"{name} {model}", model, metrics, make, needs)
    if model == DEFAULT_MODEL or not is_of_faces(model):
        make = partial(measure_directions, model, data or Path())
        yield Step("numbers", f"directions {model}", model, "benchmarks.editing", make, ("data",))
    if (encoder := ASSETS / f"encoder-{model}.safetensors").exists():
        make = partial(measure_encoder, model, held_out or Path())
        yield Step("numbers", f"encoder {model}", model, "benchmarks.encoder", make, ("held_out",), source=encoder)
    if is_of_faces(model):
        make = partial(measure_projection, model, held_out or Path())
        yield Step("numbers", f"projection {model}", model, "benchmarks.projection", make, ("held_out",))


@click.command()
@click.argument("model", required=False)
@click.option("--run", type=click.Path(exists=True, file_okay=False, path_type=Path), help="Its training run.")
@click.option("--encoder", type=click.Path(exists=True, file_okay=False, path_type=Path), help="Its encoder's run.")
@click.option("--data", type=click.Path(exists=True, path_type=Path), help="All images that it is compared with.")
@click.option("--held-out", type=click.Path(exists=True, path_type=Path), help="Images that it has not seen.")
@click.option("--only", multiple=True, metavar="GROUP|STEP", help="Only these. Repeatable.")
@click.option("--force", is_flag=True, help="Also what is up to date.")
@click.option("--list", "only_list", is_flag=True, help="Show the steps and their state, and make nothing.")
def main(
    model: str | None,
    run: Path | None,
    encoder: Path | None,
    data: Path | None,
    held_out: Path | None,
    only: tuple[str, ...],
    force: bool,
    only_list: bool,
) -> None:
    """Make again what follows from MODEL, or from every bundled model."""
    bundled = [name for name, entry in manifest.entries().items() if entry.is_bundled]
    if model is not None and model not in bundled:
        raise click.UsageError(f"{model!r} is not a bundled model ({', '.join(bundled)}); first add it to the manifest")
    for name, given_run in (("--run", run), ("--encoder", encoder)):
        if given_run is not None and model is None:
            raise click.UsageError(f"{name} needs MODEL: which model the run is of")
    WORK.mkdir(parents=True, exist_ok=True)
    given = Given(run, encoder, data, held_out)
    planned = [step for name in ([model] if model else bundled) for step in steps(name, given)]
    chosen = [step for step in planned if not only or {step.group, step.name} & set(only)]
    if unknown := set(only) - {word for step in planned for word in (step.group, step.name)}:
        raise click.UsageError(f"no step {sorted(unknown)[0]!r}; --list shows them")
    work_off(chosen, given, force=force, only_list=only_list)


def work_off(chosen: Sequence[Step], given: Given, *, force: bool, only_list: bool) -> None:
    """Make what is out of date, step by step; the state is saved after each."""
    for i, step in enumerate(chosen, start=1):
        current = state_of_all().get(step.name) == fingerprint(step)
        missing = [name for name in step.needs if getattr(given, name) is None]
        state = "up to date" if current and not force else f"needs --{missing[0]}".replace("_", "-") if missing else ""
        if only_list or state:
            click.echo(f"[{i}/{len(chosen)}] {step.name}: {state or 'to be made'}")
            continue
        click.echo(f"[{i}/{len(chosen)}] {step.name}: {step.command}")
        begun = time.monotonic()
        try:
            step.make()
        except subprocess.CalledProcessError as error:
            raise click.ClickException(f"{step.name} failed; earlier steps are kept: {error}") from error
        made = state_of_all() | {step.name: fingerprint(step)}
        write_atomically(MADE, (json.dumps(dict(sorted(made.items())), indent=2) + "\n").encode())
        click.echo(f"    done in {time.monotonic() - begun:.0f} s")


def state_of_all() -> dict[str, str]:
    """What was made, and from what; read again each time, since another call may have added to it."""
    found: dict[str, str] = json.loads(MADE.read_text()) if MADE.exists() else {}
    return found


if __name__ == "__main__":
    main()
