"""The training loop: steps, checkpoints, the log, snapshots, and stopping.

A run is a folder:
    config.yaml            its settings
    checkpoints/           the last few states, each complete, from which `resume` continues
    log.jsonl, losses.png  losses, speed, level of detail and memory over time
    snapshots/             fakes-*.png, network-*.safetensors (the averaged generator)
    tensorboard/, wandb/   copies of the log and the images, if enabled
    network.safetensors    the averaged generator when training last stopped
"""

import contextlib
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from ..data.dataset import ImageDataset
from ..errors import InputError
from ..runtime.checks import check_number
from ..runtime.distributed import connect, disconnect, own_device
from ..runtime.gradients import with_gradients
from ..runtime.precision import no_autocast
from ..runtime.signals import StopSignals
from .checkpoints import list_checkpoints
from .config import TrainingConfig
from .run import Reason, Run
from .snapshot import Images
from .state import TrainingState
from .step import StepReport
from .tensorboard import TensorBoard
from .trackers import Tracker, Trackers
from .wandb import WeightsAndBiases


@dataclass(frozen=True)
class Outcome:
    """How a run ended; it is saved in every case."""

    reason: Reason
    state: TrainingState

    @property
    def exit_code(self) -> int:
        """130 after Ctrl-C, as in shells; else 0."""
        return 130 if self.reason == "SIGINT" else 0


@no_autocast()
@with_gradients()
def train(
    config: TrainingConfig,
    out: str | Path,
    *,
    dataset: Images | None = None,
    resume: bool = False,
    allow_data_change: bool = False,
    minutes: float | None = None,
    progress: bool | None = None,
    trackers: Sequence[Tracker] = (),
    after_step: Callable[[TrainingState, StepReport], None] | None = None,
) -> Outcome:
    """Train until `config.kimg`, a time limit or a signal; the state is always saved, and resuming is exact.

    out: folder of the run. dataset: None = the one that `config.data` names. resume: continue from the last checkpoint
        in the folder, or start if there is none; otherwise a folder with checkpoints is refused. allow_data_change:
        continue with other images than the run's so far. minutes: time limit; None = no limit.
    progress: show a bar; None = on a terminal. trackers: receive the progress, in addition to those enabled by
        `config`.
    after_step: called after every step, in every process; an exception ends the run.

    Network settings that `config` leaves None are those of the model that it starts from, or of the run. Under
    torchrun, the processes share each batch, and a restart by torchrun resumes. Raises InputError for conflicting
    settings, CheckpointError if the state cannot be read or written, DivergenceError after `config.skip_limit`
    consecutive steps with NaN or infinity.
    """
    start = time.monotonic()
    if minutes is not None:
        minutes = check_number(minutes, what="minutes", low=0, high=1e9)
    out, device = Path(out), own_device(config.device)
    # Created before anything is written: their packages may be missing.
    all_trackers = Trackers([*_named_trackers(config), *trackers])
    resume = resume or int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")) > 0
    if dataset is None:
        dataset = ImageDataset(
            config.data,
            resolution=config.resolution,
            label_field=config.label_field,
            use_labels=config.conditional,
            require_labels=config.conditional,
        )
    if config.conditional and dataset.label_dim == 0:
        raise InputError("conditional=true needs labels, and the data set has none")
    if config.resolution is None:
        config.resolution = dataset.resolution
    if config.resolution > dataset.resolution:
        raise InputError(f"resolution {config.resolution} is above that of the data set, {dataset.resolution}")
    world = connect(device)
    try:
        # Checked in all processes before the first one writes anything.
        if world.any(not resume and bool(list_checkpoints(out / "checkpoints")), device):
            raise InputError(f"{out} holds a run already; --resume continues it, or choose another folder")
        with StopSignals(says=world.is_first) as signals, _timed_convolutions(device):
            run = Run(config, out, dataset, device, world, progress, all_trackers)
            run.start(resume, allow_data_change)
            try:
                reason = run.steps(signals, None if minutes is None else start + minutes * 60, after_step)
                run.finish()
            finally:
                run.close()
        return Outcome(reason, run.state)
    finally:
        disconnect()


@contextlib.contextmanager
def _timed_convolutions(device: torch.device) -> Iterator[None]:
    """On a GPU, let cuDNN benchmark its algorithms at each size: twice as fast as its heuristics."""
    before = torch.backends.cudnn.benchmark
    torch.backends.cudnn.benchmark = before or device.type == "cuda"
    try:
        yield
    finally:
        torch.backends.cudnn.benchmark = before


def _named_trackers(config: TrainingConfig) -> list[Tracker]:
    kinds: list[tuple[bool, type[Tracker]]] = [(config.tensorboard, TensorBoard), (config.wandb, WeightsAndBiases)]
    return [kind() for is_asked_for, kind in kinds if is_asked_for]
