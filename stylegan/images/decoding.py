"""Decode and fit one image of any format and orientation: bytes -> 8-bit grey or RGB, with or without alpha."""

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import numpy as np
from PIL import Image, UnidentifiedImageError

from ..errors import DatasetError

FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF")
# Pillow warns above this, we raise: a larger image needs more than 256 MiB as RGB.
MAX_PIXELS = 89_478_485

Crop = tuple[int, int, int, int]  # x, y, w, h in pixels of the upright image.
Fit = Literal["crop", "pad", "stretch"]
OutputFormat = Literal["png", "jpeg"]

# Pillow's modes by number of channels.
MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}
# A conversion: of 16-bit images in which no value reaches a quarter of the range.
DARK = "dark 16-bit data"

_EXIF_ORIENTATION = 0x0112
_BITS_PER_SAMPLE, _MAX_SAMPLE_VALUE = 0x0102, 0x0119  # Tags of TIFF.
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
class Decoded:
    """A decoded image, upright, in one of MODES, and its conversions."""

    image: Image.Image
    conversions: tuple[str, ...]


def open_image(data: bytes) -> Image.Image:
    """Read the header of an image. Raises DatasetError if there is none, it is too large, or a PNG is damaged."""
    if not data:
        raise DatasetError("an empty file")
    with _as_dataset_error():
        try:
            image = Image.open(io.BytesIO(data), formats=FORMATS)
        except UnidentifiedImageError:
            raise DatasetError(f"not an intact {', '.join(FORMATS[:-1])} or {FORMATS[-1]}") from None
        _check_pixels(image)
        if image.format == "PNG":
            # Decoding ignores the checksums of the pixels; `verify` checks them, and leaves the image unusable.
            image.verify()
            image = Image.open(io.BytesIO(data), formats=FORMATS)
        return image


def open_plain(data: bytes) -> Image.Image:
    """Like `open_image`. Raises DatasetError also if the pixels cannot be used as they are stored."""
    with _as_dataset_error():
        image = open_image(data)
        if image.mode not in MODES.values():
            raise DatasetError(f"mode {image.mode}, expected one of {', '.join(MODES.values())}")
        if image.has_transparency_data and not image.mode.endswith("A"):
            raise DatasetError(f"mode {image.mode} with a transparent colour, expected an alpha channel or none")
        if _bits(image, data) == 16:
            raise DatasetError("16 bits per channel, expected 8")
        if _is_animated(image):
            raise DatasetError("animated")
        if _orientation(image) != 1:
            raise DatasetError("rotated by EXIF")
        return image


def decode_plain(data: bytes) -> np.ndarray:
    """Decode an image that needs no conversion: uint8 [H, W, C], C from 1 to 4. Raises DatasetError otherwise."""
    image = open_plain(data)
    with _as_dataset_error():
        pixels = np.asarray(image)
    return pixels[:, :, None] if pixels.ndim == 2 else pixels


def decode(
    data: bytes,
    *,
    channels: int = 3,
    animated: Literal["reject", "first"] = "reject",
    bit_depth: int | None = None,
) -> Decoded:
    """Decode any image: upright, 8 bits. Colour profiles are ignored.

    channels: 1 = grey, 3 = RGB, both composited over white; 2 = grey with alpha, 4 = RGBA.
    animated: "first" = use the first frame of animations (and of TIFFs with pages), "reject" = raise.
    bit_depth: bits used in 16-bit images, often 12; None = from the file (12-bit TIFF, its largest value, sBIT of
        PNG), else 16.

    Raises DatasetError, with a reason but no name, if the image is damaged or rejected.
    """
    conversions = []
    with _as_dataset_error():
        image = open_image(data)
        if _is_animated(image):
            if animated == "reject":
                raise DatasetError("animated")
            conversions.append("first frame of an animation")
        image.load()
        bits, known = _bits(image, data), _known_depth(image, data)
        orientation = _orientation(image)
        if orientation != 1:
            image = image.transpose(_UPRIGHT[orientation])
            conversions.append("rotated by EXIF")
        deep = image.mode.startswith(("I", "F"))
        if deep:
            image, found = _from_16_bit(image, bit_depth, known)
            conversions += found
        elif bits == 16:
            conversions += _check_16_bit_colour(image, bit_depth)
        if image.has_transparency_data:
            source = image.mode
            image = image.convert("RGBA")
            if channels in (1, 3):
                conversions.append(f"transparent {source}")
                image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
        else:
            if image.mode not in ("L", "RGB"):
                conversions.append(f"mode {image.mode}")
                image = image.convert("RGB")
            elif image.mode == "L" and channels >= 3 and not deep:
                conversions.append("grey")
            if channels in (2, 4):
                conversions.append("opaque")
        image = image.convert(MODES[channels])
    return Decoded(image, tuple(conversions))


def square_box(size: tuple[int, int], crop: Crop | None) -> tuple[int, int, int, int]:
    """The box (left, top, right, bottom) of the largest centred square of an image, or of a crop of it.

    Raises DatasetError if the crop is not inside the image.
    """
    left, top, right, bottom = crop_box(size, crop)
    w, h = right - left, bottom - top
    side = min(w, h)
    left, top = left + (w - side) // 2, top + (h - side) // 2
    return left, top, left + side, top + side


def crop_box(size: tuple[int, int], crop: Crop | None) -> tuple[int, int, int, int]:
    """The box of a crop of an image; None = all of it. Raises DatasetError if it is not inside the image."""
    width, height = size
    x, y, w, h = crop or (0, 0, width, height)
    if x + w > width or y + h > height:
        raise DatasetError(f"{width}x{height} is too small for the crop {x},{y},{w},{h}")
    return x, y, x + w, y + h


def side_for(size: tuple[int, int], crop: Crop | None, fit: Fit) -> int:
    """The largest resolution that an image, or a crop of it, fills without being enlarged."""
    left, top, right, bottom = crop_box(size, crop)
    return (max if fit == "pad" else min)(right - left, bottom - top)


def to_square(image: Image.Image, resolution: int, crop: Crop | None, fit: Fit) -> Image.Image:
    """Scale an image, or a crop of it, to resolution x resolution (Lanczos).

    fit: "crop" = the largest centred square; "pad" = all of it between black bars, transparent with alpha; "stretch" =
    all of it, distorted.
    """
    box = square_box(image.size, crop) if fit == "crop" else crop_box(image.size, crop)
    w, h = box[2] - box[0], box[3] - box[1]
    if fit != "pad" or w == h:
        return image.resize((resolution, resolution), Image.Resampling.LANCZOS, box=box)
    size = (max(1, round(resolution * w / max(w, h))), max(1, round(resolution * h / max(w, h))))
    square = Image.new(image.mode, (resolution, resolution))
    scaled = image.resize(size, Image.Resampling.LANCZOS, box=box)
    square.paste(scaled, ((resolution - size[0]) // 2, (resolution - size[1]) // 2))
    return square


def upright_size(image: Image.Image) -> tuple[int, int]:
    """Width and height of an opened image, once upright."""
    width, height = image.size
    return (height, width) if _orientation(image) >= 5 else (width, height)


def _check_pixels(image: Image.Image) -> None:
    width, height = image.size
    if width < 1 or height < 1:
        raise DatasetError(f"empty: {width}x{height}")
    if width * height > MAX_PIXELS:
        raise DatasetError(f"{width}x{height} has more than {MAX_PIXELS:,} pixels; make it smaller")


def _is_animated(image: Image.Image) -> bool:
    # Pillow calls a camera's JPEG with a thumbnail or a second view MPO, but it is still a photograph.
    return image.format != "MPO" and getattr(image, "is_animated", False)


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1 (upright) to 8; 1 if the EXIF data are damaged."""
    try:
        value = image.getexif().get(_EXIF_ORIENTATION, 1)
    except Exception:  # An image with damaged metadata is still usable.
        return 1
    return value if value in _UPRIGHT else 1


def _bits(image: Image.Image, data: bytes) -> int:
    """Bits per channel in the file, for formats that may have more than 8."""
    if image.format == "PNG":
        return data[24]  # In IHDR, the first chunk.
    if image.format == "TIFF":
        return max(map(int, image.tag_v2.get(_BITS_PER_SAMPLE, (8,))))  # type: ignore[attr-defined]
    return 8


def _known_depth(image: Image.Image, data: bytes) -> int | None:
    """The bits that a 16-bit image uses, as stated in its file; None = not stated."""
    if image.format == "TIFF":
        tags = image.tag_v2  # type: ignore[attr-defined]
        bits, most = max(tags.get(_BITS_PER_SAMPLE, (16,))), max(tags.get(_MAX_SAMPLE_VALUE, (0,)))
        # Some programs write the image's own largest value, which must not change its brightness.
        whole = most.bit_length() if most > 255 and most & (most + 1) == 0 else 16
        return min(bits, whole) if min(bits, whole) < 16 else None
    if image.format == "PNG":
        start = 8
        while (kind := data[start + 4 : start + 8]) not in (b"IDAT", b"IEND", b""):
            if kind == b"sBIT":
                return data[start + 8]
            start += 12 + int.from_bytes(data[start : start + 4], "big")
    return None


def _from_16_bit(image: Image.Image, bit_depth: int | None, known: int | None) -> tuple[Image.Image, list[str]]:
    """Scale grey values to 0..255, rounded. Also returns the conversions: from how many bits, and DARK.

    Raises DatasetError for pixels out of range.
    """
    pixels = np.asarray(image)
    depth = bit_depth or 16
    if bit_depth is None and known is not None and 8 <= known < 16 and not _is_full_scale(pixels, known):
        depth = known
    white = (1 << depth) - 1
    if image.mode == "F" or pixels.min() < 0 or pixels.max() > white:
        raise DatasetError(
            f"mode {image.mode} with pixels from {pixels.min()} to {pixels.max()}, expected 0 to {white}"
        )
    dark = bit_depth is None and depth == 16 and 0 < pixels.max() < 1 << 14
    scaled = Image.fromarray(((pixels.astype(np.uint32) * 255 + white // 2) // white).astype(np.uint8))
    return scaled, [f"{depth}-bit", DARK] if dark else [f"{depth}-bit"]


def _is_full_scale(pixels: np.ndarray, depth: int) -> bool:
    """Whether values of `depth` bits are scaled to 16, as in PNG: their low bits are zero or repeated."""
    low = pixels & ((1 << (16 - depth)) - 1)
    return bool(pixels.max() >> depth or not low.any() or (low == pixels >> depth).all())


def _check_16_bit_colour(image: Image.Image, bit_depth: int | None) -> list[str]:
    """The conversions of a 16-bit colour image, of which Pillow keeps only the upper 8 bits.

    Raises DatasetError if it uses fewer than 16 bits: the upper 8 would be too few.
    """
    if bit_depth is not None and bit_depth < 16:
        raise DatasetError(f"{bit_depth}-bit colours stored in 16 bits, of which Pillow reads 8; convert it to 8 bits")
    colours = np.asarray(image)[:, :, : len(image.getbands()) - image.mode.endswith("A")]
    peak = int(colours.max())
    return ["16-bit", DARK] if bit_depth is None and 0 < peak < 1 << 6 else ["16-bit"]


@contextmanager
def _as_dataset_error() -> Iterator[None]:
    """Turn what Pillow raises for a damaged file, nearly any exception, into a DatasetError."""
    try:
        yield
    except DatasetError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise DatasetError(f"more than {MAX_PIXELS:,} pixels; make it smaller") from error
    except Exception as error:
        is_cut = "truncated" in str(error).lower()
        raise DatasetError("damaged: the file is cut off" if is_cut else f"damaged: {error}") from error


@contextmanager
def quiet_pillow() -> Iterator[None]:
    """Silence Pillow's warnings about things checked here anyway. For the main thread, since filters are global."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=Image.DecompressionBombWarning)
        warnings.filterwarnings("ignore", category=UserWarning, module="PIL")
        yield
