"""Quirks: how networks trained with other implementations differ from the official ones.

A config stores the given fields as one dictionary, `quirks`. Earlier files store some of these fields among the other
arguments of a network; `gather_quirks` and `spread_quirks` convert between the two forms.
"""

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, TypeVar, cast

from ..errors import InputError
from ..runtime.checks import check_flag, check_integer, check_number, shown
from . import ops


@dataclass(frozen=True)
class Quirks:
    """Quirks of a synthesis network."""

    instance_norm_epsilon: float = ops.EPSILON  # Added to the variance; 1e-8 = as the official code.
    # Layers that double the size add their bias before the filter, which weakens it along the border; False = after it,
    # as the official code.
    bias_before_blur: bool = False
    # Such layers add their bias and are activated before the filter, and again after the noise; False = after the noise
    # alone, as the official code.
    activate_before_blur: bool = False
    noise_per_resolution: bool = False  # Both layers share "random" noise; False = each its own, as the official code.
    # Below 128x128, features are enlarged by interpolation; False = by repetition, as the official code.
    bilinear_upscale: bool = False

    def __post_init__(self) -> None:
        check_number(self.instance_norm_epsilon, what="instance_norm_epsilon", low=0.0, high=1.0)
        for name in ("bias_before_blur", "activate_before_blur", "noise_per_resolution", "bilinear_upscale"):
            check_flag(getattr(self, name), what=name)


@dataclass(frozen=True)
class DiscriminatorQuirks:
    """Quirks of a discriminator."""

    from_rgb_activations: int = 1  # How often the image's features are activated, 0 to 2; 1 = as the official code.
    # In a block, the first convolution changes the number of feature maps; False = the second, as the official code.
    widen_first: bool = False
    from_rgb_kernel: int = 1  # Size of the convolutions of the image, 1 or 3; 1 = as the official code.
    linear_dense: bool = False  # The first dense layer is not activated; False = it is, as the official code.

    def __post_init__(self) -> None:
        if self.from_rgb_kernel not in (1, 3) or isinstance(self.from_rgb_kernel, bool):
            raise InputError(f"from_rgb_kernel must be 1 or 3, got {shown(self.from_rgb_kernel)}")
        check_flag(self.linear_dense, what="linear_dense")
        check_integer(self.from_rgb_activations, what="from_rgb_activations", low=0, high=2)
        check_flag(self.widen_first, what="widen_first")


QuirksT = TypeVar("QuirksT", Quirks, DiscriminatorQuirks)

# The fields that earlier files store among the other arguments.
_FLAT = (
    *("instance_norm_epsilon", "bias_before_blur", "noise_per_resolution", "bilinear_upscale"),
    *("from_rgb_activations", "widen_first"),
)


def as_quirks(kind: type[QuirksT], given: Any) -> QuirksT:
    """Quirks of this kind, given as such, as a mapping of some fields, or as None = as the official code.

    Raises InputError for anything else, for unknown fields and for invalid values.
    """
    if isinstance(given, kind):
        return given
    if given is not None and not isinstance(given, Mapping):
        raise InputError(f"quirks must be {kind.__name__}, a dictionary of its fields or None, got {shown(given)}")
    known = [field.name for field in fields(kind)]
    for name in given or {}:
        if name not in known:
            raise InputError(f"quirks: unknown field {shown(name)}; {kind.__name__} has {', '.join(known)}")
    return kind(**given or {})


def describe_quirks(quirks: Quirks | DiscriminatorQuirks, *, always: tuple[str, ...] = ()) -> dict[str, Any]:
    """The fields that differ from the official code, and those named in `always`, for a config."""
    values = {field.name: (getattr(quirks, field.name), field.default) for field in fields(quirks)}
    return {name: value for name, (value, default) in values.items() if value != default or name in always}


def gather_quirks(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of a network, with the separate fields of earlier files moved into `quirks`.

    Raises InputError if a field is given in both places.
    """
    flat = {name: arguments[name] for name in _FLAT if name in arguments}
    others = {name: value for name, value in arguments.items() if name not in flat}
    if not flat:
        return others
    given = others.get("quirks")
    if isinstance(given, Quirks | DiscriminatorQuirks):
        given = describe_quirks(given)
    if given is not None and not isinstance(given, Mapping):
        return others  # Its reader refuses it.
    if twice := [name for name in flat if name in (given or {})]:
        raise InputError(f"{twice[0]} is given twice; give it in quirks alone")
    return others | {"quirks": dict(given or {}) | flat}


def spread_quirks(config: Mapping[str, Any]) -> dict[str, Any]:
    """The opposite, also in parts of a network: a config as in earlier files, from which digests are computed."""
    spread: dict[str, Any] = {}
    for name, value in config.items():
        if name == "quirks":
            spread |= value or {}
        else:
            spread[name] = spread_quirks(value) if isinstance(value, Mapping) else value
    return spread


InitT = TypeVar("InitT", bound=Callable[..., None])


def takes_flat_quirks(init: InitT) -> InitT:
    """Let a network's __init__ accept the arguments of earlier files, see `gather_quirks`."""

    @functools.wraps(init)
    def wrapped(self: Any, **arguments: Any) -> None:
        init(self, **gather_quirks(arguments))

    return cast(InitT, wrapped)
