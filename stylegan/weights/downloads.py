"""Weight files to download: from a model's first working source, a repository, or a URL."""

import logging
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ..errors import DownloadError, IntegrityError, NotFoundError, OfflineError, UnsafeFileError, WeightsError
from ..runtime.file_kinds import kind_of
from ..runtime.json_yaml import DESCRIPTION
from . import hub
from .checkpoint import has_our_header
from .files import Check, WeightFile
from .folders import UNNAMED
from .hub import patience
from .hub.sources import Source
from .manifest import Entry, File
from .ports import is_port_safetensors

logger = logging.getLogger(__name__)


def fetch_first(
    entry: Entry,
    files: Sequence[File],
    access: hub.Access,
    *,
    check: Check | None = None,
    use: str = "stylegan sample --model",
) -> WeightFile:
    """One of these files: from the cache, else from the first source with the right file.

    check: see `fetching.fetch`. use: the command that takes a file instead of the entry.

    Raises DownloadError, or IntegrityError if all sources sent something else, with a line per source and instructions
    to download by hand.
    """
    files = list(files)
    if not access.force_download:
        files.sort(key=lambda file: hub.cached_path(file.source, access.cache) is None)
    failures: list[tuple[File, Exception]] = []
    start = time.monotonic()
    for file in files:
        try:
            fetched = hub.fetch(file.source, access, size=file.size, sha256=file.sha256)
            if file.sha256 is not None:
                return _downloaded(fetched, file.source, access, entry)
            return _checked(fetched, file.source, access, entry, check)
        except (DownloadError, IntegrityError, UnsafeFileError) as error:
            failures.append((file, error))
            if file is not files[-1] and not isinstance(error, OfflineError):
                logger.warning("%s; trying the next source", _line(error))
            # Without a network, each source costs some seconds.
            offline = all(isinstance(failure, OfflineError) for _, failure in failures)
            if offline and time.monotonic() - start > patience.PATIENCE.offline:
                break
    raise _failure(entry, failures, use)


def at_revision(file: File, revision: str) -> File:
    """A hub file at another revision, whose size and sha256 are unknown."""
    source = Source("hub", file.source.location, file.source.filename, revision)
    return replace(file, source=source, size=None, sha256=None)


def _checked(fetched: hub.Fetched, source: Source, access: hub.Access, entry: Entry, check: Check | None) -> WeightFile:
    """A file without a sha256 in the manifest. If it is not the model, it is deleted and IntegrityError is raised."""
    try:
        kind_of(fetched.named)
        file = _downloaded(fetched, source, access, entry)
        if check is not None:
            check(file)
        return file
    except (WeightsError, FileNotFoundError) as error:  # Another process may have deleted it for the same reason.
        hub.discard(fetched, access)
        what = str(error).removeprefix(f"{fetched.named}: ").removeprefix(f"{source}: ")
        raise IntegrityError(f"{source}: what the server sent is refused: {what}") from error


def _failure(entry: Entry, failures: Sequence[tuple[File, Exception]], use: str) -> Exception:
    """One error for all sources, with a line for each and instructions to download by hand."""
    errors = [error for _, error in failures]
    kinds = {type(error) for error in errors}
    kind = kinds.pop() if len(kinds) == 1 else DownloadError
    # Without a network, all are the same.
    lines = [_line(error) for error in (errors[:1] if kind is OfflineError else errors)]
    if len(lines) > 1:
        lines = [f"{entry.name}: none of its {len(lines)} sources gave the file:", *(f"  {line}" for line in lines)]
    # A page that is missing does not help.
    file = next((file for file, error in failures if not isinstance(error, NotFoundError)), failures[0][0])
    saved = Path(str(file.source.filename)).name
    name = saved.removesuffix(".xz")
    known = f" ({file.size} bytes)" if file.size else ""
    unpack = "" if name == saved else f", unpack it (`unxz {saved}`)"
    by_hand = f"by hand: open {file.source.page} in a browser and save {saved}{known}{unpack}; then {name} stands for"
    return kind("\n".join([*lines, f"{by_hand} {entry.name}, as in `{use} ./{name}`"]))


def _line(error: Exception) -> str:
    return " ".join(str(error).split())


def fetch_source(source: Source, access: hub.Access, typed: str) -> WeightFile:
    """The weight file of a repository or URL. typed: what the user wrote.

    Raises NotFoundError, OfflineError or another DownloadError; InputError for a repository with several weight files.
    """
    try:
        if source.filename is None:
            source = hub.find_weights(source, access)
        fetched = hub.fetch(source, access, update=True)
    except (NotFoundError, OfflineError) as error:
        if typed.startswith("hf:") or "://" in typed:
            raise
        raise type(error)(f"{error}; nor is there a file or folder {typed}") from error
    try:
        kind_of(fetched.named)
    except WeightsError:
        if not fetched.is_verified:  # Else a wrong file would stay in the cache.
            hub.discard(fetched, access)
        raise
    return _downloaded(fetched, source, access)


def _downloaded(fetched: hub.Fetched, source: Source, access: hub.Access, entry: Entry | None = None) -> WeightFile:
    model = source.location.split("/")[1] if source.kind == "hub" and fetched.named.stem in UNNAMED else ""
    return WeightFile(
        fetched.named,
        str(source),
        config=_config_beside(fetched, source, access) if source.kind == "hub" else None,
        model=model,
        entry=entry,
        fetched=fetched,
    )


def _config_beside(fetched: hub.Fetched, source: Source, access: hub.Access) -> Path | None:
    """The config.json of a hub repository, if the header of its tensors describes no network."""
    if kind_of(fetched.named) != "safetensors" or has_our_header(fetched.named) or is_port_safetensors(fetched.named):
        return None
    beside = Path(str(source.filename)).with_name("config.json").as_posix()
    place = Source("hub", source.location, beside, source.revision)
    return hub.fetch(place, access, most=DESCRIPTION.bytes, update=True).path
