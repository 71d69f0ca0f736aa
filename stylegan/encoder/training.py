"""Training of an encoder: the loop, its log, checkpoints and sample images.

A run is a folder:
    run.json                its settings, model and data set
    checkpoint.safetensors  the state, from which it resumes exactly
    log.jsonl               the terms of the loss over time
    pictures.png            real images and their reconstructions
    encoder.safetensors     the encoder, with averaged weights
"""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from copy import deepcopy
from math import log2
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .. import images
from ..data.dataset import ImageDataset, shuffled_indices
from ..discriminator import Discriminator
from ..errors import DivergenceError, InputError
from ..extractors import load_extractor
from ..fast import native_or_torch_kernels
from ..generator import Generator
from ..latents.samples import sample_w
from ..runtime.gradients import with_gradients
from ..runtime.memory import keep_freed_memory
from ..runtime.precision import no_autocast
from ..runtime.progress import KIMG_BAR, is_hidden, progress_bar, start_at
from ..runtime.run_log import append_log, rewind_log
from ..runtime.signals import StopSignals
from ..weights.checkpoint import Checkpoint, save_checkpoint
from .config import EncoderConfig
from .encoder import Encoder
from .losses import Objective
from .run import EncoderRun
from .state import TrainingState, train_step

_SHOWN = 8  # Real images in pictures.png.
_CHANNELS = (24, 48, 96, 160, 192, 192, 192)


def new_encoder(G: Generator, *, seed: int = 0) -> Encoder:
    """An encoder with initial weights for a generator."""
    w = sample_w(G)
    depth = int(log2(min(G.img_resolution, 128))) - 2
    encoder = Encoder(
        img_resolution=G.img_resolution,
        img_channels=G.img_channels,
        num_ws=G.num_ws,
        w_dim=G.w_dim,
        w_scale=round(w.var(dim=0).mean().sqrt().item(), 6),
        channels=_CHANNELS[:depth],
        seed=seed,
    )
    encoder.w_avg.copy_(G.w_avg)
    encoder.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return encoder.to(G.device)


def _start_from(encoder: Encoder, other: Encoder) -> None:
    """Take the weights of another encoder, but keep the generator's average w."""
    given, own = ({k: v for k, v in e.config.items() if k != "w_scale"} for e in (other, encoder))
    if given != own:
        differing = ", ".join(f"{name} {given[name]}, not {own[name]}" for name in own if given[name] != own[name])
        raise InputError(f"the encoder to start from is of another shape: it has {differing}")
    weights = {name: tensor for name, tensor in other.state_dict().items() if name != "w_avg"}
    encoder.load_state_dict(weights | {"w_avg": encoder.w_avg})


@no_autocast()
@with_gradients()
def train_encoder(
    G: Generator,
    data: str | Path,
    out: str | Path,
    config: EncoderConfig | None = None,
    *,
    D: Discriminator | None = None,
    start_from: Encoder | None = None,
    resume: bool = False,
    minutes: float | None = None,
    progress: bool | None = None,
) -> str:
    """Train an encoder for a generator until `config.kimg`, a time limit or a signal; returns why it stopped.

    data: a data set of `stylegan dataset`, of the generator's resolution. out: folder of the run.
    D: the discriminator of the model, for the feature loss; None = without it.
    start_from: an encoder of the same shape, whose weights to start from; None = initial weights.
    resume: continue from the run's checkpoint, exactly if the settings are the same. All but `batch` may change.
    progress: show a bar; None = on a terminal.

    On a CPU, the process keeps freed memory from here on (`keep_freed_memory`). Raises InputError for a folder that
    holds another run, or data that do not fit; DivergenceError if the loss is no longer finite: the last checkpoint is
    kept.
    """
    config, out = config or EncoderConfig(), Path(out)
    dataset = ImageDataset(data, resolution=G.img_resolution, use_labels=False)
    checkpoint = out / "checkpoint.safetensors"
    if checkpoint.exists() and not resume:
        raise InputError(f"{out} holds a run already; resume it, or choose another folder")
    extractor = load_extractor(config.extractor, device=G.device) if config.perceptual_weight else None
    # The caller's networks stay unchanged.
    G, D = deepcopy(G).requires_grad_(False), None if D is None else deepcopy(D).requires_grad_(False)
    G.synthesis.kernels = native_or_torch_kernels()
    if D is not None:
        D.kernels = G.synthesis.kernels
    objective = Objective(config, G, D, extractor)
    encoder = new_encoder(G, seed=config.seed)
    if start_from is not None:
        _start_from(encoder, start_from)
    if G.device.type == "cpu":
        keep_freed_memory()
    state = TrainingState(encoder, config)
    facts = {"model": G.weights_sha256, "data": dataset.digest()}
    if resume and checkpoint.exists():
        state.load(checkpoint, facts)
    out.mkdir(parents=True, exist_ok=True)
    begun = EncoderRun(config, G.location, str(data))
    begun.save(out, model_sha256=facts["model"], data_sha256=facts["data"])
    rewind_log(out / "log.jsonl", state.step)

    def save() -> None:
        state.save(checkpoint, facts)
        save_encoder(state.average, G, out / "encoder.safetensors", kimg=state.kimg, data=Path(data).name)
        show(state.average, G, dataset, out / "pictures.png")

    deadline = None if minutes is None else time.monotonic() + 60 * minutes
    bar = progress_bar(
        total=config.kimg,
        unit="kimg",
        hidden=is_hidden(progress),
        bar_format=KIMG_BAR,
    )
    with StopSignals() as signals, bar, ThreadPoolExecutor(max_workers=1) as reader:
        start_at(bar, state.kimg)
        reason = _steps(state, objective, dataset, reader, signals, deadline, out, save, bar)
    save()
    return reason


def _steps(
    state: TrainingState,
    objective: Objective,
    dataset: ImageDataset,
    reader: ThreadPoolExecutor,
    signals: StopSignals,
    deadline: float | None,
    out: Path,
    save: Callable[[], None],
    bar: Any,
) -> str:
    """Train until done or asked to stop; returns why."""
    config = state.config

    def read() -> "Future[tuple[Tensor, Tensor | None]]":
        count = 0 if state.kimg < config.fakes_kimg else round(config.batch * config.real_share)
        return reader.submit(dataset.batch, shuffled_indices(len(dataset), state.step * count, count, config.seed))

    saved_at = logged_at = time.monotonic()
    losses: list[dict[str, float]] = []
    batch = read()
    while state.kimg < config.kimg:
        if signals.received is not None:
            return signals.received.name
        if deadline is not None and time.monotonic() > deadline:
            return "time"
        reals = batch.result()[0]
        losses.append(train_step(state, objective, reals))
        if losses[0].keys() != losses[-1].keys():
            losses = losses[-1:]
        batch = read()
        if any(value != value for value in losses[-1].values()):
            raise DivergenceError(
                f"the loss is NaN at {state.kimg:.1f} kimg; the last checkpoint is good: lower learning_rate and resume"
            )
        bar.update(state.kimg - bar.n)
        if len(losses) * config.batch >= config.log_kimg * 1000:
            now = time.monotonic()
            means = {name: round(sum(x[name] for x in losses) / len(losses), 5) for name in losses[-1]}
            speed = round(len(losses) * config.batch / (now - logged_at), 1)
            entry = {"step": state.step, "kimg": round(state.kimg, 3), **means, "img_per_sec": speed}
            append_log(out / "log.jsonl", entry)
            bar.set_postfix_str(f"{speed:.0f} img/s, w {means['w']:.3f}", refresh=False)
            losses, logged_at = [], now
        if time.monotonic() - saved_at > 60 * config.checkpoint_minutes:
            save()
            saved_at = time.monotonic()
    return "finished"


def save_encoder(encoder: Encoder, G: Generator, path: Path, *, kimg: float, data: str) -> None:
    """Write an encoder, with the name and licence of its model."""
    inherited = {key: G.metadata[key] for key in ("license", "license_url", "attribution") if G.metadata.get(key)}
    metadata = {"name": G.name, "kimg": round(kimg, 1), "dataset": data, **inherited}
    save_checkpoint(path, Checkpoint("Encoder", encoder.config, encoder.state_dict(), metadata))


def show(encoder: Encoder, G: Generator, dataset: ImageDataset, path: Path) -> None:
    """Real images, their reconstructions after one look, and after three."""
    real = images.from_uint8(dataset.batch(range(min(_SHOWN, len(dataset))))[0]).to(G.device)
    rows: Sequence[Tensor] = [real, *(G.synthesis(encoder.encode(real, G, looks=n)) for n in (1, 3))]
    shown = [img for row in rows for img in images.to_pil(row)]
    images.save(images.grid(shown, columns=len(real), padding=2), path)
