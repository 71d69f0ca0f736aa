"""Checkpoints of a training run: complete or absent, and exact.

A checkpoint is one safetensors file of tensors named after their network or optimizer. Its header holds, as JSON, the
counters and a description of the run: the arguments of its networks, its fixed settings, its data set's identity, its
metadata. No random state is stored: all draws follow from the seed and the step.
"""

import errno
import json
import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_type_hints

from torch import Tensor

from ..discriminator import Discriminator
from ..errors import CheckpointError, InputError
from ..generator import Generator
from ..runtime import tensor_files
from ..runtime.json_yaml import check_object, parse_json
from .config import FIXED, TrainingConfig
from .optim import LOSS_SCALE
from .state import TrainingState

FORMAT_VERSION = "1"

_log = logging.getLogger(__name__)

COUNTERS = ("step", "images", "resolution", "seconds", "skipped", "skipped_in_a_row")
# Counters that older checkpoints lack, and the values they imply.
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


def save_state(state: TrainingState, folder: Path, *, keep: int = 3) -> Path:
    """Write a checkpoint and remove all but the last `keep`, and leftovers of killed processes.

    Raises CheckpointError, and keeps the earlier checkpoints, if the state is not finite or the disk is full.
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
        tensor_files.write_tensors(path, tensors, header(counters))
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
        tensors, found = tensor_files.read_tensors(path, error=CheckpointError)
    except OSError as error:
        raise _damaged(path, error) from error
    if found.get("stylegan_training_version") != FORMAT_VERSION:
        raise CheckpointError(f"{path}: not a training checkpoint of this version of stylegan")
    where = f"{path}: its counters are damaged"
    counters = parse_json(found.get("counters", ""), where=where, error=CheckpointError)
    check_object(counters, _FIELDS, where=where, error=CheckpointError)
    if counters.get("run") is not None:
        run = check_object(counters["run"], _RUN_FIELDS, where=where, error=CheckpointError)
        check_object(run["networks"], dict.fromkeys("GD", dict[str, Any]), where=where, error=CheckpointError)
    return tensors, counters


def load_state(state: TrainingState, path: Path) -> None:
    """Load a checkpoint; settings of the state that are None become those of its run.

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
    """The run of a checkpoint, from its header, or in earlier versions from config.yaml; None if there is neither.

    Raises InputError if config.yaml cannot be read.
    """
    if counters.get("run") is not None:
        return dict(counters["run"])
    config = config_of(path)
    return None if config is None else {"settings": config.kept()}


def config_of(path: Path) -> TrainingConfig | None:
    """The config.yaml of a checkpoint's run, if it exists."""
    settings = path.parent.parent / "config.yaml"
    return TrainingConfig.load(settings) if settings.is_file() else None


class _OtherSettings(CheckpointError):
    """The checkpoint's run has other settings, which cannot change."""


def _take_over_run(state: TrainingState, run: Mapping[str, Any], path: Path) -> TrainingConfig:
    """Take a run's networks and descriptions; returns its settings. Raises CheckpointError if the state's differ."""
    kept = run["settings"]
    if changes := state.config.differing({name: value for name, value in kept.items() if name in FIXED}):
        given = ", ".join(f"{name} {getattr(state.config, name)}" for name in changes)
        expected = ", ".join(f"{name} {value}" for name, value in changes.items())
        raise _OtherSettings(
            f"{path}: the run was begun with {expected}, which cannot change later; got {given}. Leave "
            f"{'it' if len(changes) == 1 else 'them'} out, or begin a new run with --start-from"
        )
    begun_from = kept.get("start_from")
    if state.config.start_from not in (None, begun_from):
        _log.warning(
            "the run continues from %s; start_from (%s) only applies to its start", path, state.config.start_from
        )
    if networks := run.get("networks"):
        ours = {"G": state.G.config, "D": state.D.config}
        if any(_without_lod(networks[name]) != _without_lod(ours[name]) for name in ours):
            for name in ("img_channels", "label_dim"):
                if networks["G"][name] != ours["G"][name]:
                    raise _OtherSettings(
                        f"{path}: the run was begun with {name} {networks['G'][name]}, which cannot change later; "
                        f"that of the data set is {ours['G'][name]}. Name one like the run's own with --data"
                    )
            state.replace_networks(Generator(**networks["G"], seed=None), Discriminator(**networks["D"], seed=None))
    state.data, state.metadata = dict(run.get("data", {})), dict(run.get("metadata", {}))
    return state.config.filled(kept)


def _without_lod(config: Mapping[str, Any]) -> Any:
    """The arguments of a network after a round trip through JSON, without the level of detail, which changes."""
    found = json.loads(json.dumps(config))
    for part in (found, found.get("synthesis", {})):
        part.pop("lod", None)
    return found


def _damaged(path: Path, error: Exception) -> CheckpointError:
    return CheckpointError(f"{path}: damaged, or not a training checkpoint: {str(error)[:200]}")


def resume_state(state: TrainingState, folder: Path) -> Path | None:
    """Load the newest readable checkpoint, and return it; None if there are none at all.

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
