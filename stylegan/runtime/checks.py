"""Checks of arguments of plain types; errors say what was given and expected. Nothing here needs torch."""

import functools
import inspect
import math
import numbers
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import NoneType, UnionType
from typing import Any, Literal, ParamSpec, TypeVar, Union, get_args, get_origin, get_type_hints

from ..errors import InputError

P = ParamSpec("P")
T = TypeVar("T")

# Length limit of a given value in a message; a tensor or a list may be long.
_SHOWN = 200


def shown(value: Any) -> str:
    """A value for a message: its repr on one line, cut off if long; for arrays, the shape."""
    if getattr(value, "ndim", 0) > 0:
        return f"{type(value).__name__.lower().replace('ndarray', 'array')} {list(value.shape)}"
    text = " ".join(repr(value).split())
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def is_index(value: Any) -> bool:
    """Whether a value is an integer: Python's, numpy's or a 0-dimensional tensor, but no bool."""
    if isinstance(value, bool) or getattr(value, "ndim", 0) > 0 or str(getattr(value, "dtype", "")) == "torch.bool":
        return False
    try:
        operator.index(value)
    except (TypeError, ValueError, RuntimeError):
        return False
    return True


def is_power_of_two(value: Any, *, least: int = 1) -> bool:
    """Whether it is a power of two, `least` or more."""
    return is_index(value) and value >= least and value & (value - 1) == 0


def is_number(value: Any) -> bool:
    """Whether it is a number, not a bool, that float32 can hold."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 3e38


def check_integer(value: Any, *, what: str, low: int, high: int) -> int:
    """Return value as an int if it is an integer from low to high, both included, else raise InputError."""
    if not is_index(value) or not low <= operator.index(value) <= high:
        raise InputError(f"{what} must be an integer from {low} to {high}, got {shown(value)}")
    return operator.index(value)


def check_integers(values: Any, *, what: str, limit: int) -> list[int]:
    """Return one integer or several as a list if all are from 0 to limit - 1, else raise InputError."""
    given = [values] if is_index(values) else values
    if isinstance(given, str | bytes | dict) or not isinstance(given, Iterable) or getattr(given, "ndim", 1) == 0:
        raise InputError(f"expected an integer or a sequence of integers, got {shown(values)} for {what}")
    return [check_integer(value, what=what, low=0, high=limit - 1) for value in given]


def check_number(value: Any, *, what: str, low: float = -math.inf, high: float = math.inf) -> float:
    """Return value as a float if it is a finite number from low to high, both included, else raise InputError."""
    try:
        number = math.nan if isinstance(value, bool | str | bytes) or getattr(value, "ndim", 0) > 0 else float(value)
    except (TypeError, ValueError, RuntimeError, OverflowError):
        number = math.nan
    if not math.isfinite(number) or not low <= number <= high:
        wanted = "a finite number" if (low, high) == (-math.inf, math.inf) else f"a number from {low:g} to {high:g}"
        raise InputError(f"{what} must be {wanted}, got {shown(value)}")
    return number


def check_flag(value: Any, *, what: str) -> bool:
    """Return value if it is True or False, else raise InputError."""
    if not isinstance(value, bool):
        raise InputError(f"{what} must be True or False, got {shown(value)}")
    return value


def check_choice(value: Any, *, what: str, choices: Iterable[str]) -> str:
    """Return value if it is one of these words, else raise InputError."""
    known = list(choices)
    if not isinstance(value, str) or value not in known:
        raise InputError(f"{what} must be one of {', '.join(map(repr, known))}; got {shown(value)}")
    return value


def typed(function: Callable[P, T]) -> Callable[P, T]:
    """Make a public function raise InputError for arguments whose types do not match its annotations.

    The meaning of values is checked inside. Numbers must be finite, integers not bool, sequences not strings.
    """
    signature = inspect.signature(function)
    hints: dict[str, Any] = {}  # Resolved at the first call, when all names exist.

    @functools.wraps(function)
    def checked(*args: P.args, **kwargs: P.kwargs) -> T:
        if not hints:
            hints.update(get_type_hints(function))
        for name, value in signature.bind(*args, **kwargs).arguments.items():
            if name in hints and not _fits(value, hints[name]):
                raise InputError(f"{name} must be {_described(hints[name])}, got {shown(value)}")
        return function(*args, **kwargs)

    return checked


def _fits(value: Any, hint: Any) -> bool:
    origin, inner = get_origin(hint), get_args(hint)
    if hint is Any or isinstance(hint, TypeVar):
        return True
    if origin in (Union, UnionType):
        return any(_fits(value, one) for one in inner)
    if origin is Literal:
        return isinstance(value, str) and value in inner
    if hint in (None, NoneType):
        return value is None
    if hint in (int, float):  # 0-dimensional arrays do not count: computing with them gives arrays.
        kind: Any = numbers.Integral if hint is int else numbers.Real
        return isinstance(value, kind) and value is not True and value is not False and _is_finite(value)
    kind = origin or hint
    if not isinstance(value, kind):
        return False
    if isinstance(value, str | bytes):
        return kind in (str, bytes, object) or not issubclass(kind, Iterable)
    if origin is tuple and ... not in inner and len(value) != len(inner):
        return False
    # Items are checked unless that would consume them.
    looked_at = list | tuple if inner[:1] in ((int,), (float,)) else Sequence
    if isinstance(value, looked_at) and origin is not None and len({*inner} - {...}) == 1:
        return all(_fits(item, inner[0]) for item in value)
    if isinstance(value, Mapping) and len(inner) == 2:
        return all(_fits(key, inner[0]) and _fits(item, inner[1]) for key, item in value.items())
    return True


def _is_finite(value: Any) -> bool:
    try:
        check_number(value, what="")
    except InputError:
        return False
    return True


def _described(hint: Any) -> str:
    """A type as a message names it: "int or None", "list of Image"."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return " or ".join(dict.fromkeys(_described(one) for one in inner))
    if origin is Literal:
        return f"one of {', '.join(map(repr, inner))}" if len(inner) > 1 else repr(inner[0])
    if hint in (None, NoneType):
        return "None"
    if origin is tuple and ... not in inner:
        return f"({', '.join(map(_described, inner))})"
    name = {"float": "a finite number", "int": "an integer"}.get(getattr(hint, "__name__", ""), "")
    if origin is None or origin is Callable or not inner:
        return name or f"a {getattr(hint, '__name__', str(hint))}"
    of = " of " + _described(inner[-1]).removeprefix("a ").removeprefix("an ") if inner[-1] is not ... else ""
    return f"a {origin.__name__.lower()}{of}"
