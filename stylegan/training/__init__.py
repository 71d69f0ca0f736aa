"""Training: the paper's method, step by step and as a resumable loop. Nothing of the core imports it."""

from .config import TrainingConfig
from .distributed import World
from .loop import Outcome, train
from .optim import Adam
from .schedule import Phase, Schedule
from .state import TrainingState, new_state
from .step import train_step

__all__ = [
    "Adam",
    "Outcome",
    "Phase",
    "Schedule",
    "TrainingConfig",
    "TrainingState",
    "World",
    "new_state",
    "train",
    "train_step",
]
