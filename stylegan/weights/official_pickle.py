"""Reader of official StyleGAN pickles (`karras2019stylegan-*.pkl`) that executes nothing.

`pickletools` decodes the opcodes and a small machine follows the few of them that such files use. A global never
becomes an object: it stays a name, and the handful of names in the format have fixed meanings written out below.
Everything else - other names, opcodes, keys or types - is refused. The embedded module source is thrown away unread.

The result is plain data: strings, numbers and arrays. This module knows no networks; `official.py` turns its result
into our config and state dict.
"""

import mmap
import pickletools
from collections.abc import Callable
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import IO, Any, cast

import numpy as np

from ..errors import UnsafeFileError, WeightsError

# Far above the 10,000 of a 1024x1024 file; stops a file of nothing but opcodes within seconds.
MAX_OPCODES = 1_000_000

_NETWORK_KEYS = {
    "version",
    "name",
    "static_kwargs",
    "components",
    "build_module_src",
    "build_func_name",
    "variables",
}
_DTYPES = {"f2", "f4", "f8", "i4", "i8"}


@dataclass
class OfficialNetwork:
    """One network of an official file, as plain data."""

    name: str
    build_func_name: str
    static_kwargs: dict[str, Any]
    variables: dict[str, np.ndarray]  # Own variables only, by official name; read-only views of the file's bytes.
    components: dict[str, "OfficialNetwork"] = field(default_factory=dict)


def read_official_pickle(path: str | Path) -> dict[str, OfficialNetwork]:
    """Read an official pickle: {"G": ..., "D": ..., "Gs": ...}, or the one network that it holds under its name.

    Gs is the generator with averaged weights, the one to use. Raises UnsafeFileError if the file asks for anything
    that official files do not hold, WeightsError if it is no such file or is damaged.
    """
    path = Path(path)
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            if data[:4] == b"PK\x03\x04":
                raise UnsafeFileError(f"{path}: a zip archive, as torch.save writes; expected an official pickle")
            loaded = _Machine(path).run(data)
    except ValueError as error:  # An empty file (mmap), or an opcode that pickletools cannot decode.
        raise WeightsError(f"{path}: not an official StyleGAN pickle: {_short(error)}") from error

    if isinstance(loaded, _Instance):
        loaded = (loaded,)
    if not isinstance(loaded, tuple | list) or not loaded or not all(isinstance(x, _Instance) for x in loaded):
        raise WeightsError(f"{path}: expected a tuple (G, D, Gs) of networks, got {_short(loaded)}")
    networks = [_network(x, path) for x in loaded]
    if len(networks) == 3:
        return dict(zip(("G", "D", "Gs"), networks, strict=True))
    return {network.name: network for network in networks}


def _network(instance: Any, path: Path, *, nested: bool = False) -> OfficialNetwork:
    """Check the state of a Network object, key by key, and keep what describes it."""
    state = instance.state if isinstance(instance, _Instance) else None
    if state is None:
        raise WeightsError(f"{path}: expected a network, got {_short(instance)}")
    if unknown := sorted(state.keys() - _NETWORK_KEYS):
        raise UnsafeFileError(f"{path}: a network has the unknown key {_short(unknown[0])}")
    version, name, function = state.get("version"), state.get("name"), state.get("build_func_name")
    if type(version) is not int or version not in (2, 3):
        raise WeightsError(f"{path}: a network has format version {_short(version)}; expected 2 or 3")
    if not isinstance(name, str) or not isinstance(function, str):
        raise WeightsError(f"{path}: a network has no name or no build_func_name")
    static_kwargs, components = state.get("static_kwargs"), state.get("components", {})
    if not isinstance(static_kwargs, dict) or not isinstance(components, dict) or (nested and components):
        raise WeightsError(f"{path}: network {_short(name)} has malformed static_kwargs or components")
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
    raise UnsafeFileError(f"{path}: option {_short(key)} is {_short(value)}; expected a number, a string or None")


def _variables(value: Any, path: Path) -> dict[str, np.ndarray]:
    if not isinstance(value, list):
        raise WeightsError(f"{path}: a network has no list of variables")
    variables = {}
    for item in value:
        if not isinstance(item, tuple) or len(item) != 2 or not isinstance(item[0], str):
            raise WeightsError(f"{path}: a variable is {_short(item)}; expected (name, value)")
        name, array = item
        if isinstance(array, float):  # A scalar that numpy had already turned into a number.
            array = _Array(np.asarray(array, np.float32))
        if not isinstance(array, _Array) or array.value is None:
            raise WeightsError(f"{path}: variable {_short(name)} is {_short(array)}; expected an array")
        variables[name] = array.value
    return variables


def _is_size(n: Any) -> bool:
    return type(n) is int and 0 <= n < 2**48


def _short(value: Any) -> str:
    """Show a value of the file in a message, never following what it refers to."""
    if isinstance(value, str | bytes | ValueError):
        return repr(value[:60] if not isinstance(value, ValueError) else str(value)[:200])
    if isinstance(value, _Global):
        return f"{value.module[:60]}.{value.name[:60]}"
    if value is None or isinstance(value, bool | float) or (isinstance(value, int) and abs(value) < 2**64):
        return str(value)
    return f"a {type(value).__name__.lstrip('_').lower()}"


@dataclass(frozen=True)
class _Global:
    """The name of a global: never imported."""

    module: str
    name: str


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


_MARK = object()
_NETWORK = _Global("dnnlib.tflib.network", "Network")
_EASY_DICT = _Global("dnnlib.util", "EasyDict")


class _Machine:
    """Follows the opcodes of a pickle on a stack of plain values."""

    def __init__(self, path: Path):
        self.path = path
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def run(self, data: mmap.mmap) -> Any:
        for count, (opcode, arg, _) in enumerate(pickletools.genops(cast(IO[bytes], data))):
            if count > MAX_OPCODES:
                raise UnsafeFileError(f"{self.path}: more than {MAX_OPCODES} pickle opcodes")
            if opcode.name in _IGNORED:
                continue
            if opcode.name == "STOP":
                return self.pop()
            if opcode.name in _LITERALS:
                self.stack.append(arg)
            elif opcode.name in _ACTIONS:
                _ACTIONS[opcode.name](self, arg)
            else:
                raise UnsafeFileError(f"{self.path}: pickle opcode {opcode.name} has no place in an official file")
        raise WeightsError(f"{self.path}: the pickle ends early")

    def pop(self) -> Any:
        if not self.stack or self.stack[-1] is _MARK:
            raise WeightsError(f"{self.path}: malformed pickle (stack underflow)")
        return self.stack.pop()

    def pop_to_mark(self) -> list[Any]:
        items = []
        while self.stack and self.stack[-1] is not _MARK:
            items.append(self.stack.pop())
        if not self.stack:
            raise WeightsError(f"{self.path}: malformed pickle (no mark)")
        self.stack.pop()
        return items[::-1]

    def top(self, kind: type) -> Any:
        if not self.stack or not isinstance(self.stack[-1], kind):
            raise WeightsError(f"{self.path}: malformed pickle (expected a {kind.__name__})")
        return self.stack[-1]

    def tuple_of(self, n: int) -> None:
        items = [self.pop() for _ in range(n)]
        self.stack.append(tuple(items[::-1]))

    def get(self, index: int) -> None:
        if index not in self.memo:
            raise WeightsError(f"{self.path}: malformed pickle (no memo {index})")
        self.stack.append(self.memo[index])

    def put(self, index: int) -> None:
        value = self.pop()
        self.memo[index] = value
        self.stack.append(value)

    def append(self, items: list[Any]) -> None:
        self.top(list).extend(items)

    def dict_of(self, items: list[Any]) -> None:
        self.stack.append({})
        self.set_items(items)

    def set_items(self, items: list[Any]) -> None:
        target = self.top(dict)
        for key, value in zip(items[::2], items[1::2], strict=True):
            if not isinstance(key, str):  # Hashing a nested tuple can take forever.
                raise UnsafeFileError(f"{self.path}: a dictionary key is {_short(key)}, not a string")
            target[key] = value

    def global_(self, module: Any, name: Any) -> None:
        if not (isinstance(module, str) and isinstance(name, str)) or (module, name) not in _CALLS:
            raise UnsafeFileError(
                f"{self.path}: asks for {_short(module)}.{_short(name)}, which has no place in an official file"
            )
        self.stack.append(_Global(module, name))

    def stack_global(self) -> None:
        name, module = self.pop(), self.pop()
        self.global_(module, name)

    def call(self) -> None:
        """REDUCE and NEWOBJ: only for the globals of the format, with the arguments that they have there."""
        args, function = self.pop(), self.pop()
        if not isinstance(function, _Global) or not isinstance(args, tuple):
            raise UnsafeFileError(f"{self.path}: asks to call {_short(function)}")
        self.stack.append(_CALLS[function.module, function.name](self, args))

    def build(self) -> None:
        """BUILD: gives an object its state."""
        state, target = self.pop(), self.pop()
        if isinstance(target, _Instance) and target.state is None and isinstance(state, dict):
            target.state = state
        elif isinstance(target, _DType) and isinstance(state, tuple) and len(state) > 1 and state[1] in ("<", ">", "|"):
            target.big_endian = state[1] == ">"
        elif isinstance(target, _Array) and target.value is None and isinstance(state, tuple) and len(state) == 5:
            _, shape, dtype, fortran, data = state
            target.value = self.array(data, dtype, shape, fortran=bool(fortran))
        else:
            raise UnsafeFileError(f"{self.path}: gives {_short(target)} the state {_short(state)}")
        self.stack.append(target)

    def array(self, data: Any, dtype: Any, shape: Any, *, fortran: bool) -> np.ndarray:
        if not isinstance(dtype, _DType) or not isinstance(data, bytes | bytearray):
            raise UnsafeFileError(f"{self.path}: an array holds {_short(data)} of type {_short(dtype)}, not numbers")
        if not isinstance(shape, tuple) or len(shape) > 8 or not all(_is_size(n) for n in shape):
            raise WeightsError(f"{self.path}: an array has shape {_short(shape)}")
        kind = np.dtype((">" if dtype.big_endian else "<") + dtype.code)
        if prod(shape) * kind.itemsize != len(data):
            raise WeightsError(f"{self.path}: an array of shape {_short(shape)} and {dtype.code} has {len(data)} bytes")
        return np.frombuffer(data, kind).reshape(shape, order="F" if fortran else "C")

    # The globals of the format. Each returns plain data, or a record that BUILD fills.

    def new_network(self, args: tuple[Any, ...]) -> _Instance:
        self.expect(not args, "Network", args)
        return _Instance()

    def new_dict(self, args: tuple[Any, ...]) -> dict[str, Any]:
        self.expect(not args, "EasyDict", args)
        return {}

    def new_dtype(self, args: tuple[Any, ...]) -> _DType:
        self.expect(bool(args) and isinstance(args[0], str) and args[0].lstrip("<>|") in _DTYPES, "dtype", args)
        return _DType(args[0].lstrip("<>|"), big_endian=args[0].startswith(">"))

    def new_array(self, args: tuple[Any, ...]) -> _Array:
        self.expect(len(args) == 3 and isinstance(args[0], _Global) and args[0].name == "ndarray", "ndarray", args)
        return _Array()

    def new_scalar(self, args: tuple[Any, ...]) -> _Array:
        self.expect(len(args) == 2, "scalar", args)
        return _Array(self.array(args[1], args[0], (), fortran=False))

    def array_from_buffer(self, args: tuple[Any, ...]) -> _Array:
        self.expect(len(args) == 4 and args[3] in ("C", "F"), "_frombuffer", args)
        data, dtype, shape, order = args
        return _Array(self.array(data, dtype, shape, fortran=order == "F"))

    def encode(self, args: tuple[Any, ...]) -> bytes:
        # Protocols 0 to 2 have no bytes: they write them as the text of the same code points.
        self.expect(len(args) == 2 and isinstance(args[0], str) and args[1] == "latin1", "_codecs.encode", args)
        return args[0].encode("latin1")

    def reconstruct(self, args: tuple[Any, ...]) -> _Instance | dict[str, Any]:
        # Protocols 0 and 1 make objects this way: (class, its built-in base, the value of the base).
        if len(args) == 3 and args[0] == _NETWORK and args[2] is None:
            return _Instance()
        self.expect(len(args) == 3 and args[0] == _EASY_DICT and isinstance(args[2], dict), "_reconstructor", args)
        return args[2]

    def refuse_call(self, args: tuple[Any, ...]) -> None:
        self.expect(False, "an object that cannot be made this way", args)

    def expect(self, condition: bool, what: str, args: tuple[Any, ...]) -> None:
        if not condition:
            raise UnsafeFileError(f"{self.path}: asks for {what} with arguments {_short(args)}")


_CALLS: dict[tuple[str, str], Callable[[_Machine, tuple[Any, ...]], Any]] = {
    (_NETWORK.module, _NETWORK.name): _Machine.new_network,
    (_EASY_DICT.module, _EASY_DICT.name): _Machine.new_dict,
    ("numpy", "dtype"): _Machine.new_dtype,
    ("_codecs", "encode"): _Machine.encode,
    ("copy_reg", "_reconstructor"): _Machine.reconstruct,
    # These are only ever arguments.
    ("numpy", "ndarray"): _Machine.refuse_call,
    ("__builtin__", "object"): _Machine.refuse_call,
    ("__builtin__", "dict"): _Machine.refuse_call,
}
for _core in ("numpy.core", "numpy._core"):
    _CALLS[f"{_core}.multiarray", "_reconstruct"] = _Machine.new_array
    _CALLS[f"{_core}.multiarray", "scalar"] = _Machine.new_scalar
    _CALLS[f"{_core}.numeric", "_frombuffer"] = _Machine.array_from_buffer

_IGNORED = {"PROTO", "FRAME"}
_LITERALS = {
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
    *("UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"),
    *("SHORT_BINBYTES", "BINBYTES", "BINBYTES8", "BYTEARRAY8"),
}
_ACTIONS: dict[str, Callable[[_Machine, Any], None]] = {
    "NONE": lambda m, _: m.stack.append(None),
    "NEWTRUE": lambda m, _: m.stack.append(True),
    "NEWFALSE": lambda m, _: m.stack.append(False),
    "MARK": lambda m, _: m.stack.append(_MARK),
    "EMPTY_LIST": lambda m, _: m.stack.append([]),
    "EMPTY_DICT": lambda m, _: m.stack.append({}),
    "EMPTY_TUPLE": lambda m, _: m.stack.append(()),
    "LIST": lambda m, _: m.stack.append(m.pop_to_mark()),
    "DICT": lambda m, _: m.dict_of(m.pop_to_mark()),
    "TUPLE": lambda m, _: m.stack.append(tuple(m.pop_to_mark())),
    "TUPLE1": lambda m, _: m.tuple_of(1),
    "TUPLE2": lambda m, _: m.tuple_of(2),
    "TUPLE3": lambda m, _: m.tuple_of(3),
    "APPEND": lambda m, _: m.append([m.pop()]),
    "APPENDS": lambda m, _: m.append(m.pop_to_mark()),
    "SETITEM": lambda m, _: m.set_items([m.pop(), m.pop()][::-1]),
    "SETITEMS": lambda m, _: m.set_items(m.pop_to_mark()),
    "GET": lambda m, index: m.get(index),
    "BINGET": lambda m, index: m.get(index),
    "LONG_BINGET": lambda m, index: m.get(index),
    "PUT": lambda m, index: m.put(index),
    "BINPUT": lambda m, index: m.put(index),
    "LONG_BINPUT": lambda m, index: m.put(index),
    "MEMOIZE": lambda m, _: m.put(len(m.memo)),
    "GLOBAL": lambda m, arg: m.global_(*arg.split(" ", 1)),
    "STACK_GLOBAL": lambda m, _: m.stack_global(),
    "REDUCE": lambda m, _: m.call(),
    "NEWOBJ": lambda m, _: m.call(),
    "BUILD": lambda m, _: m.build(),
}
