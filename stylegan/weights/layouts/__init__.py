"""Readers of the checkpoints of other ports."""

from pathlib import Path

from ...errors import WeightsError
from ..checkpoint import Checkpoint


def read_port_file(path: str | Path, *, resolution: int | None = None) -> list[Checkpoint]:
    """Read a torch.save file of another port: the generator first, then the discriminator if there is one.

    resolution: of the image, where the file does not tell it; None = from the file, or from its name.
    Raises UnsafeFileError for files that hold more than weights, WeightsError for damaged or unknown ones.
    """
    raise WeightsError(f"{path}: files of other ports cannot be read yet")
