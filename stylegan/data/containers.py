"""Containers of a data set's files: a folder, a zip or a tar, checked by its headers and read in place."""

import os
import posixpath
import re
import stat
import struct
import tarfile
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Protocol, TypeVar

from ..errors import DatasetError

T = TypeVar("T")

# Deflate reaches at most 1032:1. Files below this size cannot grow enough to matter.
MAX_RATIO = 200
MAX_RATIO_SIZE = 2**20
# Above the largest image that Pillow decodes without a warning, uncompressed.
MAX_FILE_SIZE = 2**29

# Raised by zipfile and tarfile for damaged files; ValueError for names in a wrong encoding.
READ_ERRORS = (
    OSError,
    EOFError,
    RuntimeError,
    ValueError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
    tarfile.TarError,
)

EXPECTED = "expected a folder, a zip or a tar of images, or TFRecords of the official data sets"


class Container(Protocol):
    """Files by name, and how to read one of them."""

    names: list[str]

    def read(self, name: str, limit: int) -> bytes:
        """The bytes of a file. Raises DatasetError, without its name, if there are more than the limit."""

    def close(self) -> None:
        """Close open files."""


def printable(name: str) -> str:
    """A file name that is safe to show: control characters are escaped."""
    return name if name.isprintable() else ascii(name)


def list_files(reasons: Iterable[tuple[str, str]], *, limit: int = 20) -> str:
    """Files and their faults, one per line; beyond the limit, only their number."""
    lines = [f"  {printable(name)}: {reason}" for name, reason in reasons]
    more = [f"  ... and {len(lines) - limit} more"] if len(lines) > limit else []
    return "\n".join(lines[:limit] + more)


def plain_name(name: str) -> str:
    """A relative name, normalized: "/" for backslashes, no "." or empty parts."""
    return posixpath.normpath(name.replace("\\", "/"))


class Folder:
    """The regular files below a folder; linked folders are not followed."""

    def __init__(self, folder: Path) -> None:
        found = [path for parent, _, files in os.walk(folder) for path in map(Path(parent).joinpath, files)]
        by_name = [(plain_name(path.relative_to(folder).as_posix()), path) for path in found if path.is_file()]
        self._paths = dict(by_name)
        self.names = list(self._paths)
        if len(self._paths) < len(by_name):
            twice = next(name for name, count in Counter(name for name, _ in by_name).items() if count > 1)
            raise DatasetError(f"{folder}: {printable(twice)} appears twice, with a slash and with a backslash")

    def read(self, name: str, limit: int) -> bytes:
        """The bytes of a file; see `Container.read`."""
        with self._paths[name].open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            check_size(size, limit)
            return file.read(size)

    def close(self) -> None:
        """Nothing is open."""


class Zip:
    """A zip, whose headers have been checked."""

    def __init__(self, path: Path) -> None:
        self._archive = _no_damage(lambda: zipfile.ZipFile(path), path)
        infos = self._archive.infolist()
        names = Counter(plain_name(info.filename) for info in infos)
        refused = [(info.filename, reason) for info in infos if (reason := _why_refused(info, names))]
        # Overlapping files: a small zip that claims to hold a large file many times.
        if sum(info.compress_size for info in infos) > path.stat().st_size:
            refused.append((path.name, "its files overlap"))
        if refused:
            self.close()
            raise _unsafe(path, refused)
        self._infos = {plain_name(info.filename): info for info in infos if not info.is_dir()}
        self.names = list(self._infos)

    def read(self, name: str, limit: int) -> bytes:
        """The unpacked bytes of an entry; see `Container.read`."""
        info = self._infos[name]
        check_size(info.file_size, limit)
        # Limited, since an entry may unpack to more than its header says.
        with self._archive.open(info) as file:
            return file.read(info.file_size + 1)

    def close(self) -> None:
        """Close the archive."""
        self._archive.close()


class Tar:
    """An uncompressed tar, whose headers have been checked."""

    def __init__(self, path: Path) -> None:
        self._path = path

        def members() -> list[tarfile.TarInfo]:
            with tarfile.open(path, "r:") as archive:
                return archive.getmembers()

        infos = _no_damage(members, path)
        names = Counter(plain_name(info.name) for info in infos)
        end = path.stat().st_size
        refused = [(info.name, reason) for info in infos if (reason := _why_refused_in_tar(info, names, end))]
        if refused:
            raise _unsafe(path, refused)
        self._places = {plain_name(info.name): (info.offset_data, info.size) for info in infos if info.isreg()}
        self.names = list(self._places)

    def read(self, name: str, limit: int) -> bytes:
        """The bytes of a member; see `Container.read`."""
        start, size = self._places[name]
        check_size(size, limit)
        with self._path.open("rb") as file:
            file.seek(start)
            return file.read(size)

    def close(self) -> None:
        """Nothing is open."""


def check_size(size: int, limit: int) -> None:
    """Raise DatasetError if a file is too large."""
    if size > limit:
        raise DatasetError(f"larger than {limit >> 20} MiB")


def _no_damage(read: Callable[[], T], path: Path) -> T:
    """What `read` returns. Raises DatasetError if the archive is damaged, or is not one."""
    try:
        return read()
    except READ_ERRORS as error:
        raise DatasetError(f"{path} is not a readable zip or tar ({error}); {EXPECTED}") from error


def _unsafe(path: Path, refused: list[tuple[str, str]]) -> DatasetError:
    return DatasetError(f"{path} is unsafe to read; make the archive again without these:\n{list_files(refused)}")


def _why_refused(info: zipfile.ZipInfo, names: Counter[str]) -> str | None:
    """What is wrong with a header of a zip; None = nothing."""
    # zipfile cuts names at NUL; orig_filename is what other programs see.
    if reason := _why_no_name(info.orig_filename):
        return reason
    if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
        return "a link or a special file"
    if info.flag_bits & 0x1:
        return "encrypted"
    if names[plain_name(info.filename)] > 1:
        return "a duplicate name"
    # zipfile unpacks other methods without a limit.
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return "neither stored nor deflated"
    if info.file_size > MAX_FILE_SIZE:
        return f"claims {info.file_size:,} bytes, expected at most {MAX_FILE_SIZE:,}"
    if info.file_size > max(MAX_RATIO_SIZE, MAX_RATIO * info.compress_size):
        return f"compressed more than {MAX_RATIO}:1"
    return None


def _why_refused_in_tar(info: tarfile.TarInfo, names: Counter[str], end: int) -> str | None:
    """What is wrong with a header of a tar of `end` bytes; None = nothing."""
    if reason := _why_no_name(info.name):
        return reason
    if not (info.isreg() or info.isdir()) or info.issparse():
        return "a link or a special file"
    if names[plain_name(info.name)] > 1:
        return "a duplicate name"
    if info.isreg() and not 0 <= info.size <= end - info.offset_data:
        return f"claims {info.size:,} bytes, more than there are"
    return None


def _why_no_name(name: str) -> str | None:
    """Why a name in an archive is refused; None = it is not."""
    if "\0" in name:
        return "a name with NUL"
    if re.match(r"[/\\]|[A-Za-z]:", name) or ".." in re.split(r"[/\\]", name):
        return "a path that leads outside"
    return None
