"""A name, a location or a path -> a verified weight file on this computer.

A name is one in the manifest, a location is a hub repository or a URL, a path is a file or a folder.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import InputError, NotFoundError
from ..runtime.atomic_files import as_path
from ..runtime.checks import shown
from . import manifest
from .checkpoint import NetworkName
from .files import Check, WeightFile
from .folders import UNNAMED, is_path_like, weight_file
from .hub import Access
from .hub.sources import parse_source
from .manifest import Entry


@contextmanager
def fetch(
    name_or_path: str | os.PathLike[str],
    *,
    network: NetworkName | None = None,
    revision: str | None = None,
    access: Access | None = None,
    check: Check | None = None,
) -> Iterator[WeightFile]:
    """The weight file of a manifest name, a folder, a path, a hub repository or a URL, for the duration of the context.

    network: the requested network; sources known to lack it are skipped. None = any.
    revision: of a hub repository. access: how files are fetched; None = the defaults.
    check: raises WeightsError for a file that is not the model of a manifest name. It is called for files without a
    known sha256; one that it rejects is deleted, and the next source is tried.

    A manifest name takes precedence over a file of the same name, and a file over a repository; write ./name for the
    file, hf:user/name for the repository. Raises NotFoundError if there is nothing, DownloadError if it cannot be
    fetched, IntegrityError if it is not the file in the manifest.
    """
    if not isinstance(name_or_path, str | os.PathLike) or not os.fspath(name_or_path):
        raise InputError(f"expected a model's name, path, repository or URL, got {shown(name_or_path)}")
    access = access or Access()
    path = Path(os.path.expanduser(as_path(name_or_path)))
    if isinstance(name_or_path, str):
        if name_or_path in manifest.entries():
            with _fetch_entry(manifest.find(name_or_path), network, revision, access, check) as file:
                yield file
            return
        if not path.exists() and (source := parse_source(name_or_path, revision=revision)):
            if revision is None and is_path_like(name_or_path):
                raise NotFoundError(f"{path}: no such file or folder; a repository of a model hub is hf:{name_or_path}")
            from .downloads import fetch_source  # Local files need no network clients.

            yield fetch_source(source, access, typed=name_or_path)
            return
    if revision is not None:
        raise InputError(f"revision {shown(revision)} is for repositories of a model hub; {path} is a path")
    yield _find_path(path)


@contextmanager
def _fetch_entry(
    entry: Entry, network: NetworkName | None, revision: str | None, access: Access, check: Check | None
) -> Iterator[WeightFile]:
    """A model of the manifest, from the first available source."""
    if revision is not None and not any(file.source.kind == "hub" for file in entry.files):
        raise InputError(f"{entry.name!r} comes from no model hub and has no revision {shown(revision)}; leave it out")
    if entry.is_bundled:
        own = entry.holding(network)[0]
        with manifest.open_file(own) as path:
            yield WeightFile(path, str(own.source), entry=entry, sha256=own.sha256)
    else:
        from .downloads import at_revision, fetch_first

        files = entry.holding(network)
        if revision is not None:  # Nothing else can replace it.
            files = [at_revision(file, revision) for file in entry.files if file.source.kind == "hub"]
        yield fetch_first(entry, files, access, check=check)


def _find_path(path: Path) -> WeightFile:
    if path.is_dir():
        file = weight_file(path)
        config = file.with_name("config.json")
        model = path.resolve().name if file.stem in UNNAMED else ""
        return WeightFile(file, str(path), config=config if config.is_file() else None, model=model)
    if path.exists() and not path.is_file():
        raise InputError(
            f"{path}: a pipe or a device; reading weights needs random access, so write them to a file first"
        )
    if not path.is_file():
        if path.suffix or len(path.parts) > 1:
            raise NotFoundError(f"{path}: no such file or folder")
        manifest.find(str(path))  # Raises, with the nearest names.
    return WeightFile(path, str(path))
