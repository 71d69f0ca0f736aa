"""Files that are complete or not there."""

import glob
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO


def write_atomically(path: str | os.PathLike[str], data: bytes) -> None:
    """Write a file that is complete, or what was there before: see `new_file`."""
    with new_file(path) as file:
        file.write(data)


@contextmanager
def new_file(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """A file under a temporary name, flushed to the disk and renamed where the context ends without error."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def remove_strays(path: str | os.PathLike[str], *, idle_seconds: float = 0.0) -> None:
    """Delete what writers of this file that were killed have left beside it: see `new_file`.

    idle_seconds: leave temporary files that were written to in that time; another process may be at work on them.
    """
    path = Path(path)
    for stray in path.parent.glob(f".{glob.escape(path.name)}.*.tmp"):
        with suppress(FileNotFoundError):
            if time.time() - stray.stat().st_mtime >= idle_seconds:
                stray.unlink()
