"""Fetches weight files into the cache and verifies them.

Repositories of a model hub come through `huggingface`, URLs through `transfer`, Google Drive through `drive`. Each
file is compared with the sha256 in the manifest, or else with that from the hub. A file that differs is deleted,
downloaded once more, and refused if it differs again.
"""

import logging
import re
from dataclasses import dataclass
from pathlib import Path

from ...errors import AuthError, DownloadError, InputError, IntegrityError, NotFoundError, OfflineError
from . import drive, huggingface, transfer
from .access import Access, Fetched
from .cache import Cache, sha256_of
from .failures import offline_error, refuse_page
from .patience import persist
from .sources import Source

logger = logging.getLogger(__name__)


def fetch(
    source: Source,
    access: Access,
    *,
    size: int | None = None,
    sha256: str | None = None,
    most: int = transfer.MAX_FILE,
    update: bool = False,
) -> Fetched:
    """Fetch a file into the cache and verify it.

    size, sha256: expected, if known; sha256 may be a prefix.
    most: limit for a file of a hub, in bytes.
    update: ask the hub whether its branch has moved; else a cached file is used without a request, as files of URLs
    always are.
    Raises OfflineError, NotFoundError, AuthError, RateLimitError or another DownloadError; IntegrityError if the
    second download is also wrong; UnsafeFileError if a path leads out of the cache.
    """
    if source.filename is None:
        raise InputError(f"{source}: name a file, as in hf:user/repo/file")
    if source.kind == "page":
        raise DownloadError(f"{source}: a page that only a browser can fetch from")
    job = _Job(source, access, access.cache, size, sha256, most)
    offline = access.is_offline
    if access.force_download and offline:
        raise OfflineError(f"{source}: force_download needs the network, which local_files_only or HF_HUB_OFFLINE bars")
    may_have_moved = source.kind == "hub" and not source.is_pinned
    trust_cache = not access.force_download and (offline or not update or not may_have_moved)
    if trust_cache and (found := job.cached(may_repair=not offline)):
        return found
    if offline:
        raise offline_error(str(source), job.cache.hub, "local_files_only or HF_HUB_OFFLINE is set")
    try:
        with job.cache.locked(source.key):
            if trust_cache and (found := job.cached(may_repair=True)):
                return found  # Another process fetched it in the meantime.
            return job.fetch(force=access.force_download)
    except (AuthError, NotFoundError):
        raise
    except DownloadError as error:
        if access.force_download or (found := job.cached(may_repair=True)) is None:
            raise
        logger.warning("%s; using the copy in the cache", error)
        return found


def cached_path(source: Source, cache: Cache) -> Path | None:
    """The path of a file in the cache, or None; without a request or verification."""
    if source.kind == "hub":
        return huggingface.cached_path(source, cache)
    path = cache.own / "files" / source.key / str(source.filename)
    return path if path.is_file() else None


def discard(fetched: Fetched, access: Access) -> None:
    """Delete a file from the cache, with its record."""
    access.cache.remove(fetched.named)


@dataclass(frozen=True)
class _Job:
    """One file to fetch."""

    source: Source
    access: Access
    cache: Cache
    size: int | None
    sha256: str | None
    most: int

    def cached(self, *, may_repair: bool) -> Fetched | None:
        """The cached file, if it exists and is valid; an invalid one is deleted.

        may_repair: return None for an invalid one, because it will be fetched again; else raise IntegrityError.
        """
        path = cached_path(self.source, self.cache)
        if path is None:
            return None
        try:
            return self.check(path, is_new=False)
        except IntegrityError as error:
            if not may_repair:
                raise
            logger.warning("%s; fetching it again", error)
            return None

    def fetch(self, *, force: bool) -> Fetched:
        """Download and verify; once more if that fails. The caller holds the lock."""
        for again in (False, True):
            path, named = self.transfer(force=force or again)
            # If the branch has not moved, the cached file is returned.
            record = self.cache.recall(self.cache.check_inside(path))
            try:
                return self.check(path, is_new=not (record and record.is_current), named=named)
            except IntegrityError as error:
                if again:
                    raise
                logger.warning("%s; fetching it once more", error)
        raise AssertionError("unreachable")

    def check(self, path: Path, *, is_new: bool, named: str | None = None) -> Fetched:
        """Verify a file; delete it and raise IntegrityError if it differs from what is expected.

        named: the sha256 from the server, if known.
        """
        file = self.cache.check_inside(path)
        record = None if is_new else self.cache.recall(file)
        expected = self.sha256 or named or _sha256_in_name(file) or (record.expected if record else None)
        # Even without an expected sha256, a file must not change after its download.
        right = expected or (record.sha256 if record else "")
        if record and record.is_current and record.sha256.startswith(right) and not self.access.verify:
            return Fetched(file, path, record.sha256, is_new, expected)
        if is_new:
            refuse_page(file, str(self.source))
        size, digest = file.stat().st_size, sha256_of(file)
        if self.size not in (None, size) or not digest.startswith(right):
            self.cache.remove(path)
            begins = "that begins with " if 0 < len(right) < len(digest) else ""
            raise IntegrityError(
                f"{self.source}: {size} bytes with sha256 {digest}; expected {self.size or 'any'} bytes with sha256 "
                f"{begins}{right or 'any'}; the file was deleted: load again, and if this stays so, the source has "
                "changed"
            )
        if expected is None and not record:
            logger.warning("%s: unverified, since its sha256 is not known (it is %s)", self.source, digest)
        self.cache.remember(file, digest, source=str(self.source), expected=expected)
        return Fetched(file, path, digest, is_new, expected)

    def transfer(self, *, force: bool) -> tuple[Path, str | None]:
        """Download the file into the cache: its path, and the sha256 from the server, if any."""
        if self.source.kind == "hub":
            return persist(
                lambda: huggingface.download(
                    self.source, self.cache, token=self.access.token, size=self.size, most=self.most, force=force
                )
            )
        target = self.cache.own / "files" / self.source.key / str(self.source.filename)
        download = drive.download if self.source.kind == "drive" else transfer.download
        download(self.source.location, target, asked=str(self.source), size=self.size)
        return target, None


def _sha256_in_name(file: Path) -> str | None:
    """The hub's client names large files by their sha256."""
    return file.name if file.parent.name == "blobs" and re.fullmatch(r"[0-9a-f]{64}", file.name) else None
