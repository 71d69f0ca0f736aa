"""Photos prepared for a model: upright, RGB, square, of the model's size."""

import os
import warnings

from PIL import Image

from ..errors import DatasetError, InputError
from ..images.decoding import DARK, Crop, decode, square_box
from ..runtime.atomic_files import as_path
from ..runtime.checks import check_integer, typed

# A crop is enlarged at most this much; beyond it there is no detail.
MAX_ENLARGEMENT = 4


@typed
def load_photo(path: str | os.PathLike[str], *, channels: int = 3) -> Image.Image:
    """Read a photo: rotated by EXIF, 8-bit RGB, composited over white; the first frame of an animation.

    channels: 4 = RGBA, for models with alpha; see `images.decoding.decode`.

    Warns of 16-bit images that seem to use fewer bits. Raises InputError if the file is missing or not an image.
    """
    path = as_path(path)
    if path.exists() and not path.is_file():  # A pipe would block; /dev/zero has no end.
        raise InputError(f"{path}: no file; expected a photo")
    try:
        decoded = decode(path.read_bytes(), channels=channels, animated="first")
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    except DatasetError as error:
        raise InputError(f"{path}: {error}") from error
    if DARK in decoded.conversions:
        advice = "if it holds 12-bit values, make it 8-bit first"
        warnings.warn(f"{path} is dark: nothing in its 16 bits is above a quarter of the range; {advice}", stacklevel=2)
    return decoded.image


@typed
def to_square(photo: Image.Image, resolution: int, *, crop: Crop | None = None) -> Image.Image:
    """Crop the largest centred square, of the photo or of a crop (x, y, w, h) of it, and scale it to resolution.

    Raises InputError if the crop is not inside the photo, or the square too small.
    """
    check_integer(resolution, what="resolution", low=1, high=2**14)
    if crop is not None and (crop[0] < 0 or crop[1] < 0 or crop[2] < 1 or crop[3] < 1):
        raise InputError(f"a crop is x, y, width, height in pixels inside the photo, got {crop}")
    try:
        box = square_box(photo.size, crop)
    except DatasetError as error:
        raise InputError(str(error)) from error
    check_side(box[2] - box[0], resolution)
    return photo.resize((resolution, resolution), Image.Resampling.LANCZOS, box=box)


def check_side(side: float, resolution: int) -> None:
    """Raise InputError if a square with this side is too small for a model of that resolution."""
    if side * MAX_ENLARGEMENT < resolution:
        least = resolution // MAX_ENLARGEMENT
        raise InputError(
            f"the square to project is {side:.0f} pixels wide, too small for a model of {resolution}x{resolution}; "
            f"give a photo or crop of {least} or more"
        )
