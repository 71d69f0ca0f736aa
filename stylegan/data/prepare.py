"""Prepare a data set: images of any format -> a zip of uniformly sized square images (`stylegan dataset`)."""

import os
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from math import ceil
from pathlib import Path
from typing import BinaryIO, Literal, get_args

from ..errors import DatasetError, InputError
from ..images.decoding import (
    MODES,
    Crop,
    Fit,
    OutputFormat,
    crop_box,
    decode,
    quiet_pillow,
    side_for,
    to_square,
)
from ..images.encoding import encode
from ..runtime.atomic_files import new_file, remove_strays
from ..runtime.progress import is_hidden, progress_bar
from ..runtime.threads import map_in_order
from .dataset import MIN_RESOLUTION, is_resolution
from .labels import LABELS_FILE, LABELS_FILES, Label, Labels, labels_json
from .selection import LabelOrigin, Split, choose_labels, choose_names, default_resolution
from .sources import Source, list_files

SUFFIXES: dict[OutputFormat, str] = {"png": ".png", "jpeg": ".jpg"}


@dataclass(frozen=True)
class Report:
    """The result of `prepare`."""

    images: int
    resolution: int
    label_dim: int
    conversions: Counter[str]  # Conversions, and the number of images that needed each.
    cropped: int  # Non-square images that lost part of their longer side,
    cropped_most: float  # and the largest such part, 0 to 1.
    bad: list[tuple[str, str]]  # Images left out, with the reason.
    others: list[str]  # Files left out because they have no image suffix.
    is_ffhq: bool
    smallest: str | None  # The image that decided the resolution; None = it was given.


@dataclass(frozen=True)
class _Recipe:
    """How each image is converted; `prepare` describes the fields."""

    resolution: int
    crop: Crop | None
    fit: Fit
    format: OutputFormat
    channels: int
    bit_depth: int | None
    animated: Literal["reject", "first"]
    allow_upscale: bool


@dataclass(frozen=True)
class _Result:
    """An encoded image, or why it cannot be used."""

    data: bytes = b""
    conversions: tuple[str, ...] = ()
    lost: float = 0.0  # Share of the longer side that was cropped.
    problem: str | None = None


@dataclass
class _Written:
    """What has been written to the zip."""

    labels: dict[str, Label] = field(default_factory=dict)  # By the name in the zip.
    conversions: Counter[str] = field(default_factory=Counter)
    cropped: list[float] = field(default_factory=list)
    bad: list[tuple[str, str]] = field(default_factory=list)


def prepare(
    source: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    resolution: int | None = None,
    crop: Crop | None = None,
    fit: Fit = "crop",
    format: OutputFormat = "png",
    channels: int = 3,
    bit_depth: int | None = None,
    split: Split = "all",
    test_every: int | None = None,
    max_images: int | None = None,
    labels: LabelOrigin = "auto",
    label_field: str | None = None,
    animated: Literal["reject", "first"] = "reject",
    allow_upscale: bool = False,
    skip_bad: bool = False,
    max_bad: float = 0.01,
    overwrite: bool = False,
    threads: int | None = None,
    progress: bool | None = None,
) -> Report:
    """Make a zip of square images, 00000000.png, 00000001.png... in the order of the names in the source.

    source: a folder with its sub-folders, a zip, a tar or TFRecords of an official data set, all read in place.
    out: the zip, complete or absent. The same source, options and Pillow version give the same bytes.
    resolution: a power of two, 8 or more; None = the largest that enlarges no image, at most 1024.
    crop: x, y, w, h in the upright image; None = all of it. Resized with a Lanczos filter.
    fit: how to make squares: "crop" = the largest centred square; "pad" = the whole image between black bars,
        transparent with alpha; "stretch" = the whole image, distorted.
    format: "png", or "jpeg" of quality 95, without alpha.
    channels: 1 = grey, 3 = RGB, both composited over white; 2 = grey with alpha, 4 = RGBA.
    bit_depth: bits used in 16-bit images, 9 to 16; None = from each file, else 16. See `images.decoding.decode`.
    split: "train", "test" or "all". In FFHQ, the first 60,000 and the last 10,000 images.
    test_every: in other data sets, every n-th image, in name order, is a test image.
    max_images: use only the first images; None = all.
    labels: "file" = the labels.json or dataset.json of the source; "folders" = a class for each sub-folder; "none";
        "auto" = "file" if there is a usable one, else "none".
    label_field: the field of the records in the source's labels.json that holds the class; see `data.labels`.
    animated: "reject" = an animation is a bad file; "first" = use its first frame.
    allow_upscale: enlarge images that are too small, instead of treating them as bad.
    skip_bad: leave out bad files, up to the fraction max_bad of all, rounded up.
    overwrite: replace `out` if it exists.
    threads: None = one per CPU.
    progress: show a bar; None = on a terminal.

    Raises InputError for conflicting options, DatasetError with a list of bad files.
    """
    source, out = Path(source), Path(out)
    _check_options(
        resolution, crop, fit, format, channels, bit_depth, max_images, max_bad, labels, label_field, animated
    )
    _check_out(source, out, overwrite)
    hidden = is_hidden(progress)
    with Source(source) as src, quiet_pillow():
        names, is_ffhq = choose_names(src, split, test_every, max_images)
        table = choose_labels(src, labels, label_field, is_ffhq)
        smallest = None
        if resolution is None:
            resolution, smallest = default_resolution(src, names, crop, fit, threads, hidden)
        recipe = _Recipe(resolution, crop, fit, format, channels, bit_depth, animated, allow_upscale)
        results = map_in_order(partial(_process, src.read, recipe), names, threads=threads)
        remove_strays(out)
        with new_file(out) as file:
            bar = progress_bar(
                results, total=len(names), desc=f"preparing {out.name}", unit="img", hidden=hidden, leave=False
            )
            written = _write(file, zip(names, bar, strict=True), recipe, src, table)
            _check_bad(src, written, len(names), ceil(round(max_bad * len(names), 6)) if skip_bad else None)
    return Report(
        images=len(written.labels),
        resolution=resolution,
        label_dim=table.label_dim if table else 0,
        conversions=written.conversions,
        cropped=len(written.cropped),
        cropped_most=max(written.cropped, default=0.0),
        bad=written.bad,
        others=[name for name in src.others if name.split("/")[-1] not in LABELS_FILES],
        is_ffhq=is_ffhq,
        smallest=smallest,
    )


def _process(read: Callable[[str], bytes], recipe: _Recipe, name: str) -> _Result:
    """Read, decode, crop, resize and encode one image."""
    try:
        decoded = decode(read(name), channels=recipe.channels, animated=recipe.animated, bit_depth=recipe.bit_depth)
        left, top, right, bottom = crop_box(decoded.image.size, recipe.crop)
        w, h, conversions = right - left, bottom - top, decoded.conversions
        side = side_for(decoded.image.size, recipe.crop, recipe.fit)
        if side < recipe.resolution:
            if not recipe.allow_upscale:
                raise DatasetError(f"its square of {side} pixels is too small for {recipe.resolution} unless enlarged")
            conversions += ("enlarged",)
        if w != h and recipe.fit != "crop":
            conversions += ("padded" if recipe.fit == "pad" else "stretched",)
        image = to_square(decoded.image, recipe.resolution, recipe.crop, recipe.fit)
        lost = 1 - min(w, h) / max(w, h) if recipe.fit == "crop" else 0.0
        return _Result(encode(image, SUFFIXES[recipe.format]), conversions, lost)
    except DatasetError as error:
        return _Result(problem=str(error))


def _write(
    file: BinaryIO, results: Iterator[tuple[str, _Result]], recipe: _Recipe, src: Source, table: Labels | None
) -> _Written:
    """Write the zip, which does not depend on time, place or threads."""
    written = _Written()
    label_of = dict(zip(src.names, table.values, strict=True)) if table else {}
    suffix = SUFFIXES[recipe.format]
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, result in results:
            if result.problem is not None:
                written.bad.append((name, result.problem))
                continue
            target = f"{len(written.labels):08d}{suffix}"
            archive.writestr(_entry(target), result.data)
            written.labels[target] = label_of.get(name)
            written.conversions.update(result.conversions)
            if result.lost:
                written.cropped.append(result.lost)
        if table:
            archive.writestr(_entry(LABELS_FILE), labels_json(written.labels, table.classes))
    return written


def _entry(name: str) -> zipfile.ZipInfo:
    """The header of a file, always with the earliest date that a zip can hold and fixed permissions."""
    info = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
    info.create_system = 3
    info.external_attr = 0o100644 << 16
    return info


def _check_bad(src: Source, written: _Written, total: int, allowed: int | None) -> None:
    """Raise DatasetError if there are more bad files than allowed; None = none, without --skip-bad."""
    count = len(written.bad)
    if count <= (allowed or 0) and written.labels:
        return
    advice = "repair or remove them, or leave them out with --skip-bad (skip_bad=True)"
    if any("too small" in reason for _, reason in written.bad):
        advice += "; --allow-upscale (allow_upscale=True) enlarges those that are too small"
    if any(reason == "animated" for _, reason in written.bad):
        advice += "; --animated first (animated='first') uses the first frame of animations"
    if allowed is not None:
        advice = f"at most {allowed} may be left out (--max-bad, max_bad)"
    raise DatasetError(f"{count} of {total} images of {src.path} are bad; {advice}:\n{list_files(written.bad)}")


def _check_out(source: Path, out: Path, overwrite: bool) -> None:
    if out.suffix.lower() != ".zip":
        raise InputError(f"OUT is {out}; expected a file that ends in .zip")
    if out.exists():
        if out.is_dir() or (source.exists() and out.samefile(source)):
            raise InputError(f"OUT is {out}, which is {'a folder' if out.is_dir() else 'SOURCE'}; choose another name")
        if not overwrite:
            raise InputError(f"{out} exists; --force (overwrite=True) replaces it")


def _check_options(
    resolution: int | None,
    crop: Crop | None,
    fit: str,
    format: str,
    channels: int,
    bit_depth: int | None,
    max_images: int | None,
    max_bad: float,
    labels: str,
    label_field: str | None,
    animated: str,
) -> None:
    if resolution is not None and not is_resolution(resolution):
        raise InputError(f"resolution must be a power of two of {MIN_RESOLUTION} or more, got {resolution}")
    if crop is not None and (len(crop) != 4 or min(crop[:2]) < 0 or min(crop[2:]) < 1):
        raise InputError(f"crop must be x, y, w, h with x and y of 0 or more and w and h of 1 or more, got {crop}")
    if format not in ("png", "jpeg"):
        raise InputError(f"format must be png or jpeg, got {format!r}")
    if fit not in get_args(Fit):
        raise InputError(f"fit must be crop, pad or stretch, got {fit!r}")
    if channels not in MODES:
        raise InputError(f"channels must be 1 (grey), 2 (grey, alpha), 3 (RGB) or 4 (RGBA), got {channels}")
    if channels in (2, 4) and format == "jpeg":
        raise InputError(f"format jpeg has no alpha, so it cannot hold {channels} channels; use png")
    if bit_depth is not None and bit_depth not in range(9, 17):
        raise InputError(f"bit_depth must be from 9 to 16, got {bit_depth}")
    if max_images is not None and max_images < 1:
        raise InputError(f"max_images must be 1 or more, got {max_images}")
    if not 0 <= max_bad < 1:
        raise InputError(f"max_bad must be a fraction from 0 to less than 1, got {max_bad}")
    if labels not in get_args(LabelOrigin):
        raise InputError(f"labels must be auto, file, folders or none, got {labels!r}")
    if animated not in ("reject", "first"):
        raise InputError(f"animated must be reject or first, got {animated!r}")
    if label_field is not None and labels not in ("auto", "file"):
        raise InputError(f"label_field is for labels 'file', got labels {labels!r}")
