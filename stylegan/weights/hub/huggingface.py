"""The model hub, through its client huggingface_hub: fetch a file, publish a folder, explain failures."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from ...errors import (
    AuthError,
    DownloadError,
    InputError,
    IntegrityError,
    NotFoundError,
    StyleGANError,
    UnsafeFileError,
)
from . import patience
from .cache import Cache
from .failures import check_disk_space, explain_os_error, explain_status, offline_error, short
from .patience import Transient, persist, watch
from .sources import Source, check_repo

T = TypeVar("T")


def repository_folder(source: Source, cache: Cache) -> Path:
    """The folder where the hub's client stores a repository."""
    return cache.hub / f"models--{source.location.replace('/', '--')}"


def cached_path(source: Source, cache: Cache) -> Path | None:
    """The path of a repository's file in the cache, or None."""
    from huggingface_hub import try_to_load_from_cache

    found = try_to_load_from_cache(source.location, str(source.filename), cache_dir=cache.hub, revision=source.revision)
    return Path(found) if isinstance(found, str) else None


def download(
    source: Source, cache: Cache, *, token: str | bool | None, size: int | None, most: int, force: bool
) -> tuple[Path, str | None]:
    """One attempt to download a file into the cache: its path, and the sha256 from the hub, if any.

    size: in bytes, if known. most: limit in bytes. force: download even if it is cached.
    Every failure becomes a DownloadError or a Transient.
    """
    from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url

    asked, etag = str(source), ""
    repo, filename, revision = source.location, str(source.filename), source.revision
    blobs = repository_folder(source, cache) / "blobs"
    try:
        # Ask first: the client itself would retry for minutes before it reports an error.
        url = hf_hub_url(repo, filename, revision=revision)
        about = ask(lambda: get_hf_file_metadata(url, token=token, timeout=patience.PATIENCE.timeout), asked)
        etag = _check_answer(asked, about.commit_hash, about.etag)
        if about.size is not None and about.size > most:
            raise IntegrityError(f"{asked}: {about.size} bytes; expected no more than {most}; not fetched")
        _prune_partial(cache, blobs, etag)
        if force or not (blobs / etag).is_file():
            check_disk_space(cache.hub, about.size or size, asked)
        path = watch(
            lambda: hf_hub_download(
                repo, filename, revision=revision, token=token, cache_dir=cache.hub, force_download=force
            ),
            asked,
            arrived=lambda: _size_of_partial(blobs, etag),
            most=min(most, about.size or most),
        )
    except StyleGANError:
        raise
    except Exception as error:
        raise explain(error, asked, cache.hub) from error
    finally:
        if etag:  # Older clients keep a partial download and resume it, valid or not.
            _prune_partial(cache, blobs, etag)
    return Path(path), etag if len(etag) == 64 else None


def _prune_partial(cache: Cache, blobs: Path, etag: str) -> None:
    """Delete partial downloads of this file by killed processes and older clients."""
    cache.prune_partial(blobs.glob(f"{etag}*.incomplete"))


def _check_answer(asked: str, commit: str | None, etag: str | None) -> str:
    """The etag. The client makes file names of etag and commit, so both must be safe as names."""
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


def _size_of_partial(blobs: Path, etag: str) -> int:
    size = 0
    for path in blobs.glob(f"{etag}*.incomplete"):
        try:
            size += path.stat().st_size
        except OSError:  # Finished in the meantime.
            continue
    return size


def upload(
    repo_id: str,
    folder: Path,
    *,
    private: bool = True,
    token: str | bool | None = None,
    revision: str | None = None,
    commit_message: str,
) -> str:
    """Publish a folder as a commit of a hub repository, created if it does not exist; returns the commit's URL.

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
            ask(lambda: api.create_repo(repo_id, private=private, exist_ok=True), asked)
            if private and ask(lambda: api.model_info(repo_id), asked).private is False:
                raise InputError(f"{repo_id} is a public repository; pass private=False to publish there")
            commit = watch(
                lambda: api.create_commit(
                    repo_id,
                    [CommitOperationAdd(path.relative_to(folder).as_posix(), path) for path in files],
                    commit_message=commit_message,
                    revision=revision,
                ),
                asked,
                seconds=patience.PATIENCE.answer + size / patience.PATIENCE.slowest,
            )
            return str(commit.commit_url)
        except StyleGANError:
            raise
        except Exception as error:
            raise explain(error, asked, None) from error

    return persist(attempt)


def ask(call: Callable[[], T], asked: str) -> T:
    """A request to the hub with a short answer."""
    return watch(call, asked, seconds=patience.PATIENCE.answer)


def explain(error: Exception, asked: str, folder: Path | None) -> Exception:
    """The error for a failure of the hub's client: a DownloadError, or a Transient around one.

    folder: the cache to download into; None = nothing was to be downloaded.

    Some reasons are exception types of the client; others are in the exception's cause or in the response headers.
    Versions of the client use different HTTP libraries, so connection errors are recognized by name.
    """
    from huggingface_hub.errors import GatedRepoError, OfflineModeIsEnabled

    for each in _causes(error):
        if isinstance(each, GatedRepoError):
            return AuthError(f"{asked}: a gated repository; accept its terms on its page, then `hf auth login`")
        if isinstance(each, OfflineModeIsEnabled):
            return offline_error(asked, folder, "HF_HUB_OFFLINE is set")
        response = getattr(each, "response", None)
        if getattr(response, "status_code", None) is not None:
            return explain_response(response, asked)
    for each in _causes(error):
        if type(each).__name__ in _NO_CONNECTION:
            return Transient(offline_error(asked, folder, each))
        if isinstance(each, OSError) and each.errno is not None:
            return explain_os_error(each, asked, folder)
    return Transient(DownloadError(f"{asked}: the transfer failed ({short(error)}); try again"))


_NO_CONNECTION = {"ConnectError", "ConnectTimeout", "ConnectionError", "ProxyError", "NewConnectionError"}


def explain_response(response: Any, asked: str) -> Exception:
    """The error for a response of the hub: a DownloadError, or a Transient around one."""
    code = response.headers.get("X-Error-Code", "")
    if code in ("RepoNotFound", "RevisionNotFound", "EntryNotFound"):
        what = {"Repo": "repository, or it is private (`hf auth login`)", "Revi": "revision", "Entr": "file"}[code[:4]]
        return NotFoundError(f"{asked}: there is no such {what}; check the name at the hub")
    return explain_status(response.status_code, response.headers, asked)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    for _ in range(10):
        if error is None:
            return
        yield error
        error = error.__cause__ or error.__context__
