"""Arguments of plain types, checked in one way: what was given, what was expected. Nothing here needs torch."""

import math
import operator
from collections.abc import Iterable
from typing import Any

from .errors import InputError

# What a message shows of a value that was given; a tensor or a list may be long.
_SHOWN = 200


def shown(value: Any) -> str:
    """A value for a message: its representation on one line, cut off where it is long."""
    text = " ".join(repr(value).split())
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def is_index(value: Any) -> bool:
    """Whether a value is an integer: Python's, numpy's or a tensor without dimensions, but no bool."""
    if isinstance(value, bool) or getattr(value, "ndim", 0) > 0 or str(getattr(value, "dtype", "")) == "torch.bool":
        return False
    try:
        operator.index(value)
    except (TypeError, ValueError, RuntimeError):
        return False
    return True


def check_integer(value: Any, *, what: str, low: int, high: int) -> int:
    """Return value as an int if it is an integer from low to high, both included, else raise InputError."""
    if not is_index(value) or not low <= operator.index(value) <= high:
        raise InputError(f"{what} must be an integer from {low} to {high}, got {shown(value)}")
    return operator.index(value)


def check_integers(values: Any, *, what: str, limit: int) -> list[int]:
    """Return an integer, or some, as a list if all are from 0 to limit - 1, else raise InputError."""
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
