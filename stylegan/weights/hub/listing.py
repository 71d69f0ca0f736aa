"""Finds the weight file of a hub repository."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urljoin, urlsplit

from ...errors import DownloadError, InputError, NotFoundError, OfflineError, StyleGANError, UnsafeFileError
from ...runtime.json_yaml import Limits, has_type, parse_json
from . import patience
from .access import Access
from .cache import Cache
from .failures import offline_error
from .huggingface import ask, explain, explain_response, repository_folder
from .patience import Transient, persist
from .sources import SUFFIXES, Source, check_filename

# Limits for a repository's list of files: bytes of a page (at most 1,000 files), and number of pages.
_PAGE = Limits(bytes=4_000_000)
_MOST_PAGES = 20


def find_weights(source: Source, access: Access) -> Source:
    """Choose the weight file of a repository: model.safetensors, or else the only candidate.

    Raises NotFoundError if there is none, InputError if there are several.
    """
    if access.is_offline:
        names = _cached_names(source, access.cache)
        if not names:
            raise offline_error(str(source), access.cache.hub, "local_files_only or HF_HUB_OFFLINE is set")
    else:
        try:
            names = persist(lambda: _list_files(source, access))
        except OfflineError:
            names = _cached_names(source, access.cache)
            if not names:
                raise
    return Source("hub", source.location, _choose(names, source), source.revision)


def _list_files(source: Source, access: Access) -> list[str]:
    """The names of a repository's files; only the wanted one, if it exists."""
    from huggingface_hub import get_hf_file_metadata, hf_hub_url
    from huggingface_hub.errors import EntryNotFoundError

    asked, url = str(source), hf_hub_url(source.location, "model.safetensors", revision=source.revision)
    try:
        try:
            # One quick request; the list is requested only if needed.
            ask(lambda: get_hf_file_metadata(url, token=access.token, timeout=patience.PATIENCE.timeout), asked)
            return ["model.safetensors"]
        except EntryNotFoundError:
            return ask(lambda: list(_names(source, access)), asked)
    except StyleGANError:
        raise
    except Transient:
        raise
    except Exception as error:
        raise explain(error, asked, access.cache.hub) from error


def _names(source: Source, access: Access) -> Iterator[str]:
    """The names of a repository's files, page by page. The client's own listing has no limits."""
    from huggingface_hub import constants
    from huggingface_hub.utils import build_hf_headers

    asked, revision = str(source), quote(source.revision or "main", safe="")
    url: str | None = f"{constants.ENDPOINT}/api/models/{source.location}/tree/{revision}?recursive=true"
    headers = build_hf_headers(token=access.token) | {"Accept-Encoding": "identity"}
    for _ in range(_MOST_PAGES):
        page, following = _get(str(url), headers, asked)
        entries = parse_json(page, where=f"{asked}: the list of its files", error=DownloadError, limits=_PAGE)
        if not has_type(entries, list[dict[str, Any]]):
            raise DownloadError(f"{asked}: the answer is not a list of files; expected a model hub")
        yield from (entry["path"] for entry in entries if isinstance(entry.get("path"), str))
        if not following:
            return
        url = urljoin(str(url), following)
        if urlsplit(url).netloc != urlsplit(constants.ENDPOINT).netloc:
            raise UnsafeFileError(f"{asked}: its list of files goes on at {url[:80]!r}, another server; not followed")
    raise DownloadError(f"{asked}: its list of files has more than {_MOST_PAGES} pages; name a file: hf:user/repo/FILE")


def _get(url: str, headers: dict[str, str], asked: str) -> tuple[bytes, str | None]:
    """A page, of limited size, through the client's own connections, and the URL of the next one."""
    from huggingface_hub.utils import get_session

    session: Any = get_session()
    timeout = patience.PATIENCE.timeout
    if hasattr(session, "stream"):  # httpx
        opened = session.stream("GET", url, headers=headers, timeout=timeout, follow_redirects=True)
    else:  # requests, of older clients
        opened = session.get(url, headers=headers, timeout=timeout, stream=True)
    with opened as response:
        if response.status_code >= 400:
            raise explain_response(response, asked)
        if response.headers.get("Content-Encoding", "identity") != "identity":
            raise DownloadError(f"{asked}: a packed answer, which was not asked for; a broken server or proxy")
        raw = response.iter_raw() if hasattr(response, "iter_raw") else response.raw.stream(65536, False)
        data = bytearray()
        for chunk in raw:
            data += chunk
            if len(data) > _PAGE.bytes:
                raise DownloadError(f"{asked}: more than {_PAGE.bytes} bytes instead of a list of its files")
        return bytes(data), response.links.get("next", {}).get("url")


def _cached_names(source: Source, cache: Cache) -> list[str]:
    """The cached files of a repository, of the revision fetched last."""
    folder = repository_folder(source, cache)
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
