"""Shards of a large job as reproducible tar files for webdataset.

The seeds are divided into tars of equal numbers of images, samples-000000.tar, samples-000001.tar and so on. Shard i of
n makes the tars i, i + n, i + 2n...; the content of a tar does not depend on n. For each seed a tar holds
seed0000000005.png and seed0000000005.json, its settings. Next to each tar, samples-000000.jsonl is its manifest line,
written last: a tar that matches its line is finished.
"""

import io
import json
import os
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from math import ceil
from pathlib import Path
from typing import Any, NamedTuple, get_args

from PIL import Image

from ..errors import InputError
from ..images.encoding import encode
from ..latents.ranges import SeedRanges
from ..runtime.atomic_files import new_file, remove_strays, write_atomically
from ..runtime.batching import steady_batch_size
from ..runtime.choices import DEFAULT_SAMPLES_PER_TAR, ImageFormat
from ..runtime.json_yaml import check_object, read_json
from ..runtime.progress import is_hidden, progress_bar
from ..runtime.threads import map_in_order
from ..weights.hub.cache import sha256_of
from .folder import check_no_folder
from .job import Job

# The fields of a manifest line that are read.
_LINE = {"sha256": str, "bytes": int, "seeds": str, "job": dict[str, Any]}

# Temporary files not written to for this long are abandoned.
_IDLE_SECONDS = 3600.0


@dataclass(frozen=True)
class Shard:
    """One of several parts of a job, counted from 0."""

    index: int
    count: int


WHOLE = Shard(0, 1)


@dataclass(frozen=True)
class Report:
    """The names of a shard's tars: those just made, and those finished before."""

    written: list[str]
    kept: list[str]


class _Sample(NamedTuple):
    """The files of one seed in a tar."""

    tar: int
    seed: int
    image: bytes
    settings: bytes


def write_tars(
    job: Job,
    seeds: SeedRanges,
    folder: str | os.PathLike[str],
    *,
    shard: Shard = WHOLE,
    samples_per_tar: int = DEFAULT_SAMPLES_PER_TAR,
    image_format: ImageFormat = "png",
    batch_size: int | None = None,
    threads: int | None = None,
    progress: bool | None = None,
) -> Report:
    """Make the unfinished tars of a shard.

    samples_per_tar: images per tar, fewer in the last one.
    image_format: "png", lossless, or "jpg" of quality 95, a quarter of the size.
    batch_size: images per batch; None = by resolution only, the same on every machine.
    threads: threads that encode while the next images are computed; None = one per CPU.
    progress: show a bar; None = on a terminal.

    Each tar is written to a temporary file and renamed, so any number of processes may work in one folder, even on the
    same shard. The bytes are the same for the same seeds and arguments, on the same kind of machine, with the same
    number of PyTorch threads and the same versions of PyTorch and Pillow; otherwise some values differ by 1.

    Raises InputError for repeated seeds, noise that differs in every run, nonexistent shards, and a folder with tars of
    another job.
    """
    folder = Path(folder)
    _check(job, seeds, shard, samples_per_tar, image_format)
    batch_size = batch_size or steady_batch_size(job.G.img_resolution, job.G.device)
    identity = job.identity() | {"batch_size": batch_size, "image_format": image_format}
    numbers = range(shard.index, ceil(len(seeds) / samples_per_tar), shard.count)
    report = Report([], [])

    def part(number: int) -> SeedRanges:
        return seeds[number * samples_per_tar : (number + 1) * samples_per_tar]

    total = sum(len(part(number)) for number in numbers)
    with progress_bar(total=total, unit="img", hidden=is_hidden(progress)) as bar:

        def rendered() -> Iterator[tuple[int, int, Image.Image]]:
            for number in numbers:
                path, own = _path(folder, number), part(number)
                for file in (path, path.with_suffix(".jsonl")):
                    check_no_folder(file)
                if _is_finished(path, {"seeds": str(own), "job": identity}):
                    report.kept.append(path.name)
                    bar.update(len(own))
                    continue
                remove_strays(path, idle_seconds=_IDLE_SECONDS)
                for seed, image in job.render(own, batch_size):
                    yield number, seed, image

        def encoded(item: tuple[int, int, Image.Image]) -> _Sample:
            number, seed, image = item
            settings = dict(image.info) | {"seed": seed} | job.settings()
            return _Sample(number, seed, encode(image, f".{image_format}"), json.dumps(settings).encode())

        samples = map_in_order(encoded, rendered(), threads=threads)
        for number, members in groupby(samples, key=lambda sample: sample.tar):
            path = _path(folder, number)
            _write_tar(path, members, image_format, bar)
            _write_line(path, part(number), identity)
            report.written.append(path.name)
    return report


def _check(job: Job, seeds: SeedRanges, shard: Shard, samples_per_tar: int, image_format: str) -> None:
    if not 0 <= shard.index < shard.count:
        raise InputError(f"no shard {shard.index}/{shard.count}; shards are counted from 0: 0/4, 1/4, 2/4, 3/4")
    if samples_per_tar < 1:
        raise InputError(f"samples_per_tar must be 1 or more, got {samples_per_tar}")
    if image_format not in get_args(ImageFormat):
        raise InputError(f"image_format must be png or jpg, got {image_format!r}")
    if image_format == "jpg" and job.G.img_channels in (2, 4):
        raise InputError(f"JPEG holds no alpha, and {job.G.name} makes images with it; use image_format png")
    twice = seeds.repeated()
    if twice is not None:
        raise InputError(f"seed {twice} appears twice; names in a tar must be unique")
    if job.has_fresh_noise:
        raise InputError("random noise is different in every run, but tars must be reproducible: set noise_seed")


def _path(folder: Path, number: int) -> Path:
    return folder / f"samples-{number:06d}.tar"


def _write_tar(path: Path, samples: Iterable[_Sample], image_format: ImageFormat, bar: Any) -> None:
    """Nothing in the tar depends on time, user or machine."""
    with new_file(path) as file, tarfile.open(fileobj=file, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for sample in samples:
            for suffix, data in ((image_format, sample.image), ("json", sample.settings)):
                entry = tarfile.TarInfo(f"seed{sample.seed:010d}.{suffix}")  # Time 0, user 0, mode 644.
                entry.size = len(data)
                archive.addfile(entry, io.BytesIO(data))
            bar.update()


def _write_line(path: Path, seeds: SeedRanges, identity: dict[str, Any]) -> None:
    line = {
        "tar": path.name,
        "sha256": sha256_of(path),
        "bytes": path.stat().st_size,
        "count": len(seeds),
        "seeds": str(seeds),
        "job": identity,
    }
    write_atomically(path.with_suffix(".jsonl"), (json.dumps(line) + "\n").encode())


def _is_finished(path: Path, expected: dict[str, Any]) -> bool:
    """Whether a tar matches its line. Raises InputError if the line is another job's."""
    name = path.with_suffix(".jsonl")
    try:
        line = check_object(read_json(name, error=InputError), _LINE, where=str(name), error=InputError)
    except InputError:  # Missing, or not one of our lines: the tar is made again.
        return False
    found = {name: line[name] for name in expected}
    if found != expected:
        raise InputError(
            f"{path} is of another job: {_difference(found, expected)}; "
            "choose another folder, or delete the tars and lines of that job"
        )
    return path.is_file() and path.stat().st_size == line["bytes"] and sha256_of(path) == line["sha256"]


def _difference(found: dict[str, Any], expected: dict[str, Any]) -> str:
    """The first setting in which two jobs differ."""
    there, wanted = ({"seeds": one["seeds"]} | dict(one["job"]) for one in (found, expected))
    name = next(name for name in [*wanted, *there] if there.get(name) != wanted.get(name))
    return f"{name} is {there.get(name)!r} there and {wanted.get(name)!r} here"
