"""Finds the weight file of a folder: the hub's convention, a training run, or the only candidate."""

import re
from pathlib import Path

from ..errors import InputError, NotFoundError, WeightsError
from ..runtime.file_kinds import kind_of
from .hub.sources import SUFFIXES

# Generic names of weight files: the model is then named after the folder or repository.
UNNAMED = ("model", "pytorch_model")
# Common names of folders, which are not names of hub users.
_FOLDERS = {"runs", "models", "checkpoints", "snapshots", "weights", "networks", "out", "output", "outputs", "results"}


def is_path_like(text: str) -> bool:
    """Whether a text of the form user/repo is more likely a path: its folder exists or has a common name."""
    folder, slash, _ = text.partition("/")
    return bool(slash) and ":" not in text and (folder in _FOLDERS or Path(folder).is_dir())


def weight_file(folder: Path) -> Path:
    """The weight file of a folder.

    That is model.safetensors; of a training run, network.safetensors, encoder.safetensors or else its newest snapshot;
    pytorch_model.bin; or the only weight file, whatever its name. Raises NotFoundError if there is none, InputError if
    there are several.
    """
    snapshots = sorted((folder / "snapshots").glob("network-*.safetensors"), key=_number)
    first = [
        folder / "model.safetensors",
        folder / "network.safetensors",
        folder / "encoder.safetensors",
        *snapshots[-1:],
        folder / "pytorch_model.bin",
    ]
    for path in first:
        if path.is_file():
            return path
    files = sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    _refuse_tensorflow(folder, files)
    found = [path for path in files if path.suffix.lower() in SUFFIXES]
    found = found or [path for path in files if _holds_weights(path)]
    if len(found) == 1:
        return found[0]
    if found:
        some = ", ".join(path.name for path in found[:5]) + (f" and {len(found) - 5} more" if len(found) > 5 else "")
        raise InputError(f"{folder}: which file? It has {some}; write {found[0]}, for example")
    if (folder / "checkpoints").is_dir():
        raise NotFoundError(f"{folder}: a training run that has written no network yet; go on with it (stylegan train)")
    raise NotFoundError(
        f"{folder}: no weights in this folder; expected config.json and model.safetensors, one weight file, or the "
        "folder of a training run"
    )


def _number(path: Path) -> int:
    digits = re.sub(r"\D", "", path.stem)
    return int(digits[:18] or 0)


def _refuse_tensorflow(folder: Path, files: list[Path]) -> None:
    for path in files:
        if path.name in ("saved_model.pb", "checkpoint") or path.name.endswith((".ckpt.index", ".ckpt.meta")):
            raise WeightsError(
                f"{folder}: a folder of TensorFlow ({path.name}), which holds no file that is read here; "
                "official networks of StyleGAN 1 come as .pkl files"
            )
        if path.name == "model_index.json":
            raise WeightsError(f"{folder}: a pipeline of diffusers (model_index.json), no StyleGAN")


def _holds_weights(path: Path) -> bool:
    try:
        return bool(kind_of(path))
    except WeightsError:
        return False
