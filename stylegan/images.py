"""Images: float tensors in [-1, 1] <-> uint8 <-> PIL, grids, and pictures that remember how they were made."""

import io
import json
import logging
import os
from collections.abc import Mapping, Sequence
from math import ceil, sqrt
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageColor, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo
from torch import Tensor

from . import ops
from .checks import check_integer, typed
from .errors import InputError
from .files import write_atomically
from .pictures import MODES
from .small_files import parse_json
from .tensors import check_tensor

Heading = str | Image.Image

# EXIF, where settings are kept in pictures: the description of the image, which may be ASCII only.
IMAGE_DESCRIPTION = 0x010E

# JPEG has no room for more EXIF than this.
_MAX_EXIF = 65_000

# PNG predicts each pixel from its neighbours. What that leaves of photographs repeats little but zeros: looking for
# runs alone takes a sixth of the time of zlib's default at 1024x1024, and makes files no larger (docs/scale.md).
_ENCODINGS: dict[str, dict[str, Any]] = {
    "PNG": {"compress_type": Image.RLE},
    "JPEG": {"quality": 95, "subsampling": 0},
}
# That keep alpha as it is; others lose it, or refuse.
_WITH_ALPHA = ("PNG", "WEBP", "TIFF")


@typed
def to_uint8(img: Tensor, *, shrink: int = 1) -> Tensor:
    """Convert float images [..., C, H, W], nominally in [-1, 1], to uint8 [..., C, H, W], as the official code does.

    The result is 127.5 * img + 128, clipped to [0, 255] and rounded down, in any shape. `shrink` first averages blocks
    of that size.
    """
    check_integer(shrink, what="shrink", low=1, high=2**14)
    check_tensor(img, ("...", "C", "H", "W") if shrink > 1 else ("...",), what="img")
    if shrink > 1 and (img.shape[-1] % shrink or img.shape[-2] % shrink):
        raise InputError(f"images of {img.shape[-1]}x{img.shape[-2]} cannot be shrunk by {shrink}")
    img = ops.downscale(img.float(), shrink)
    return (img * 127.5).add_(128).clamp_(0, 255).to(torch.uint8)


@typed
def from_uint8(img: Tensor) -> Tensor:
    """Convert uint8 images of any shape to float32 in [-1, 1]: 0 becomes -1, 255 becomes 1."""
    if img.dtype != torch.uint8:
        raise InputError(f"img must be uint8, got {str(img.dtype).removeprefix('torch.')}")
    return img.float() * (2 / 255) - 1


@typed
def to_numpy(img: Tensor) -> np.ndarray:
    """Convert float images [N, C, H, W] in [-1, 1] to uint8 [N, H, W, C]."""
    check_tensor(img, ("N", "C", "H", "W"), what="img")
    if img.device.type == "meta":
        raise InputError("img is on the meta device, where there are no numbers")
    pixels = to_uint8(img).permute(0, 2, 3, 1).contiguous()
    host = pixels.to("cpu", non_blocking=True)  # From a GPU into pinned memory, which is several times as fast.
    if pixels.is_cuda:
        torch.cuda.current_stream(pixels.device).synchronize()
    return host.numpy()


@typed
def to_pil(img: Tensor) -> list[Image.Image]:
    """Convert float images [N, C, H, W] in [-1, 1] to PIL images: grey, grey with alpha, RGB, RGBA for C of 1 to 4."""
    pixels = to_numpy(img)
    check_channels(pixels.shape[-1])
    return [Image.fromarray(a[:, :, 0] if a.shape[-1] == 1 else a) for a in pixels]


def check_channels(count: int) -> None:
    """Raise InputError for images with so many channels that they are none to PIL."""
    if count not in MODES:
        raise InputError(
            f"images of {count} channels are none to PIL, which has 1 (grey), 2 (grey, alpha), 3 (RGB) and 4 (RGBA); "
            "G.sample and G.render give arrays with output_type 'np' or 'pt'"
        )


def as_rgb(img: Tensor) -> Tensor:
    """What networks for RGB see of images [N, C, H, W] in [-1, 1], C of 1 to 4: [N, 3, H, W].

    Grey is repeated; what is transparent is laid over white.
    """
    check_channels(img.shape[1])
    if img.shape[1] in (2, 4):
        img, alpha = img[:, :-1], ((img[:, -1:] + 1) / 2).clamp(0, 1)
        img = img * alpha + (1 - alpha)
    return img.expand(-1, 3, -1, -1)


def opaque(image: Image.Image) -> Image.Image:
    """An image as it looks on white: L for LA, RGB for RGBA, and others as they are."""
    if image.mode not in ("LA", "RGBA"):
        return image
    white = Image.new("RGBA", image.size, "white")
    flat = Image.alpha_composite(white, image.convert("RGBA")).convert(image.mode.removesuffix("A"))
    return remember(flat, {str(key): value for key, value in image.info.items() if isinstance(value, str)})


@typed
def remember(image: Image.Image, settings: Mapping[str, object]) -> Image.Image:
    """Attach settings to an image: in `image.info`, and in every PNG, JPEG and WebP that is saved of it; returns it.

    Settings that were attached before remain. Copies made by Pillow (crop, resize) keep `info` but write nothing.
    `recall` reads them from a file: they are the description of the image (EXIF), as JSON, and in PNGs text as well.
    """
    image.info |= {key: setting_text(value) for key, value in settings.items()}
    png = PngInfo()
    for key, value in settings_of(image).items():
        png.add_itxt(key, value)
    image.encoderinfo = {"pnginfo": png, "exif": _exif(image)} | _ENCODINGS["PNG"]
    return image


@typed
def recall(path: str | os.PathLike[str]) -> dict[str, str]:
    """The settings in a PNG, JPEG, WebP, GIF or MP4 of this library, see `remember`; text by name, none in others.

    Raises InputError if there is no such file, it is no picture and no MP4, or an MP4 and PyAV is not installed.
    """
    try:
        if _is_mp4(path):
            stored = _comment_of_mp4(path)
        else:
            with Image.open(path) as image:
                if image.format == "PNG":
                    return settings_of(image)
                gif = image.format == "GIF"
                stored = image.info.get("comment", "") if gif else image.getexif().get(IMAGE_DESCRIPTION, "")
    except InputError:
        raise
    except Exception as error:  # Of damaged files, Pillow and PyAV raise nearly any.
        raise InputError(f"{os.fspath(path)}: no picture that can be read: {error}") from error
    try:
        settings = parse_json(stored, where=os.fspath(path), error=InputError)
    except InputError:  # Somebody else's description.
        return {}
    return {key: str(value) for key, value in settings.items()} if isinstance(settings, dict) else {}


def _is_mp4(path: str | os.PathLike[str]) -> bool:
    """Whether a file is a video of that family; AVIF pictures begin alike, but for the brand."""
    with open(path, "rb") as file:
        head = file.read(12)
    return head[4:8] == b"ftyp" and head[8:12] not in (b"avif", b"avis")


def _comment_of_mp4(path: str | os.PathLike[str]) -> str:
    try:
        import av
    except ImportError as error:
        what = f"{os.fspath(path)}: the settings of an MP4 are read with PyAV ({error})"
        raise InputError(f'{what}: pip install "stylegan[video]"') from error
    with av.open(os.fspath(path)) as container:
        return container.metadata.get("comment", "")


def settings_of(image: Image.Image) -> dict[str, str]:
    """The settings that are attached to an image."""
    return {str(key): value for key, value in image.info.items() if isinstance(value, str)}


def setting_text(value: object) -> str:
    """A setting as pictures hold it; layers are written as commands take them, 4:8."""
    if isinstance(value, slice):
        return ":".join("" if part is None else str(part) for part in (value.start, value.stop))
    return str(value.tolist() if isinstance(value, Tensor | np.ndarray) else value)


def _exif(image: Image.Image) -> bytes:
    """The settings of an image as EXIF; none if there are none, or too many."""
    settings = settings_of(image)
    exif = Image.Exif()
    exif[IMAGE_DESCRIPTION] = json.dumps(settings)
    data = exif.tobytes() if settings else b""
    if len(data) > _MAX_EXIF:
        logging.getLogger(__name__).warning("%d bytes of settings are too many: JPEG and WebP go without", len(data))
        return b""
    return data


@typed
def display_size(img_resolution: int, size: int | None = None) -> int:
    """Width in pixels at which images of a resolution are shown; None = their own, and 256 at least.

    Raises InputError unless size is a whole multiple or a whole fraction of the resolution.
    """
    if size is None:
        return max(256, img_resolution)
    check_integer(size, what="size", low=1, high=2**14)
    if img_resolution < 1 or (size % img_resolution and img_resolution % size):
        raise InputError(
            f"images of {img_resolution}x{img_resolution} cannot be shown at size {size}: give a whole multiple of "
            f"{img_resolution}, such as {2 * img_resolution}, or a part, such as {img_resolution // 2}"
        )
    return size


@typed
def resize(image: Image.Image, size: int) -> Image.Image:
    """Show an image [w, h] at width `size`, for which `display_size` holds: enlarged smoothly, or block means."""
    display_size(image.width, size)
    if size < image.width:
        resized = image.reduce(image.width // size)
    else:
        resized = image.resize((size, image.height * (size // image.width)), Image.Resampling.LANCZOS)
    return remember(resized, {"size": size})


@typed
def save(image: Image.Image, path: str | os.PathLike[str]) -> None:
    """Save an image, complete or not at all, in the format of the suffix, with what `remember` attached."""
    write_atomically(path, encode(image, Path(path).suffix))


@typed
def encode(image: Image.Image, suffix: str) -> bytes:
    """The bytes of a picture file with that suffix, such as ".png"; the same for the same pixels and settings.

    JPEG is of quality 95 with all colour samples. Raises InputError for suffixes that name no kind of picture, or one
    that has no alpha where the image has.
    """
    format = format_of(suffix, image.mode)
    data = io.BytesIO()
    image.save(data, format=format, **_ENCODINGS.get(format, {}))
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


@typed
def grid(
    images: Sequence[Image.Image],
    *,
    columns: int | None = None,
    row_headings: Sequence[Heading] | None = None,
    column_headings: Sequence[Heading] | None = None,
    padding: int = 0,
    background: str = "white",
) -> Image.Image:
    """Lay images of equal size out in rows, left to right.

    columns: images in a row; None = one for each column heading, else about the square root of their number.
    row_headings, column_headings: texts or images shown left of each row and above each column.
    padding: pixels between images.

    Returns one RGB image, or RGBA if one of them has alpha, which is kept. It remembers the settings of its images (see
    `remember`), several values of one setting separated by commas. Raises InputError if sizes differ or headings do not
    match the rows and columns.
    """
    if not images:
        raise InputError("a grid needs at least one image")
    width, height = images[0].size
    if any(image.size != (width, height) for image in images):
        raise InputError(f"images of a grid must have one size, got {sorted({image.size for image in images})}")
    if columns is None:
        columns = len(column_headings) if column_headings else ceil(sqrt(len(images)))
    check_integer(columns, what="columns", low=1, high=10_000)
    check_integer(padding, what="padding", low=0, high=1000)
    try:
        ImageColor.getrgb(background)
    except ValueError:
        raise InputError(f"background must be a colour such as 'white' or '#ffffff', got {background!r}") from None
    rows = ceil(len(images) / columns)
    for what, headings, expected in (("row", row_headings, rows), ("column", column_headings, columns)):
        if headings is not None and len(headings) != expected:
            raise InputError(f"a grid with {expected} {what}s needs {expected} {what} headings, got {len(headings)}")

    font = ImageFont.load_default(size=max(12, height // 12))
    heading_width = max((_heading_size(h, font)[0] for h in row_headings or []), default=0)
    heading_height = max((_heading_size(h, font)[1] for h in column_headings or []), default=0)
    left = heading_width + padding if row_headings else 0
    top = heading_height + padding if column_headings else 0
    # A column is as wide as its heading's text at least, so that no text is cut.
    cell = max([width, *(_heading_size(h, font)[0] for h in column_headings or [])])
    size = (left + columns * (cell + padding) - padding, top + rows * (height + padding) - padding)
    has_alpha = any(image.mode in ("LA", "RGBA") for image in images)
    canvas = Image.new("RGBA" if has_alpha else "RGB", size, background)
    draw = ImageDraw.Draw(canvas)

    def put(heading: Heading, x: int, y: int, w: int, h: int) -> None:
        if isinstance(heading, str):
            draw.text((x + w / 2, y + h / 2), heading, fill="black", font=font, anchor="mm", align="center")
        else:
            canvas.paste(heading, (x + (w - heading.width) // 2, y + (h - heading.height) // 2))

    for i, image in enumerate(images):
        put(image, left + i % columns * (cell + padding), top + i // columns * (height + padding), cell, height)
    for i, heading in enumerate(column_headings or []):
        put(heading, left + i * (cell + padding), 0, cell, heading_height)
    for i, heading in enumerate(row_headings or []):
        put(heading, 0, top + i * (height + padding), heading_width, height)
    return remember(canvas, _settings_of_all(images) | {"columns": columns})


def _settings_of_all(images: Sequence[Image.Image]) -> dict[str, str]:
    """The settings that all images have: one value where they agree, else all of them."""
    settings = {}
    for key in images[0].info:
        values = [value for image in images if isinstance(value := image.info.get(key), str)]
        if len(values) == len(images):
            settings[str(key)] = values[0] if len(set(values)) == 1 else ",".join(values)
    return settings


def _heading_size(heading: Heading, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> tuple[int, int]:
    """Width and height that a heading needs; texts with a margin of half a line."""
    if not isinstance(heading, str):
        return heading.size
    probe = ImageDraw.Draw(Image.new("L", (1, 1)))
    x0, _, x1, _ = probe.multiline_textbbox((0, 0), heading, font=font)
    line = sum(font.getmetrics()) if isinstance(font, ImageFont.FreeTypeFont) else 12
    return ceil(x1 - x0) + line // 2, line * (heading.count("\n") + 1) + line // 2
