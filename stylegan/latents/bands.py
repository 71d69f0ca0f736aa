"""Layers by name, number, range or list, with the same meaning in the library, on the command line and in the demo."""

import operator
import re
from collections.abc import Iterable, Sequence
from typing import Any, Literal

from ..errors import InputError
from ..runtime.checks import is_index, shown

BandName = Literal["coarse", "middle", "fine"]
Layers = int | str | slice | Sequence[int]

# The bands of the paper's style mixing (section 3.1).
BAND_NAMES: tuple[BandName, ...] = ("coarse", "middle", "fine")

_WAYS = "a band (coarse, middle, fine), a crossover (6), a range (4:8, its end left out, or 4-7) or a list (0,3,5)"


def bands(num_layers: int) -> dict[BandName, range]:
    """The bands of a network with this number of layers: 4x4 to 8x8, 16x16 to 32x32, and 64x64 up.

    Below 64x64, fine is the last resolution, and the others are halved between coarse and middle. A network of 8x8 has
    no middle. One without styles, whose w is its only layer, has only coarse.
    """
    fine = min(8, num_layers - 2) if num_layers > 2 else num_layers  # Layer i works at 2^(i // 2 + 2).
    middle = 2 * ((fine // 2 + 1) // 2) if num_layers > 2 else num_layers
    parts = (range(middle), range(middle, fine), range(fine, num_layers))
    return {name: layers for name, layers in zip(BAND_NAMES, parts, strict=True) if layers}


def resolutions(layers: range) -> str:
    """The resolutions of consecutive layers, such as "4x4 to 8x8"."""
    first, last = (2 ** (i // 2 + 2) for i in (layers[0], layers[-1]))
    return f"{first}x{first}" if first == last else f"{first}x{first} to {last}x{last}"


def parse_layers(text: str) -> Layers:
    """Layers from text: "fine", "6", "4:8", "4:", "4-7" or "0,3,5". Raises InputError for anything else.

    >>> [parse_layers(text) for text in ("6", "4:", "4-7", "0,3,5")]
    [6, slice(4, None, None), slice(4, 8, None), [0, 3, 5]]
    """
    written = text.replace(" ", "")
    if written in BAND_NAMES:
        return written
    if re.fullmatch(r"\d{1,9}", written):
        return int(written)
    if match := re.fullmatch(r"(-?\d{1,9})?:(-?\d{1,9})?", written):
        first, last = (int(part) if part else None for part in match.groups())
        if first is not None and last is not None and first >= last and first * last >= 0:
            raise InputError(f"{shown(text)} holds no layer: the end of a range is left out, as in 4:8; write {_WAYS}")
        return slice(first, last)
    if match := re.fullmatch(r"(\d{1,9})-(\d{1,9})", written):
        first, last = map(int, match.groups())
        if first <= last:
            return slice(first, last + 1)
    if "," in written and re.fullmatch(r"-?\d{1,9}(,-?\d{1,9})*,?", written):
        return [int(part) for part in written.rstrip(",").split(",")]
    raise InputError(f"{shown(text)} names no layers; write {_WAYS}")


def layer_indices(layers: Layers, num_ws: int) -> list[int]:
    """The layers that an argument `layers` means, as indices from 0 to num_ws - 1.

    layers: an integer is a crossover: that layer and all after it. A band ("coarse", "middle", "fine"; see `bands`), a
        slice, a range or a list of indices name the layers themselves; so does text, as in `parse_layers`. As in
        Python, the end of a slice or range is excluded and -1 is the last layer; "4-7" includes its end.

    Raises InputError for layers that this network does not have.
    """
    given: Any = layers
    if isinstance(given, str):
        given = parse_layers(given)
    if isinstance(given, str):
        known = bands(num_ws)
        if given not in known:
            raise InputError(f"a network of {num_ws} layers has no {given} band; it has {', '.join(known)}")
        return list(known[given])
    if isinstance(given, slice):
        return _sliced(given, num_ws)
    if is_index(given):
        if not 0 <= given <= num_ws:
            raise InputError(f"the crossover must be from 0 to {num_ws}, got {given}")
        return list(range(operator.index(given), num_ws))
    if not isinstance(given, Iterable) or isinstance(given, bytes | dict) or getattr(given, "ndim", 1) == 0:
        raise InputError(f"layers must be {_WAYS}; got {shown(layers)}")
    indices = list(given)
    for i in indices:
        if not is_index(i) or not -num_ws <= i < num_ws:
            raise InputError(f"this network has layers 0 to {num_ws - 1}, got {shown(i)}")
    return [operator.index(i) % num_ws for i in indices]


def _sliced(layers: slice, num_ws: int) -> list[int]:
    """The layers of a slice. Ends outside the network, which Python would clip, are an error."""
    for end in (layers.start, layers.stop):
        if end is not None and not (is_index(end) and -num_ws <= end <= num_ws):
            raise InputError(f"this network has {num_ws} layers, 0 to {num_ws - 1}; got the range {_written(layers)}")
    if layers.step is not None and not (is_index(layers.step) and layers.step != 0):
        raise InputError(f"the step of a slice of layers must be an integer other than 0, got {shown(layers.step)}")
    return list(range(num_ws))[layers]


def _written(layers: slice) -> str:
    ends = [layers.start, layers.stop, *([] if layers.step is None else [layers.step])]
    return ":".join("" if end is None else shown(end) for end in ends)
