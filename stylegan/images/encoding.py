"""Images -> the bytes of picture files."""

import io
import os
from pathlib import Path
from typing import Any

from PIL import Image

from ..errors import InputError
from ..runtime.atomic_files import write_atomically
from ..runtime.checks import typed

# PNG predicts each pixel from its neighbours. What that leaves of photographs repeats little but zeros: looking for
# runs alone takes a sixth of the time of zlib's default at 1024x1024, and makes files no larger (docs/scale.md).
ENCODINGS: dict[str, dict[str, Any]] = {
    "PNG": {"compress_type": Image.RLE},
    "JPEG": {"quality": 95, "subsampling": 0},
}


# That keep alpha as it is; others lose it, or refuse.
_WITH_ALPHA = ("PNG", "WEBP", "TIFF")


@typed
def save(image: Image.Image, path: str | os.PathLike[str]) -> None:
    """Save an image, complete or not at all, in the format of the suffix, with what `remember` attached."""
    write_atomically(path, encode(image, Path(path).suffix))


@typed
def encode(image: Image.Image, suffix: str) -> bytes:
    """The bytes of a picture file with that suffix, such as ".png"; the same for the same pixels and settings.

    JPEG is of quality 95 with all colour samples. Raises InputError for unknown suffixes, and for a format without
    alpha if the image has alpha.
    """
    format = format_of(suffix, image.mode)
    data = io.BytesIO()
    image.save(data, format=format, **ENCODINGS.get(format, {}))
    return data.getvalue()


def format_of(suffix: str, mode: str) -> str:
    """The format of pictures with that suffix. Raises InputError if there is none, or it cannot keep alpha."""
    format = Image.registered_extensions().get(suffix.lower())
    if format is None:
        raise InputError(f"unknown kind of picture {suffix.lower()!r}; use .png, .jpg or .webp")
    if mode in ("LA", "RGBA") and format not in _WITH_ALPHA:
        raise InputError(
            f"{format} does not keep the alpha of {mode} images; use .png or .webp, "
            "or lay them over white first (stylegan.images.opaque)"
        )
    return format
