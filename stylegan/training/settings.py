"""Checks of a run's settings in advance: their annotated types, and limits."""

import math
import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from ..errors import InputError
from ..runtime.checks import is_number, is_power_of_two


@dataclass(frozen=True)
class Limits:
    """The range of a numeric setting."""

    least: float = 0.0
    most: float = math.inf
    is_open: bool = False  # Excludes `least` itself.

    def __contains__(self, value: float) -> bool:
        return (self.least < value if self.is_open else self.least <= value) and value <= self.most

    def __str__(self) -> str:
        if self.is_open:
            return f"above {self.least:g}"
        return f"of {self.least:g} or more" if self.most == math.inf else f"from {self.least:g} to {self.most:.10g}"


def setting(
    default: Any, *, above: float | None = None, least: float = 0.0, most: float = math.inf, otherwise: Any = None
) -> Any:
    """A field with limits for its numbers; for fields without this, the least is 0. above: an exclusive limit.

    otherwise: the value that a default of None stands for.
    """
    limits = Limits(least, most) if above is None else Limits(above, most, is_open=True)
    return field(default=default, metadata={"limits": limits} | ({} if otherwise is None else {"otherwise": otherwise}))


def check(settings: Any) -> None:
    """Check each field of a dataclass: a number, bool, str or Literal; or None, or a dictionary {resolution: number}.

    YAML reads 1e-3 as text, since it has no dot; it is converted if a number is expected. Raises InputError for invalid
    values.
    """
    hints = get_type_hints(type(settings))
    for entry in fields(settings):
        kinds, value = list(_members(hints[entry.name])), getattr(settings, entry.name)
        if value is None and type(None) in kinds:
            continue
        expected, found = _fit(value, kinds, entry.metadata.get("limits", Limits()))
        if found is None:
            either = f"{expected}, or null" if type(None) in kinds and "otherwise" not in entry.metadata else expected
            raise InputError(f"{entry.name} must be {either}; got {value!r}")
        setattr(settings, entry.name, found)


def _members(hint: Any) -> Iterator[Any]:
    """The types of a union, also nested."""
    if get_origin(hint) in (Union, types.UnionType):
        for member in get_args(hint):
            yield from _members(member)
    else:
        yield hint


def _fit(value: Any, kinds: list[Any], limits: Limits) -> tuple[str, Any]:
    """What is expected, in words, and the converted value; None = invalid."""
    if bool in kinds:
        return "true or false", value if isinstance(value, bool) else None
    if choices := [choice for kind in kinds if get_origin(kind) is Literal for choice in get_args(kind)]:
        return f"one of {', '.join(choices)}", value if value in choices else None
    if str in kinds:
        return "text", value if isinstance(value, str) else None
    whole = int in kinds
    expected = f"a {'whole ' * whole}number {limits}"
    if any(get_origin(kind) is Mapping for kind in kinds):
        expected += ", or a dictionary of such numbers by resolution"
        if isinstance(value, Mapping):
            numbers = {key: _number(entry, whole, limits) for key, entry in value.items()}
            fits = all(is_power_of_two(key, least=4) for key in numbers) and None not in numbers.values()
            return expected, numbers if fits else None
    return expected, _number(value, whole, limits)


def _number(value: Any, whole: bool, limits: Limits) -> float | None:
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return None
    if not is_number(value):
        return None
    if whole:
        if value != int(value):
            return None
        value = int(value)
    return value if value in limits else None
