"""What commands write: tables on the terminal, and files whose paths are checked in advance."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import click

from stylegan.errors import InputError

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
MAX_PIXELS = 2**29  # Of one image; each takes three bytes of memory.


def show_table(rows: Sequence[Sequence[str]]) -> None:
    """Print rows in columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def check_output(path: Path) -> None:
    """Fail in advance if an image could not be written there."""
    if not path.suffix:
        raise InputError(f"--out {path} has no image suffix; write --out {path}.png")
    if path.suffix.lower() not in IMAGE_SUFFIXES:
        raise InputError(f"--out {path}: no image format has the suffix {path.suffix!r}; use .png, .jpg or .webp")
    check_writable(path)


def check_writable(path: Path) -> None:
    """Fail in advance if no file could be written there."""
    if path.is_dir():
        raise InputError(f"--out {path} is a folder; name a file in it")
    folder = path.parent
    while not folder.exists():
        folder = folder.parent
    try:  # Only writing shows whether writing works: permissions of /proc look as if it does.
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError:
        raise InputError(f"--out {path}: cannot write into {folder}") from None


def check_image(out: Path, *, columns: int, rows: int, tile: int) -> None:
    """Fail in advance if the grid would be too large to write and view."""
    width, height = columns * tile, rows * tile
    side = {".webp": 16_383, ".jpg": 65_535, ".jpeg": 65_535}.get(out.suffix.lower(), 1_000_000)
    if max(width, height) > side or width * height > MAX_PIXELS:
        raise InputError(
            f"--out {out}: {columns * rows:,} images of {tile}x{tile} make {width:,}x{height:,} pixels, too "
            "large for one file; `stylegan sample --out faces/` writes one file per seed, --format tar many"
        )
