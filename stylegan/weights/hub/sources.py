"""Sources of weights: the package, a model hub, a URL, Google Drive, or a page to open in a browser.

A source is validated when it is constructed, before any file or server is accessed: names stay inside their folder,
links are https. This module reads no files and makes no requests.
"""

import re
from dataclasses import dataclass
from hashlib import sha256
from pathlib import PurePosixPath
from typing import Any, Literal, get_args
from urllib.parse import unquote, urlsplit

from ...errors import InputError, UnsafeFileError

Kind = Literal["bundled", "hub", "url", "drive", "page"]

# Suffixes of weight files: a string that ends so is a file, not a repository.
SUFFIXES = (".safetensors", ".pkl", ".pt", ".pth", ".bin", ".model", ".ckpt", ".tar", ".mat")

_PART = r"[A-Za-z0-9_][A-Za-z0-9._+ -]*"
_REPO = r"[A-Za-z0-9][A-Za-z0-9_.-]*/[A-Za-z0-9_][A-Za-z0-9_.-]*"
_WINDOWS_DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}
_HUB_HOSTS = {"huggingface.co", "hf.co", "www.huggingface.co"}


@dataclass(frozen=True)
class Source:
    """The source of a file. Raises UnsafeFileError if a path leaves its folder or a link is not https."""

    kind: Kind
    # Path in the package, repository, URL, Google Drive id, or the URL of a page to open in a browser.
    location: str
    filename: str | None = None  # Inside the repository, or the name to store a file under; None = to be found.
    revision: str | None = None  # Of a repository: a commit, tag or branch; None = the main branch.

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise InputError(f"a source is one of {', '.join(get_args(Kind))}; got {_show(self.kind)}")
        check = {
            "bundled": check_filename,
            "hub": check_repo,
            "url": check_url,
            "drive": check_drive_id,
            "page": check_url,
        }
        check[self.kind](self.location)
        if self.filename is not None:
            check_filename(self.filename)
        if self.revision is not None:
            check_revision(self.revision)

    def __str__(self) -> str:
        if self.kind == "hub":
            file = f"/{self.filename}" if self.filename else ""
            return f"hf:{self.location}{file}@{self.revision or 'main'}"
        if self.kind == "drive":
            return f"{self.filename} (Google Drive {self.location})"
        return f"the package ({self.location})" if self.kind == "bundled" else self.location

    @property
    def host(self) -> str:
        """The source, for people."""
        names = {"bundled": "the package", "hub": "Hugging Face", "drive": "Google Drive"}
        return names.get(self.kind) or str(urlsplit(self.location).hostname)

    @property
    def page(self) -> str:
        """The address to open in a browser, to fetch the file by hand."""
        if self.kind == "hub":
            return f"https://huggingface.co/{self.location}/blob/{self.revision or 'main'}/{self.filename}"
        return f"https://drive.google.com/file/d/{self.location}/view" if self.kind == "drive" else self.location

    @property
    def key(self) -> str:
        """A short name of this source, for files in the cache."""
        return sha256(f"{self.kind} {self.location} {self.filename} {self.revision}".encode()).hexdigest()[:16]

    @property
    def is_pinned(self) -> bool:
        """Whether the hub can never serve a different file for it."""
        return self.revision is not None and is_commit(self.revision)


def parse_source(text: str, *, revision: str | None = None) -> Source | None:
    """Read hf:user/repo[/file][@revision], user/repo, or a URL; None if the text is none of these.

    Raises UnsafeFileError for a forbidden source, InputError if two revisions are given.
    """
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]+://", text):
        check_url(text)
        url = urlsplit(text)
        match = re.fullmatch(rf"/({_REPO})/(?:resolve|blob)/([^/]+)/(.+)", unquote(url.path))
        if url.hostname in _HUB_HOSTS and match:  # The URL of a file's page on the hub is not that of the file.
            return Source("hub", match[1], match[3], _one_revision(match[2], revision))
        return Source("url", text, filename_of(text))
    if text.startswith("hf:"):
        place, at, own = text[3:].partition("@")
        parts = place.split("/")
        if len(parts) < 2:
            raise InputError(f"{_show(text)}: expected hf:user/repo, hf:user/repo/file or hf:user/repo/file@revision")
        file = "/".join(parts[2:]) or None
        return Source("hub", "/".join(parts[:2]), file, _one_revision(own if at else None, revision))
    if re.fullmatch(_REPO, text) and not text.lower().endswith(SUFFIXES):
        return Source("hub", text, None, revision)
    return None


def filename_of(url: str) -> str:
    """A safe file name from the end of a URL."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "_", unquote(PurePosixPath(urlsplit(url).path).name)).lstrip("._-")[-100:]
    return name if re.fullmatch(_PART, name) and not _WINDOWS_DEVICES.fullmatch(name) else "weights"


def check_filename(name: Any) -> str:
    """Return a relative file name if it stays in its folder on every system, else raise UnsafeFileError."""
    parts: list[str] = name.split("/") if isinstance(name, str) and len(name) <= 200 else []
    if not parts or not all(re.fullmatch(_PART, p) and ".." not in p and p[-1] not in " ." for p in parts):
        raise UnsafeFileError(f"file name {_show(name)} could lead out of its folder; expected one like weights/a.pkl")
    if any(_WINDOWS_DEVICES.fullmatch(p) for p in parts):
        raise UnsafeFileError(f"file name {_show(name)} is a device on Windows; expected one like weights/a.pkl")
    return "/".join(parts)


def check_repo(repo: Any) -> str:
    """Return a repository id user/name, else raise UnsafeFileError."""
    ok = isinstance(repo, str) and len(repo) <= 200 and re.fullmatch(_REPO, repo)
    if not ok or ".." in repo or "--" in repo or repo.endswith((".git", ".", "-")):
        raise UnsafeFileError(f"repository {_show(repo)} is malformed; expected user/name")
    return str(repo)


def check_revision(revision: Any) -> str:
    """Return a commit, tag or branch name, else raise UnsafeFileError."""
    ok = isinstance(revision, str) and re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._/-]{0,199}", revision)
    if not ok or ".." in revision or "//" in revision:
        raise UnsafeFileError(f"revision {_show(revision)} is malformed; expected a commit, tag or branch")
    return str(revision)


def check_url(url: Any) -> str:
    """Return a URL if it is https, or http on this computer, else raise UnsafeFileError."""
    if not isinstance(url, str) or len(url) > 2000 or not url.isascii() or not url.isprintable() or " " in url:
        raise UnsafeFileError(f"URL {_show(url)} is malformed; expected printable ASCII, at most 2000 characters")
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise UnsafeFileError(f"URL {_show(url)} is malformed: {error}") from error
    if "@" in parts.netloc or "\\" in url:
        raise UnsafeFileError(f"URL {_show(url)} has a user name or a backslash; expected https://host/path")
    if parts.scheme != "https" and not (parts.scheme == "http" and host in _LOOPBACK):
        raise UnsafeFileError(f"URL {_show(url)}: weights are only fetched over https, not {_show(parts.scheme)}")
    if not host:
        raise UnsafeFileError(f"URL {_show(url)} has no host; expected https://host/path")
    return url


def check_drive_id(id: Any) -> str:
    """Return the id of a file on Google Drive, else raise UnsafeFileError."""
    if not isinstance(id, str) or not re.fullmatch(r"[A-Za-z0-9_-]{10,100}", id):
        raise UnsafeFileError(f"Google Drive id {_show(id)} is malformed; expected letters, digits, _ and -")
    return id


def is_commit(revision: str) -> bool:
    """Whether a revision is a whole commit id, which always names the same files."""
    return re.fullmatch(r"[0-9a-f]{40}", revision) is not None


def _one_revision(own: str | None, given: str | None) -> str | None:
    if own is not None and given not in (None, own):
        raise InputError(f"two revisions, {_show(own)} and {_show(given)}; give one")
    return own if own is not None else given


def _show(value: Any) -> str:
    return repr(value[:80]) if isinstance(value, str) else f"a {type(value).__name__}"
