"""Fetches one file over https with the standard library: for URLs and Google Drive.

The file grows under a temporary name, is resumed by Range when the connection breaks, and is renamed when all of it
is there. What waits, how long and how often is in `Patience`, which the hub's client is held to as well: whatever talks
to a server runs in a thread that `watch` leaves where it takes too long, or brings too much.
"""

import ctypes
import errno
import html.parser
import http.client
import http.cookiejar
import logging
import os
import re
import secrets
import shutil
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlencode, urljoin, urlsplit

from ...errors import (
    AuthError,
    DownloadError,
    IntegrityError,
    NotFoundError,
    OfflineError,
    RateLimitError,
    UnsafeFileError,
)
from ...version import __version__
from .sources import check_url

logger = logging.getLogger(__name__)
T = TypeVar("T")

DRIVE_URL = "https://drive.google.com/uc?export=download&id="
_DRIVE_HOSTS = (".google.com", ".googleusercontent.com")
MAX_PAGE = 1_000_000  # Bytes of an HTML page that are looked at.
MAX_FILE = 20_000_000_000  # Bytes of a file whose size nobody named.
_CHUNK = 1 << 20


@dataclass(frozen=True)
class Patience:
    """How often and how long a transfer is tried."""

    attempts: int = 3  # Without a new byte between them.
    most_attempts: int = 30  # In all.
    wait: float = 1.0  # Seconds before the second attempt; doubled for each further one.
    longest_wait: float = 60.0  # A server that asks for more (Retry-After) is left.
    timeout: float = 8.0  # Seconds for a connection, and without a byte.
    offline: float = 12.0  # Seconds after which a connection that was never made is not tried again.
    answer: float = 30.0  # Seconds for a whole small answer: connection, headers, redirects, body, pages.
    silence: float = 60.0  # A file is left that brings in so many seconds
    slowest: float = 1000.0  # fewer bytes than so many for each.


PATIENCE = Patience()


@dataclass(eq=False)
class Transient(Exception):
    """A failure that may be over at the next attempt; `error` is what to raise if it is not."""

    error: DownloadError
    retry_after: float | None = None
    progress: bool = False  # Whether new bytes arrived in this attempt.


def persist(attempt: Callable[[], T], patience: Patience | None = None) -> T:
    """Call until it raises no Transient, with growing waits; raise the last one's error in the end."""
    patience = patience or PATIENCE
    start, failures = time.monotonic(), 0
    for _ in range(patience.most_attempts):
        try:
            return attempt()
        except Transient as failure:
            last = failure
        failures = 1 if last.progress else failures + 1
        tired = isinstance(last.error, OfflineError) and time.monotonic() - start > patience.offline
        wait = max(patience.wait * 2 ** (failures - 1), last.retry_after or 0)
        if failures >= patience.attempts or tired or wait > patience.longest_wait:
            break
        logger.warning("%s; trying again in %.0f s", last.error, wait)
        time.sleep(wait)
    raise last.error


class Pace:
    """Whether a transfer comes on: `silence * slowest` new bytes at least in each stretch of `silence` seconds."""

    def __init__(self, patience: Patience, clock: Callable[[], float] = time.monotonic):
        self.patience, self.clock = patience, clock
        self.counted, self.since = 0, clock()

    def problem(self, arrived: int) -> str | None:
        """What is wrong, in words, after so many bytes in all."""
        now, new = self.clock(), arrived - self.counted
        if new >= self.patience.silence * self.patience.slowest:
            self.counted, self.since = arrived, now
        elif now - self.since > self.patience.silence:
            what = f"only {new} bytes" if new > 0 else "nothing new"
            return f"{what} arrived for {self.patience.silence:.0f} s, after {self.counted} bytes"
        return None


class _Left(SystemExit):
    """Ends a thread that nobody waits for any more; threads end so without a word."""


def watch(
    call: Callable[[], T],
    asked: str,
    *,
    seconds: float | None = None,
    arrived: Callable[[], int] | None = None,
    most: int | None = None,
) -> T:
    """Run a call that talks to a server in a thread of its own, and return its result or raise its error.

    seconds: how long it may take in all; None = as long as `arrived` says that enough new bytes come, see `Pace`.
    arrived: the bytes so far. most: that may arrive.

    Raises DownloadError, or IntegrityError for too many bytes, and ends the call where it next runs Python.
    """
    results: list[tuple[T | None, BaseException | None]] = []

    def run() -> None:
        try:
            results.append((call(), None))
        except BaseException as error:
            results.append((None, error))

    thread = threading.Thread(target=run, name="stylegan download", daemon=True)
    pace, start, furthest = Pace(PATIENCE), time.monotonic(), 0
    thread.start()
    try:
        while thread.is_alive():
            thread.join(0.05)
            if seconds is not None and time.monotonic() - start > seconds:
                raise DownloadError(
                    f"{asked}: no whole answer within {seconds:g} s; the server, or what is in between, is broken or "
                    "overloaded: try again later"
                )
            if arrived is not None:
                furthest = max(furthest, arrived())
                if most is not None and furthest > most:
                    raise IntegrityError(f"{asked}: more than the {most} bytes that were announced; not kept")
                if seconds is None and (problem := pace.problem(furthest)):
                    raise DownloadError(
                        f"{asked}: {problem}; the server is broken, or limits how much one may fetch: try again later"
                    )
    finally:
        if thread.is_alive():
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident or 0), ctypes.py_object(_Left))
            thread.join(1)  # What it held is free again, unless it waits for the server, which has a limit, too.
    value, error = results[0]
    if error is not None:
        raise error
    return value  # type: ignore[return-value]


def download(url: str, target: Path, *, asked: str, size: int | None = None) -> None:
    """Fetch a URL to a file, complete or not at all. asked: what messages call it. size: bytes, if known.

    Raises DownloadError or one of its kinds; IntegrityError if there are more bytes than there should be.
    """
    check_url(url)
    _fetch(_make_opener(), url, target, asked, size, _explain_page)


def download_from_drive(id: str, target: Path, *, asked: str, size: int | None = None) -> None:
    """Fetch a file from Google Drive, through the page that asks whether large files are wanted. See `download`."""
    opener = _make_opener()
    url = persist(
        lambda: watch(
            lambda: _confirmed_url(opener, DRIVE_URL + id, asked, target.parent), asked, seconds=PATIENCE.answer
        )
    )
    _fetch(opener, url, target, asked, size, _explain_drive_page)


def check_disk_space(folder: Path, size: int | None, asked: str) -> None:
    """Raise DownloadError if a file of this size has no room there."""
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    if size is not None and size > free:
        raise DownloadError(
            f"{asked}: needs {size} bytes and {folder} has {free} free; free {size - free} bytes, "
            "or name a folder on another disk by cache_dir=... or STYLEGAN_CACHE"
        )


def refuse_page(path: Path, asked: str) -> None:
    """Delete a file that is an HTML page and raise DownloadError: a login page answered in place of the server."""
    with path.open("rb") as file:
        head = file.read(512)
    if looks_like_page(head):
        path.unlink()
        raise _explain_page(head, asked)


def _explain_page(page: bytes, asked: str) -> DownloadError:
    return DownloadError(
        f"{asked}: the answer is a web page, not a weight file; a login page of the network (open any site in "
        "a browser and log in), or the address of a page about the file"
    )


def looks_like_page(head: bytes) -> bool:
    """Whether a file that begins so is HTML."""
    return head.lstrip(b"\xef\xbb\xbf \t\r\n").lower().startswith((b"<!doctype html", b"<html", b"<head", b"<?xml"))


def explain_status(status: int, headers: Mapping[str, str], asked: str) -> Exception:
    """The error that an HTTP status stands for: a DownloadError, or a Transient around one."""
    if status in (401, 403):
        return AuthError(f"{asked}: access refused (HTTP {status}); pass token=..., or ask the owner for access")
    if status in (404, 410):
        return NotFoundError(f"{asked}: not there (HTTP {status}); check the name, file and revision")
    retry_after = _seconds(headers.get("Retry-After") or headers.get("retry-after"))
    if status == 429:
        when = f"in {retry_after:.0f} s" if retry_after else "later"
        return Transient(RateLimitError(f"{asked}: too many requests (HTTP 429); try again {when}"), retry_after)
    error = DownloadError(f"{asked}: the server answered HTTP {status}; try again later")
    return Transient(error, retry_after) if status in (408, 416) or status >= 500 else error


def explain_os_error(error: OSError, asked: str, folder: Path | None) -> Exception:
    """The error that a failed connection or file stands for: a DownloadError, or a Transient around one.

    folder: that was to be written to; None = none was.
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
    """The error where there is no network, and nothing in the cache; folder: None = it is no matter of a cache."""
    if folder is None:
        return OfflineError(f"{asked}: the hub cannot be reached ({short(cause)}); connect to the network first")
    return OfflineError(
        f"{asked}: not in the cache {folder}, and not to be fetched ({short(cause)}); "
        "connect to the network, or copy the cache of a computer that has the file"
    )


def _fetch(
    opener: urllib.request.OpenerDirector,
    url: str,
    target: Path,
    asked: str,
    size: int | None,
    explain_page: Callable[[bytes, str], DownloadError],
) -> None:
    folder = target.parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for left_over in folder.glob(f".{target.name}.*.part"):  # The caller holds the lock: nobody writes these.
            left_over.unlink()
        check_disk_space(folder, size, asked)
        part = target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
        try:
            with part.open("w+b") as file:
                transfer = _Transfer(opener, url, file, asked, size, folder, explain_page)
                persist(lambda: watch(transfer.attempt, asked, arrived=lambda: transfer.arrived))
                file.flush()
                os.fsync(file.fileno())
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)
    except DownloadError:
        raise
    except OSError as error:
        explained = explain_os_error(error, asked, folder)
        raise (explained.error if isinstance(explained, Transient) else explained) from error


@dataclass
class _Transfer:
    """A file that grows by attempts."""

    opener: urllib.request.OpenerDirector
    url: str
    file: Any
    asked: str
    size: int | None  # Bytes of the whole file, as soon as they are known.
    folder: Path
    explain_page: Callable[[bytes, str], DownloadError]  # What a web page in place of the file means.
    etag: str | None = None
    furthest: int = 0  # Bytes that had arrived before one of the attempts broke off.
    arrived: int = 0  # Bytes of all attempts.

    def attempt(self) -> None:
        """Ask for what is missing. Raises Transient if it does not all arrive."""
        start = self.file.tell()
        headers = {"Range": f"bytes={start}-"} if start else {}
        if start and self.etag:
            headers["If-Range"] = self.etag  # If the file changed in between, all of it comes anew.
        with _open(self.opener, self.url, self.asked, self.folder, headers, on_status=self.restart) as response:
            self.position(response, start)
            self.receive(response)
        self.refuse_page()
        arrived = self.file.tell()
        if self.size is not None and arrived < self.size:
            error = DownloadError(f"{self.asked}: only {arrived} of {self.size} bytes arrived; try again")
            raise Transient(error, progress=self.is_progress())

    def refuse_page(self) -> None:
        """Raise what a web page means, before it is taken for a part of the file."""
        end = self.file.tell()
        self.file.seek(0)
        page = self.file.read(512)
        if looks_like_page(page):
            raise self.explain_page(page + self.file.read(MAX_PAGE), self.asked)
        self.file.seek(end)

    def is_progress(self) -> bool:
        before, self.furthest = self.furthest, max(self.furthest, self.file.tell())
        return self.furthest > before

    def position(self, response: http.client.HTTPResponse, start: int) -> None:
        """Go to where the bytes of this answer belong; learn the size of the whole."""
        sent = re.match(r"bytes ([0-9]{1,18})-", response.headers.get("Content-Range", ""))
        if response.status != 206 or sent is None or int(sent[1]) != start:
            if response.status == 206:
                self.restart(206)
                raise Transient(DownloadError(f"{self.asked}: the server resumed at another byte; try again"))
            start = 0
            self.restart(response.status)
        etag = response.headers.get("ETag", "")
        self.etag = etag if etag.startswith('"') else None
        length = response.headers.get("Content-Length", "")
        if self.size is None and re.fullmatch(r"[0-9]{1,18}", length):
            self.size = start + int(length)
            check_disk_space(self.folder, int(length), self.asked)

    def receive(self, response: http.client.HTTPResponse) -> None:
        limit = MAX_FILE if self.size is None else self.size
        while True:
            try:
                chunk = response.read1(_CHUNK)  # What there is, so that a slow server is seen to be slow.
                if isinstance(response.chunk_left, int) and response.chunk_left < 0:
                    raise http.client.HTTPException("a chunk of negative length")
            except (OSError, ValueError, http.client.HTTPException) as error:
                failure = DownloadError(f"{self.asked}: the transfer broke off ({short(error)}); try again")
                raise Transient(failure, progress=self.is_progress()) from error
            if not chunk:
                return
            if self.file.tell() + len(chunk) > limit:
                raise IntegrityError(f"{self.asked}: more than the {limit} bytes that were announced; not kept")
            self.file.write(chunk)
            self.arrived += len(chunk)

    def restart(self, status: int) -> None:
        if status in (200, 206, 416):
            self.file.seek(0)
            self.file.truncate()


def _open(
    opener: urllib.request.OpenerDirector,
    url: str,
    asked: str,
    folder: Path,
    headers: dict[str, str] | None = None,
    on_status: Callable[[int], None] = lambda status: None,
) -> Any:
    """Send a GET; every failure becomes a DownloadError or a Transient."""
    known = {"User-Agent": f"stylegan/{__version__}", "Accept-Encoding": "identity"}
    request = urllib.request.Request(url, headers=known | (headers or {}))
    try:
        return opener.open(request, timeout=PATIENCE.timeout)
    except urllib.error.HTTPError as error:
        with error:
            on_status(error.code)
            raise explain_status(error.code, dict(error.headers), asked) from error
    except urllib.error.URLError as error:
        raise Transient(offline_error(asked, folder, error.reason)) from error
    except DownloadError:
        raise
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise Transient(DownloadError(f"{asked}: the connection broke off ({short(error)}); try again")) from error


class _CheckedRedirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects to places that weights are loaded from, and to no others."""

    max_redirections = 5

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        check_url(newurl)
        if req.full_url.startswith("https:") and not newurl.startswith("https:"):
            raise UnsafeFileError(f"{req.full_url} redirects to {newurl[:200]}, without encryption; not followed")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _make_opener() -> urllib.request.OpenerDirector:
    """An opener of http and https alone; the usual one also opens files, FTP and data URLs."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()),
        _CheckedRedirects(),
    ):
        opener.add_handler(handler)
    return opener


# Google Drive.


class _DrivePage(html.parser.HTMLParser):
    """A page of Google Drive: its title, its explanation, and the form of "can't scan this file for viruses"."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.title = self.caption = ""
        self.action: str | None = None
        self.inputs: dict[str, str] = {}
        self._inside = ""  # What the text that comes belongs to.
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if tag == "title" or "error-" in values.get("class", "") or "warning-" in values.get("class", ""):
            self._inside = "title" if tag == "title" else "caption"
        # Other forms of a page search, or log in.
        if tag == "form" and self.action is None and "download" in (values.get("id", "") + values.get("action", "")):
            self.action = values.get("action")
        if tag == "input" and self.action is not None and values.get("name"):
            self.inputs[values["name"]] = values.get("value", "")

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside == "title":
            self.title += data
        if self._inside == "caption":
            self.caption += " " + data

    @property
    def is_quota(self) -> bool:
        """Whether the file was fetched by too many."""
        said = f"{self.title} {self.caption}"
        return re.search(r"quota|too many users|download this file at this time", said, re.IGNORECASE) is not None


def _confirmed_url(opener: urllib.request.OpenerDirector, url: str, asked: str, folder: Path) -> str:
    """The URL behind the page that Google Drive shows before large files; the same URL where it shows none."""
    with _open(opener, url, asked, folder) as response:
        if "text/html" not in response.headers.get("Content-Type", ""):
            return url
        page, address = response.read(MAX_PAGE), response.geturl()
    if urlsplit(address).hostname == "accounts.google.com":
        raise AuthError(f"{asked}: Google Drive asks for a login: the file is not public; download it in a browser")
    form = _DrivePage(page.decode("utf-8", "replace"))
    target = urljoin(address, form.action or "")
    host, own_host = urlsplit(target).hostname or "", urlsplit(DRIVE_URL).hostname
    if form.is_quota or not form.inputs or not (host.endswith(_DRIVE_HOSTS) or host == own_host):
        raise _explain_drive_page(page, asked)
    return check_url(f"{target.split('?')[0]}?{urlencode(form.inputs)}")


def _explain_drive_page(page: bytes, asked: str) -> DownloadError:
    """The error that a page in place of a file stands for."""
    text = page.decode("utf-8", "replace")
    read = _DrivePage(text)
    if read.is_quota or (read.action is None and re.search(r"too many users", text, re.IGNORECASE)):
        return RateLimitError(
            f"{asked}: Google Drive's quota for this file is used up; try again tomorrow, or download "
            "it in a browser and pass its path"
        )
    said = short(" ".join((read.caption or read.title).split())) if (read.caption or read.title).strip() else ""
    return DownloadError(
        f"{asked}: Google Drive answered with a page that is not known{f' ({said!r})' if said else ''}; download the "
        "file in a browser and pass its path"
    )


def _seconds(retry_after: str | None) -> float | None:
    """The header Retry-After, in seconds or as a date."""
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
