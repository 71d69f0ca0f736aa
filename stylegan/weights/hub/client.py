"""Fetches weight files into the cache and makes sure that they are the right ones.

Repositories of a model hub come through huggingface_hub, URLs and Google Drive through `transfer`. Whatever arrives
is compared with the sha256 of the manifest, or else with the one that the hub names; a file that differs is deleted,
fetched once more, and then refused. This module knows no networks.
"""

import logging
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote, urljoin, urlsplit

from ...errors import (
    AuthError,
    DownloadError,
    InputError,
    IntegrityError,
    NotFoundError,
    OfflineError,
    StyleGANError,
    UnsafeFileError,
)
from ...runtime.json_yaml import Limits, has_type, parse_json
from . import transfer
from .cache import Cache, sha256_of
from .sources import SUFFIXES, Source, check_filename, check_repo
from .transfer import Transient

logger = logging.getLogger(__name__)
T = TypeVar("T")

# Of the list of a repository's files: bytes of a page, as the hub sends at most 1,000 files on each, and pages.
_PAGE = Limits(bytes=4_000_000)
_MOST_PAGES = 20


@dataclass(frozen=True)
class Access:
    """How files are fetched: the arguments of `from_pretrained`."""

    cache_dir: str | os.PathLike[str] | None = None  # None = STYLEGAN_CACHE, or the hub client's cache.
    token: str | bool | None = None  # Of the hub; None = the one of `hf auth login`, if any; False = none.
    local_files_only: bool = False  # Use the cache alone.
    force_download: bool = False  # Fetch even what is in the cache.
    verify: bool = False  # Read cached files again, even if they seem unchanged.

    @property
    def cache(self) -> Cache:
        """The folders."""
        return Cache.open(self.cache_dir)

    @property
    def is_offline(self) -> bool:
        """Whether the network must not be used."""
        if self.local_files_only:
            return True
        from huggingface_hub import constants

        return bool(constants.HF_HUB_OFFLINE)


@dataclass(frozen=True)
class Fetched:
    """A file of the cache, verified."""

    path: Path  # The file itself, no link to it.
    named: Path  # The same under its own name: the hub's client names files by their content, and links to them.
    sha256: str
    is_new: bool  # Whether it was fetched by this call.
    expected: str | None  # The sha256, or its beginning, that the manifest or the hub named; None = neither did.

    @property
    def is_verified(self) -> bool:
        """Whether somebody named its sha256, or a part of it."""
        return self.expected is not None

    @property
    def shown_sha256(self) -> str:
        """The sha256, and what it was compared with if that is not another whole one."""
        if self.expected is None:
            return f"{self.sha256} (unverified: nobody named it)"
        part = len(self.expected) < len(self.sha256)
        return self.sha256 + (
            f" (its first {len(self.expected)} digits were checked, no more are known)" if part else ""
        )


def fetch(
    source: Source,
    access: Access,
    *,
    size: int | None = None,
    sha256: str | None = None,
    most: int = transfer.MAX_FILE,
    update: bool = False,
) -> Fetched:
    """Have a file in the cache, verified.

    size, sha256: of the right file, where they are known; sha256 may be the beginning of it.
    most: bytes that a file of a hub may have.
    update: ask the hub whether its branch has moved; else a file that is in the cache is used without a request, as
    those of URLs always are.
    Raises OfflineError, NotFoundError, AuthError, RateLimitError or another DownloadError; IntegrityError if the file
    stays wrong after a second download; UnsafeFileError if a path leads out of the cache.
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
        raise transfer.offline_error(str(source), job.cache.hub, "local_files_only or HF_HUB_OFFLINE is set")
    try:
        with job.cache.locked(source.key):
            if trust_cache and (found := job.cached(may_repair=True)):
                return found  # Another process fetched it while this one waited.
            return job.fetch(force=access.force_download)
    except (AuthError, NotFoundError):
        raise
    except DownloadError as error:
        if access.force_download or (found := job.cached(may_repair=True)) is None:
            raise
        logger.warning("%s; using the copy in the cache", error)
        return found


def cached_path(source: Source, cache: Cache) -> Path | None:
    """Where a file lies in the cache, or None; no request is made and nothing is verified."""
    if source.kind == "hub":
        from huggingface_hub import try_to_load_from_cache

        found = try_to_load_from_cache(
            source.location, str(source.filename), cache_dir=cache.hub, revision=source.revision
        )
        return Path(found) if isinstance(found, str) else None
    path = cache.own / "files" / source.key / str(source.filename)
    return path if path.is_file() else None


def discard(fetched: Fetched, access: Access) -> None:
    """Delete a file from the cache, with its record."""
    access.cache.remove(fetched.named)


def find_weights(source: Source, access: Access) -> Source:
    """Choose the weight file of a repository: model.safetensors, or the only file that may hold weights.

    Raises NotFoundError if there is none, InputError if there are several.
    """
    if access.is_offline:
        names = _cached_names(source, access.cache)
        if not names:
            raise transfer.offline_error(str(source), access.cache.hub, "local_files_only or HF_HUB_OFFLINE is set")
    else:
        try:
            names = transfer.persist(lambda: _list_files(source, access))
        except OfflineError:
            names = _cached_names(source, access.cache)
            if not names:
                raise
    return Source("hub", source.location, _choose(names, source), source.revision)


def upload(
    repo_id: str,
    folder: Path,
    *,
    private: bool = True,
    token: str | bool | None = None,
    revision: str | None = None,
    commit_message: str,
) -> str:
    """Publish the files of a folder as a commit of a hub repository, made if it is not there; returns its address.

    Raises InputError if the repository is public already and `private` was asked for, DownloadError for failures.
    """
    from huggingface_hub import CommitOperationAdd, HfApi

    check_repo(repo_id)
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    size = sum(path.stat().st_size for path in files)
    asked = f"publish to {repo_id}"
    api = HfApi(token=token)

    def attempt() -> str:
        try:
            _ask(lambda: api.create_repo(repo_id, private=private, exist_ok=True), asked)
            if private and _ask(lambda: api.model_info(repo_id), asked).private is False:
                raise InputError(f"{repo_id} is a public repository; pass private=False to publish there")
            commit = transfer.watch(
                lambda: api.create_commit(
                    repo_id,
                    [CommitOperationAdd(path.relative_to(folder).as_posix(), path) for path in files],
                    commit_message=commit_message,
                    revision=revision,
                ),
                asked,
                seconds=transfer.PATIENCE.answer + size / transfer.PATIENCE.slowest,
            )
            return str(commit.commit_url)
        except StyleGANError:
            raise
        except Exception as error:
            raise _explain(error, asked, None) from error

    return transfer.persist(attempt)


@dataclass(frozen=True)
class _Job:
    """One file to have."""

    source: Source
    access: Access
    cache: Cache
    size: int | None
    sha256: str | None
    most: int

    def cached(self, *, may_repair: bool) -> Fetched | None:
        """The file of the cache, if it is there and right; a wrong one is deleted.

        may_repair: whether None may be answered for a wrong one, because it will be fetched; else IntegrityError.
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
        """Download, check, and once more if the check fails. The caller holds the lock."""
        for again in (False, True):
            path, named = self.transfer(force=force or again)
            # A branch that has not moved leads to the file that is there already.
            record = self.cache.recall(self.cache.check_inside(path))
            try:
                return self.check(path, is_new=not (record and record.is_current), named=named)
            except IntegrityError as error:
                if again:
                    raise
                logger.warning("%s; fetching it once more", error)
        raise AssertionError("unreachable")

    def check(self, path: Path, *, is_new: bool, named: str | None = None) -> Fetched:
        """Compare a file with what is known of it; delete it and raise IntegrityError if it is another.

        named: the sha256 that the server named, if it is known.
        """
        file = self.cache.check_inside(path)
        record = None if is_new else self.cache.recall(file)
        expected = self.sha256 or named or _sha256_in_name(file) or (record.expected if record else None)
        # Where nobody names a sha256, a file must stay what it was when it came.
        right = expected or (record.sha256 if record else "")
        if record and record.is_current and record.sha256.startswith(right) and not self.access.verify:
            return Fetched(file, path, record.sha256, is_new, expected)
        if is_new:
            transfer.refuse_page(file, str(self.source))
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
            logger.warning("%s: unverified, because nobody named its sha256 (it is %s)", self.source, digest)
        self.cache.remember(file, digest, source=str(self.source), expected=expected)
        return Fetched(file, path, digest, is_new, expected)

    def transfer(self, *, force: bool) -> tuple[Path, str | None]:
        """Bring the file into the cache: its path, and the sha256 that the server names for it, if any."""
        asked = str(self.source)
        if self.source.kind == "hub":
            return transfer.persist(lambda: self.transfer_from_hub(asked, force))
        target = self.cache.own / "files" / self.source.key / str(self.source.filename)
        fetch = transfer.download_from_drive if self.source.kind == "drive" else transfer.download
        fetch(self.source.location, target, asked=asked, size=self.size)
        return target, None

    def transfer_from_hub(self, asked: str, force: bool) -> tuple[Path, str | None]:
        """One attempt through the hub's client; every failure becomes a DownloadError or a Transient."""
        from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url

        repo, filename, revision = self.source.location, str(self.source.filename), self.source.revision
        token, folder, etag = self.access.token, self.cache.hub, ""
        blobs = folder / f"models--{repo.replace('/', '--')}" / "blobs"
        try:
            # Ask first: this tells at once what the client would only tell after minutes of trying.
            url = hf_hub_url(repo, filename, revision=revision)
            about = _ask(lambda: get_hf_file_metadata(url, token=token, timeout=transfer.PATIENCE.timeout), asked)
            etag = _check_answer(asked, about.commit_hash, about.etag)
            if about.size is not None and about.size > self.most:
                raise IntegrityError(f"{asked}: {about.size} bytes; expected no more than {self.most}; not fetched")
            self.prune_partial(blobs, etag)
            if force or not (blobs / etag).is_file():
                transfer.check_disk_space(folder, about.size or self.size, asked)
            path = transfer.watch(
                lambda: hf_hub_download(
                    repo, filename, revision=revision, token=token, cache_dir=folder, force_download=force
                ),
                asked,
                arrived=lambda: _size_of_partial(blobs, etag),
                most=min(self.most, about.size or self.most),
            )
        except StyleGANError:
            raise
        except Exception as error:
            raise _explain(error, asked, folder) from error
        finally:
            if etag:  # Older clients leave the part that arrived, and would go on from it, right or wrong.
                self.prune_partial(blobs, etag)
        return Path(path), etag if len(etag) == 64 else None

    def prune_partial(self, blobs: Path, etag: str) -> None:
        """Delete what killed processes and older clients left of this file."""
        self.cache.prune_partial(blobs.glob(f"{etag}*.incomplete"))


def _check_answer(asked: str, commit: str | None, etag: str | None) -> str:
    """The etag; the client makes file names of both, so that they must be nothing but names."""
    if not commit or not etag:
        raise DownloadError(
            f"{asked}: the answer is not that of a model hub; a login page of the network (open any site in a browser "
            "and log in), a proxy, or a wrong HF_ENDPOINT"
        )
    if not re.fullmatch(r"[A-Za-z0-9_-]{1,200}", commit) or not re.fullmatch(r"[A-Za-z0-9_=+-]{1,200}", etag):
        raise UnsafeFileError(
            f"{asked}: the server names commit {commit[:60]!r} and etag {etag[:60]!r}: not file names"
        )
    return etag


def _ask(call: Callable[[], T], asked: str) -> T:
    """A question to the hub that has a short answer."""
    return transfer.watch(call, asked, seconds=transfer.PATIENCE.answer)


def _size_of_partial(blobs: Path, etag: str) -> int:
    size = 0
    for path in blobs.glob(f"{etag}*.incomplete"):
        try:
            size += path.stat().st_size
        except OSError:  # Finished in between.
            continue
    return size


def _explain(error: Exception, asked: str, folder: Path | None) -> Exception:
    """The error that a failure of the hub's client stands for: a DownloadError, or a Transient around one.

    folder: the cache that a file was to come into; None = nothing was to be fetched.

    The client names only some reasons by type; others are in the cause of what it raises, or in its answer's headers.
    The transport beneath it differs between its versions, so that connection errors are known by name.
    """
    from huggingface_hub.errors import GatedRepoError, OfflineModeIsEnabled

    for each in _causes(error):
        if isinstance(each, GatedRepoError):
            return AuthError(f"{asked}: a gated repository; accept its terms on its page, then `hf auth login`")
        if isinstance(each, OfflineModeIsEnabled):
            return transfer.offline_error(asked, folder, "HF_HUB_OFFLINE is set")
        response = getattr(each, "response", None)
        if getattr(response, "status_code", None) is not None:
            return _explain_response(response, asked)
    for each in _causes(error):
        if type(each).__name__ in _NO_CONNECTION:
            return Transient(transfer.offline_error(asked, folder, each))
        if isinstance(each, OSError) and each.errno is not None:
            return transfer.explain_os_error(each, asked, folder)
    return Transient(DownloadError(f"{asked}: the transfer failed ({transfer.short(error)}); try again"))


_NO_CONNECTION = {"ConnectError", "ConnectTimeout", "ConnectionError", "ProxyError", "NewConnectionError"}


def _explain_response(response: Any, asked: str) -> Exception:
    code = response.headers.get("X-Error-Code", "")
    if code in ("RepoNotFound", "RevisionNotFound", "EntryNotFound"):
        what = {"Repo": "repository, or it is private (`hf auth login`)", "Revi": "revision", "Entr": "file"}[code[:4]]
        return NotFoundError(f"{asked}: there is no such {what}; check the name at the hub")
    return transfer.explain_status(response.status_code, response.headers, asked)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    for _ in range(10):
        if error is None:
            return
        yield error
        error = error.__cause__ or error.__context__


def _list_files(source: Source, access: Access) -> list[str]:
    """The names of a repository's files; the one that we look for alone, if it is there."""
    from huggingface_hub import get_hf_file_metadata, hf_hub_url
    from huggingface_hub.errors import EntryNotFoundError

    asked, url = str(source), hf_hub_url(source.location, "model.safetensors", revision=source.revision)
    try:
        try:
            # One quick question; the list is only asked for where it is needed.
            _ask(lambda: get_hf_file_metadata(url, token=access.token, timeout=transfer.PATIENCE.timeout), asked)
            return ["model.safetensors"]
        except EntryNotFoundError:
            return _ask(lambda: list(_names(source, access)), asked)
    except StyleGANError:
        raise
    except transfer.Transient:
        raise
    except Exception as error:
        raise _explain(error, asked, access.cache.hub) from error


def _names(source: Source, access: Access) -> Iterator[str]:
    """The names of a repository's files, page after page. The client's own list has no limits."""
    from huggingface_hub import constants
    from huggingface_hub.utils import build_hf_headers

    asked, revision = str(source), quote(source.revision or "main", safe="")
    url: str | None = f"{constants.ENDPOINT}/api/models/{source.location}/tree/{revision}?recursive=true"
    headers = build_hf_headers(token=access.token) | {"Accept-Encoding": "identity"}
    for _ in range(_MOST_PAGES):
        page, following = _get(str(url), headers, asked)
        entries = parse_json(page, where=f"{asked}: the list of its files", error=DownloadError, limits=_PAGE)
        if not has_type(entries, list[dict[str, Any]]):
            raise DownloadError(f"{asked}: the answer is no list of files; expected a model hub")
        yield from (entry["path"] for entry in entries if isinstance(entry.get("path"), str))
        if not following:
            return
        url = urljoin(str(url), following)
        if urlsplit(url).netloc != urlsplit(constants.ENDPOINT).netloc:
            raise UnsafeFileError(f"{asked}: its list of files goes on at {url[:80]!r}, another server; not followed")
    raise DownloadError(f"{asked}: its list of files has more than {_MOST_PAGES} pages; name a file: hf:user/repo/FILE")


def _get(url: str, headers: dict[str, str], asked: str) -> tuple[bytes, str | None]:
    """A page through the client's own connections, to a limit, and where the next one is."""
    from huggingface_hub.utils import get_session

    session: Any = get_session()
    timeout = transfer.PATIENCE.timeout
    if hasattr(session, "stream"):  # httpx
        opened = session.stream("GET", url, headers=headers, timeout=timeout, follow_redirects=True)
    else:  # requests, of older clients
        opened = session.get(url, headers=headers, timeout=timeout, stream=True)
    with opened as response:
        if response.status_code >= 400:
            raise _explain_response(response, asked)
        if response.headers.get("Content-Encoding", "identity") != "identity":
            raise DownloadError(f"{asked}: a packed answer, which was not asked for; a broken server or proxy")
        raw = response.iter_raw() if hasattr(response, "iter_raw") else response.raw.stream(65536, False)
        data = bytearray()
        for chunk in raw:
            data += chunk
            if len(data) > _PAGE.bytes:
                raise DownloadError(f"{asked}: more than {_PAGE.bytes} bytes in place of a list of its files")
        return bytes(data), response.links.get("next", {}).get("url")


def _cached_names(source: Source, cache: Cache) -> list[str]:
    """The files of a repository that are in the cache, of the revision that was fetched last."""
    folder = cache.hub / f"models--{source.location.replace('/', '--')}"
    revision = source.revision or "main"
    ref = folder / "refs" / revision
    commit = ref.read_text() if ref.is_file() else revision
    snapshot = folder / "snapshots" / commit
    return [path.relative_to(snapshot).as_posix() for path in snapshot.rglob("*") if path.is_file()]


def _choose(names: list[str], source: Source) -> str:
    if "model.safetensors" in names:
        return "model.safetensors"
    for suffixes in ((".safetensors",), SUFFIXES):
        found = sorted(name for name in names if name.lower().endswith(suffixes))
        if len(found) == 1:
            return check_filename(found[0])
        if found:
            some = ", ".join(found[:5]) + (f" and {len(found) - 5} more" if len(found) > 5 else "")
            raise InputError(f"{source}: which file? It has {some}; write hf:{source.location}/FILE")
    raise NotFoundError(f"{source}: the repository holds no weight file ({', '.join(SUFFIXES)})")


def _sha256_in_name(file: Path) -> str | None:
    """The hub's client names large files by their sha256."""
    return file.name if file.parent.name == "blobs" and re.fullmatch(r"[0-9a-f]{64}", file.name) else None
