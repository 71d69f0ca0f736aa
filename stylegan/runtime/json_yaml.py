"""Small JSON and YAML files, read with limits on size and depth, and with checked types.

Every description that the package reads goes through here: configs, headers, cache records, manifests, labels,
settings, results, server responses. A fault becomes one error of the caller's type, which names the place.
"""

import json
import os
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from ..errors import StyleGANError


@dataclass(frozen=True)
class Limits:
    """How large a file may be."""

    bytes: int = 1_000_000
    depth: int = 32  # Objects and lists within each other.
    values: int = 200_000  # In total, keys not counted.


DESCRIPTION = Limits()  # For one thing: a model, a file, a run.
TABLE = Limits(bytes=512_000_000, values=100_000_000)  # With a line for each image of a data set.
SETTINGS = Limits(bytes=64_000, values=10_000)  # Handwritten YAML, which is slow to parse.

Error = type[StyleGANError]


def read_json(path: str | os.PathLike[str], *, error: Error, limits: Limits = DESCRIPTION) -> Any:
    """Parse a JSON file. Raises `error`, naming the file, if it cannot be read, is malformed or above the limits."""
    return parse_json(_read(path, error, limits), where=str(path), error=error, limits=limits)


def read_yaml(path: str | os.PathLike[str], *, error: Error, limits: Limits = SETTINGS) -> Any:
    """Parse a YAML file of plain data. Raises `error` as `read_json` does."""
    return parse_yaml(_read(path, error, limits), where=str(path), error=error, limits=limits)


def parse_json(data: bytes | str, *, where: str, error: Error, limits: Limits = DESCRIPTION) -> Any:
    """Parse JSON that was read from `where`. Raises `error` if it is malformed or above the limits."""
    return _parse(lambda: json.loads(data, object_pairs_hook=_object), "JSON", len(data), where, error, limits)


def parse_yaml(data: bytes | str, *, where: str, error: Error, limits: Limits = SETTINGS) -> Any:
    """Parse YAML of plain data that was read from `where`. Raises `error` as `parse_json` does."""
    import yaml  # Only training reads YAML.

    return _parse(lambda: yaml.safe_load(data), "YAML", len(data), where, error, limits)


def check_object(value: Any, fields: Mapping[str, Any], *, where: str, error: Error) -> dict[str, Any]:
    """Return the parsed value if it is an object with these fields and perhaps others, else raise `error`.

    fields: name -> type, such as `str`, `int | None`, `list[str]` or `dict[str, float]`. An integer is a float, too;
    true and false do not count as numbers.
    """
    if not isinstance(value, dict):
        raise error(f"{where}: expected an object with {', '.join(fields) or 'names'}, got {show(value)}")
    for name, kind in fields.items():
        if name not in value and not has_type(None, kind):
            raise error(f"{where}: lacks {name!r}")
        if not has_type(value.get(name), kind):
            expected = kind.__name__ if isinstance(kind, type) and not get_args(kind) else str(kind)
            raise error(f"{where}: {name!r} must be {expected}, got {show(value[name])}")
    return value


def has_type(value: Any, kind: Any) -> bool:
    """Whether parsed data match a type: see `check_object`."""
    origin, inner = get_origin(kind), get_args(kind)
    if kind is Any:
        return True
    if origin in (Union, UnionType):
        return any(has_type(value, each) for each in inner)
    if origin is Literal:
        return any(type(value) is type(each) and value == each for each in inner)
    if origin is list:
        return isinstance(value, list) and all(has_type(each, inner[0]) for each in value)
    if origin is dict:
        return isinstance(value, dict) and all(
            has_type(key, inner[0]) and has_type(each, inner[1]) for key, each in value.items()
        )
    if kind is None or kind is NoneType:
        return value is None
    if kind is float:
        return type(value) in (int, float)
    return type(value) is kind


def show(value: Any, length: int = 60) -> str:
    """A value for a message: short, on one line."""
    if isinstance(value, dict | list):
        return f"{'an object' if isinstance(value, dict) else 'a list'} of {len(value)}"
    text = repr(value)
    return text if len(text) <= length else f"{text[:length]}..."


def _read(path: str | os.PathLike[str], error: Error, limits: Limits) -> bytes:
    try:
        # Reading a pipe would block.
        if not stat.S_ISREG(os.stat(path).st_mode):
            raise error(f"{path}: no file")
        with Path(path).open("rb") as file:
            data = file.read(limits.bytes + 1)
    except OSError as failure:
        raise error(f"{path}: cannot be read: {failure.strerror or failure}") from failure
    return data


def _parse(parse: Callable[[], Any], what: str, size: int, where: str, error: Error, limits: Limits) -> Any:
    if size > limits.bytes:
        raise error(f"{where}: more than {limits.bytes} bytes; no {what} of this kind is so large")
    try:
        value = parse()
        _check_shape(value, limits)
    except RecursionError:
        raise error(f"{where}: malformed {what}: more than {limits.depth} lists or objects in each other") from None
    except Exception as failure:  # Constructors of YAML raise nearly anything.
        raise error(f"{where}: malformed {what}: {' '.join(str(failure).split())[:200]}") from failure
    return value


def _check_shape(value: Any, limits: Limits) -> None:
    """Level by level, so that self-references and repeated references hit a limit, too."""
    _check_scalar(value)
    level, count = [value], 1
    for _ in range(limits.depth):
        deeper: list[Any] = []
        for item in level:
            for child in _children(item):
                count += 1
                if count > limits.values:
                    raise ValueError(f"more than {limits.values} values")
                if isinstance(child, dict | list | set | tuple):
                    deeper.append(child)
                else:
                    _check_scalar(child)
        if not deeper:
            return
        level = deeper
    raise RecursionError


def _children(item: Any) -> Iterator[Any]:
    if isinstance(item, dict):
        for key, value in item.items():
            _check_scalar(key)
            yield value
    elif isinstance(item, list | set | tuple):
        yield from item


def _check_scalar(value: Any) -> None:
    if isinstance(value, str) and not value.isascii():
        value.encode()  # JSON can hold lone surrogates, which cannot be printed or saved: a UnicodeEncodeError.
    if isinstance(value, int) and value.bit_length() > 64:
        raise ValueError("an integer of more than 64 bits")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("an object names a key twice")
    return result
