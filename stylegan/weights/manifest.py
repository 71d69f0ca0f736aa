"""The manifest: every model known by name, with its files, data, licence and limits.

`weights_manifest.json` ships inside the package; to replace or add a bundled model, put its file next to the others
and edit that one JSON file. The environment variable STYLEGAN_MANIFEST names a further manifest of the same form,
without bundled files; its models are added, and replace ours of the same name.

A manifest is checked key by key before any of its files is opened. This module imports no networks and sends no
requests.
"""

import difflib
import fnmatch
import functools
import hashlib
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Literal, cast, get_args

from ..errors import IntegrityError, NotFoundError, WeightsError
from ..runtime.json_yaml import parse_json, read_json
from .hub.sources import Kind, Source, check_url, is_commit

Format = Literal["safetensors", "official", "port"]

# Far above what a manifest needs; stops a file that is meant to fill the memory.
MAX_MODELS = 1000

_PACKAGE = resources.files("stylegan")


@dataclass(frozen=True)
class File:
    """One file with a model's weights."""

    source: Source
    format: Format  # safetensors = ours, official = a .pkl of the official code, port = a file of another port.
    size: int | None  # Bytes; None = unknown.
    sha256: str | None  # Of the file, or its first digits; None = unknown, shown as "unverified".
    networks: tuple[str, ...] = ()  # Which of G, Gs and D the file holds; () = all that exist.

    @property
    def known(self) -> str:
        """How well the file can be checked: "known", "8 digits" or "unverified"."""
        if self.sha256 is None:
            return "unverified"
        return "known" if len(self.sha256) == 64 else f"{len(self.sha256)} digits"


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
    limits: str  # Known weaknesses of the model.
    citation: str
    metrics: dict[str, float]  # As published, not measured by us.
    content_box: tuple[int, int, int, int] | None  # Left, top, right, bottom of the images' content; None = all.
    options: dict[str, Any]  # Arguments of the generator that its file lacks.
    tried: bool  # Whether the entry's authors have ever loaded its file.
    tried_on: str  # The date and sha256 of the tried file, if noted; else "".
    zoo: bool  # Whether `stylegan list` shows it only with --all.
    files: tuple[
        File, ...
    ]  # The same network at several places, each in its own format; the first available one is used.

    def holding(self, network: str | None) -> list[File]:
        """The files that hold a network (G, Gs or D), or may; None = any. All files if none is known to."""
        found = [file for file in self.files if network is None or not file.networks or network in file.networks]
        return found or list(self.files)

    @property
    def is_bundled(self) -> bool:
        """Whether the model ships inside the package."""
        return self.files[0].source.kind == "bundled"

    @property
    def is_noncommercial(self) -> bool:
        """Whether the licence forbids commercial use."""
        return re.search(r"non-?commercial|\bNC\b", self.license, re.IGNORECASE) is not None

    @property
    def facts(self) -> dict[str, Any]:
        """What a model keeps from its entry: for `info`, the model card and the text in images."""
        names = ("name", "dataset", "license", "license_url", "attribution", "limits", "citation", "metrics")
        facts = {name: getattr(self, name) for name in names if getattr(self, name)}
        return facts | ({"content_box": list(self.content_box)} if self.content_box else {})


def entries() -> dict[str, Entry]:
    """All models by name: those of STYLEGAN_MANIFEST, if it is set, after the package's."""
    extra = os.environ.get("STYLEGAN_MANIFEST")
    return _packaged()[1] | (read_manifest(extra) if extra else {})


def list_models(filter: str = "*", *, include_zoo: bool = False) -> list[str]:
    """The names of models that `Generator.from_pretrained` takes, bundled ones first.

    filter: a pattern such as `faces-*`. include_zoo: also networks that others trained, which are not tried.
    """
    return [
        name for name, entry in entries().items() if (include_zoo or not entry.zoo) and fnmatch.fnmatch(name, filter)
    ]


def extractors() -> dict[str, Entry]:
    """The networks that metrics use, by name: those of the package's manifest that are downloaded."""
    return _packaged()[2]


def default_name() -> str:
    """The name of the model that is used if none is given."""
    return _packaged()[0]


def find(name: str) -> Entry:
    """The entry of a model. Raises NotFoundError, with the nearest names."""
    known = entries()
    if name in known:
        return known[name]
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}? " if near else ""
    raise NotFoundError(f"unknown model {name!r} (and no such file); {hint}`stylegan list` shows all")


@contextmanager
def open_file(file: File) -> Iterator[Path]:
    """The path of a bundled file in the context, verified. Raises IntegrityError if the file differs."""
    with resources.as_file(_PACKAGE / file.source.location) as path:
        data = path.read_bytes()
        digest = hashlib.sha256(data).hexdigest()
        if (len(data), digest) != (file.size, file.sha256):
            raise IntegrityError(
                f"{path}: {len(data)} bytes with sha256 {digest}; "
                f"the manifest expects {file.size} bytes with sha256 {file.sha256}; install stylegan again"
            )
        yield path


def read_manifest(path: str | os.PathLike[str]) -> dict[str, Entry]:
    """The models of a manifest file. Raises NotFoundError, WeightsError or UnsafeFileError, naming file and key."""
    path = Path(path)
    if not path.is_file():
        raise NotFoundError(f"manifest {path}: no such file; correct or unset STYLEGAN_MANIFEST")
    return _Checker(str(path), bundled=False).models(read_json(path, error=WeightsError))


def parse_manifest(data: bytes, *, where: str, bundled: bool = False) -> dict[str, Entry]:
    """Check a manifest and return its models. bundled: whether it may name files inside the package.

    Raises UnsafeFileError for a forbidden source, WeightsError for any other fault; opens no file and sends no request.
    """
    return _Checker(where, bundled).models(parse_json(data, where=where, error=WeightsError))


@functools.cache
def _packaged() -> tuple[str, dict[str, Entry], dict[str, Entry]]:
    """The default model, the models, and the extractors."""
    where = "weights_manifest.json"
    data = (_PACKAGE / where).read_bytes()
    models = parse_manifest(data, where=where, bundled=True)
    parsed = parse_json(data, where=where, error=WeightsError)
    checker = _Checker(where, bundled=True)
    return parsed["default"], models, {name: checker.entry(name, e) for name, e in parsed["extractors"].items()}


class _Checker:
    """Turns parsed JSON into entries, and refuses everything that is not as documented."""

    def __init__(self, where: str, bundled: bool):
        self.where, self.bundled = where, bundled

    def models(self, manifest: Any) -> dict[str, Entry]:
        optional = {"default", "extractors"} if self.bundled else {"default"}
        fields = self.fields(manifest, "manifest", required={"version", "models"}, optional=optional)
        if fields["version"] != 2:
            raise WeightsError(f"{self.where}: manifest version {str(fields['version'])[:20]}; expected 2")
        models = fields["models"]
        if not isinstance(models, dict) or len(models) > MAX_MODELS:
            raise WeightsError(f"{self.where}: models must be an object of at most {MAX_MODELS} entries")
        default = fields.get("default")
        if default is not None and default not in models:
            raise WeightsError(f"{self.where}: the default model {str(default)[:60]!r} is not among the models")
        return {name: self.entry(name, value) for name, value in models.items()}

    def entry(self, name: str, value: Any) -> Entry:
        if not re.fullmatch(r"[a-z0-9][a-z0-9._-]{0,63}", name):
            raise WeightsError(f"{self.where}: model name {name[:60]!r}; expected small letters, digits, . _ and -")
        required = {"description", "resolution", "dataset", "license", "license_url", "files"}
        texts = {"attribution", "limits", "citation"}
        optional = texts | {"metrics", "content_box", "options", "tried", "zoo"}
        fields: dict[str, Any] = dict.fromkeys(texts, "")
        fields |= {"metrics": {}, "content_box": None, "options": {}, "tried": False, "zoo": False}
        fields |= self.fields(value, name, required=required, optional=optional)
        for key in texts | {"description", "dataset", "license"}:
            self.expect(isinstance(fields[key], str) and len(fields[key]) <= 4000, name, key, "a text")
        resolution, box = fields["resolution"], fields["content_box"]
        self.expect(_is_count(resolution, 2**14), name, "resolution", "a number of pixels")
        fields["tried"], fields["tried_on"] = self.tried(name, fields["tried"])
        self.expect(isinstance(fields["zoo"], bool), name, "zoo", "true or false")
        self.expect(_is_metrics(fields["metrics"]), name, "metrics", "numbers by name")
        self.expect(isinstance(fields["options"], dict), name, "options", "arguments of the generator")
        self.expect(box is None or _is_box(box, resolution), name, "content_box", "[left, top, right, bottom]")
        self.place(name, "license_url", lambda: check_url(fields["license_url"]))
        files = fields["files"]
        self.expect(isinstance(files, list) and 1 <= len(files) <= 10, name, "files", "a list of 1 to 10 files")
        fields["files"] = tuple(self.file(f"{name}.files[{i}]", file) for i, file in enumerate(files))
        fields["content_box"] = tuple(box) if box else None
        return Entry(name=name, **fields)

    def tried(self, name: str, value: Any) -> tuple[bool, str]:
        """true, false, or {"date": "2026-12-31", "sha256": ...} as `python -m tests.zoo` notes it."""
        if isinstance(value, dict):
            noted = self.fields(value, f"{name}.tried", required={"date", "sha256"}, optional=set())
            for key, pattern in {"date": r"\d{4}-\d\d-\d\d", "sha256": r"[0-9a-f]{64}"}.items():
                ok = isinstance(noted[key], str) and re.fullmatch(pattern, noted[key])
                self.expect(bool(ok), f"{name}.tried", key, {"date": "a date", "sha256": "64 hexadecimal digits"}[key])
            return True, f"{noted['date']}, sha256 {noted['sha256']}"
        self.expect(isinstance(value, bool), name, "tried", "true or false")
        return value, ""

    def file(self, where: str, value: Any) -> File:
        required = {"source", "filename", "format", "size", "sha256"}
        optional = {"sha256_prefix", "networks"}
        fields = {"sha256_prefix": None, "networks": []} | self.fields(
            value, where, required=required, optional=optional
        )
        size, digest = fields["size"], fields["sha256"]
        self.expect(fields["format"] in get_args(Format), where, "format", f"one of {', '.join(get_args(Format))}")
        self.expect(size is None or _is_count(size, 2**40), where, "size", "bytes or null")
        ok = digest is None or (isinstance(digest, str) and re.fullmatch(r"[0-9a-f]{64}", digest))
        self.expect(bool(ok), where, "sha256", "64 hexadecimal digits or null")
        prefix, networks = fields["sha256_prefix"], fields["networks"]
        ok = prefix is None or (isinstance(prefix, str) and re.fullmatch(r"[0-9a-f]{8,63}", prefix) and digest is None)
        self.expect(bool(ok), where, "sha256_prefix", "8 to 63 hexadecimal digits, with a sha256 of null")
        ok = isinstance(networks, list) and all(network in ("G", "Gs", "D", "E") for network in networks)
        self.expect(ok, where, "networks", "a list of G, Gs, D and E")
        place = self.fields(fields["source"], f"{where}.source", required=set(), optional={*get_args(Kind), "revision"})
        kinds = place.keys() & set(get_args(Kind)) if self.bundled else place.keys() & {"hub", "url", "drive", "page"}
        self.expect(len(kinds) == 1, where, "source", "one of hub, url or drive, or page")
        kind = cast(Kind, kinds.pop())
        revision = place.get("revision")
        self.expect(revision is None or kind == "hub", where, "source.revision", "none, except for a hub")
        pinned = revision is None or (isinstance(revision, str) and is_commit(revision))
        self.expect(pinned, where, "source.revision", "a whole commit id or null")
        if not isinstance(fields["filename"], str):  # Source takes None for "found by looking".
            raise WeightsError(f"{self.where}: {where}.filename must be a text")
        source = self.place(where, "source", lambda: Source(kind, place[kind], fields["filename"], revision))
        return File(source, fields["format"], size, digest or prefix, tuple(networks))

    def fields(self, value: Any, where: str, *, required: set[str], optional: set[str]) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise WeightsError(f"{self.where}: {where} must be an object")
        if missing := sorted(required - value.keys()):
            raise WeightsError(f"{self.where}: {where} lacks {missing[0]!r}")
        if unknown := sorted(value.keys() - required - optional):
            raise WeightsError(f"{self.where}: {where} has the unknown key {unknown[0][:60]!r}")
        return dict(value)

    def expect(self, condition: bool, where: str, key: str, what: str) -> None:
        if not condition:
            raise WeightsError(f"{self.where}: {where}.{key} must be {what}")

    def place(self, where: str, key: str, check: Callable[[], Any]) -> Any:
        try:
            return check()
        except WeightsError as error:
            raise type(error)(f"{self.where}: {where}.{key}: {error}") from error


def _is_count(value: Any, limit: int) -> bool:
    return type(value) is int and 0 < value <= limit


def _is_metrics(value: Any) -> bool:
    return isinstance(value, dict) and all(type(x) in (int, float) and -1e12 < x < 1e12 for x in value.values())


def _is_box(value: Any, resolution: int) -> bool:
    if not isinstance(value, list) or len(value) != 4 or not all(type(x) is int for x in value):
        return False
    left, top, right, bottom = value
    return bool(0 <= left < right <= resolution and 0 <= top < bottom <= resolution)


# The bundled model that is used if none is named.
DEFAULT_MODEL = default_name()
