"""The cache: where fetched files lie, what is remembered of them, and one lock for each.

Files of model hubs lie in the hub client's own cache, shared with other libraries. Beside it, or in `stylegan` below
the folder that is named, lie ours:

    files/      what was fetched from URLs and Google Drive
    converted/  our safetensors made of files in other formats
    averages/   the average w of files that lack it
    records/    one small JSON for each file: where it came from, size, time of change, sha256
    locks/

A file whose size and time of change are those of its record was verified before, and is not read again.
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
    """What is remembered of a file of the cache."""

    source: str  # The place it came from, in words.
    path: str  # The file itself, no link to it.
    size: int
    mtime_ns: int
    sha256: str
    expected: str | None  # The sha256 that the manifest or the hub named; None = neither did.

    @property
    def is_current(self) -> bool:
        """Whether the file is there, with the size and time of change that were noted."""
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
        """The file behind a path of this cache. Raises UnsafeFileError if it lies elsewhere."""
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
        """Note the sha256 of a file, if the cache can be written."""
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
        except WeightsError:  # None yet, or not one of ours: the file is read again, and a new one written.
            return None

    def records(self) -> list[Record]:
        """All records, of files that exist or not; a warning in the log for what is no record."""
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
        """Raises WeightsError for what is no record, or one of a file that is not in this cache."""
        found = read_json(path, error=WeightsError)
        checked = check_object(found, _FIELDS, where=str(path), error=WeightsError)
        record = Record(**{name: checked[name] for name in _FIELDS})
        if record.size < 0 or "\0" in record.path or path != self._record_path(Path(record.path)):
            raise WeightsError(f"{path}: no record of a file of this cache")
        self.check_inside(Path(record.path))
        return record

    def remove(self, path: Path) -> None:
        """Delete a file of the cache with its record; `path` may be a link of the cache to it."""
        resolved = self.check_inside(path)
        for each in (path, resolved, self._record_path(resolved)):
            each.unlink(missing_ok=True)

    def _record_path(self, path: Path) -> Path:
        return self.own / "records" / f"{hashlib.sha256(os.fsencode(path)).hexdigest()[:24]}.json"

    # Upkeep.

    def verify(self) -> Iterator[tuple[Record, str]]:
        """Read every file again: (record, "good", "missing" or "damaged")."""
        for record in self.records():
            path = Path(record.path)
            if not path.is_file():
                yield record, "missing"
            else:
                yield record, "good" if sha256_of(path) == record.sha256 else "damaged"

    def prune(self, *, everything: bool = False) -> int:
        """Delete what interrupted downloads left, and records without a file; returns the bytes that were freed.

        everything: also delete the files that we converted or fetched from URLs, and every file that has a record.
        """
        freed = self.prune_partial(self.hub.glob("models--*/blobs/*.incomplete"))
        freed += self.prune_partial(self.own.glob("files/*/.*.part"))
        hour_ago = time.time() - 3600  # Younger ones may be in the making: they have no lock.
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
            with suppress(OSError):  # A folder stays.
                file.unlink()
        return freed

    def prune_partial(self, paths: Iterator[Path]) -> int:
        """Delete partial files that no process is writing; returns the bytes that were freed."""
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
            except (Timeout, OSError):  # Someone is writing it, or it cannot be deleted: leave it.
                continue
        return freed

    def _writers_lock(self, path: Path) -> Path:
        """The lock that a process holds while it writes this partial file."""
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
    """Turn a refusal to write into an error that names the setting to change."""
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
