"""Receivers of a run's progress: TensorBoard, Weights & Biases, and those passed to `train`."""

import importlib
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError

if TYPE_CHECKING:
    from .config import TrainingConfig
    from .state import TrainingState
    from .step import StepReport

_log = logging.getLogger(__name__)


class Tracker:
    """Base class whose methods do nothing: override those of interest, and pass an instance to `train(trackers=[...])`.

    They are called in the first process, between steps, which wait for them. Exceptions do not end the run: the first
    of each tracker is logged as a warning.
    """

    def on_start(self, config: "TrainingConfig", out: Path, images: int) -> None:
        """Before the first step. config: all settings. out: the run's folder. images: shown so far, 0 in a new run.

        A tracker that fails here is not called again.
        """

    def on_step(self, state: "TrainingState", report: "StepReport") -> None:
        """After every step; on a GPU, reading the report's tensors waits for it."""

    def on_log(self, entry: Mapping[str, Any], images: int) -> None:
        """For every line of log.jsonl (`config.log_kimg`). entry: its fields. images: real images shown so far."""

    def on_snapshot(self, pictures: Mapping[str, Path], network: Path, images: int) -> None:
        """For every snapshot, and at the end. pictures: files by name, "fakes" and, with the first snapshot, "reals".

        network: the averaged generator as a file. images: real images shown so far.
        """

    def on_stop(self) -> None:
        """After the last step, however the run ended."""


def import_extra(module: str, *, title: str, extra: str) -> Any:
    """A module of an extra of this package. Raises InputError if it is missing."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        hint = f"pip install stylegan[{extra}], or leave it false"
        raise InputError(f"{extra}=true needs {title} ({error}): {hint}") from error


class Trackers:
    """Several trackers as one; none of them can end the run."""

    def __init__(self, trackers: Sequence[Tracker] = ()):
        self._trackers = list(trackers)
        self._failed: set[int] = set()

    def start(self, config: "TrainingConfig", out: Path, images: int) -> None:
        """Call `on_start` of all; those that fail are dropped."""
        self._trackers = [t for t in self._trackers if self._told(t, "on_start", config, out, images)]

    def tell(self, event: str, *arguments: Any) -> None:
        """Call a method of all trackers."""
        for tracker in self._trackers:
            self._told(tracker, event, *arguments)

    def _told(self, tracker: Tracker, event: str, *arguments: Any) -> bool:
        try:
            getattr(tracker, event)(*arguments)
        except Exception as error:  # A service or user code may raise anything.
            if id(tracker) not in self._failed:
                self._failed.add(id(tracker))
                message = "%s failed in %s; the run continues without it: %s: %s"
                _log.warning(message, type(tracker).__name__, event, type(error).__name__, error)
            return False
        return True
