"""stylegan sample: images from seeds, as a grid, one file each, or shards of tar files."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import click

from stylegan.cli.faces import Faces, choose_faces
from stylegan.cli.group import clean_up_on_sigterm
from stylegan.cli.options import (
    ModelOptions,
    latents_option,
    model_options,
    noise_mode_option,
    output_option,
    seeds_option,
    size_option,
    truncation_cutoff_option,
    truncation_psi_option,
)
from stylegan.cli.output import IMAGE_SUFFIXES, check_image, check_output
from stylegan.cli.types import Label
from stylegan.errors import InputError
from stylegan.latents.ranges import SeedRanges
from stylegan.runtime.choices import DEFAULT_SAMPLES_PER_TAR, ImageFormat, NoiseMode

if TYPE_CHECKING:
    from PIL import Image

    from stylegan.jobs import Job, Shard

Format = Literal["grid", "folder", "tar"]


class ShardType(click.ParamType):
    """A part of the job, such as 0/4."""

    name = "shard"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> "Shard":
        from stylegan.jobs import Shard

        if isinstance(value, Shard):
            return value
        index, _, count = value.partition("/")
        if not index.isdecimal() or not count.isdecimal() or int(index) >= int(count):
            self.fail(f"{value!r} is not a shard; write 0/4, 1/4, 2/4 or 3/4 for the quarters", param, ctx)
        return Shard(int(index), int(count))


@click.command()
@seeds_option("0-31", "--seeds", help="Seeds of the images: numbers and ranges, as in 0-15,42.")
@latents_option("--latents", help="Faces from this file instead of seeds; `stylegan project` writes such files.")
@truncation_psi_option
@truncation_cutoff_option
@noise_mode_option("const")
@click.option("--noise-seed", type=int, help="Seed of random noise.  [default: new noise each time]")
@click.option("--columns", type=click.IntRange(min=1), help="Images in a row of the grid.  [default: 8, or fewer]")
@size_option("the model's")
@output_option("samples.png", help="An image file for a grid, or a folder/ for one PNG per seed or for tars.")
@click.option(
    "--format",
    "chosen",
    type=click.Choice(get_args(Format)),
    help="What to write; tar: samples-000000.tar..., for webdataset.  [default: by --out]",
)
@click.option("--shard", type=ShardType(), metavar="I/N", help="Make part I of N, counted from 0.  [default: 0/1]")
@click.option(
    "--samples-per-tar",
    type=click.IntRange(min=1),
    metavar="N",
    help=f"Images in each tar.  [default: {DEFAULT_SAMPLES_PER_TAR}]",
)
@click.option(
    "--image-format", type=click.Choice(get_args(ImageFormat)), help="Format of the images in tars.  [default: png]"
)
@click.option("--resume", is_flag=True, help="Keep PNGs that an earlier run has made.  [tars: always]")
@model_options
def sample(
    seeds: SeedRanges,
    latents: Path | None,
    truncation_psi: float | None,
    truncation_cutoff: int | None,
    noise_mode: NoiseMode,
    noise_seed: int | None,
    columns: int | None,
    size: int | None,
    out: Path,
    chosen: Format | None,
    shard: "Shard | None",
    samples_per_tar: int | None,
    image_format: ImageFormat | None,
    resume: bool,
    options: ModelOptions,
) -> None:
    """Make images from seeds: a grid, one PNG per seed, or tars of many images, on one machine or many.

    With --latents, make images from a file of latents: a grid, or one PNG each.

    \b
    Examples:
      stylegan sample
      stylegan sample --seeds 0-15,42 --truncation-psi 0.5 --out faces.png
      stylegan sample --seeds 0-999 --out faces/
      stylegan sample --seeds 0-9999999 --shard 0/64 --out faces/ --format tar
      stylegan sample --latents run/latents.safetensors
      stylegan sample --model animals.safetensors --seeds 5,5,6 --label cat,dog,dog
    """
    from stylegan.jobs import WHOLE, Job, write_folder
    from stylegan.runtime.progress import progress_bar

    format = chosen or ("grid" if out.suffix and not out.is_dir() else "folder")
    given: dict[str, object] = {"--shard": shard, "--samples-per-tar": samples_per_tar}
    given |= {"--image-format": image_format, "--resume": resume or None}
    _check_options(format, out, [name for name, value in given.items() if value is not None], latents)
    if isinstance(options.label, list):
        if format == "tar":
            raise InputError("--format tar makes images of one class; give one with --label")
        if format == "folder" and (twice := seeds.repeated()) is not None:
            raise InputError(f"seed {twice} appears twice, but names in a folder must differ; make a grid instead")
    job = Job(
        G=options.load(out if format == "grid" else None),
        truncation_psi=0.7 if truncation_psi is None else truncation_psi,
        truncation_cutoff=truncation_cutoff,
        noise_mode=noise_mode,
        noise_seed=noise_seed,
        label=None if isinstance(options.label, list) else options.label,
        size=size,
    )
    if latents is None:
        job.G.label_vectors(options.label, len(seeds))  # Raises before any work.
    shard = shard or WHOLE
    with clean_up_on_sigterm():
        if latents is not None:
            faces = choose_faces(
                job.G,
                seeds,
                latents,
                label=options.label,
                truncation_psi=truncation_psi,
                truncation_cutoff=truncation_cutoff,
            )
            _of_latents(job, faces, format, out, columns, options)
        elif format == "tar":
            _tars(job, seeds, out, shard, samples_per_tar, image_format, options)
        elif format == "folder":
            part = slice(*(len(seeds) * i // shard.count for i in (shard.index, shard.index + 1)))
            written = sum(
                write_folder(own, some, out, batch_size=options.batch_size, resume=resume)
                for own, some, _ in _by_class(job, seeds, part, options.label)
            )
            kept = f", kept {len(seeds[part]) - written}" if resume else ""
            click.echo(f"wrote {written} images to {out.resolve()}{kept}")
        else:
            across = columns or min(8, len(seeds))
            check_image(out, columns=across, rows=-(-len(seeds) // across), tile=job.width)
            batch_size = options.batch_size or job.G.default_batch_size(len(seeds))
            tiles: dict[int, Image.Image] = {}
            with progress_bar(total=len(seeds), unit="img", hidden=None) as bar:
                for own, some, places in _by_class(job, seeds, slice(None), options.label):
                    for i, (_, image) in zip(places, own.render(some, batch_size), strict=True):
                        tiles[i] = image
                        bar.update()
            _save_grid([tiles[i] for i in range(len(seeds))], out, columns)


def _by_class(
    job: "Job", seeds: SeedRanges, part: slice, label: Label | None
) -> Iterator[tuple["Job", Sequence[int], Sequence[int]]]:
    """For each class in a part of the seeds: its job, its seeds, and their indices among all seeds."""
    places = range(len(seeds))[part]
    if not isinstance(label, list):
        yield job, seeds[part], places
        return
    for one in dict.fromkeys(label):
        if own := [i for i in places if label[i] == one]:
            yield replace(job, label=one), [seeds[i] for i in own], own


def _check_options(format: Format, out: Path, given: list[str], latents: Path | None) -> None:
    """Refuse options that the format would ignore, and an image file where a folder is needed."""
    tar = {"--shard", "--samples-per-tar", "--image-format", "--resume"}
    allowed: dict[Format, set[str]] = {"grid": set(), "folder": {"--shard", "--resume"}, "tar": tar}
    if latents is not None and (given or format == "tar"):
        raise InputError(f"{[*given, '--format tar'][0]} applies to seeds, not to --latents")
    for name in given:
        if name not in allowed[format]:
            raise InputError(f"{name} does not apply to --format {format}; see `stylegan sample --help`")
    if format == "grid":
        check_output(out)
    elif out.suffix.lower() in IMAGE_SUFFIXES and not out.is_dir():
        raise InputError(f"--out {out}: --format {format} needs a folder, such as --out faces/")


def _of_latents(
    job: "Job", faces: Faces, format: Format, out: Path, columns: int | None, options: ModelOptions
) -> None:
    """The images of a file of latents, all in memory at once."""
    from stylegan import images

    rendered = job.G.render(
        faces.ws,
        noise=faces.noise if job.noise_mode == "const" else None,
        noise_mode=job.noise_mode,
        noise_seed=job.noise_seed,
        batch_size=options.batch_size,
    )
    tiles = [
        images.remember(images.resize(image, job.width), faces.settings | {"name": name})
        for image, name in zip(rendered, faces.names, strict=True)
    ]
    if format == "grid":
        _save_grid(tiles, out, columns)
        return
    for name, image in zip(faces.names, tiles, strict=True):
        # Names come from a file: keep them inside the folder.
        name = re.sub(r"[^\w-]", "_", name)
        images.save(image, out / f"{name}.png")
    click.echo(f"wrote {len(tiles)} images to {out.resolve()}")


def _save_grid(tiles: "list[Image.Image]", out: Path, columns: int | None) -> None:
    from stylegan import images

    grid = images.grid(tiles, columns=columns or min(8, len(tiles)))
    images.save(images.remember(grid, {"command": "sample"}), out)
    click.echo(f"wrote a grid of {len(tiles)} images to {out.resolve()}")


def _tars(
    job: "Job",
    seeds: SeedRanges,
    out: Path,
    shard: "Shard",
    samples_per_tar: int | None,
    image_format: ImageFormat | None,
    options: ModelOptions,
) -> None:
    from stylegan.jobs import write_tars

    report = write_tars(
        job,
        seeds,
        out,
        shard=shard,
        samples_per_tar=samples_per_tar or DEFAULT_SAMPLES_PER_TAR,
        image_format=image_format or "png",
        batch_size=options.batch_size,
    )
    name = f"shard {shard.index}/{shard.count}: "
    if not report.written and not report.kept:
        click.echo(f"{name}nothing to do, there are fewer tars than shards; reduce --samples-per-tar")
        return
    click.echo(f"{name}wrote {len(report.written)} tars to {out.resolve()}, kept {len(report.kept)}")
