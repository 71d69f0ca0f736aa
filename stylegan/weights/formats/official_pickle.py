"""Reader of official StyleGAN pickles (`karras2019stylegan-*.pkl`) that executes nothing.

A `PickleMachine` interprets the opcodes. The few globals of the format have fixed meanings, defined below; everything
else is refused. The embedded module source is discarded unread.

The result is plain data: strings, numbers and arrays. This module knows no networks; `official.py` turns its result
into our config and state dict.

Above 300 lines, as the list of allowed contents also defines their meaning.
"""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import IO, Any, BinaryIO, cast

import numpy as np

from ...errors import UnsafeFileError, WeightsError
from .pickle_machine import Global, PickleMachine, is_size, short

_NETWORK_KEYS = {
    "version",
    "name",
    "static_kwargs",
    "components",
    "build_module_src",
    "build_func_name",
    "variables",
}
_VERSIONS = (2, 3, 4)  # 4: StyleGAN2's repository, whose config-a networks are StyleGAN 1.
_DTYPES = {"f2", "f4", "f8", "i4", "i8"}
_SMALL = 2**16  # Bytes that may be allocated without a look at the size of the file.


@dataclass
class OfficialNetwork:
    """One network of an official file, as plain data."""

    name: str
    build_func_name: str
    static_kwargs: dict[str, Any]
    variables: dict[str, np.ndarray]  # Only its own variables, by official name; read-only views of the file's bytes.
    components: dict[str, "OfficialNetwork"] = field(default_factory=dict)


# Arrays by the part of the file that they are in, "" for the top level, then by name or position.
Arrays = dict[str, dict[str, np.ndarray]]


def read_official_pickle(path: str | Path) -> dict[str, OfficialNetwork]:
    """Read an official pickle: {"G": ..., "D": ..., "Gs": ...}, or the only network under its name.

    Gs is the generator with averaged weights, the one to use. Raises UnsafeFileError if the file
    contains anything that official files do not, WeightsError if it is another file or damaged.
    """
    networks, _ = read_pickle(path)
    if not networks:
        raise WeightsError(f"{path}: expected a tuple (G, D, Gs) of networks, got variables alone")
    return networks


def read_pickle(path: str | Path) -> tuple[dict[str, OfficialNetwork], Arrays]:
    """Read an official pickle, or one of its variables alone: the networks, and the other arrays.

    Arrays are those of dictionaries, or of lists of (name, value), by name. Raises as `read_official_pickle`.
    """
    path = Path(path)
    with path.open("rb") as file:
        if file.read(4) == b"PK\x03\x04":
            raise UnsafeFileError(f"{path}: a zip archive, as torch.save writes; expected an official pickle")
        file.seek(0)
        clipped = _Clipped(file)
        try:
            loaded = _Machine(path).run(cast(IO[bytes], clipped))
        except ValueError as error:  # An opcode that pickletools cannot decode, or the end of the file.
            ended = file.tell() >= clipped.size
            problem = "it ends early, an incomplete download? fetch it again" if ended else short(error)
            raise WeightsError(f"{path}: not an official StyleGAN pickle, or damaged: {problem}") from error

    if isinstance(loaded, list) and loaded and isinstance(loaded[0], tuple):  # (name, value) of one network.
        loaded = [loaded]
    items = loaded if isinstance(loaded, dict) else {str(i): x for i, x in enumerate(_items(loaded)[:16])}
    found = {key: _network(x, path) for key, x in items.items() if isinstance(x, _Instance)}
    arrays = _arrays({key: x for key, x in items.items() if not isinstance(x, _Instance)})
    if not found and not arrays:
        raise WeightsError(f"{path}: expected a tuple (G, D, Gs) of networks, got {short(loaded)}")
    every = [array for network in found.values() for array in _own_arrays(network)]
    every += [array for part in arrays.values() for array in part.values()]
    if sum(array.nbytes for array in every) > 2 * clipped.size:
        raise UnsafeFileError(f"{path}: its arrays repeat the same values, far beyond the size of the file")
    if len(found) == 3 and not isinstance(loaded, dict):
        return dict(zip(("G", "D", "Gs"), found.values(), strict=True)), arrays
    return found if isinstance(loaded, dict) else {network.name: network for network in found.values()}, arrays


def _items(loaded: Any) -> list[Any]:
    return list(loaded) if isinstance(loaded, tuple | list) else [loaded]


def _own_arrays(network: OfficialNetwork) -> list[np.ndarray]:
    return [array for one in (network, *network.components.values()) for array in one.variables.values()]


def _arrays(items: Mapping[str, Any]) -> Arrays:
    """The arrays among the items of a file, and those in the dictionaries and lists of (name, value) among them."""
    arrays: Arrays = {}
    for key, item in items.items():
        pairs = item.items() if isinstance(item, dict) else item if isinstance(item, list) else [(key, item)]
        part = key if isinstance(item, dict | list) else ""
        for pair in pairs:
            match pair:
                case (str() as name, _Array(np.ndarray() as value)):
                    arrays.setdefault(part, {})[name] = value
    return arrays


class _Clipped:
    """A file that never reads past its end: a pickle may claim any length, and that much memory would be allocated.

    It has no `tell`, a system call, which pickletools would make for every opcode.
    """

    def __init__(self, file: BinaryIO):
        self.file, self.size = file, os.fstat(file.fileno()).st_size
        self.readline = file.readline

    def read(self, n: int) -> bytes:
        return self.file.read(n if n < _SMALL else min(n, self.size - self.file.tell()))


def _network(instance: Any, path: Path, *, nested: bool = False) -> OfficialNetwork:
    """Validate the state of a Network object, key by key, and keep what describes it."""
    state = instance.state if isinstance(instance, _Instance) else None
    if state is None:
        raise WeightsError(f"{path}: expected a network, got {short(instance)}")
    function = state.get("build_func_name")
    if isinstance(function, str) and re.search(r"G_main|stylegan2|stylegan_revised|D_logan", function):
        raise WeightsError(
            f"{path}: a network of StyleGAN2 ({short(function)}); this library reads StyleGAN 1, also as the config-a "
            "networks of StyleGAN2's repository"
        )
    if unknown := sorted(state.keys() - _NETWORK_KEYS):
        raise UnsafeFileError(f"{path}: a network has the unknown key {short(unknown[0])}")
    version, name = state.get("version"), state.get("name")
    if type(version) is not int or version not in _VERSIONS:
        raise WeightsError(f"{path}: a network has format version {short(version)}; expected 2, 3 or 4")
    if not isinstance(name, str) or not isinstance(function, str):
        raise WeightsError(f"{path}: a network has no name or no build_func_name")
    static_kwargs, components = state.get("static_kwargs"), state.get("components", {})
    if not isinstance(static_kwargs, dict) or not isinstance(components, dict) or (nested and components):
        raise WeightsError(f"{path}: network {short(name)} has malformed static_kwargs or components")
    return OfficialNetwork(
        name=name,
        build_func_name=function,
        static_kwargs={key: _option(value, key, path) for key, value in static_kwargs.items()},
        variables=_variables(state.get("variables"), path),
        components={key: _network(value, path, nested=True) for key, value in components.items()},
    )


def _option(value: Any, key: str, path: Path) -> Any:
    """A value of static_kwargs: a number, a string, None, or a short list of numbers."""
    if isinstance(value, _Array) and value.value is not None and value.value.size <= 64:
        return value.value.tolist()
    if isinstance(value, list | tuple) and len(value) <= 64 and all(isinstance(x, int | float) for x in value):
        return list(value)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise UnsafeFileError(f"{path}: option {short(key)} is {short(value)}; expected a number, a string or None")


def _variables(value: Any, path: Path) -> dict[str, np.ndarray]:
    if not isinstance(value, list):
        raise WeightsError(f"{path}: a network has no list of variables")
    variables = {}
    for item in value:
        if not isinstance(item, tuple) or len(item) != 2 or not isinstance(item[0], str):
            raise WeightsError(f"{path}: a variable is {short(item)}; expected (name, value)")
        name, array = item
        if isinstance(array, float):  # A scalar that numpy has already converted to a number.
            array = _Array(np.asarray(array, np.float32))
        if not isinstance(array, _Array) or array.value is None:
            raise WeightsError(f"{path}: variable {short(name)} is {short(array)}; expected an array")
        variables[name] = array.value
    return variables


@dataclass
class _Instance:
    """A Network object and, once built, its state."""

    state: dict[str, Any] | None = None


@dataclass
class _DType:
    code: str
    big_endian: bool = False


@dataclass
class _Array:
    value: np.ndarray | None = None


_NETWORK = Global("dnnlib.tflib.network", "Network")
_EASY_DICT = Global("dnnlib.util", "EasyDict")


class _Machine(PickleMachine):
    """Knows the globals of an official file."""

    kind = "an official file"

    def calls(self) -> Mapping[tuple[str, str], Callable[[tuple[Any, ...]], Any]]:
        """The globals of the format. Each call returns plain data, or a record that BUILD fills."""
        return self._calls

    def __init__(self, path: Path):
        super().__init__(path)
        self._calls = {
            (_NETWORK.module, _NETWORK.name): self.new_network,
            (_EASY_DICT.module, _EASY_DICT.name): self.new_dict,
            ("collections", "OrderedDict"): self.new_ordered_dict,
            ("numpy", "dtype"): self.new_dtype,
            ("_codecs", "encode"): self.encode,
            ("copy_reg", "_reconstructor"): self.reconstruct,
            # These occur only as arguments.
            ("numpy", "ndarray"): self.refuse_call,
            ("__builtin__", "object"): self.refuse_call,
            ("__builtin__", "dict"): self.refuse_call,
        }
        for core in ("numpy.core", "numpy._core"):
            self._calls[f"{core}.multiarray", "_reconstruct"] = self.new_array
            self._calls[f"{core}.multiarray", "scalar"] = self.new_scalar
            self._calls[f"{core}.numeric", "_frombuffer"] = self.array_from_buffer

    def give_state(self, target: Any, state: Any) -> None:
        """BUILD: a network's dictionary, the byte order of a type, the content of an array."""
        if isinstance(target, _Instance) and target.state is None and isinstance(state, dict):
            target.state = state
        elif isinstance(target, _DType) and isinstance(state, tuple) and len(state) > 1 and state[1] in ("<", ">", "|"):
            target.big_endian = state[1] == ">"
        elif isinstance(target, _Array) and target.value is None and isinstance(state, tuple) and len(state) == 5:
            _, shape, dtype, fortran, data = state
            target.value = self.array(data, dtype, shape, fortran=bool(fortran))
        else:
            super().give_state(target, state)

    def array(self, data: Any, dtype: Any, shape: Any, *, fortran: bool) -> np.ndarray:
        if not isinstance(dtype, _DType) or not isinstance(data, bytes | bytearray):
            raise UnsafeFileError(f"{self.path}: an array holds {short(data)} of type {short(dtype)}, not numbers")
        if not isinstance(shape, tuple) or len(shape) > 8 or not all(is_size(n) for n in shape):
            raise WeightsError(f"{self.path}: an array has shape {short(shape)}")
        kind = np.dtype((">" if dtype.big_endian else "<") + dtype.code)
        if prod(shape) * kind.itemsize != len(data):
            raise WeightsError(f"{self.path}: an array of shape {short(shape)} and {dtype.code} has {len(data)} bytes")
        return np.frombuffer(data, kind).reshape(shape, order="F" if fortran else "C")

    def new_network(self, args: tuple[Any, ...]) -> _Instance:
        self.expect(not args, "Network", args)
        return _Instance()

    def new_dict(self, args: tuple[Any, ...]) -> dict[str, Any]:
        self.expect(not args, "EasyDict", args)
        return {}

    def new_ordered_dict(self, args: tuple[Any, ...]) -> dict[str, Any]:
        # Python 2 gives it a list of pairs.
        pairs = args[0] if args else []
        known = len(args) <= 1 and isinstance(pairs, list)
        known = known and all(isinstance(p, list | tuple) and len(p) == 2 and isinstance(p[0], str) for p in pairs)
        self.expect(known, "OrderedDict", args)
        return dict(pairs)

    def new_dtype(self, args: tuple[Any, ...]) -> _DType:
        self.expect(bool(args) and isinstance(args[0], str) and args[0].lstrip("<>|") in _DTYPES, "dtype", args)
        return _DType(args[0].lstrip("<>|"), big_endian=args[0].startswith(">"))

    def new_array(self, args: tuple[Any, ...]) -> _Array:
        self.expect(len(args) == 3 and isinstance(args[0], Global) and args[0].name == "ndarray", "ndarray", args)
        return _Array()

    def new_scalar(self, args: tuple[Any, ...]) -> _Array:
        self.expect(len(args) == 2, "scalar", args)
        return _Array(self.array(args[1], args[0], (), fortran=False))

    def array_from_buffer(self, args: tuple[Any, ...]) -> _Array:
        self.expect(len(args) == 4 and args[3] in ("C", "F"), "_frombuffer", args)
        data, dtype, shape, order = args
        return _Array(self.array(data, dtype, shape, fortran=order == "F"))

    def encode(self, args: tuple[Any, ...]) -> bytes:
        # Protocols 0 to 2 have no bytes: they write text with the same code points.
        self.expect(len(args) == 2 and isinstance(args[0], str) and args[1] == "latin1", "_codecs.encode", args)
        return bytes(args[0].encode("latin1"))

    def reconstruct(self, args: tuple[Any, ...]) -> _Instance | dict[str, Any]:
        # Protocols 0 and 1 create objects this way: (class, its built-in base, the value of the base).
        if len(args) == 3 and args[0] == _NETWORK and args[2] is None:
            return _Instance()
        self.expect(len(args) == 3 and args[0] == _EASY_DICT and isinstance(args[2], dict), "_reconstructor", args)
        attributes: dict[str, Any] = args[2]
        return attributes
