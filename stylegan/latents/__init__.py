"""Latents: seeds -> z, w -> ws, truncation, style mixing, interpolation, directions, and files of them.

Shapes: z [N, z_dim]; w [N, w_dim]; ws [N, num_ws, w_dim], one w for each synthesis layer.

May import: errors, runtime, networks, weights.
"""

from typing import TYPE_CHECKING

from ..runtime.lazy import lazy_names

if TYPE_CHECKING:
    from .bundled import bundled_directions, named_direction
    from .directions import Direction, check_direction, edit
    from .seeds import Seeds, check_seeds, noise_from_seeds, z_from_seeds
    from .styles import (
        as_numbers,
        broadcast,
        check_cutoff,
        check_psi,
        check_same_average,
        mix_styles,
        same_average,
        slerp,
        truncate,
    )

_STYLES = ("as_numbers", "broadcast", "check_cutoff", "check_psi", "check_same_average", "mix_styles", "same_average")

__all__ = [
    "Direction",
    "Seeds",
    "as_numbers",
    "broadcast",
    "bundled_directions",
    "check_cutoff",
    "check_direction",
    "check_psi",
    "check_same_average",
    "check_seeds",
    "edit",
    "mix_styles",
    "named_direction",
    "noise_from_seeds",
    "same_average",
    "slerp",
    "truncate",
    "z_from_seeds",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    dict.fromkeys(("bundled_directions", "named_direction"), "bundled")
    | dict.fromkeys(("Direction", "check_direction", "edit"), "directions")
    | dict.fromkeys(("Seeds", "check_seeds", "noise_from_seeds", "z_from_seeds"), "seeds")
    | dict.fromkeys((*_STYLES, "slerp", "truncate"), "styles"),
)
