"""Reader of torch.save files, both the zip format and that before torch 1.6, that executes nothing.

torch.load is not used. A `PickleMachine` interprets the pickle, and tensors are views of the mapped file, checked
against its size before they are created. A file therefore cannot make it allocate memory, the known vulnerabilities of
torch below 2.10 do not apply, and objects of a project's own classes in training files are skipped.

The result is plain data: dictionaries, lists, numbers, text and tensors. This module knows no layouts.
"""

import mmap
import re
import struct
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from io import BytesIO
from math import prod
from pathlib import Path
from typing import IO, Any, cast

import torch
from torch import Tensor

from ...errors import UnsafeFileError, WeightsError
from .pickle_machine import Global, PickleMachine, is_size, short

_ZIP_MAGIC = b"PK\x03\x04"
_LEGACY_MAGIC, _LEGACY_VERSION = 0x1950A86A20F9469CFC6C, 1001
_MAX_ENTRIES = 100_000

_STORAGES = {
    "FloatStorage": torch.float32,
    "DoubleStorage": torch.float64,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ShortStorage": torch.int16,
    "CharStorage": torch.int8,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}
# Contents of training files that are not needed: logs of losses (podgorskiy, ALAE, genforce) with numpy numbers, and
# the arguments of the program.
_IGNORED_OBJECTS = [
    ("tracker", "RunningMean"),
    ("tracker", "RunningMeanTorch"),
    ("runners.running_stats", "RunningStats"),
    ("runners.running_stats", "SingleStats"),
    ("argparse", "Namespace"),
    ("numpy", "dtype"),
    ("numpy.core.multiarray", "scalar"),
    ("numpy._core.multiarray", "scalar"),
    ("_codecs", "encode"),
]


def read_torch_file(path: str | Path) -> Any:
    """Read what a torch.save file holds: nested dictionaries, lists and tuples of tensors, numbers and text.

    Tensors are on the CPU, in the memory of the mapped file, unaligned: clone what is kept. Raises UnsafeFileError
    for files with anything but tensors in containers, WeightsError for damaged files and other
    formats.
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            # A private map, since torch needs writable memory. The tensors keep it open.
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
            return _read_zip(data, file, path) if data[:4] == _ZIP_MAGIC else _read_legacy(data, path)
    except (zipfile.BadZipFile, ValueError, EOFError, OverflowError, NotImplementedError, struct.error) as error:
        ended = isinstance(error, struct.error | EOFError) or "exhausted" in str(error) or "remain" in str(error)
        problem = "it ends early, an incomplete download? fetch it again" if ended else short(ValueError(error))
        raise WeightsError(f"{path}: not a torch.save file, or damaged: {problem}") from error


def _read_zip(data: mmap.mmap, file: IO[bytes], path: Path) -> Any:
    """The format since torch 1.6: NAME/data.pkl, and a stored entry NAME/data/KEY for each storage."""
    entries = _stored_entries(data, file, path)
    roots = [name.removesuffix("/data.pkl") for name in entries if re.fullmatch(r"[^/]+/data\.pkl", name)]
    if len(roots) != 1:
        raise WeightsError(f"{path}: a zip archive, but not one that torch.save wrote: no single NAME/data.pkl in it")
    root = roots[0]
    if f"{root}/constants.pkl" in entries:
        raise UnsafeFileError(f"{path}: a TorchScript program; expected weights that torch.save wrote")
    if _bytes(data, entries.get(f"{root}/byteorder", slice(0, 0))) not in (b"", b"little"):
        raise WeightsError(f"{path}: written on a big-endian machine, which is not supported")
    prefix = f"{root}/data/"
    places = {name.removeprefix(prefix): place for name, place in entries.items() if name.startswith(prefix)}
    pickled = BytesIO(_bytes(data, entries[f"{root}/data.pkl"]))
    return _TorchMachine(path, data, places).run(pickled)


def _stored_entries(data: mmap.mmap, file: IO[bytes], path: Path) -> dict[str, slice]:
    """The positions of the entries of an archive, from its headers. Nothing is extracted."""
    with zipfile.ZipFile(file) as archive:
        infos = archive.infolist()
    entries: dict[str, slice] = {}
    total = 0
    for info in infos:
        name = info.filename
        if name in entries or name.startswith("/") or re.search(r"[\\:\0]|(^|/)\.\.(/|$)", name):
            raise UnsafeFileError(f"{path}: the archive has an unsafe or repeated name {short(name)}")
        if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 1 or info.compress_size != info.file_size:
            raise UnsafeFileError(f"{path}: entry {short(name)} is compressed or encrypted; torch.save does neither")
        total += info.file_size
        if len(entries) >= _MAX_ENTRIES or total > len(data):
            raise UnsafeFileError(f"{path}: the entries of the archive claim more than the file holds")
        header = data[info.header_offset : info.header_offset + 30]
        if len(header) < 30 or header[:4] != _ZIP_MAGIC:
            raise WeightsError(f"{path}: entry {short(name)} of the archive is damaged")
        start = info.header_offset + 30 + sum(struct.unpack("<HH", header[26:30]))
        if start + info.file_size > len(data):
            raise WeightsError(f"{path}: entry {short(name)} lies beyond the end of the file")
        entries[name] = slice(start, start + info.file_size)
    return entries


def _bytes(data: mmap.mmap, place: slice) -> bytes:
    return data[place]


def _read_legacy(data: mmap.mmap, path: Path) -> Any:
    """The format before torch 1.6: five pickles one after the other, then the storages."""
    stream = cast(IO[bytes], data)
    if _TorchMachine(path).run(stream) != _LEGACY_MAGIC or _TorchMachine(path).run(stream) != _LEGACY_VERSION:
        raise WeightsError(f"{path}: not a torch.save file")
    system = _TorchMachine(path).run(stream)
    if not isinstance(system, dict) or system.get("little_endian") is not True:
        raise WeightsError(f"{path}: written on a big-endian machine, which is not supported, or damaged")

    # The first pass over the fourth pickle finds the types of the storages, the second creates the tensors.
    begin = data.tell()
    survey = _TorchMachine(path)
    survey.run(stream)
    keys = _TorchMachine(path).run(stream)
    if not isinstance(keys, list) or not all(isinstance(key, str) and key in survey.storages for key in keys):
        raise WeightsError(f"{path}: the list of storages is damaged")
    places: dict[str, slice] = {}
    position = data.tell()
    for key in keys:
        (numel,) = struct.unpack("<q", data[position : position + 8])
        storage = survey.storages[key]
        position += 8
        if numel != storage.numel or position + storage.nbytes > len(data):
            raise WeightsError(f"{path}: storage {short(key)} claims {numel} values, which the file does not hold")
        places[key] = slice(position, position + storage.nbytes)
        position += storage.nbytes
    data.seek(begin)
    return _TorchMachine(path, data, places).run(stream)


@dataclass(frozen=True)
class _Storage:
    """A storage as the pickle describes it: the values of tensors."""

    key: str
    dtype: torch.dtype
    numel: int
    first: int = 0  # Storages before torch 0.4 may be views of others, from this value on.

    @property
    def nbytes(self) -> int:
        return self.numel * self.dtype.itemsize


class _Ignored:
    """An object that is known and not needed: never created, its state discarded."""


class _TorchMachine(PickleMachine):
    """Knows the globals of torch.save. Without `places`, tensors are None and only the storages are collected."""

    kind = "a file of plain weights"
    key_types = (str, int)

    def __init__(self, path: Path, data: mmap.mmap | None = None, places: Mapping[str, slice] | None = None):
        super().__init__(path)
        self.data, self.places = data, places
        self.storages: dict[str, _Storage] = {}
        self.values: dict[str, Tensor] = {}
        self.has_records = False
        self._calls: dict[tuple[str, str], Callable[[tuple[Any, ...]], Any]] = {
            ("collections", "OrderedDict"): self.new_dict,
            ("collections", "Counter"): self.new_dict,
            ("torch._utils", "_rebuild_tensor"): self.rebuild_tensor,
            ("torch._utils", "_rebuild_tensor_v2"): self.rebuild_tensor,
            ("torch._utils", "_rebuild_parameter"): self.rebuild_parameter,
            ("torch", "Size"): self.new_size,
            ("torch", "device"): self.new_device,
            ("mmengine.logging.history_buffer", "HistoryBuffer"): self.new_record,
            ("__builtin__", "getattr"): self.method_of_record,
            ("builtins", "getattr"): self.method_of_record,
            ("numpy", "ndarray"): self.refuse_call,
            ("numpy.core.multiarray", "_reconstruct"): self.array_of_record,
            ("numpy._core.multiarray", "_reconstruct"): self.array_of_record,
        }
        # These occur only as arguments.
        for name in _STORAGES:
            self._calls["torch", name] = self._calls["torch.cuda", name] = self.refuse_call
        for dtype in _STORAGES.values():
            self._calls["torch", str(dtype).removeprefix("torch.")] = self.refuse_call
        for ignored in _IGNORED_OBJECTS:
            self._calls[ignored] = lambda args: _Ignored()

    def calls(self) -> Mapping[tuple[str, str], Callable[[tuple[Any, ...]], Any]]:
        """The globals of torch.save."""
        return self._calls

    def give_state(self, target: Any, state: Any) -> None:
        """BUILD: an OrderedDict has version numbers of modules, which are ignored."""
        if not isinstance(target, dict | _Ignored):
            super().give_state(target, state)

    def persistent(self, reference: Any) -> _Storage:
        """A storage: ("storage", type, key, device, number of values[, the storage that it is a view of])."""
        known = isinstance(reference, tuple) and len(reference) in (5, 6) and reference[0] == "storage"
        if not known or not isinstance(reference[1], Global) or reference[1].name not in _STORAGES:
            raise UnsafeFileError(f"{self.path}: refers to {short(reference)} outside the pickle, not to a storage")
        _, kind, key, _, numel, *window = reference
        if not isinstance(key, str) or not is_size(numel):
            raise WeightsError(f"{self.path}: storage {short(key)} claims {short(numel)} values")
        storage = _Storage(key, _STORAGES[kind.name], numel)
        if self.storages.setdefault(key, storage) != storage:
            raise WeightsError(f"{self.path}: storage {short(key)} is described in two ways")
        if not window or window[0] is None:
            return storage
        view = window[0]
        if not isinstance(view, tuple) or len(view) != 3 or not is_size(view[1]) or not is_size(view[2]):
            raise WeightsError(f"{self.path}: storage {short(key)} is a malformed window")
        return _Storage(key, storage.dtype, numel, first=view[1])

    def rebuild_tensor(self, args: tuple[Any, ...]) -> Tensor | None:
        """(storage, first value, size, stride, ...) -> a view of the storage."""
        self.expect(len(args) in (4, 6, 7) and isinstance(args[0], _Storage), "a tensor", args)
        storage, offset, size, stride = args[:4]
        lengths = (*size, *stride) if isinstance(size, tuple) and isinstance(stride, tuple) else (None,)
        if len(lengths) > 16 or not all(is_size(n) for n in (offset, *lengths)) or len(size) != len(stride):
            raise WeightsError(f"{self.path}: a tensor has a malformed size")
        offset += storage.first
        last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
        # A view that repeats values could be of any size.
        if prod(size) > storage.numel or (prod(size) and last >= storage.numel):
            raise WeightsError(f"{self.path}: a tensor of size {list(size)} reaches beyond its storage")
        if self.places is None:
            return None
        return torch.as_strided(self.storage_values(storage), size, stride, offset)

    def storage_values(self, storage: _Storage) -> Tensor:
        """All values of a storage, [numel]."""
        assert self.data is not None
        assert self.places is not None
        if storage.key not in self.values:
            place = self.places.get(storage.key)
            if place is None or place.stop - place.start != storage.nbytes:
                raise WeightsError(
                    f"{self.path}: storage {short(storage.key)} claims {storage.numel} values, which the file "
                    "does not hold"
                )
            raw = torch.empty(0, dtype=torch.uint8, device="cpu")
            if storage.nbytes:
                raw = torch.frombuffer(self.data, dtype=torch.uint8, count=storage.nbytes, offset=place.start)
            self.values[storage.key] = raw.view(storage.dtype)
        return self.values[storage.key]

    # Calls with a special meaning. Each returns plain data.

    def new_dict(self, args: tuple[Any, ...]) -> dict[Any, Any]:
        self.expect(not args or (len(args) == 1 and isinstance(args[0], dict)), "a dictionary", args)
        return args[0] if args else {}

    def rebuild_parameter(self, args: tuple[Any, ...]) -> Any:
        self.expect(len(args) == 3 and isinstance(args[0], Tensor | None), "a parameter", args)
        return args[0]

    def new_record(self, args: tuple[Any, ...]) -> _Ignored:
        """A log of losses, of mmagic; its contents follow."""
        self.has_records = True
        return _Ignored()

    def array_of_record(self, args: tuple[Any, ...]) -> _Ignored:
        self.expect(self.has_records, "an array of NumPy", args)
        return _Ignored()

    def method_of_record(self, args: tuple[Any, ...]) -> _Ignored:
        """A log names methods of its own class, which are not looked up."""
        known = len(args) == 2 and isinstance(args[0], Global) and args[0].name == "HistoryBuffer"
        self.expect(known, "an attribute", args)
        return _Ignored()

    def new_size(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        self.expect(len(args) == 1 and isinstance(args[0], tuple), "torch.Size", args)
        return tuple(args[0])

    def new_device(self, args: tuple[Any, ...]) -> str:
        self.expect(bool(args) and isinstance(args[0], str), "torch.device", args)
        return str(args[0])
