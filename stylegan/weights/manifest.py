"""The manifest: every model known by name, with its file, data, licence and limits.

`weights_manifest.json` ships inside the package; to replace or add a bundled model, put its file beside the others
and edit that one JSON file. This module knows neither networks nor the network.
"""

import difflib
import functools
import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from ..errors import IntegrityError, NotFoundError

_PACKAGE = resources.files("stylegan")


@dataclass(frozen=True)
class Entry:
    """One model of the manifest."""

    name: str
    description: str
    resolution: int
    dataset: str
    license: str
    license_url: str
    attribution: str
    limits: str  # What the model is known to do badly.
    filename: str  # Inside the package.
    size: int  # Bytes.
    sha256: str


@functools.cache
def entries() -> dict[str, Entry]:
    """All models by name, in the order of the manifest."""
    models = _read()["models"]
    return {name: Entry(name=name, **fields) for name, fields in models.items()}


def default_name() -> str:
    """The name of the model that is used where none is given."""
    return _read()["default"]


def find(name: str) -> Entry:
    """The entry of a model. Raises NotFoundError, with the nearest names."""
    if name in entries():
        return entries()[name]
    near = difflib.get_close_matches(name, entries(), n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}? " if near else ""
    raise NotFoundError(f"unknown model {name!r} (and no such file); {hint}`stylegan list` shows all")


@contextmanager
def open_file(entry: Entry) -> Iterator[Path]:
    """The path of a model's file while the context lasts, verified. Raises IntegrityError if it is another file."""
    with resources.as_file(_PACKAGE / entry.filename) as path:
        data = path.read_bytes()
        digest = hashlib.sha256(data).hexdigest()
        if (len(data), digest) != (entry.size, entry.sha256):
            raise IntegrityError(
                f"{path}: {len(data)} bytes with sha256 {digest}; "
                f"the manifest expects {entry.size} bytes with sha256 {entry.sha256}; install stylegan again"
            )
        yield path


@functools.cache
def _read() -> dict:
    return json.loads((_PACKAGE / "weights_manifest.json").read_text(encoding="utf-8"))
