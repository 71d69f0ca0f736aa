"""Ten seeds, and what jobs of a tiny network have written."""

import tarfile
from pathlib import Path

from stylegan.latents.ranges import SeedRanges

TEN = SeedRanges.parse("3-12")


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def times(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}


def members(path: Path) -> dict[str, bytes]:
    with tarfile.open(path) as archive:
        return {entry.name: file.read() for entry in archive if (file := archive.extractfile(entry))}
