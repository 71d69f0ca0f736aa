"""Layout of figures: text as images, images in rows and columns, captions."""

from collections.abc import Mapping, Sequence
from math import ceil
from typing import Literal

from PIL import Image, ImageDraw, ImageFont

from ..generator import Generator
from ..images.convert import opaque
from ..images.settings import remember

Cells = Sequence[Image.Image]


def text_size(tile: int) -> int:
    """Font size in pixels next to images of this width."""
    return max(13, tile // 14)


def gap_size(tile: int) -> int:
    """Pixels between images of this width."""
    return max(2, tile // 64)


def text(
    content: str,
    *,
    size: int,
    width: int | None = None,
    height: int | None = None,
    align: Literal["left", "center"] = "center",
    bottom: bool = False,
) -> Image.Image:
    """Black text on white, wrapped at `width`; width or height None = the text's.

    bottom: at the lower edge of the box, not in its middle.
    """
    font = ImageFont.load_default(size)
    lines = _wrap(content, font, width)
    # The font's own line height leaves no space between lines.
    step = ceil(1.35 * size)
    width = width or ceil(max(map(font.getlength, lines)))
    height = height or step * len(lines)
    box = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(box)
    top = (height - step * len(lines)) / (1 if bottom else 2)
    for i, line in enumerate(lines):
        x, anchor = (0, "lm") if align == "left" else (width / 2, "mm")
        draw.text((x, top + (i + 0.5) * step), line, fill="black", font=font, anchor=anchor)
    return box


def upright(content: str, *, size: int, height: int) -> Image.Image:
    """Text that reads upwards, in a box of this height."""
    return text(content, size=size, width=height).transpose(Image.Transpose.ROTATE_90)


def row(cells: Cells, *, gap: int = 0) -> Image.Image:
    """Images side by side, aligned at the top, on white."""
    size = (sum(cell.width for cell in cells) + gap * (len(cells) - 1), max(cell.height for cell in cells))
    canvas = Image.new("RGB", size, "white")
    x = 0
    for cell in cells:
        canvas.paste(opaque(cell), (x, 0))
        x += cell.width + gap
    return canvas


def column(cells: Cells, *, gap: int = 0, align: Literal["left", "right"] = "left") -> Image.Image:
    """Images one below the other, on white."""
    width = max(cell.width for cell in cells)
    canvas = Image.new("RGB", (width, sum(cell.height for cell in cells) + gap * (len(cells) - 1)), "white")
    y = 0
    for cell in cells:
        canvas.paste(opaque(cell), (width - cell.width if align == "right" else 0, y))
        y += cell.height + gap
    return canvas


def finish(G: Generator, body: Image.Image, caption: str, *, size: int, settings: Mapping[str, object]) -> Image.Image:
    """The figure: a white margin, the caption below in font size `size`, and its settings (see `remember`)."""
    legend = text(caption, size=size, width=body.width, align="left")
    page = column([body, legend], gap=size // 2)
    figure = Image.new("RGB", (page.width + 2 * size, page.height + 2 * size), "white")
    figure.paste(page, (size, size))
    given = {key: value for key, value in settings.items() if value is not None}
    return remember(figure, G.provenance() | given)


def seeds_text(seeds: Sequence[int]) -> str:
    """Seeds for a caption, such as "seed 5" or "seeds 0 to 23"."""
    if len(seeds) == 1:
        return f"seed {seeds[0]}"
    if len(seeds) > 2 and list(seeds) == list(range(seeds[0], seeds[0] + len(seeds))):
        return f"seeds {seeds[0]} to {seeds[-1]}"
    return f"seeds {', '.join(map(str, seeds))}"


def _wrap(content: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: int | None) -> list[str]:
    """Lines no wider than `width`, unless a single word is wider."""
    lines: list[str] = []
    for paragraph in content.split("\n"):
        line = ""
        for word in paragraph.split():
            longer = f"{line} {word}".strip()
            if line and width is not None and font.getlength(longer) > width:
                lines.append(line)
                longer = word
            line = longer
        lines.append(line)
    return lines
