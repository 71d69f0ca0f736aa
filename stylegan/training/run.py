"""A run in one process: its steps, and between them the log, snapshots and checkpoints."""

import logging
import platform
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from ..data.dataset import shuffled_indices
from ..errors import CheckpointError, DivergenceError
from ..fast import has_fast_bfloat16
from ..runtime.cuda_graphs import CudaCapture
from ..runtime.device import check_dtype
from ..runtime.distributed import World
from ..runtime.progress import KIMG_BAR, is_hidden, progress_bar, start_at
from ..runtime.run_log import append_log, read_log, rewind_log
from ..runtime.signals import StopSignals
from .checkpoints import resume_state, save_state
from .config import TrainingConfig
from .freezing import frozen_layers
from .graphs import StepGraphs
from .identity import check_data, describe_data
from .plot import plot_curves
from .reals import shrink
from .schedule import Phase
from .snapshot import Images, first_labels, save_fakes, save_network, save_reals
from .start import start_from
from .state import TrainingState, new_state
from .step import StepReport, train_step
from .trackers import Trackers

Reason = Literal["finished", "time", "SIGTERM", "SIGINT"]

_log = logging.getLogger(__name__)


class Run:
    """A run in one process."""

    def __init__(
        self,
        config: TrainingConfig,
        out: Path,
        dataset: Images,
        device: torch.device,
        world: World,
        progress: bool | None,
        trackers: Trackers,
    ):
        self.config, self.out, self.dataset, self.device, self.world = config, out, dataset, device, world
        self.dtype = choose_dtype(config, device)
        captures = config.record_steps and device.type == "cuda"
        self.graphs = StepGraphs(CudaCapture(device)) if captures else None
        label_dim = dataset.label_dim if config.conditional else 0
        self.state = new_state(config, img_channels=dataset.img_channels, label_dim=label_dim)
        self.labels = first_labels(dataset, config.snapshot_images) if label_dim else None
        self.losses: dict[str, list[Tensor]] = {}
        self.trackers = trackers if world.is_first else Trackers()
        self.bar = progress_bar(
            total=config.kimg,
            unit="kimg",
            hidden=True if not world.is_first else is_hidden(progress),
            bar_format=KIMG_BAR,
        )

    def start(self, resume: bool, allow_data_change: bool) -> None:
        """Load the last checkpoint, or the networks to start from; write the first snapshot and checkpoint."""
        found = resume_state(self.state, self.out / "checkpoints") if resume else None
        if found is None and self.config.start_from is not None:
            start_from(self.state, self.config.start_from)
        data = describe_data(self.dataset, labels=self.labels is not None)
        if found is not None:
            check_data(self.state.data, data, may_change=allow_data_change)
        self.state.data = data
        self.config = self.state.config
        frozen_layers(self.state.D, self.config.freeze_d, self.state.start_resolution)
        self.schedule = self.config.schedule()
        coming = self.schedule.batches(self.state.kimg)
        self.world.check_batches(coming, self.state.D.head.mbstd_group_size)
        steps = torch.tensor(float(self.state.step), device=self.device, dtype=torch.float32)
        self.world.average([steps])
        if self.world.any(steps.item() != self.state.step, self.device):
            raise CheckpointError(f"the processes see different checkpoints; {self.out} must be one shared folder")
        if self.world.is_first:
            self.out.mkdir(parents=True, exist_ok=True)
            self.config.save(self.out / "config.yaml")
            rewind_log(self.out / "log.jsonl", self.state.step)
        start_at(self.bar, self.state.kimg)
        self.saved_at = self.logged_at = time.monotonic()
        self.logged_images = self.state.images
        self.trackers.start(self.config, self.out, self.state.images)
        if self.world.is_first and found is None:
            n = self.config.snapshot_images
            save_reals(self.dataset, self.out / "reals.png", n=n, resolution=self.config.img_resolution())
            self.snapshot(self.schedule.at(self.state.kimg), {"reals": self.out / "reals.png"})
            self.save()
        self.begun_at, self.begun_seconds = time.monotonic(), self.state.seconds

    def steps(
        self,
        signals: StopSignals,
        deadline: float | None,
        after_step: Callable[[TrainingState, StepReport], None] | None,
    ) -> Reason:
        """Train until done or asked to stop."""
        state, config = self.state, self.config
        with ThreadPoolExecutor(max_workers=1) as reader:
            batch = reader.submit(self.read, state.images)
            while state.kimg < config.kimg:
                reason = self.stop_reason(signals, deadline)
                if reason is not None:
                    return reason
                phase, (img, labels) = self.schedule.at(state.kimg), batch.result()
                batch = self.read_ahead(reader, state.images + phase.batch)
                before = state.images
                report = train_step(
                    state, config, phase, img, labels, dtype=self.dtype, world=self.world, graphs=self.graphs
                )
                state.seconds = self.begun_seconds + time.monotonic() - self.begun_at
                self.after(phase, report, before)
                self.trackers.tell("on_step", state, report)
                if after_step is not None:
                    after_step(state, report)
        return "finished"

    def stop_reason(self, signals: StopSignals, deadline: float | None) -> Reason | None:
        """Why to stop here, agreed on by all processes."""
        late = deadline is not None and time.monotonic() > deadline
        if not self.world.any(late or signals.received is not None, self.device):
            return None
        if signals.received is None:
            return "time"
        return "SIGINT" if signals.received.name == "SIGINT" else "SIGTERM"

    def read_ahead(self, reader: ThreadPoolExecutor, images: int) -> "Future[tuple[Tensor, Tensor | None]]":
        """Start reading a batch while training on the one before."""
        return reader.submit(self.read, images)

    def read(self, images: int) -> tuple[Tensor, Tensor | None]:
        """This process's share of the batch after that many images, at the resolution of its phase."""
        phase = self.schedule.at(images / 1000)
        indices = shuffled_indices(len(self.dataset), images, phase.batch, self.config.seed)
        mine = self.world.samples(phase.batch, self.state.D.head.mbstd_group_size)
        img, labels = self.dataset.batch([indices[i] for i in mine.tolist()])
        return shrink(img, phase.resolution), labels if self.config.conditional else None

    def after(self, phase: Phase, report: StepReport, before: int) -> None:
        """Everything that happens between two steps."""
        state, config = self.state, self.config
        if report.skipped:
            scaled = f"; the loss scale is now {state.loss_scale:g}" if self.dtype == torch.float16 else ""
            _log.warning("step %d skipped: a loss or gradient is NaN or infinite%s", state.step, scaled)
            if state.skipped_in_a_row >= config.skip_limit:
                raise DivergenceError(
                    f"{state.skipped_in_a_row} steps in a row gave NaN or infinite losses or gradients, at "
                    f"{state.kimg:.1f} kimg; the last checkpoint is good: resume with a lower learning rate, a higher "
                    "r1_gamma or dtype float32"
                )
        if not self.world.is_first:
            return
        for name, value in report.losses.items():
            if not report.skipped:
                self.losses.setdefault(name, []).append(value)
        self.bar.update(state.kimg - self.bar.n)
        if _passed(before, state.images, config.log_kimg):
            self.log(phase)
        if _passed(before, state.images, phase.tick_kimg):
            self.snapshot(phase)
        if time.monotonic() - self.saved_at > config.checkpoint_minutes * 60:
            self.save()

    def log(self, phase: Phase) -> None:
        """A log line: means since the last one."""
        state, config, now = self.state, self.config, time.monotonic()
        G_rate = state.G_optimizer.param_groups[0]["lr"]
        speed = (state.images - self.logged_images) / max(now - self.logged_at, 1e-9)
        means = {name: round(torch.stack(values).mean().item(), 5) for name, values in self.losses.items()}
        entry: dict[str, Any] = {
            "step": state.step,
            "kimg": round(state.kimg, 3),
            "lod": round(phase.lod, 4),
            "resolution": phase.resolution,
            "batch": phase.batch,
            "learning_rate": phase.learning_rate,
            **({"G_learning_rate": round(G_rate, 7)} if config.generator_warmup_kimg else {}),
            "r1_gamma": config.gamma(phase),
            **means,
            **({"augment_p": round(state.augment_p, 4)} if config.augment == "ada" else {}),
            **({"loss_scale": state.loss_scale} if self.dtype == torch.float16 else {}),
            "skipped": state.skipped,
            "img_per_sec": round(speed, 1),
            "minutes": round(state.seconds / 60, 2),
            "memory_mb": _memory_mb(self.device),
        }
        append_log(self.out / "log.jsonl", entry)
        self.trackers.tell("on_log", entry, state.images)
        self.bar.set_postfix_str(
            f"{phase.resolution}px, {speed:.0f} img/s, D {means.get('D_loss', 0):.2f}, G {means.get('G_loss', 0):.2f}",
            refresh=False,
        )
        self.losses.clear()
        self.logged_at, self.logged_images = now, state.images

    def snapshot(self, phase: Phase, pictures: Mapping[str, Path] | None = None) -> None:
        """A snapshot in its folder. pictures: further ones for the trackers."""
        begun = time.monotonic()
        folder, name = self.out / "snapshots", f"{int(self.state.kimg):06d}"
        self.show(folder / f"fakes-{name}.png", folder / f"network-{name}.safetensors", phase, pictures or {})
        self.logged_at += time.monotonic() - begun

    def show(self, fakes: Path, network: Path, phase: Phase, pictures: Mapping[str, Path]) -> None:
        """A grid of fixed latents, the averaged generator and the plot."""
        save_fakes(self.state.Gs, fakes, n=self.config.snapshot_images, lod=phase.lod, labels=self.labels)
        self.save_network(network, phase)
        plot_curves(read_log(self.out / "log.jsonl"), self.out / "losses.png")
        self.trackers.tell("on_snapshot", {**pictures, "fakes": fakes}, network, self.state.images)

    def save_network(self, path: Path, phase: Phase) -> None:
        """The averaged generator, with metadata of its training and of the model that it started from."""
        self.state.metadata |= {
            "name": self.out.resolve().name,
            "dataset": Path(self.config.data).name or "unnamed",
            "kimg": round(self.state.kimg, 1),
            "preset": self.config.value("preset"),
            **self.classes(),
        }
        save_network(self.state.Gs, path, lod=phase.lod, metadata=self.state.metadata)

    def classes(self) -> dict[str, object]:
        """The names of the classes, for `G.sample(labels="cat")`, unless they are just their indices."""
        names = getattr(self.dataset, "classes", None) if self.config.conditional else None
        return {"classes": names} if names and names != [str(i) for i in range(len(names))] else {}

    def save(self) -> None:
        """A checkpoint."""
        begun = time.monotonic()
        save_state(self.state, self.out / "checkpoints", keep=self.config.keep_checkpoints)
        self.saved_at = time.monotonic()
        self.logged_at += self.saved_at - begun

    def finish(self) -> None:
        """Save everything."""
        if not self.world.is_first:
            return
        self.save()
        self.show(self.out / "fakes.png", self.out / "network.safetensors", self.schedule.at(self.state.kimg), {})

    def close(self) -> None:
        """Close the progress bar and the trackers, however the run ended."""
        self.bar.close()
        self.trackers.tell("on_stop")


def choose_dtype(config: TrainingConfig, device: torch.device) -> torch.dtype:
    """The data type of the features: the fast one on this device, unless set."""
    if config.dtype != "auto":
        return check_dtype(config.dtype)
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float32
    return torch.bfloat16 if device.type == "cpu" and has_fast_bfloat16() else torch.float32


def _passed(before: int, after: int, kimg: float) -> bool:
    """Whether a multiple of that many thousand images lies between two counts."""
    return kimg > 0 and before // (kimg * 1000) != after // (kimg * 1000)


def _memory_mb(device: torch.device) -> int | None:
    """Peak memory so far, of the GPU or the process; None if unknown."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) >> 20
    try:
        import resource  # Not on Windows.
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak >> (20 if platform.system() == "Darwin" else 10)
