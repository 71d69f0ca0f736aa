"""stylegan project: latents that reproduce your own photos."""

import json
import re
import time
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from stylegan.cli.faces import latents_settings
from stylegan.cli.options import ModelOptions, choice_option, model_options
from stylegan.cli.photos import cut_out, encoder_option, names_of
from stylegan.cli.types import PhotoType
from stylegan.errors import InputError
from stylegan.runtime.atomic_files import write_atomically

if TYPE_CHECKING:
    from PIL import Image

    from stylegan.generator import Generator
    from stylegan.images.decoding import Crop
    from stylegan.projection import Method


class IntegersType(click.ParamType):
    """A fixed number of integers separated by commas."""

    def __init__(self, count: int, example: str):
        self.name, self.count, self.example = "integers", count, example

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, ...]:
        if isinstance(value, tuple):
            return value
        parts = value.split(",")
        if len(parts) != self.count or not all(re.fullmatch(r"-?\d+", part.strip()) for part in parts):
            self.fail(f"{value!r} is not {self.count} integers such as {self.example}", param, ctx)
        return tuple(map(int, parts))


@click.command()
@click.argument("photos", nargs=-1, required=True, type=PhotoType(), metavar="PHOTO...")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), required=True, metavar="RUN", help="Folder.")
@click.option("--resume", is_flag=True, help="Continue an interrupted run in RUN with the same settings.")
@click.option("--crop", type=IntegersType(4, "10,20,200,200"), metavar="X,Y,W,H", help="Part of the photos to use.")
@click.option(
    "--points",
    type=IntegersType(10, "70,90,130,92,100,130,75,160,128,161"),
    metavar="X,Y,X,Y...",
    help="Align one photo by eyes, nose tip and mouth corners, in pixels, those on the left first.",
)
@click.option(
    "--detect/--no-detect",
    default=None,
    help="Crop to the largest face, rotated upright, or to the centre.  [default: the face, for models of faces]",
)
@click.option("--template", help="Where to move --points: utkface or ffhq.  [default: by the model's data]")
@click.option("--fast", is_flag=True, help="By the model's encoder alone, in less than a second: --method encoder.")
@choice_option(
    "--method",
    choices=("optimize", "encoder", "hybrid"),
    default="optimize",
    help="Optimize from the average face; encode; or encode, then optimize.",
)
@encoder_option
@click.option(
    "--space", type=click.Choice(["w", "w+"]), default="w+", show_default=True, help="One w, or one per layer."
)
@click.option("--noise/--no-noise", "optimize_noise", default=True, show_default=True, help="Fit the noise maps too.")
@click.option("--steps", type=click.IntRange(min=1), help="Of optimization.  [default: 1000; hybrid: 180]")
@click.option(
    "--pixel-steps",
    type=click.IntRange(min=0),
    help="After an encoder, before: on the pixels alone, which is quick.  [default: hybrid: 100; encoder: 0]",
)
@click.option(
    "--candidates", type=click.IntRange(min=0), default=0, show_default=True, help="Start from the best of N."
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option(
    "--extractor", help="Network of the perceptual distance.  [default: st-lpips-vgg; encoder: none, not measured]"
)
@click.option("--pixel-weight", type=float, default=1.0, show_default=True, help="Weight of the pixel difference.")
@click.option(
    "--w-weight",
    type=float,
    help="Weight of the distance of w from its average.  [default: 0.02; after an encoder: 0.005]",
)
@click.option(
    "--refine",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Least-squares steps afterwards; 8 recover the w of a model's image. Needs --space w --no-noise, or --fast.",
)
@click.option(
    "--tune",
    "tune_steps",
    type=click.IntRange(min=1),
    metavar="STEPS",
    help="Then fit the model's weights to the photos, for the last detail: RUN/tuned.safetensors, for --model.",
)
@model_options
def project(
    photos: tuple[Path, ...],
    out: Path,
    resume: bool,
    crop: "Crop | None",
    points: tuple[int, ...] | None,
    detect: bool | None,
    template: str | None,
    fast: bool,
    method: "Method",
    encoder: Path | str | None,
    steps: int | None,
    extractor: str | None,
    tune_steps: int | None,
    options: ModelOptions,
    **settings: Any,
) -> None:
    """Find latents from which a model reproduces photos. All photos are projected together.

    Without --crop or --points, each photo is cropped to its face: pip install "stylegan[alignment]". An image of the
    model's own size is used as it is. Check RUN/crop.png: photos that are not cropped like the model's data give
    monstrous results. --fast uses the model's encoder without optimization; --method hybrid starts from it and needs a
    fifth of the time.

    --tune also fits the model's weights to the photos, and keeps its other images as they were. The result is a small
    file that stands for the whole model: give it to other commands together with the latents.

    RUN/latents.safetensors is for --latents of other commands. RUN also holds each cropped photo, its reproduction,
    way.png with intermediate steps, and results.json with distances and settings.

    \b
    Examples:
      stylegan project photo.jpg --out run
      stylegan project photo.jpg --fast --out run
      stylegan project photo.jpg --method hybrid --tune 100 --out run
      stylegan project photo.jpg --no-detect --crop 40,20,200,200 --steps 300 --out run
      stylegan project photo.jpg --points 210,190,295,188,252,240,218,290,290,289 --out run
      stylegan project a.jpg b.jpg --space w --no-noise --out run --resume
      stylegan project face.png --fast --space w --pixel-steps 100 --refine 2 --out run
    """
    # The optimization is not loaded for the other commands.
    from stylegan import images, projection
    from stylegan.extractors import load_extractor
    from stylegan.projection.tuning import check_tunable
    from stylegan.runtime.memory import keep_freed_memory

    if sum([crop is not None, points is not None, bool(detect)]) > 1:
        raise InputError("--crop, --points and --detect are three ways to find the face; give one of them")
    if points is not None and len(photos) > 1:
        raise InputError(f"--points are for one photo, got {len(photos)} photos; project them one by one")
    if isinstance(options.label, list):
        raise InputError("--label is one class for all photos here; project other classes separately")
    if fast and method == "hybrid":
        raise InputError("--fast is --method encoder; --method hybrid optimizes after it; give one of them")
    method = "encoder" if fast else method
    if method == "encoder" and steps:
        raise InputError("--fast takes no steps; --method hybrid takes --steps after the encoder")
    checkpoint, tuning = out / "checkpoint.safetensors", out / "checkpoint-tuning.safetensors"
    if (checkpoint.exists() or tuning.exists()) and not resume:
        raise InputError(f"{out} holds an interrupted projection; --resume continues it, or name another folder")
    keep_freed_memory()
    # Raises before any work.
    projection.Settings.of(method, steps=steps, label=options.label, **settings)
    G = options.load()
    if tune_steps:
        check_tunable(G)
    if options.label is not None:
        G.label_vectors(options.label, 1)
    if extractor is None and (method != "encoder" or tune_steps):
        extractor = projection.Settings.extractor
    perceptual: Any = None if extractor is None else load_extractor(extractor, device=G.device)
    cut = [cut_out(photo, G, crop=crop, points=points, detect=detect, template=template) for photo in photos]
    crops, names = [square for square, _ in cut], names_of(photos)
    images.save(images.grid(crops, padding=2), out / "crop.png")
    for photo, (_, place) in zip(photos, cut, strict=True):
        click.echo(f"{photo}: {place}; see {out / 'crop.png'}")
    start = time.perf_counter()
    try:
        result = projection.project(
            crops,
            G,
            names=names,
            method=method,
            encoder=encoder,
            steps=steps,
            extractor=perceptual,
            label=options.label,
            batch_size=options.batch_size,
            checkpoint=checkpoint,
            **settings,
        )
        if tune_steps:
            tuned = projection.tune(
                result, G, steps=tune_steps, extractor=perceptual, batch_size=options.batch_size, checkpoint=tuning
            )
            tuned.save(out / "tuned.safetensors")
            G, result = tuned.G, tuned.found
    except (KeyboardInterrupt, SystemExit):
        if left := [path for path in (tuning, checkpoint) if path.exists()]:
            click.echo(f"\nstopped; the same command with --resume continues from {left[0]}", err=True)
        raise
    seconds = time.perf_counter() - start

    result.latents.save(out / "latents.safetensors")
    made = images.to_pil(result.img)
    kept = settings_of(G, result) | latents_settings(out / "latents.safetensors")
    kept["noise_mode"] = "const" if result.latents.noise is None else "given"
    for name, square, image in zip(names, crops, made, strict=True):
        images.save(square, out / f"{name}-target.png")
        images.save(images.remember(image, kept | {"name": name}), out / f"{name}.png")
    images.save(images.remember(way(result, names), settings_of(G, result)), out / "way.png")
    facts = result.latents.facts | {"names": names, "model": G.name, "seconds": round(seconds, 1)}
    write_atomically(out / "results.json", (json.dumps(facts, indent=2) + "\n").encode())
    for path in (checkpoint, tuning):
        path.unlink(missing_ok=True)
    for i, name in enumerate(names):
        if isnan(result.between):
            click.echo(f"{name}: pixels differ by {result.pixel_errors[i]:.3f} (RMS, of a range of 2)")
            continue
        click.echo(f"{name}: distance {result.distances[i]:.4f}")
        click.echo(f"  the nearest of 64 samples: {result.nearest[i]:.3f}; two samples: {result.between:.3f} apart")
        if result.is_far[i]:
            click.echo(
                f"note: {name} is unlike anything that {G.name} makes, so its latents are unusual; "
                f"check {out / 'crop.png'}, and give --crop or --points",
                err=True,
            )
    click.echo(f"wrote latents of {len(photos)} photos to {(out / 'latents.safetensors').resolve()}")
    if tune_steps:
        click.echo(f"wrote the tuned model to {(out / 'tuned.safetensors').resolve()}; give it to --model")


def settings_of(G: "Generator", result: Any) -> dict[str, object]:
    """What images of a projection store."""
    settings = {key: value for key, value in result.latents.facts["settings"].items() if value is not None}
    return {**G.provenance(), **settings, "command": "project"}


def way(result: Any, names: list[str]) -> "Image.Image":
    """One row per photo: the image at some steps, and the photo itself."""
    from stylegan import images

    frames = [images.to_pil(images.from_uint8(frame)) for frame in result.frames]  # For each step, all photos.
    columns = [*frames, images.to_pil(result.target)]
    return images.grid(
        [column[row] for row in range(len(names)) for column in columns],
        column_headings=[*(str(step) for step in result.frame_steps), "photo"],
        row_headings=names,
        padding=2,
    )
