"""Fetches one file over https with the standard library.

The file is written under a temporary name, resumed by Range if the connection breaks, and renamed when complete.
"""

import http.client
import http.cookiejar
import os
import re
import secrets
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...errors import DownloadError, IntegrityError, UnsafeFileError
from ...version import __version__
from . import patience
from .failures import (
    check_disk_space,
    explain_os_error,
    explain_page,
    explain_status,
    looks_like_page,
    offline_error,
    short,
)
from .patience import Transient, persist, watch
from .sources import check_url

MAX_PAGE = 1_000_000  # Bytes of an HTML page to inspect.
MAX_FILE = 20_000_000_000  # Size limit for a file of unknown size.
_CHUNK = 1 << 20


def download(url: str, target: Path, *, asked: str, size: int | None = None) -> None:
    """Fetch a URL to a file, complete or not at all. asked: its name in messages. size: in bytes, if known.

    Raises DownloadError or a subclass; IntegrityError if there are too many bytes.
    """
    check_url(url)
    fetch_to(make_opener(), url, target, asked, size, explain_page)


def fetch_to(
    opener: urllib.request.OpenerDirector,
    url: str,
    target: Path,
    asked: str,
    size: int | None,
    explain_page: Callable[[bytes, str], DownloadError],
) -> None:
    """Fetch a URL to a file as `download` does. explain_page: the error for a web page instead of the file."""
    folder = target.parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for left_over in folder.glob(f".{target.name}.*.part"):  # The caller holds the lock: no process writes these.
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
    """A partial download, continued by each attempt."""

    opener: urllib.request.OpenerDirector
    url: str
    file: Any
    asked: str
    size: int | None  # Size of the whole file, once known.
    folder: Path
    explain_page: Callable[[bytes, str], DownloadError]  # The error for a web page instead of the file.
    etag: str | None = None
    furthest: int = 0  # Bytes received when an attempt was interrupted.
    arrived: int = 0  # Bytes received in all attempts.

    def attempt(self) -> None:
        """Request what is missing. Raises Transient if it does not all arrive."""
        start = self.file.tell()
        headers = {"Range": f"bytes={start}-"} if start else {}
        if start and self.etag:
            headers["If-Range"] = self.etag  # If the file has changed, all of it is sent again.
        with open_url(self.opener, self.url, self.asked, self.folder, headers, on_status=self.restart) as response:
            self.position(response, start)
            self.receive(response)
        self.refuse_page()
        arrived = self.file.tell()
        if self.size is not None and arrived < self.size:
            error = DownloadError(f"{self.asked}: only {arrived} of {self.size} bytes arrived; try again")
            raise Transient(error, progress=self.is_progress())

    def refuse_page(self) -> None:
        """Raise the error for a web page, before it is mistaken for a part of the file."""
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
        """Seek to where the bytes of this response belong; learn the size of the file."""
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
                chunk = response.read1(_CHUNK)  # Whatever is available, so that a slow server is noticed.
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


def open_url(
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
        return opener.open(request, timeout=patience.PATIENCE.timeout)
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
    """Follows redirects only to URLs that weights may be loaded from."""

    max_redirections = 5

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        check_url(newurl)
        if req.full_url.startswith("https:") and not newurl.startswith("https:"):
            raise UnsafeFileError(f"{req.full_url} redirects to {newurl[:200]}, without encryption; not followed")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def make_opener() -> urllib.request.OpenerDirector:
    """An opener for http and https only; the default one also opens files, FTP and data URLs."""
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
