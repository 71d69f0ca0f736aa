"""Ranges of seeds that are never expanded: many seeds cost no more than a few."""

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, chain, pairwise
from typing import overload

from ..errors import InputError

LIMIT = 2**32  # numpy's RandomState takes seeds below this.


class SeedRanges(Sequence[int]):
    """The seeds of several ranges in order; length, items and slices are computed without expanding them.

    >>> seeds = SeedRanges.parse("0-9999999,42")
    >>> len(seeds), seeds[-1], str(seeds[9_999_998:])
    (10000001, 42, '9999998-9999999,42')
    """

    def __init__(self, ranges: Iterable[range]):
        self.ranges = tuple(part for part in ranges if part)
        self._ends = list(accumulate(map(len, self.ranges)))

    @classmethod
    def parse(cls, text: str) -> "SeedRanges":
        """Read numbers and ranges, both ends included, such as 0-15,42, also written 0..15 42.

        Raises InputError for anything else.
        """
        return cls(_range(part) for part in re.split(r"\s*,\s*|\s+", text.strip()))

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    @overload
    def __getitem__(self, index: int) -> int: ...
    @overload
    def __getitem__(self, index: slice) -> "SeedRanges": ...
    def __getitem__(self, index: int | slice) -> "int | SeedRanges":
        if isinstance(index, slice):
            return SeedRanges(self._sliced(index))
        i = range(len(self))[index]
        which = bisect_right(self._ends, i)
        return self.ranges[which][i - self._ends[which]]

    def __iter__(self) -> Iterator[int]:
        return chain.from_iterable(self.ranges)

    def __str__(self) -> str:
        """As `parse` reads it."""
        return ",".join(_text(part) for part in self.ranges)

    def __repr__(self) -> str:
        return f"SeedRanges({self})"

    def repeated(self) -> int | None:
        """A seed that appears more than once, or None."""
        ordered = sorted(self.ranges, key=lambda part: part.start)
        return next((b.start for a, b in pairwise(ordered) if b.start < a.stop), None)

    def _sliced(self, index: slice) -> Iterator[range]:
        start, stop, step = index.indices(len(self))
        if step != 1:
            raise InputError(f"seeds are sliced without steps, got a step of {step}")
        for part, end in zip(self.ranges, self._ends, strict=True):
            begin = end - len(part)
            yield part[max(start - begin, 0) : max(stop - begin, 0)]


def _range(text: str) -> range:
    if match := re.fullmatch(r"(\d+):(\d+)", text):
        begin, end = map(int, match.groups())
        raise InputError(
            f"{text!r} could be read in two ways; write seeds like 0-15,42, both ends included: {begin}-{end}, or "
            f"{begin}-{max(begin, end - 1)} without the last"
        )
    first, dash, last = text.replace("..", "-", 1).partition("-")
    if not _is_number(first) or (dash and not _is_number(last)):
        raise InputError(f"{text!r} is not a seed or range; write seeds like 0-15,42")
    low, high = int(first), int(last or first)
    if high < low or high >= LIMIT:
        raise InputError(f"{text!r} is not a range of seeds from 0 to {LIMIT - 1}; write seeds like 0-15,42")
    return range(low, high + 1)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 20


def _text(part: range) -> str:
    return str(part[0]) if len(part) == 1 else f"{part[0]}-{part[-1]}"
