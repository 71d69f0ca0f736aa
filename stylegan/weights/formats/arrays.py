"""Arrays of other tools: .npy, .npz and torch.save files, recognized by content and read without unpickling."""

import io
import math
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...errors import InputError, WeightsError
from ...runtime.file_kinds import is_safetensors
from .torch_files import read_torch_file

# A thousand faces of 1024x1024 in w+ are 37 MB.
MAX_BYTES = 2**30

_NPY, _ZIP, _PICKLE = b"\x93NUMPY", b"PK\x03\x04", b"\x80"

# Other tools' names for the w of images; the first that exists counts. Noise and images are ignored.
_NAMES = ("w", "ws", "w_plus", "wp", "latents", "latent", "dlatents", "dlatent", "latent_codes", "boundary")


def is_array_file(path: str | os.PathLike[str]) -> bool:
    """Whether a file begins like a .npy, .npz or torch.save file, whatever its name."""
    if not os.path.isfile(path):  # Reading a pipe would block.
        return False
    try:
        with open(path, "rb") as file:
            head = file.read(9)
    except OSError:
        return False
    # The size with which a safetensors file begins may look like the first byte of a pickle.
    return head.startswith((_NPY, _ZIP, _PICKLE)) and not is_safetensors(head)


def read_arrays(path: str | os.PathLike[str], *, what: str) -> dict[str, Tensor]:
    """The array of a file, float32, under the file's name; or several under their own names.

    what: for messages: "latents". Names that tools use (w of projected_w.npz, latent of each image) are recognized;
    otherwise there must be one array. Raises InputError for files above 1 GiB, with Python objects, with values that
    are not finite, or with several arrays and no known name.
    """
    path = Path(path)
    if path.stat().st_size > MAX_BYTES:
        raise InputError(f"{path}: {path.stat().st_size:,} bytes are too many for {what}; at most {MAX_BYTES:,}")
    try:
        found = _chosen(_read(path), path.stem)
    except WeightsError as error:
        raise InputError(f"{what}: {error}") from error
    except (ValueError, KeyError, SyntaxError, EOFError, NotImplementedError, zipfile.BadZipFile) as error:
        raise InputError(f"{path}: no array of {what}, or damaged: {str(error)[:200]}") from error
    arrays = {}
    for name, array in found.items():
        if not isinstance(array, Tensor) or not array.is_floating_point() or not array.numel():
            given = f"{array.dtype} {list(array.shape)}" if isinstance(array, Tensor) else type(array).__name__
            raise InputError(f"{path}: {what} must be an array of floating point, got {given}")
        arrays[name] = array.detach().float().clone()
        if not arrays[name].isfinite().all():
            raise InputError(f"{path}: its {what} hold NaN or infinity")
    return arrays


def _read(path: Path) -> Any:
    with path.open("rb") as file:
        if file.read(6) == _NPY:
            file.seek(0)
            return _array(file.read())
    if not zipfile.is_zipfile(path):
        return read_torch_file(path)
    with zipfile.ZipFile(path) as archive:
        infos = archive.infolist()
        if not infos or not all(info.filename.endswith(".npy") for info in infos):
            return read_torch_file(path)
        if sum(info.file_size for info in infos) > MAX_BYTES:
            raise ValueError(f"it unpacks to more than {MAX_BYTES:,} bytes")
        return {info.filename.removesuffix(".npy"): _entry(archive, info) for info in infos}


def _entry(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> Tensor:
    with archive.open(info) as file:  # No more than the size that the entry claims.
        return _array(file.read(info.file_size))


def _array(data: bytes) -> Tensor:
    """A .npy file; its header is checked against the size of the file."""
    stream = io.BytesIO(data)
    version = np.lib.format.read_magic(stream)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"version {version} of .npy")
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, is_fortran, dtype = read(stream)
    if dtype.kind == "O":
        raise ValueError("it holds Python objects (pickled); save the array alone: np.save(file, array)")
    if dtype.kind not in "fiub" or dtype.itemsize > 8:
        raise ValueError(f"its type is {dtype}, expected floating point")
    count = math.prod(shape)
    if len(shape) > 8 or count * dtype.itemsize > len(data) - stream.tell():
        raise ValueError(f"its header claims {list(shape)} of {dtype}, which the file does not hold")
    array = np.frombuffer(data, dtype, count, stream.tell()).reshape(shape, order="F" if is_fortran else "C")
    return torch.from_numpy(array.astype(dtype.newbyteorder("="), order="C"))


def _chosen(found: Any, stem: str) -> dict[str, Any]:
    """The intended array among the contents of a file; for a dictionary of images, one for each."""
    if not isinstance(found, Mapping):
        return {stem: found}
    nested = {str(key): value for key, value in found.items() if isinstance(value, Mapping)}
    if nested and len(nested) == len(found):
        return {Path(key).stem: _one(value, stem) for key, value in nested.items()}
    return {stem: _one(found, stem)}


def _one(found: Mapping[Any, Any], stem: str) -> Any:
    known = [name for name in _NAMES if name in found]
    arrays = [key for key, value in found.items() if isinstance(value, Tensor)]
    if not known and len(arrays) != 1:
        names = ", ".join(f"{key} {list(found[key].shape)}" for key in arrays[:8]) or "no array"
        raise ValueError(f"it holds {names}; expected one array, or one that is called {', '.join(_NAMES[:3])}")
    return found[known[0] if known else arrays[0]]
