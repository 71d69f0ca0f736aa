"""What a data set takes from a source: images and their order, labels, resolution."""

from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Literal

from ..errors import DatasetError, InputError
from ..images.decoding import Crop, Fit, open_image, side_for, upright_size
from ..runtime.progress import progress_bar
from ..runtime.threads import map_in_order
from .dataset import MIN_RESOLUTION
from .labels import Labels, labels_from_folders, read_labels
from .sources import Source, printable

Split = Literal["all", "train", "test"]
LabelOrigin = Literal["auto", "file", "folders", "none"]

# Flickr-Faces-HQ: 70,000 images, the first 60,000 for training (Karras et al. 2019, appendix A).
FFHQ_IMAGES = 70_000
FFHQ_TRAIN = 60_000

MAX_DEFAULT_RESOLUTION = 1024


def ffhq_order(names: Sequence[str]) -> list[str] | None:
    """The names in the order of FFHQ if they are its 70,000 images: 00000/00000.png to 69000/69999.png, or flat.

    None = they are not.
    """
    if len(names) != FFHQ_IMAGES:
        return None
    by_index = {}
    for name in names:
        path = PurePosixPath(name)
        if not _is_five_digits(path.stem):
            return None
        if _is_five_digits(path.parent.name) and int(path.parent.name) != int(path.stem) // 1000 * 1000:
            return None
        by_index[int(path.stem)] = name
    return [by_index[i] for i in range(FFHQ_IMAGES)] if by_index.keys() == set(range(FFHQ_IMAGES)) else None


def _is_five_digits(text: str) -> bool:
    return len(text) == 5 and text.isascii() and text.isdecimal()


def choose_names(src: Source, split: Split, test_every: int | None, max_images: int | None) -> tuple[list[str], bool]:
    """The images to use, in order, and whether they are FFHQ."""
    ordered = ffhq_order(src.names)
    names = ordered or src.names
    if split not in ("all", "train", "test"):
        raise InputError(f"split must be all, train or test, got {split!r}")
    if test_every is not None and (test_every < 2 or split == "all"):
        raise InputError(f"test_every must be 2 or more, and split train or test; got {test_every} and {split!r}")
    if split != "all" and test_every is not None:
        is_test = [i % test_every == test_every - 1 for i in range(len(names))]
        names = [name for name, test in zip(names, is_test, strict=True) if test == (split == "test")]
    elif split != "all":
        if ordered is None:
            raise InputError(
                f"split {split!r} needs test_every, except for the {FFHQ_IMAGES:,} images of FFHQ, named "
                f"00000/00000.png to 69000/69999.png or 00000.png to 69999.png; {src.path} holds {len(names):,}, "
                f"the first of which is {printable(names[0])}"
            )
        names = names[:FFHQ_TRAIN] if split == "train" else names[FFHQ_TRAIN:]
    if not names:
        raise InputError(f"{src.path}: no image is left for split {split!r} with test_every {test_every}")
    return names[:max_images], ordered is not None


def choose_labels(src: Source, origin: LabelOrigin, label_field: str | None, is_ffhq: bool) -> Labels | None:
    """The labels of all images of the source, so that classes do not depend on the images used."""
    if origin == "none":
        return None
    if origin in ("auto", "file"):
        return read_labels(src, field=label_field, required=origin == "file")
    if is_ffhq:
        raise InputError("labels from folders: the folders of FFHQ are numbers, not classes; use labels 'none'")
    return labels_from_folders(src.names)


def default_resolution(
    src: Source, names: Sequence[str], crop: Crop | None, fit: Fit, threads: int | None, hidden: bool | None
) -> tuple[int, str | None]:
    """The largest power of two for which no image is too small, and the image that decided it."""

    def side(name: str) -> int | None:
        try:
            return side_for(upright_size(open_image(src.read(name))), crop, fit)
        except DatasetError:
            return None  # Listed later, with the other bad files.

    sizes = map_in_order(side, names, threads=threads)
    bar = progress_bar(
        sizes, total=len(names), desc=f"measuring {src.path.name}", unit="img", hidden=hidden, leave=False
    )
    known = [(size, name) for size, name in zip(bar, names, strict=True) if size is not None]
    if not known:
        return MIN_RESOLUTION, None
    size, name = min(known)
    if size < MIN_RESOLUTION:
        raise DatasetError(
            f"{printable(name)} of {src.path} gives a square of {size} pixels, expected {MIN_RESOLUTION} or more; "
            "remove it, or choose a resolution; it is then listed as a bad file"
        )
    return min(1 << (size.bit_length() - 1), MAX_DEFAULT_RESOLUTION), name
