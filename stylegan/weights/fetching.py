"""A name, a place or a path -> the bytes of a weight file on this computer, verified.

A name is one of the manifest, a place a repository of a model hub or a URL, a path a file or a folder.
"""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..errors import (
    DownloadError,
    InputError,
    IntegrityError,
    NotFoundError,
    OfflineError,
    UnsafeFileError,
    WeightsError,
)
from ..runtime.atomic_files import as_path
from ..runtime.checks import shown
from ..runtime.file_kinds import kind_of
from ..runtime.json_yaml import DESCRIPTION
from . import hub, manifest
from .checkpoint import NetworkName, has_our_header
from .folders import UNNAMED, is_path_like, weight_file
from .hub import transfer
from .hub.sources import Source, parse_source
from .manifest import Entry, File
from .ports import is_port_safetensors


@dataclass(frozen=True)
class WeightFile:
    """A file of weights on this computer, and what is known of it."""

    path: Path  # Under the name that it came with.
    source: str  # Where it came from, for people.
    config: Path | None = None  # The config.json that describes it, where its header does not.
    model: str = ""  # The name of its folder or repository, where its own says nothing.
    entry: Entry | None = None  # Of the manifest.
    fetched: hub.Fetched | None = None  # How it was downloaded; None = it was here.
    sha256: str | None = None  # Of a bundled file.

    @property
    def facts(self) -> dict[str, Any]:
        """What to show of it, besides where it came from."""
        if self.fetched is not None:
            return {"sha256": self.fetched.shown_sha256}
        return {} if self.sha256 is None else {"sha256": self.sha256}

    @property
    def terms(self) -> str | None:
        """What is to be told of its licence, the first time that it is downloaded."""
        if self.entry is None or self.fetched is None or not self.fetched.is_new or not self.entry.is_noncommercial:
            return None
        return f"{self.entry.name}: {self.entry.license} ({self.entry.license_url}). {self.entry.attribution}"


Check = Callable[[WeightFile], None]


@contextmanager
def fetch(
    name_or_path: str | os.PathLike[str],
    *,
    network: NetworkName | None = None,
    revision: str | None = None,
    access: hub.Access | None = None,
    check: Check | None = None,
) -> Iterator[WeightFile]:
    """The weight file of a manifest name, a folder, a path, a hub repository or a URL, while the context lasts.

    network: that the file should hold; sources of a name that are known to lack it are left out. None = any.
    revision: of a hub repository. access: how files are fetched; None = the defaults.
    check: raises WeightsError for a file that is not the model of a manifest name. It is called for files whose sha256
    nobody named: one that it refuses is deleted, and the next source tried.

    A manifest name goes before a file of the same name, and a file before a repository; write ./name for the file,
    hf:user/name for the repository. Raises NotFoundError if there is nothing, DownloadError if it cannot be had,
    IntegrityError if it is another file than the manifest names.
    """
    if not isinstance(name_or_path, str | os.PathLike) or not os.fspath(name_or_path):
        raise InputError(f"expected a model's name, path, repository or URL, got {shown(name_or_path)}")
    access = access or hub.Access()
    path = Path(os.path.expanduser(as_path(name_or_path)))
    if isinstance(name_or_path, str):
        if name_or_path in manifest.entries():
            with _fetch_entry(manifest.find(name_or_path), network, revision, access, check) as file:
                yield file
            return
        if not path.exists() and (source := parse_source(name_or_path, revision=revision)):
            if revision is None and is_path_like(name_or_path):
                raise NotFoundError(f"{path}: no such file or folder; a repository of a model hub is hf:{name_or_path}")
            yield _fetch_source(source, access, typed=name_or_path)
            return
    if revision is not None:
        raise InputError(f"revision {shown(revision)} is for repositories of a model hub; {path} is a path")
    yield _find_path(path)


@contextmanager
def _fetch_entry(
    entry: Entry, network: NetworkName | None, revision: str | None, access: hub.Access, check: Check | None
) -> Iterator[WeightFile]:
    """A model of the manifest, from the first of its places that can be had."""
    if revision is not None and not any(file.source.kind == "hub" for file in entry.files):
        raise InputError(f"{entry.name!r} comes from no model hub and has no revision {shown(revision)}; leave it out")
    if entry.is_bundled:
        own = entry.holding(network)[0]
        with manifest.open_file(own) as path:
            yield WeightFile(path, str(own.source), entry=entry, sha256=own.sha256)
    else:
        files = [_revised(file, revision) for file in entry.holding(network)]
        yield fetch_first(entry, files, access, check=check)


def fetch_first(
    entry: Entry,
    files: Sequence[File],
    access: hub.Access,
    *,
    check: Check | None = None,
    use: str = "stylegan sample --model",
) -> WeightFile:
    """One of these files: from the cache if one is there, else from the first source that answers with the right one.

    check: see `fetch`. use: the command that takes a file in place of the entry.

    Raises DownloadError, or IntegrityError where all sources sent something else: with a line for each source, and what
    to do by hand.
    """
    files = list(files)
    if not access.force_download:
        files.sort(key=lambda file: hub.cached_path(file.source, access.cache) is None)
    failures: list[tuple[File, Exception]] = []
    start = time.monotonic()
    for file in files:
        try:
            fetched = hub.fetch(file.source, access, size=file.size, sha256=file.sha256)
            if fetched.is_verified:
                return _downloaded(fetched, file.source, access, entry)
            return _checked(fetched, file.source, access, entry, check)
        except (DownloadError, IntegrityError, UnsafeFileError) as error:
            failures.append((file, error))
            # A network that is not there costs some seconds for each source.
            offline = all(isinstance(failure, OfflineError) for _, failure in failures)
            if offline and time.monotonic() - start > transfer.PATIENCE.offline:
                break
    raise _failure(entry, failures, use)


def _revised(file: File, revision: str | None) -> File:
    """The same file of another revision, of which no size and sha256 are known."""
    if revision is None or file.source.kind != "hub":
        return file
    source = Source("hub", file.source.location, file.source.filename, revision)
    return replace(file, source=source, size=None, sha256=None)


def _checked(fetched: hub.Fetched, source: Source, access: hub.Access, entry: Entry, check: Check | None) -> WeightFile:
    """A file that nobody named the sha256 of; if it is not what was wanted, IntegrityError, and it is not kept."""
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
    """One error of all sources, a line for each, and what to do by hand."""
    errors = [error for _, error in failures]
    kinds = {type(error) for error in errors}
    kind = kinds.pop() if len(kinds) == 1 else DownloadError
    # Without a network, all say the same.
    lines = [" ".join(str(error).split()) for error in (errors[:1] if kind is OfflineError else errors)]
    if len(lines) > 1:
        lines = [f"{entry.name}: none of its {len(lines)} sources gave the file:", *(f"  {line}" for line in lines)]
    # A page that is not there helps nobody.
    file = next((file for file, error in failures if not isinstance(error, NotFoundError)), failures[0][0])
    name = Path(str(file.source.filename)).name
    known = f" ({file.size} bytes)" if file.size else ""
    by_hand = f"by hand: open {file.source.page} in a browser and save {name}{known}; then {name} stands for"
    return kind("\n".join([*lines, f"{by_hand} {entry.name}, as in `{use} ./{name}`"]))


def _fetch_source(source: Source, access: hub.Access, typed: str) -> WeightFile:
    """A repository or URL. typed: what the user wrote."""
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
        if not fetched.is_verified:  # Else it stays in the cache, though the server may be right again.
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
    """The config.json of a hub repository, where the header of its tensors describes no network."""
    if kind_of(fetched.named) != "safetensors" or has_our_header(fetched.named) or is_port_safetensors(fetched.named):
        return None
    beside = Path(str(source.filename)).with_name("config.json").as_posix()
    place = Source("hub", source.location, beside, source.revision)
    return hub.fetch(place, access, most=DESCRIPTION.bytes, update=True).path


def _find_path(path: Path) -> WeightFile:
    if path.is_dir():
        file = weight_file(path)
        config = file.with_name("config.json")
        model = path.resolve().name if file.stem in UNNAMED else ""
        return WeightFile(file, str(path), config=config if config.is_file() else None, model=model)
    if not path.is_file():
        if path.suffix or len(path.parts) > 1:
            raise NotFoundError(f"{path}: no such file or folder")
        manifest.find(str(path))  # Raises, with the nearest names.
    return WeightFile(path, str(path))
