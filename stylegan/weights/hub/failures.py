"""Errors of transfers: one for each HTTP status, operating system error, or web page sent instead of a file.

An error that a retry may overcome is wrapped in `patience.Transient`.
"""

import errno
import shutil
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from pathlib import Path

from ...errors import AuthError, DownloadError, NotFoundError, OfflineError, RateLimitError
from .patience import Transient


def check_disk_space(folder: Path, size: int | None, asked: str) -> None:
    """Raise DownloadError if the disk has no room for a file of this size."""
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    if size is not None and size > free:
        raise DownloadError(
            f"{asked}: needs {size} bytes and {folder} has {free} free; free {size - free} bytes, "
            "or name a folder on another disk by cache_dir=... or STYLEGAN_CACHE"
        )


def refuse_page(path: Path, asked: str) -> None:
    """If a file is an HTML page, such as a login page, delete it and raise DownloadError."""
    with path.open("rb") as file:
        head = file.read(512)
    if looks_like_page(head):
        path.unlink()
        raise explain_page(head, asked)


def explain_page(page: bytes, asked: str) -> DownloadError:
    """The error for a web page that was sent instead of a file."""
    return DownloadError(
        f"{asked}: the answer is a web page, not a weight file; a login page of the network (open any site in "
        "a browser and log in), or the address of a page about the file"
    )


def looks_like_page(head: bytes) -> bool:
    """Whether these first bytes are HTML."""
    return head.lstrip(b"\xef\xbb\xbf \t\r\n").lower().startswith((b"<!doctype html", b"<html", b"<head", b"<?xml"))


def explain_status(status: int, headers: Mapping[str, str], asked: str) -> Exception:
    """The error for an HTTP status: a DownloadError, or a Transient around one."""
    if status in (401, 403):
        return AuthError(
            f"{asked}: access refused (HTTP {status}); ask its owner for access; for a model hub, pass token=..."
        )
    if status in (404, 410):
        return NotFoundError(f"{asked}: not there (HTTP {status}); check the name, file and revision")
    retry_after = _seconds(headers.get("Retry-After") or headers.get("retry-after"))
    if status == 429:
        when = f"in {retry_after:.0f} s" if retry_after else "later"
        return Transient(RateLimitError(f"{asked}: too many requests (HTTP 429); try again {when}"), retry_after)
    error = DownloadError(f"{asked}: the server answered HTTP {status}; try again later")
    return Transient(error, retry_after) if status in (408, 416) or status >= 500 else error


def explain_os_error(error: OSError, asked: str, folder: Path | None) -> Exception:
    """The error for a failed connection or file: a DownloadError, or a Transient around one.

    folder: the one to be written to; None = none.
    """
    if folder is not None and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return DownloadError(
            f"{asked}: the disk of {folder} is full; free some space, or name another by cache_dir=..."
        )
    if folder is not None and error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
        return DownloadError(
            f"{asked}: cannot write into {folder}: {error.strerror}; name another folder by cache_dir=... or "
            "STYLEGAN_CACHE"
        )
    return Transient(DownloadError(f"{asked}: the transfer broke off ({short(error)}); try again"))


def offline_error(asked: str, folder: Path | None, cause: object) -> OfflineError:
    """The error if there is no network and nothing in the cache; folder: the cache, or None."""
    if folder is None:
        return OfflineError(f"{asked}: the hub cannot be reached ({short(cause)}); connect to the network first")
    return OfflineError(
        f"{asked}: not in the cache {folder}, and not to be fetched ({short(cause)}); "
        "connect to the network, or copy the cache of a computer that has the file"
    )


def _seconds(retry_after: str | None) -> float | None:
    """The header Retry-After, which is in seconds or a date, as seconds."""
    if not retry_after:
        return None
    if retry_after.strip().isdecimal():
        return float(retry_after[:10])
    try:
        return max(0.0, parsedate_to_datetime(retry_after).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return None


def short(error: object) -> str:
    """One line of an error."""
    return (str(error) or type(error).__name__)[:200].replace("\n", " ")
