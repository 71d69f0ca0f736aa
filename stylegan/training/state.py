"""The state of a training run, and its exact checkpoints, which are complete or absent.

A checkpoint is one safetensors file: tensors named after the network or optimizer that they belong to, and in its
header, as JSON, the counters and what the run is: the arguments of its networks, the settings that it keeps, what its
data set is known by, what it says of itself. No random state is stored: all draws follow from the seed and the step.
"""

import errno
import json
import logging
import re
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_type_hints

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from ..discriminator import Discriminator
from ..errors import CheckpointError, InputError
from ..fast import CompiledKernels, native_or_torch_kernels
from ..generator import Generator
from ..runtime.atomic_files import write_atomically
from ..runtime.distributed import own_device
from ..runtime.json_yaml import check_object, parse_json
from ..runtime.memory import keep_freed_memory
from .config import FIXED, TrainingConfig
from .optim import LOSS_SCALE, Adam

FORMAT_VERSION = "1"

_log = logging.getLogger(__name__)


@dataclass
class TrainingState:
    """Everything that changes during training, and the settings."""

    config: TrainingConfig
    G: Generator
    D: Discriminator
    Gs: Generator  # The generator with averaged weights: the one to use.
    G_optimizer: Adam
    D_optimizer: Adam
    step: int = 0
    images: int = 0  # Real images shown so far.
    resolution: int = 0  # That the optimizers' moments belong to; 0 = none yet.
    seconds: float = 0.0  # Time spent so far, over all parts of the run.
    skipped: int = 0  # Steps that changed nothing because a loss or gradient was no finite number,
    skipped_in_a_row: int = 0  # and how many of them came last.
    augment_p: float = 0.0  # Probability of each change by ADA,
    real_signs: list[float] = field(default_factory=list)  # and what it follows: see `augment.adapt`.
    loss_scale: float = LOSS_SCALE  # Of float16, see `optim.next_loss_scale`,
    steps_at_scale: int = 0  # and the steps since it changed.
    start_resolution: int = 0  # Of the model that its discriminator is from; 0 = of none, or not known.
    data: dict[str, Any] = field(default_factory=dict)  # What its data set is known by; empty = not known.
    metadata: dict[str, Any] = field(default_factory=dict)  # What the averaged generator says of its making.

    @property
    def kimg(self) -> float:
        """Thousands of real images shown so far."""
        return self.images / 1000

    def networks(self) -> dict[str, nn.Module]:
        """The networks by the names that files have for them."""
        return {"G": self.G, "D": self.D, "Gs": self.Gs}

    def optimizers(self) -> dict[str, tuple[Adam, nn.Module]]:
        """The optimizers by the names that files have for them, each with its network."""
        return {"G_optimizer": (self.G_optimizer, self.G), "D_optimizer": (self.D_optimizer, self.D)}

    def replace_networks(self, G: Generator, D: Discriminator) -> None:
        """Train these instead of the present ones; the optimizers are reset."""
        new = _prepared(self.config, G, D)
        self.G, self.D, self.Gs = new.G, new.D, new.Gs
        self.G_optimizer, self.D_optimizer = new.G_optimizer, new.D_optimizer

    def run(self) -> dict[str, Any]:
        """What a checkpoint says of the run, as JSON can hold it; the networks at their present level of detail."""
        lod = self.config.schedule().at(self.kimg).lod
        G = self.G.config | {"synthesis": self.G.config["synthesis"] | {"lod": lod}}
        networks = {"G": G, "D": self.D.config | {"lod": lod}}
        return {"networks": networks, "settings": self.config.kept(), "data": self.data, "metadata": self.metadata}

    def tensors(self) -> dict[str, Tensor]:
        """All tensors by name: weights, buffers and moments."""
        tensors = {f"{name}.{key}": t for name, net in self.networks().items() for key, t in net.state_dict().items()}
        for name, (optimizer, network) in self.optimizers().items():
            for key, parameter in network.named_parameters():
                for moment, tensor in optimizer.state.get(parameter, {}).items():
                    tensors[f"{name}.{moment}.{key}"] = tensor
        return tensors

    def load_tensors(self, tensors: Mapping[str, Tensor]) -> None:
        """Take over all tensors. Raises CheckpointError if one is missing, left over or of another shape."""
        left = dict(tensors)
        for name, network in self.networks().items():
            for key, target in network.state_dict().items():
                _fill(target, left.pop(f"{name}.{key}", None), f"{name}.{key}")
        for name, (optimizer, network) in self.optimizers().items():
            optimizer.state.clear()
            for key, parameter in network.named_parameters():
                for moment in ("exp_avg", "exp_avg_sq"):
                    if (given := left.pop(f"{name}.{moment}.{key}", None)) is not None:
                        target = torch.zeros_like(parameter)
                        _fill(target, given, f"{name}.{moment}.{key}")
                        optimizer.state[parameter][moment] = target
        if left:
            raise CheckpointError(f"the checkpoint holds tensors of another network: {', '.join(sorted(left)[:5])}")


COUNTERS = ("step", "images", "resolution", "seconds", "skipped", "skipped_in_a_row")
# What older checkpoints lack, and its value then.
_LATER_COUNTERS: dict[str, Any] = {
    "augment_p": 0.0,
    "real_signs": [],
    "loss_scale": LOSS_SCALE,
    "steps_at_scale": 0,
    "start_resolution": 0,
}
_TYPES = get_type_hints(TrainingState)
_FIELDS = {name: _TYPES[name] for name in COUNTERS} | {"optimizer_steps": dict[str, int]}
_FIELDS |= {name: _TYPES[name] | None for name in _LATER_COUNTERS}
_FIELDS["run"] = dict[str, Any] | None  # See `TrainingState.run`; earlier versions have none.
_RUN_FIELDS = dict.fromkeys(("networks", "settings", "data", "metadata"), dict[str, Any])


def new_state(config: TrainingConfig, *, img_channels: int = 3, label_dim: int = 0) -> TrainingState:
    """The state at the start of a run. On a CPU, the process keeps freed memory from here on (`keep_freed_memory`)."""
    G = config.make_generator(img_channels=img_channels, label_dim=label_dim)
    D = config.make_discriminator(img_channels=img_channels, label_dim=label_dim)
    return _prepared(config, G, D)


def _prepared(config: TrainingConfig, G: Generator, D: Discriminator) -> TrainingState:
    """These networks on the device, in the layout and with the operations that the settings ask for."""
    device = own_device(config.device)
    if device.type == "cpu":
        keep_freed_memory()
    for network in (G, D):
        network.to(device)
        for parameter in network.parameters():
            if config.channels_last and parameter.ndim == 4:
                parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    Gs = deepcopy(G).eval().requires_grad_(False)
    if config.compile or config.channels_last:
        kernels = CompiledKernels() if config.compile else native_or_torch_kernels()
        G.synthesis.kernels = D.kernels = kernels
    return TrainingState(config, G, D, Gs, Adam(G.parameters()), Adam(D.parameters()))


def save_state(state: TrainingState, folder: Path, *, keep: int = 3) -> Path:
    """Write a checkpoint and remove all but the last `keep`, and leftovers of killed processes.

    Raises CheckpointError, and leaves the earlier checkpoints, if the state is no longer finite or the disk is full.
    """
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in state.tensors().items()}
    for name, tensor in tensors.items():
        if not tensor.isfinite().all():
            raise CheckpointError(f"not saved: {name} holds NaN or infinity; the earlier checkpoints are kept")
    counters = {name: getattr(state, name) for name in (*COUNTERS, *_LATER_COUNTERS)}
    counters["optimizer_steps"] = {name: o.param_groups[0]["step"] for name, (o, _) in state.optimizers().items()}
    counters["run"] = state.run()
    path = folder / f"step-{state.step:09d}.safetensors"
    try:
        write_atomically(path, safetensors.torch.save(tensors, header(counters)))
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        size = sum(t.numel() * t.element_size() for t in tensors.values())
        hint = f"the disk is full ({size / 1e6:.0f} MB needed)" if full else str(error)
        raise CheckpointError(f"{path}: cannot be written: {hint}; the earlier checkpoints are kept") from error
    for old in list_checkpoints(folder)[:-keep]:
        old.unlink(missing_ok=True)
    for stray in folder.glob(".step-*.tmp"):
        stray.unlink(missing_ok=True)
    return path


def header(counters: Mapping[str, Any]) -> dict[str, str]:
    """The header of a checkpoint with these counters."""
    return {"stylegan_training_version": FORMAT_VERSION, "counters": json.dumps(counters)}


def list_checkpoints(folder: Path) -> list[Path]:
    """The checkpoints in a folder, oldest first."""
    return sorted(p for p in folder.glob("step-*.safetensors") if re.fullmatch(r"step-\d+", p.stem))


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors and the counters of a checkpoint. Raises CheckpointError if it is damaged."""
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            found = file.metadata() or {}
            if found.get("stylegan_training_version") != FORMAT_VERSION:
                raise CheckpointError(f"{path}: not a training checkpoint of this version of stylegan")
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
    except (safetensors.SafetensorError, OSError) as error:
        raise _damaged(path, error) from error
    where = f"{path}: its counters are damaged"
    counters = parse_json(found.get("counters", ""), where=where, error=CheckpointError)
    check_object(counters, _FIELDS, where=where, error=CheckpointError)
    if counters.get("run") is not None:
        run = check_object(counters["run"], _RUN_FIELDS, where=where, error=CheckpointError)
        check_object(run["networks"], dict.fromkeys("GD", dict[str, Any]), where=where, error=CheckpointError)
    return tensors, counters


def load_state(state: TrainingState, path: Path) -> None:
    """Load a checkpoint, with the fixed settings of its run where those of the state are None.

    Raises CheckpointError if it is damaged or of another run; the error names settings that differ.
    """
    tensors, counters = read_tensors(path)
    run = known_run(path, counters)
    try:
        config = state.config if run is None else _take_over_run(state, run, path)
        state.load_tensors(tensors)
        for name in COUNTERS:
            setattr(state, name, counters[name])
        for name, value in _LATER_COUNTERS.items():
            setattr(state, name, counters.get(name, value))
        for name, (optimizer, _) in state.optimizers().items():
            optimizer.param_groups[0]["step"] = counters["optimizer_steps"][name]
        state.config = config
    except (KeyError, TypeError, ValueError, ArithmeticError, AttributeError, RuntimeError) as error:
        raise _damaged(path, error) from error


def known_run(path: Path, counters: Mapping[str, Any]) -> dict[str, Any] | None:
    """What is known of the run of a checkpoint: from its header, or the settings in config.yaml of earlier versions.

    None if there is neither. Raises InputError if config.yaml cannot be read.
    """
    if counters.get("run") is not None:
        return dict(counters["run"])
    config = config_of(path)
    return None if config is None else {"settings": config.kept()}


def config_of(path: Path) -> TrainingConfig | None:
    """The config.yaml of the run that a checkpoint belongs to, if it is there."""
    beside = path.parent.parent / "config.yaml"
    return TrainingConfig.load(beside) if beside.is_file() else None


class _OtherSettings(CheckpointError):
    """The checkpoint is of a run with other settings, which no run can change."""


def _take_over_run(state: TrainingState, run: Mapping[str, Any], path: Path) -> TrainingConfig:
    """Networks and descriptions of a run; returns its settings. Raises CheckpointError if those of the state differ."""
    kept = run["settings"]
    if changes := state.config.differing({name: value for name, value in kept.items() if name in FIXED}):
        given = ", ".join(f"{name} {getattr(state.config, name)}" for name in changes)
        expected = ", ".join(f"{name} {value}" for name, value in changes.items())
        raise _OtherSettings(
            f"{path}: the run was begun with {expected}, which cannot change on the way; got {given}. Leave "
            f"{'it' if len(changes) == 1 else 'them'} out, or begin a new run with --start-from"
        )
    begun_from = kept.get("start_from")
    if state.config.start_from not in (None, begun_from):
        _log.warning("the run goes on from %s; start_from (%s) is for its beginning", path, state.config.start_from)
    if networks := run.get("networks"):
        ours = {"G": state.G.config, "D": state.D.config}
        if any(_without_lod(networks[name]) != _without_lod(ours[name]) for name in ours):
            for name in ("img_channels", "label_dim"):
                if networks["G"][name] != ours["G"][name]:
                    raise _OtherSettings(
                        f"{path}: the run was begun with {name} {networks['G'][name]}, which cannot change on the way; "
                        f"that of the data set is {ours['G'][name]}. Name one like the run's own with --data"
                    )
            state.replace_networks(Generator(**networks["G"], seed=None), Discriminator(**networks["D"], seed=None))
    state.data, state.metadata = dict(run.get("data", {})), dict(run.get("metadata", {}))
    return state.config.filled(kept)


def _without_lod(config: Mapping[str, Any]) -> Any:
    """The arguments of a network as JSON gives them back, without the level of detail, which changes."""
    found = json.loads(json.dumps(config))
    for part in (found, found.get("synthesis", {})):
        part.pop("lod", None)
    return found


def _damaged(path: Path, error: Exception) -> CheckpointError:
    return CheckpointError(f"{path}: damaged, or not a training checkpoint: {str(error)[:200]}")


def resume_state(state: TrainingState, folder: Path) -> Path | None:
    """Take over the newest checkpoint that can be read, and return it; None if there are none at all.

    Raises InputError if they are of a run with other settings, CheckpointError if none can be read.
    """
    found = list_checkpoints(folder)
    errors: list[CheckpointError] = []
    for path in reversed(found):
        try:
            load_state(state, path)
        except CheckpointError as error:
            errors.append(error)
            continue
        for failed in errors:
            _log.warning("%s; trying the one before", failed)
        return path
    if not found:
        return None
    if all(isinstance(error, _OtherSettings) for error in errors):
        raise InputError(str(errors[0])) from errors[0]
    raise CheckpointError(f"{folder}: none of {len(found)} checkpoints can be read; the oldest: {errors[-1]}")


def _fill(target: Tensor, given: Tensor | None, name: str) -> None:
    if given is None or given.shape != target.shape:
        got = "nothing" if given is None else str(list(given.shape))
        raise CheckpointError(
            f"{name} must be {list(target.shape)}, got {got}: the checkpoint was made with other settings"
        )
    with torch.no_grad():
        target.copy_(given)
