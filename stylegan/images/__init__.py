"""Images: float tensors in [-1, 1] <-> uint8 <-> PIL, grids, and settings stored in image files.

May import: errors, runtime, networks.
"""

from typing import TYPE_CHECKING

from ..runtime.lazy import lazy_names

if TYPE_CHECKING:
    from .convert import as_rgb, check_channels, from_uint8, opaque, to_numpy, to_pil, to_uint8
    from .encoding import encode, format_of, save
    from .grids import display_size, grid, resize
    from .rendering import check_output, render
    from .settings import recall, remember, sample_settings, setting_text, settings_of

__all__ = [
    "as_rgb",
    "check_channels",
    "check_output",
    "display_size",
    "encode",
    "format_of",
    "from_uint8",
    "grid",
    "opaque",
    "recall",
    "remember",
    "render",
    "resize",
    "sample_settings",
    "save",
    "setting_text",
    "settings_of",
    "to_numpy",
    "to_pil",
    "to_uint8",
]

__getattr__, __dir__ = lazy_names(
    __name__,
    dict.fromkeys(("as_rgb", "check_channels", "from_uint8", "opaque", "to_numpy", "to_pil", "to_uint8"), "convert")
    | dict.fromkeys(("encode", "format_of", "save"), "encoding")
    | dict.fromkeys(("display_size", "grid", "resize"), "grids")
    | dict.fromkeys(("check_output", "render"), "rendering")
    | dict.fromkeys(("recall", "remember", "sample_settings", "setting_text", "settings_of"), "settings"),
)
