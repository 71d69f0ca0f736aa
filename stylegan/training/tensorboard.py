"""What a run shows in TensorBoard, beside its log: an extra, `pip install stylegan[tensorboard]`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ..errors import InputError
from ..images.convert import opaque


def require_tensorboard() -> None:
    """Raise InputError if TensorBoard is not installed."""
    try:
        import torch.utils.tensorboard  # noqa: F401 - it imports the package tensorboard
    except ImportError as error:
        raise InputError(
            f"tensorboard=true needs TensorBoard ({error}): pip install stylegan[tensorboard], or leave it false"
        ) from error


class Board:
    """Writes the log's numbers and the grids of pictures, over the number of real images shown."""

    def __init__(self, folder: Path, *, images: int = 0):
        """folder: of the event files. images: shown so far; what an earlier part of the run wrote later is hidden."""
        require_tensorboard()
        from torch.utils.tensorboard import SummaryWriter

        self._writer: Any = SummaryWriter(str(folder), purge_step=images + 1)

    def add_entry(self, entry: Mapping[str, Any], images: int) -> None:
        """The numbers of a line of the log."""
        for name, value in entry.items():
            if isinstance(value, int | float):
                self._writer.add_scalar(name, value, images)
        self._writer.flush()

    def add_picture(self, name: str, path: Path, images: int) -> None:
        """A picture from a file."""
        with Image.open(path) as picture:
            self._writer.add_image(name, np.asarray(opaque(picture).convert("RGB")), images, dataformats="HWC")
        self._writer.flush()

    def close(self) -> None:
        """Write what is left."""
        self._writer.close()
