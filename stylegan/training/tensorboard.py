"""TensorBoard output of a run, in addition to its log: an extra, `pip install stylegan[tensorboard]`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ..images.convert import opaque
from .config import TrainingConfig
from .trackers import Tracker, import_extra


class TensorBoard(Tracker):
    """Writes the log's values and image grids, over the number of real images shown.

    Raises InputError if TensorBoard is not installed.
    """

    def __init__(self) -> None:
        # This imports the package tensorboard.
        self._open: Any = import_extra(
            "torch.utils.tensorboard", title="TensorBoard", extra="tensorboard"
        ).SummaryWriter

    def on_start(self, config: TrainingConfig, out: Path, images: int) -> None:
        """Open the files; entries of an earlier part of the run after this point are hidden."""
        self._writer = self._open(str(out / "tensorboard"), purge_step=images + 1)

    def on_log(self, entry: Mapping[str, Any], images: int) -> None:
        """The numbers."""
        for name, value in entry.items():
            if isinstance(value, int | float):
                self._writer.add_scalar(name, value, images)
        self._writer.flush()

    def on_snapshot(self, pictures: Mapping[str, Path], network: Path, images: int) -> None:
        """The images."""
        for name, path in pictures.items():
            with Image.open(path) as img:
                self._writer.add_image(name, np.asarray(opaque(img).convert("RGB")), images, dataformats="HWC")
        self._writer.flush()

    def on_stop(self) -> None:
        """Close the files."""
        self._writer.close()
