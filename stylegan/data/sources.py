"""Sources of images: the files of a folder, a zip or a tar, or official TFRecords; all are read in place."""

import os
import zlib
from collections.abc import Iterable
from pathlib import Path

from ..errors import DatasetError
from .containers import EXPECTED, MAX_FILE_SIZE, READ_ERRORS, Container, Folder, Tar, Zip, list_files, printable
from .tfrecords import SUFFIX as TFRECORDS
from .tfrecords import TFRecords, find_tfrecords

__all__ = ["SUFFIXES", "Source", "list_files", "printable"]

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff")


class Source:
    """The images of a folder (with sub-folders), a zip, a tar or TFRecords; names are relative, with "/", sorted.

    path: the folder or file. A backslash in a name, which some programs for Windows write, counts as a slash.
    names: the files with an image suffix.
    others: all other files, except hidden ones and those that macOS adds to a zip.

    Reading is safe from several threads. Raises DatasetError if there is nothing to read, or if the headers of an
    archive name paths outside it, links, encrypted or duplicate files, or implausible sizes.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._container = _open(self.path)
        self._sums: dict[str, tuple[int, int]] = {}
        files = sorted(name for name in self._container.names if not _is_hidden(name))
        self.names = [name for name in files if name.lower().endswith(SUFFIXES)]
        self.others = [name for name in files if not name.lower().endswith(SUFFIXES)]
        if not self.names:
            self.close()
            hint = _what_else(self.others)
            raise DatasetError(f"{self.path} holds no images; expected files that end in {', '.join(SUFFIXES)}{hint}")

    def read(self, name: str, *, limit: int = MAX_FILE_SIZE) -> bytes:
        """The bytes of a file: at most `limit` are read, whatever a header claims.

        Raises DatasetError, with a reason but no name, if it is larger or cannot be read completely.
        """
        try:
            data = self._container.read(name, limit)
        except READ_ERRORS as error:
            raise DatasetError(f"cannot be read: {getattr(error, 'strerror', None) or error}") from error
        if name not in self._sums:
            self._sums[name] = len(data), zlib.crc32(data)
        return data

    def checksum(self, name: str) -> tuple[int, int]:
        """Size and CRC-32 of a file when it was first read."""
        if name not in self._sums:
            self.read(name)
        return self._sums[name]

    def close(self) -> None:
        """Close the archive."""
        self._container.close()

    def __enter__(self) -> "Source":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _open(path: Path) -> Container:
    """The container of the images, recognized by its content, not its name."""
    if path.is_dir():
        folder = Folder(path)
        if not any(name.lower().endswith(SUFFIXES) for name in folder.names) and (records := find_tfrecords(path)):
            return records
        return folder
    if not path.is_file():
        raise DatasetError(f"{path}: no such folder or file; {EXPECTED}")
    with path.open("rb") as file:
        head = file.read(512)
    if head[:2] == b"\x1f\x8b":
        raise DatasetError(f"{path} is compressed (gzip); unpack it first (gunzip, tar xzf)")
    if head[257:262] == b"ustar":
        return Tar(path)
    if TFRecords.are_in(head) or path.suffix == TFRECORDS:
        return TFRecords(path)
    return Zip(path)


def _what_else(others: Iterable[str]) -> str:
    """A hint about what a folder without images seems to be."""
    names = {name.split("/")[-1].lower() for name in others}
    if "data.mdb" in names:
        return ". This is an LMDB database, which is not supported: export its images to files first"
    archive = next((name for name in sorted(names) if name.lower().endswith((".zip", ".tar"))), None)
    return f". It holds {printable(archive)}: give that file instead" if archive else ""


def _is_hidden(name: str) -> bool:
    return any(part.startswith(".") or part == "__MACOSX" for part in name.split("/"))
