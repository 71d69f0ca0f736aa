"""Starting from trained networks: to go on with a model of someone else's, to fine-tune one, or to grow it."""

import logging
import os
import re
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from ..errors import InputError, NotFoundError, WeightsError
from ..weights.loading import read_weights
from .state import TrainingState, list_checkpoints, read_tensors

_log = logging.getLogger(__name__)

# What belongs to one resolution and not to the lower ones: these tensors, by resolution or by layer.
_BY_RESOLUTION = re.compile(r"(?:to_rgb|from_rgb|blocks)\.(\d+)\.")
_BY_LAYER = re.compile(r"synthesis\.layers\.(\d+)\.")


def start_from(state: TrainingState, source: str | os.PathLike[str]) -> None:
    """Take over the weights of all three networks, and nothing else: counters and moments stay those of a new run.

    source: the folder of a run, one of its checkpoints, or anything that `Generator.from_pretrained` reads. An official
    pickle has all three networks; a file with a generator only leaves the discriminator as it is, with a warning.

    Resolutions that the source does not have keep their initial weights, so that a model can be grown; those above the
    target's are left out. Raises InputError if the rest does not fit, NotFoundError or WeightsError as reading does.
    """
    for name, given in _read_networks(source).items():
        _take_over(state.networks()[name].state_dict(), given, f"{name} of {source}")


def _read_networks(source: str | os.PathLike[str]) -> dict[str, Mapping[str, Tensor]]:
    """The tensors of the networks G, D and Gs, or of as many as there are."""
    path = Path(source)
    checkpoints = list_checkpoints(path / "checkpoints")
    if path.is_dir() and not checkpoints and not (path / "model.safetensors").exists():
        raise NotFoundError(f"{path}: expected the folder of a training run, or one with model.safetensors")
    if checkpoints or path in list_checkpoints(path.parent):
        tensors, _ = read_tensors(checkpoints[-1] if checkpoints else path)
        return {name: _below(tensors, f"{name}.") for name in ("G", "D", "Gs")}
    Gs = read_weights(source, network="Gs").checkpoint
    if Gs.network != "Generator":
        raise InputError(f"{source}: holds a {Gs.network}; expected a generator, or all networks of a run")
    found: dict[str, Mapping[str, Tensor]] = {"G": Gs.state_dict, "Gs": Gs.state_dict}
    for name in ("G", "D"):
        try:
            other = read_weights(source, network=name).checkpoint
        except WeightsError:
            continue
        if other.network == ("Discriminator" if name == "D" else "Generator"):
            found[name] = other.state_dict
    if "D" not in found:
        _log.warning("%s holds no discriminator; a new one must catch up with the generator first", source)
    return found


def _below(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): tensor for key, tensor in tensors.items() if key.startswith(prefix)}


def _take_over(target: Mapping[str, Tensor], given: Mapping[str, Tensor], what: str) -> None:
    """Copy what both have; they may differ in the resolutions above the lower of the two."""
    shared = min(_img_resolution(target), _img_resolution(given))
    problems = [
        f"{key} is {_shape(given.get(key))}, expected {_shape(target.get(key))}"
        for key in {**target, **given}
        if _shape(given.get(key)) != _shape(target.get(key)) and _resolution(key) <= shared
    ]
    if problems:
        more = f" and {len(problems) - 3} more" if len(problems) > 3 else ""
        raise InputError(f"{what} was made with other settings: {'; '.join(problems[:3])}{more}")
    for key, tensor in target.items():
        if key in given and _resolution(key) <= shared:
            tensor.copy_(given[key])


def _img_resolution(tensors: Mapping[str, Tensor]) -> int:
    return max(_resolution(key) for key in tensors)


def _resolution(key: str) -> int:
    """The resolution that a tensor belongs to; 0 = to all."""
    if match := _BY_RESOLUTION.search(key):
        return int(match[1])
    if match := _BY_LAYER.search(key):
        return 4 << int(match[1]) // 2
    return 0


def _shape(tensor: Tensor | None) -> list[int] | None:
    return None if tensor is None else list(tensor.shape)
