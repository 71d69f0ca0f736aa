"""The arguments of a network, checked before it is built.

They come from a call, or from a checkpoint's config, which may be malicious: sizes have limits, so that no small file
can exhaust memory.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..errors import InputError
from ..runtime.checks import check_choice, check_flag, check_integer, check_number, is_power_of_two, shown
from .quirks import Quirks, describe_quirks, gather_quirks

MAX_RESOLUTION = 8192
_MAX_TAPS = 64

_INTEGERS = {
    "z_dim": (1, 2**16),
    "w_dim": (1, 2**16),
    "hidden_dim": (1, 2**16),
    "label_dim": (0, 2**16),
    "num_layers": (0, 100),
    "img_channels": (1, 2**10),
    "fmap_base": (1, 2**24),
    "fmap_max": (1, 2**16),
    "mbstd_group_size": (-(2**31), 2**16),
    "mbstd_num_features": (1, 2**10),
}
_NUMBERS = {
    "lr_multiplier": (1e-9, 1e9),
    "fmap_decay": (0.0, 16.0),
    "truncation_psi": (-100.0, 100.0),
}
_FLAGS = (
    *("equalized_lr", "normalize_z", "use_styles", "const_input", "use_noise", "use_pixel_norm", "use_instance_norm"),
    "progressive",
)


def check_config(given: Mapping[str, Any]) -> None:
    """Raise InputError unless all arguments of a network have the right type and are within limits."""
    for name, value in given.items():
        if name in _INTEGERS:
            low, high = _INTEGERS[name]
            check_integer(value, what=name, low=low, high=high)
        elif name in _NUMBERS:
            check_number(value, what=name, low=_NUMBERS[name][0], high=_NUMBERS[name][1])
        elif name in _FLAGS:
            check_flag(value, what=name)
        elif name in _OTHERS:
            _OTHERS[name](value)


def check_nested(name: str, arguments: Any, network: type, *, given: Sequence[str]) -> dict[str, Any]:
    """The further arguments of a part of a network as a dictionary. Raises InputError for unknown ones.

    given: arguments that must not be given there.
    """
    if arguments is None:
        return {}
    if not isinstance(arguments, Mapping):
        raise InputError(f"{name} must be a dictionary of arguments of {network.__name__}, got {shown(arguments)}")
    gathered = gather_quirks(arguments)
    known = [key for key in inspect.signature(network).parameters if key not in given]
    for key in gathered:
        if key in given:
            raise InputError(f"{name}: {key!r} is an argument of the whole network; give it there")
        if key not in known:
            raise InputError(f"{name}: unknown argument {shown(key)}; {network.__name__} has {', '.join(known)}")
    if isinstance(gathered.get("quirks"), Quirks):
        gathered["quirks"] = describe_quirks(gathered["quirks"])
    return gathered


def _check_resolution(value: Any) -> None:
    if not is_power_of_two(value, least=8) or value > MAX_RESOLUTION:
        raise InputError(f"img_resolution must be a power of two from 8 to {MAX_RESOLUTION}, got {shown(value)}")


def _check_nonlinearity(value: Any) -> None:
    check_choice(value, what="nonlinearity", choices=("lrelu", "relu"))


def _check_filter(value: Any) -> None:
    if value is None:
        return
    if not isinstance(value, Sequence) or isinstance(value, str | bytes) or len(value) > _MAX_TAPS:
        raise InputError(f"blur_filter must be None or a list of at most {_MAX_TAPS} numbers, got {shown(value)}")
    for tap in value:
        check_number(tap, what="each number of blur_filter")


def _check_truncation_cutoff(value: Any) -> None:
    # In official files, 0 and less mean no truncation, and 8 is written even for networks with fewer layers.
    if value is not None:
        check_integer(value, what="truncation_cutoff, a layer index or None,", low=-1, high=1000)


def _check_seed(value: Any) -> None:
    if value is not None:
        check_integer(value, what="seed, an integer or None,", low=0, high=2**63 - 1)


def _check_lod(value: Any) -> None:
    check_number(value, what="lod", low=0)


_OTHERS: dict[str, Callable[[Any], None]] = {
    "img_resolution": _check_resolution,
    "nonlinearity": _check_nonlinearity,
    "blur_filter": _check_filter,
    "truncation_cutoff": _check_truncation_cutoff,
    "seed": _check_seed,
    "lod": _check_lod,
}
