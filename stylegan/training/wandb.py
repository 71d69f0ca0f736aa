"""Weights & Biases output of a run, in addition to its log: an extra, `pip install stylegan[wandb]`."""

import dataclasses
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..runtime.atomic_files import write_atomically
from .config import TrainingConfig
from .trackers import Tracker, import_extra


class WeightsAndBiases(Tracker):
    """Sends settings, the log's values and image grids, over the number of real images shown.

    Project, account and mode come from WANDB_PROJECT, WANDB_ENTITY and WANDB_MODE; the default project is "stylegan". A
    resumed run continues there, by the id in RUN/wandb-id.txt. Networks are not sent. Raises InputError if the package
    is not installed.
    """

    def __init__(self) -> None:
        self._wandb: Any = import_extra("wandb", title="Weights & Biases", extra="wandb")

    def on_start(self, config: TrainingConfig, out: Path, images: int) -> None:
        """Begin or resume the run there."""
        self._run = self._wandb.init(
            project=os.environ.get("WANDB_PROJECT") or "stylegan",
            name=out.resolve().name,
            id=_id(out / "wandb-id.txt", new=images == 0),
            resume="allow",
            dir=str(out),
            config=dataclasses.asdict(config),
        )
        # Its own step count cannot decrease, unlike that of a run resumed from a checkpoint.
        self._run.define_metric("*", step_metric="images")

    def on_log(self, entry: Mapping[str, Any], images: int) -> None:
        """The numbers."""
        numbers = {name: value for name, value in entry.items() if isinstance(value, int | float)}
        self._run.log({**numbers, "images": images})

    def on_snapshot(self, pictures: Mapping[str, Path], network: Path, images: int) -> None:
        """The images."""
        shown = {name: self._wandb.Image(str(path)) for name, path in pictures.items()}
        self._run.log({**shown, "images": images})

    def on_stop(self) -> None:
        """End the run there."""
        self._run.finish()


def _id(path: Path, *, new: bool) -> str:
    """The id of the run there, stored in its folder."""
    if new or not path.exists():
        write_atomically(path, secrets.token_hex(4).encode())
    return path.read_text(encoding="ascii")
