"""Weight files: the manifest, our checkpoint, the readers of others' formats; networks blended from several.

    loading.py      a name, a location or a path -> a network, in three steps:
    fetching.py     a name, a location or a path -> a file; downloads.py: a file that is not on this computer
    conversion.py   a file in another format -> a checkpoint
    checkpoint.py   our format
    pretrained.py   methods of networks; publishing.py, blending.py: of generators

May import: errors, version, runtime, networks, images, fast.
"""

from typing import TYPE_CHECKING

from ..runtime.lazy import lazy_names

if TYPE_CHECKING:
    from .checkpoint import Checkpoint, NetworkName, save_checkpoint, save_folder
    from .loading import Loaded, build_network, read_weights

__all__ = ["Checkpoint", "Loaded", "NetworkName", "build_network", "read_weights", "save_checkpoint", "save_folder"]

__getattr__, __dir__ = lazy_names(
    __name__,
    dict.fromkeys(("Checkpoint", "NetworkName", "save_checkpoint", "save_folder"), "checkpoint")
    | dict.fromkeys(("Loaded", "build_network", "read_weights"), "loading"),
)
