"""Training: the paper's method, step by step and as a resumable loop. The core does not import it.

May import: errors, runtime, networks, images, fast, weights, latents, generator, discriminator, data.
"""

from typing import TYPE_CHECKING

from ..runtime.lazy import lazy_names

if TYPE_CHECKING:
    from ..runtime.distributed import World
    from .config import TrainingConfig
    from .loop import Outcome, train
    from .optim import Adam
    from .schedule import Phase, Schedule
    from .state import TrainingState, new_state
    from .step import train_step
    from .trackers import Tracker

__all__ = [
    "Adam",
    "Outcome",
    "Phase",
    "Schedule",
    "Tracker",
    "TrainingConfig",
    "TrainingState",
    "World",
    "new_state",
    "train",
    "train_step",
]

_HOMES = {
    "Adam": "optim",
    "Outcome": "loop",
    "Phase": "schedule",
    "Schedule": "schedule",
    "Tracker": "trackers",
    "TrainingConfig": "config",
    "TrainingState": "state",
    "World": "step",
    "new_state": "state",
    "train": "loop",
    "train_step": "step",
}

__getattr__, __dir__ = lazy_names(__name__, _HOMES)
