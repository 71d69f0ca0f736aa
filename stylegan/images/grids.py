"""Images at their display size, laid out in rows."""

from collections.abc import Sequence
from math import ceil, sqrt

from PIL import Image, ImageColor, ImageDraw, ImageFont

from ..errors import InputError
from ..runtime.checks import check_integer, typed
from .settings import remember

Heading = str | Image.Image


@typed
def display_size(img_resolution: int, size: int | None = None) -> int:
    """Width in pixels at which images of a resolution are shown; None = their own, at least 256.

    Raises InputError unless size is a whole multiple or a whole fraction of the resolution.
    """
    if size is None:
        return max(256, img_resolution)
    check_integer(size, what="size", low=1, high=2**14)
    if img_resolution < 1 or (size % img_resolution and img_resolution % size):
        raise InputError(
            f"images of {img_resolution}x{img_resolution} cannot be shown at size {size}: give a whole multiple of "
            f"{img_resolution}, such as {2 * img_resolution}, or a fraction, such as {img_resolution // 2}"
        )
    return size


@typed
def resize(image: Image.Image, size: int) -> Image.Image:
    """An image at width `size`, as in `display_size`: enlarged with Lanczos, or reduced to block means."""
    display_size(image.width, size)
    if size < image.width:
        resized = image.reduce(image.width // size)
    else:
        resized = image.resize((size, image.height * (size // image.width)), Image.Resampling.LANCZOS)
    return remember(resized, {"size": size})


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
    """Lay out images of equal size in rows, left to right.

    columns: images per row; None = one per column heading, else about the square root of their number.
    row_headings, column_headings: texts or images, left of each row and above each column.
    padding: pixels between images.

    Returns one RGB image, or RGBA if one of them has alpha, with the settings of its images (see `remember`); several
    values are separated by commas. Raises InputError if sizes differ, or if the number of headings does not match the
    rows or columns.
    """
    if not images:
        raise InputError("a grid needs at least one image")
    width, height = images[0].size
    if any(image.size != (width, height) for image in images):
        raise InputError(f"images of a grid must have the same size, got {sorted({image.size for image in images})}")
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
    # Columns are at least as wide as their headings.
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
    """The settings that all images have: one value if they agree, else all of them."""
    settings = {}
    for key in images[0].info:
        values = [value for image in images if isinstance(value := image.info.get(key), str)]
        if len(values) == len(images):
            settings[str(key)] = values[0] if len(set(values)) == 1 else ",".join(values)
    return settings


def _heading_size(heading: Heading, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> tuple[int, int]:
    """Width and height of a heading; texts get a margin of half a line."""
    if not isinstance(heading, str):
        return heading.size
    probe = ImageDraw.Draw(Image.new("L", (1, 1)))
    x0, _, x1, _ = probe.multiline_textbbox((0, 0), heading, font=font)
    line = sum(font.getmetrics()) if isinstance(font, ImageFont.FreeTypeFont) else 12
    return ceil(x1 - x0) + line // 2, line * (heading.count("\n") + 1) + line // 2
