"""The cache: fetched files, a record of each, and a lock for each.

Files of model hubs are in the hub client's own cache, shared with other libraries. Next to it, or in `stylegan` in the
given folder, are ours:

    files/      what was fetched from URLs and Google Drive
    converted/  files in other formats, converted to our safetensors
    averages/   computed average w of files without one
    records/    a small JSON file for each: source, size, modification time, sha256
    locks/

A file whose size and modification time match its record has been verified and is not read again.
"""

import hashlib
import json
import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import get_type_hints

from filelock import FileLock, Timeout

from ...errors import DownloadError, UnsafeFileError, WeightsError
from ...runtime.atomic_files import write_atomically
from ...runtime.json_yaml import check_object, read_json

logger = logging.getLogger(__name__)

SETTINGS = "cache_dir=..., STYLEGAN_CACHE or HF_HOME"


@dataclass(frozen=True)
class Record:
    """The record of a file in the cache."""

    source: str  # Its source, for people.
    path: str  # The file itself, not a link to it.
    size: int
    mtime_ns: int
    sha256: str
    expected: str | None  # The sha256 in the manifest or from the hub; None = unknown.

    @property
    def is_current(self) -> bool:
        """Whether the file exists with the recorded size and modification time."""
        try:
            stat = os.stat(self.path)
        except OSError:
            return False
        return (stat.st_size, stat.st_mtime_ns) == (self.size, self.mtime_ns)


_FIELDS = get_type_hints(Record)


@dataclass(frozen=True)
class Cache:
    """The two folders of a cache; neither needs to exist."""

    hub: Path  # In the layout of the hub's client.
    own: Path

    @classmethod
    def open(cls, cache_dir: str | os.PathLike[str] | None = None) -> "Cache":
        """cache_dir: None = STYLEGAN_CACHE, or where the hub's client keeps its files (HF_HOME, HF_HUB_CACHE)."""
        folder = cache_dir or os.environ.get("STYLEGAN_CACHE")
        if folder:
            root = Path(folder).expanduser().absolute()
            return cls(root, root / "stylegan")
        from huggingface_hub import constants

        return cls(Path(constants.HF_HUB_CACHE).absolute(), Path(constants.HF_ASSETS_CACHE).absolute() / "stylegan")

    def check_inside(self, path: Path) -> Path:
        """Resolve a path in this cache. Raises UnsafeFileError if the file is outside it."""
        resolved = path.resolve()
        if not any(resolved.is_relative_to(folder.resolve()) for folder in (self.hub, self.own)):
            raise UnsafeFileError(f"{path} leads to {resolved}, outside the cache {self.hub}; remove that link or file")
        return resolved

    @contextmanager
    def locked(self, key: str) -> Iterator[None]:
        """Let one process at a time work on the file of this key."""
        path = self.own / "locks" / f"{key}.lock"
        with explain_read_only(self.own):
            path.parent.mkdir(parents=True, exist_ok=True)
            lock = FileLock(path)
            try:
                lock.acquire(timeout=0)
            except Timeout:
                logger.warning("waiting for another process that fetches the same file (%s)", path)
                lock.acquire()
        try:
            yield
        finally:
            lock.release()

    # Records.

    def remember(self, path: Path, digest: str, *, source: str, expected: str | None) -> None:
        """Record the sha256 of a file, if the cache is writable."""
        stat = path.stat()
        record = Record(source, str(path), stat.st_size, stat.st_mtime_ns, digest, expected)
        try:
            write_atomically(self._record_path(path), json.dumps(asdict(record), indent=2).encode())
        except OSError as error:
            logger.info("the sha256 of %s could not be noted (%s); it is computed at each load", path, error)

    def recall(self, path: Path) -> Record | None:
        """The record of a file, which may have changed since: see `Record.is_current`."""
        try:
            return self._read_record(self._record_path(path))
        except WeightsError:  # None yet, or invalid: the file is read again and a new record written.
            return None

    def records(self) -> list[Record]:
        """All records, also of missing files; invalid records are logged as warnings."""
        found = []
        for path in self._record_files():
            try:
                found.append(self._read_record(path))
            except WeightsError as error:
                logger.warning("%s; `stylegan cache prune` deletes it", error)
        return sorted(found, key=lambda record: record.source)

    def _record_files(self) -> list[Path]:
        return sorted((self.own / "records").glob("*.json"))

    def _read_record(self, path: Path) -> Record:
        """Raises WeightsError for an invalid record, or one of a file outside this cache."""
        found = read_json(path, error=WeightsError)
        checked = check_object(found, _FIELDS, where=str(path), error=WeightsError)
        record = Record(**{name: checked[name] for name in _FIELDS})
        if record.size < 0 or "\0" in record.path or path != self._record_path(Path(record.path)):
            raise WeightsError(f"{path}: no record of a file of this cache")
        self.check_inside(Path(record.path))
        return record

    def remove(self, path: Path) -> None:
        """Delete a file and its record; `path` may be a link to it in the cache."""
        resolved = self.check_inside(path)
        for each in (path, resolved, self._record_path(resolved)):
            each.unlink(missing_ok=True)

    def _record_path(self, path: Path) -> Path:
        return self.own / "records" / f"{hashlib.sha256(os.fsencode(path)).hexdigest()[:24]}.json"

    # Maintenance.

    def verify(self) -> Iterator[tuple[Record, str]]:
        """Read every file again: (record, "good", "missing" or "damaged")."""
        for record in self.records():
            path = Path(record.path)
            if not path.is_file():
                yield record, "missing"
            else:
                yield record, "good" if sha256_of(path) == record.sha256 else "damaged"

    def prune(self, *, everything: bool = False) -> int:
        """Delete partial downloads and records without a file; returns the number of bytes freed.

        everything: also delete converted files, files from URLs, and all other files that have a record.
        """
        freed = self.prune_partial(self.hub.glob("models--*/blobs/*.incomplete"))
        freed += self.prune_partial(self.own.glob("files/*/.*.part"))
        hour_ago = time.time() - 3600  # Younger ones may still be being written: they have no lock.
        freed += self.prune_partial(p for p in self.own.glob("*/.*.tmp") if p.stat().st_mtime < hour_ago)
        for file in self._record_files():
            try:
                path = Path(self._read_record(file).path)
                if path.is_file() and everything:
                    freed += self._delete(path)
                if path.is_file():
                    continue
            except WeightsError as error:
                logger.info("%s: deleted", error)
            with suppress(OSError):  # Folders are kept.
                file.unlink()
        return freed

    def prune_partial(self, paths: Iterator[Path]) -> int:
        """Delete partial files that no process is writing; returns the number of bytes freed."""
        freed = 0
        for path in list(paths):
            lock = FileLock(self._writers_lock(path))
            try:
                Path(lock.lock_file).parent.mkdir(parents=True, exist_ok=True)
                lock.acquire(timeout=0)
                try:
                    freed += self._delete(path)
                finally:
                    lock.release()
            except (Timeout, OSError):  # It is being written, or cannot be deleted.
                continue
        return freed

    def _writers_lock(self, path: Path) -> Path:
        """The lock that the writer of this partial file holds."""
        if path.suffix == ".incomplete":  # The hub client's: blobs/<etag>.<random>.incomplete
            return self.hub / ".locks" / path.parent.parent.name / f"{path.name.split('.')[0]}.lock"
        return self.own / "locks" / f"{path.parent.name}.lock"  # Ours: files/<key>/.<name>.<random>.part

    def _delete(self, path: Path) -> int:
        path = self.check_inside(path)
        size = path.stat().st_size
        if path.parent.name == "blobs":
            for link in path.parent.parent.glob("snapshots/**/*"):
                if link.is_symlink() and link.resolve() == path:
                    link.unlink()
        path.unlink()
        return size


@contextmanager
def explain_read_only(folder: Path) -> Iterator[None]:
    """Turn a permission error into one that names the setting to change."""
    try:
        yield
    except DownloadError:
        raise
    except OSError as error:
        raise DownloadError(
            f"cannot write into the cache {folder}: {error}; name another folder by {SETTINGS}"
        ) from error


def sha256_of(path: Path) -> str:
    """The sha256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
