"""Where pictures come from: the files of a folder or of a zip, which is checked by its headers and read in place."""

import os
import posixpath
import re
import stat
import struct
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from ..errors import DatasetError

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff")

# Deflate reaches 1032:1 at most. Below the size, nothing can be blown up enough to matter.
MAX_RATIO = 200
MAX_RATIO_SIZE = 2**20
# No picture that Pillow decodes without a warning is larger, uncompressed.
MAX_FILE_SIZE = 2**29

# What zipfile raises on damaged files; ValueError for names in a wrong encoding.
_READ_ERRORS = (OSError, EOFError, RuntimeError, ValueError, struct.error, zipfile.BadZipFile, zlib.error)


class Source:
    """The files of a folder (with sub-folders) or of a zip; names are relative, with "/", in sorted order.

    path: the folder or the zip.
    names: the files whose suffix is one of a picture.
    others: all other files. Hidden files and those that macOS adds to a zip are in neither.

    Reading is safe from several threads. Raises DatasetError if there is nothing to read, or if the headers of the zip
    name paths outside it, links, encrypted or duplicate files, or contents that cannot be honest.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self._zip: zipfile.ZipFile | None = None
        if self.path.is_dir():
            files = _walk(self.path)
        elif self.path.is_file():
            self._zip = _open_zip(self.path)
            files = [info.filename for info in self._zip.infolist() if not info.is_dir()]
        else:
            raise DatasetError(f"{self.path}: no such folder or zip; expected a folder or a zip of pictures")
        files = sorted(name for name in files if not _is_hidden(name))
        self.names = [name for name in files if name.lower().endswith(SUFFIXES)]
        self.others = [name for name in files if not name.lower().endswith(SUFFIXES)]
        if not self.names:
            self.close()
            raise DatasetError(f"{self.path} holds no pictures; expected files that end in {', '.join(SUFFIXES)}")

    def read(self, name: str) -> bytes:
        """The bytes of a file. Raises DatasetError, with a reason but without the name, if it cannot be read whole."""
        try:
            if self._zip is not None:
                return self._zip.read(name)
            path = self.path / name
            if path.stat().st_size > MAX_FILE_SIZE:
                raise DatasetError(f"larger than {MAX_FILE_SIZE >> 20} MiB")
            return path.read_bytes()
        except _READ_ERRORS as error:
            raise DatasetError(f"cannot be read: {getattr(error, 'strerror', None) or error}") from error

    def close(self) -> None:
        """Close the zip."""
        if self._zip is not None:
            self._zip.close()

    def __enter__(self) -> "Source":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def printable(name: str) -> str:
    """A file name that is safe to show: anything that a terminal could take for a command is escaped."""
    return name if name.isprintable() else ascii(name)


def list_files(reasons: Iterable[tuple[str, str]], *, limit: int = 20) -> str:
    """Files and what is wrong with each, one to a line; of many, the first and how many more there are."""
    lines = [f"  {printable(name)}: {reason}" for name, reason in reasons]
    more = [f"  ... and {len(lines) - limit} more"] if len(lines) > limit else []
    return "\n".join(lines[:limit] + more)


def _walk(folder: Path) -> list[str]:
    """Regular files below a folder; linked folders are not entered."""
    found = []
    for parent, _, files in os.walk(folder):
        found += [path.relative_to(folder).as_posix() for path in map(Path(parent).joinpath, files) if path.is_file()]
    return found


def _is_hidden(name: str) -> bool:
    return any(part.startswith(".") or part == "__MACOSX" for part in name.split("/"))


def _open_zip(path: Path) -> zipfile.ZipFile:
    """Open a zip whose headers are harmless. Raises DatasetError, naming the files that are not."""
    try:
        archive = zipfile.ZipFile(path)
    except _READ_ERRORS as error:
        raise DatasetError(f"{path} is no zip that can be read ({error}); expected a folder or a zip") from error
    infos = archive.infolist()
    names = Counter(posixpath.normpath(info.filename) for info in infos)
    refused = [(info.filename, reason) for info in infos if (reason := _why_refused(info, names))]
    # Files that share their bytes: a small zip that claims to hold a large one many times.
    if sum(info.compress_size for info in infos) > path.stat().st_size:
        refused.append((path.name, "its files overlap"))
    if refused:
        archive.close()
        raise DatasetError(f"{path} is unsafe to read; make the zip again, without these:\n{list_files(refused)}")
    return archive


def _why_refused(info: zipfile.ZipInfo, names: Counter[str]) -> str | None:
    """What is wrong with one header of a zip; None = nothing."""
    # zipfile cuts a name at NUL; the original shows what another program would see.
    name = info.orig_filename
    if "\0" in name:
        return "a name with NUL"
    if re.match(r"[/\\]|[A-Za-z]:", name) or ".." in re.split(r"[/\\]", name):
        return "a path that leads outside"
    if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "a link or a special file"
    if info.flag_bits & 0x1:
        return "encrypted"
    if names[posixpath.normpath(info.filename)] > 1:
        return "a duplicate name"
    # The other methods of zipfile unpack without a limit.
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return "neither stored nor deflated"
    if info.file_size > MAX_FILE_SIZE:
        return f"claims {info.file_size:,} bytes, expected at most {MAX_FILE_SIZE:,}"
    if info.file_size > max(MAX_RATIO_SIZE, MAX_RATIO * info.compress_size):
        return f"compressed more than {MAX_RATIO}:1"
    return None
