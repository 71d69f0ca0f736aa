"""Fetches a file from Google Drive, past its confirmation pages."""

import html.parser
import re
import urllib.request
from pathlib import Path
from urllib.parse import urlencode, urljoin, urlsplit

from ...errors import AuthError, DownloadError, RateLimitError
from . import patience
from .failures import short
from .patience import persist, watch
from .sources import check_url
from .transfer import MAX_PAGE, fetch_to, make_opener, open_url

DRIVE_URL = "https://drive.google.com/uc?export=download&id="
_HOSTS = (".google.com", ".googleusercontent.com")


def download(id: str, target: Path, *, asked: str, size: int | None = None) -> None:
    """Fetch a file as `transfer.download` does, past the page that asks to confirm large downloads."""
    opener = make_opener()

    def confirmed() -> str:
        return _confirmed_url(opener, DRIVE_URL + id, asked, target.parent)

    url = persist(lambda: watch(confirmed, asked, seconds=patience.PATIENCE.answer))
    fetch_to(opener, url, target, asked, size, _explain_drive_page)


class _DrivePage(html.parser.HTMLParser):
    """A page of Google Drive: its title, its explanation, and the form of "can't scan this file for viruses"."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.title = self.caption = ""
        self.action: str | None = None
        self.inputs: dict[str, str] = {}
        self._inside = ""  # The element whose text is being read.
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if tag == "title" or "error-" in values.get("class", "") or "warning-" in values.get("class", ""):
            self._inside = "title" if tag == "title" else "caption"
        # Other forms are for search or login.
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
        """Whether the download quota of the file is exceeded."""
        said = f"{self.title} {self.caption}"
        return re.search(r"quota|too many users|download this file at this time", said, re.IGNORECASE) is not None


def _confirmed_url(opener: urllib.request.OpenerDirector, url: str, asked: str, folder: Path) -> str:
    """The URL behind the confirmation page for large files; the same URL if there is no such page."""
    with open_url(opener, url, asked, folder) as response:
        if "text/html" not in response.headers.get("Content-Type", ""):
            return url
        page, address = response.read(MAX_PAGE), response.geturl()
    if urlsplit(address).hostname == "accounts.google.com":
        raise AuthError(f"{asked}: Google Drive asks for a login: the file is not public; download it in a browser")
    form = _DrivePage(page.decode("utf-8", "replace"))
    target = urljoin(address, form.action or "")
    host, own_host = urlsplit(target).hostname or "", urlsplit(DRIVE_URL).hostname
    if form.is_quota or not form.inputs or not (host.endswith(_HOSTS) or host == own_host):
        raise _explain_drive_page(page, asked)
    return check_url(f"{target.split('?')[0]}?{urlencode(form.inputs)}")


def _explain_drive_page(page: bytes, asked: str) -> DownloadError:
    """The error for a page that was sent instead of a file."""
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
