"""One picture: bytes -> 8-bit grey or RGB, whatever its format, mode and orientation; crop, resize."""

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import numpy as np
from PIL import Image

from .errors import DatasetError

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF")
# Pillow's own limit for a warning, here for refusing: a larger picture needs more than 256 MiB as RGB.
MAX_PIXELS = 89_478_485

Crop = tuple[int, int, int, int]  # x, y, w, h in pixels of the upright picture.
OutputFormat = Literal["png", "jpeg"]

_EXIF_ORIENTATION = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@dataclass(frozen=True)
class Picture:
    """A decoded picture, upright, of mode L or RGB, and what had to be done to get it."""

    image: Image.Image
    conversions: tuple[str, ...]


def open_picture(data: bytes) -> Image.Image:
    """Read the header of a picture. Raises DatasetError if it is none, too large, or a PNG with a bad checksum."""
    with _as_dataset_error():
        try:
            image = Image.open(io.BytesIO(data), formats=FORMATS)
        except Image.UnidentifiedImageError:
            raise DatasetError(f"no intact {', '.join(FORMATS[:-1])} or {FORMATS[-1]}") from None
        _check_pixels(image)
        if image.format == "PNG":
            # Decoding does not check the checksums of the pixels; this does, and leaves the image unusable.
            image.verify()
            image = Image.open(io.BytesIO(data), formats=FORMATS)
        return image


def open_plain(data: bytes) -> Image.Image:
    """Like `open_picture`. Raises DatasetError also if the pixels cannot be used as they are stored."""
    with _as_dataset_error():
        image = open_picture(data)
        if image.mode not in ("L", "RGB") or image.has_transparency_data:
            raise DatasetError(f"mode {image.mode}, expected L or RGB without transparency")
        if _is_animated(image):
            raise DatasetError("animated")
        if _orientation(image) != 1:
            raise DatasetError("rotated by EXIF")
        return image


def decode_plain(data: bytes) -> np.ndarray:
    """Decode a picture that needs no conversion: uint8 [H, W, 1] or [H, W, 3]. Raises DatasetError otherwise."""
    image = open_plain(data)
    with _as_dataset_error():
        pixels = np.asarray(image)
    return pixels[:, :, None] if pixels.ndim == 2 else pixels


def decode(data: bytes, *, channels: int = 3, animated: Literal["reject", "first"] = "reject") -> Picture:
    """Decode any picture: upright, 8 bits, transparency laid over white. Colour profiles are ignored.

    channels: 1 = grey, 3 = RGB.
    animated: "first" = use the first frame of animations (and of TIFFs with pages), "reject" = raise.

    Raises DatasetError with a reason, without the name, if it is damaged or rejected.
    """
    conversions = []
    with _as_dataset_error():
        image = open_picture(data)
        if _is_animated(image):
            if animated == "reject":
                raise DatasetError("animated")
            conversions.append("first frame of an animation")
        image.load()
        orientation = _orientation(image)
        if orientation != 1:
            image = image.transpose(_UPRIGHT[orientation])
            conversions.append("rotated by EXIF")
        if image.mode.startswith(("I", "F")):
            image = _from_16_bit(image)
            conversions.append("16-bit")
        elif image.has_transparency_data:
            opaque = Image.new("RGBA", image.size, "white")
            conversions.append(f"transparent {image.mode}")
            image = Image.alpha_composite(opaque, image.convert("RGBA"))
        elif image.mode not in ("L", "RGB"):
            conversions.append(f"mode {image.mode}")
        elif image.mode == "L" and channels == 3:
            conversions.append("grey")
        image = image.convert("L" if channels == 1 else "RGB")
    return Picture(image, tuple(conversions))


def square_box(size: tuple[int, int], crop: Crop | None) -> tuple[int, int, int, int]:
    """The box (left, top, right, bottom) of the largest centred square of a picture, or of a crop of it.

    Raises DatasetError if the crop is not inside the picture.
    """
    width, height = size
    x, y, w, h = crop or (0, 0, width, height)
    if x + w > width or y + h > height:
        raise DatasetError(f"{width}x{height} is too small for the crop {x},{y},{w},{h}")
    side = min(w, h)
    left, top = x + (w - side) // 2, y + (h - side) // 2
    return left, top, left + side, top + side


def upright_size(image: Image.Image) -> tuple[int, int]:
    """Width and height that an opened picture has once it is upright."""
    width, height = image.size
    return (height, width) if _orientation(image) >= 5 else (width, height)


def _check_pixels(image: Image.Image) -> None:
    width, height = image.size
    if width < 1 or height < 1:
        raise DatasetError(f"empty: {width}x{height}")
    if width * height > MAX_PIXELS:
        raise DatasetError(f"{width}x{height} has more than {MAX_PIXELS:,} pixels; make it smaller")


def _is_animated(image: Image.Image) -> bool:
    # Cameras put a thumbnail or a second view into a JPEG, which Pillow then calls MPO: still a photograph.
    return image.format != "MPO" and getattr(image, "is_animated", False)


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1 to 8; 1, which is upright, also where the EXIF is damaged."""
    try:
        value = image.getexif().get(_EXIF_ORIENTATION, 1)
    except Exception:  # A picture is not lost for the sake of its metadata.
        return 1
    return value if value in _UPRIGHT else 1


def _from_16_bit(image: Image.Image) -> Image.Image:
    """Scale 0..65535 to 0..255, rounded. Raises DatasetError for pixels that have no such range."""
    pixels = np.asarray(image)
    if image.mode == "F" or pixels.min() < 0 or pixels.max() > 65535:
        raise DatasetError(f"mode {image.mode} with pixels from {pixels.min()} to {pixels.max()}, expected 0 to 65535")
    return Image.fromarray(((pixels.astype(np.uint32) * 255 + 32767) // 65535).astype(np.uint8))


@contextmanager
def _as_dataset_error() -> Iterator[None]:
    """Turn whatever Pillow raises into a DatasetError: on damaged files that can be nearly any exception."""
    try:
        yield
    except DatasetError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise DatasetError(f"more than {MAX_PIXELS:,} pixels; make it smaller") from error
    except Exception as error:
        raise DatasetError(f"damaged: {error}") from error


@contextmanager
def quiet_pillow() -> Iterator[None]:
    """No warnings from Pillow about what is checked here anyway. For the main thread: filters are global."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
        warnings.filterwarnings("ignore", category=UserWarning, module="PIL")
        yield
