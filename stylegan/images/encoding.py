"""Images -> the bytes of image files."""

import io
import os
from pathlib import Path
from typing import Any

from PIL import Image

from ..errors import InputError
from ..runtime.atomic_files import write_atomically
from ..runtime.checks import typed

# PNG predicts each pixel from its neighbours. In photographs, residuals rarely repeat except zeros: searching only for
# runs takes a sixth of zlib's default time at 1024x1024, and files are no larger (docs/scale.md).
ENCODINGS: dict[str, dict[str, Any]] = {
    "PNG": {"compress_type": Image.RLE},
    "JPEG": {"quality": 95, "subsampling": 0},
}

# Formats that keep alpha; others drop or refuse it.
_WITH_ALPHA = ("PNG", "WEBP", "TIFF")


@typed
def save(image: Image.Image, path: str | os.PathLike[str]) -> None:
    """Save an image, completely or not at all, in the suffix's format, with the settings that `remember` attached."""
    write_atomically(path, encode(image, Path(path).suffix))


@typed
def encode(image: Image.Image, suffix: str) -> bytes:
    """The bytes of an image file with this suffix, such as ".png"; the same pixels and settings give the same bytes.

    JPEG has quality 95 and full colour resolution (4:4:4). Raises InputError for unknown suffixes, and for a format
    without alpha if the image has alpha.
    """
    format = format_of(suffix, image.mode)
    data = io.BytesIO()
    image.save(data, format=format, **ENCODINGS.get(format, {}))
    return data.getvalue()


def format_of(suffix: str, mode: str) -> str:
    """The image format of a suffix. Raises InputError if there is none, or if it cannot keep alpha."""
    format = Image.registered_extensions().get(suffix.lower())
    if format is None:
        raise InputError(f"unknown kind of image {suffix.lower()!r}; use .png, .jpg or .webp")
    if mode in ("LA", "RGBA") and format not in _WITH_ALPHA:
        raise InputError(
            f"{format} does not keep the alpha of {mode} images; use .png or .webp, "
            "or composite them over white first (stylegan.images.opaque)"
        )
    return format
