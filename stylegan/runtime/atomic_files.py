"""Files that are written completely or not at all."""

import errno
import glob
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from ..errors import InputError, StorageError, StyleGANError
from .checks import shown

FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def as_path(path: Any, *, to_write: bool = False) -> Path:
    """The path that an argument names. Raises InputError if no file on this system can have it.

    to_write: overlong names are reported when the file is written.
    """
    is_path = isinstance(path, str | os.PathLike) and isinstance(os.fspath(path), str) and bool(os.fspath(path))
    try:
        if is_path:
            os.lstat(path)
    except ValueError:  # A null character, or half of a pair of surrogates.
        is_path = False
    except OSError as error:
        is_path = to_write or error.errno != errno.ENAMETOOLONG
    if not is_path:
        raise InputError(f"expected the path of a file or folder, got {shown(path)}")
    return Path(path)


def write_atomically(path: str | os.PathLike[str], data: bytes) -> None:
    """Write a file completely, or leave what was there before: see `new_file`."""
    with new_file(path) as file:
        file.write(data)


@contextmanager
def new_file(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """A file under a temporary name, flushed to disk and renamed when the context ends without error.

    Raises StorageError if it cannot be written: the disk is full, or the location is not writable.
    """
    path = as_path(path, to_write=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    with explained(path):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with temporary.open("wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        finally:
            with suppress(OSError):  # It may never have been created.
                temporary.unlink()


@contextmanager
def explained(path: str | os.PathLike[str]) -> Iterator[None]:
    """Turn the system's refusal to write a file into a StorageError that says what to do.

    Errors about other files are unchanged, except for a full disk, which also affects this file's temporary files.
    """
    path = Path(path)
    try:
        yield
    except StyleGANError:
        raise
    except OSError as error:
        own = {path, *path.parents}
        named = Path(os.fsdecode(error.filename)) if isinstance(error.filename, str | bytes) else None
        is_own = named is not None and (named in own or (named.parent == path.parent and named.suffix == ".tmp"))
        if error.errno not in FULL and not is_own:
            raise
        failure = StorageError(why_not_written(error, path))
        failure.errno = error.errno
        raise failure from error


def why_not_written(error: OSError, path: str | os.PathLike[str]) -> str:
    """Why a file could not be written, and what to do, in one sentence."""
    if error.errno in FULL:
        return (
            f"{path}: not written, the disk is full; free some space, or name a place on another disk, and run the "
            "same again: what was finished before is kept"
        )
    if os.path.isdir(path):
        return f"{path}: not written, a folder stands in its place; move it away, or choose another name"
    is_below_a_file = error.errno in (errno.EEXIST, errno.ENOTDIR)
    reason = "a file is where a folder should be" if is_below_a_file else (error.strerror or str(error)).lower()
    return f"{path}: not written, {reason}; choose a place where files can be written"


def remove_strays(path: str | os.PathLike[str], *, idle_seconds: float = 0.0) -> None:
    """Delete temporary files of killed writers of this file; see `new_file`.

    idle_seconds: keep temporary files written to within that time; another process may be using them.
    """
    path = Path(path)
    for stray in path.parent.glob(f".{glob.escape(path.name)}.*.tmp"):
        with suppress(FileNotFoundError):
            if time.time() - stray.stat().st_mtime >= idle_seconds:
                stray.unlink()
