"""Interprets the opcodes of a pickle without executing anything: the base of the readers of other files.

`pickletools` decodes the opcodes, and a small machine keeps plain values on a stack. A global never becomes an object:
it stays a name, and the reader of a format defines the meanings of the few names that the format has. Everything else
(other names, opcodes, keys or types) is refused.
"""

import pickletools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, ClassVar

from ...errors import UnsafeFileError, WeightsError

# Far above the 10,000 of a 1024x1024 file; a file of only opcodes is stopped within seconds.
MAX_OPCODES = 1_000_000


@dataclass(frozen=True)
class Global:
    """The name of a global: never imported."""

    module: str
    name: str


def is_size(n: Any) -> bool:
    """Whether a value is an integer that can be a size."""
    return type(n) is int and 0 <= n < 2**48


def short(value: Any) -> str:
    """Show a value of the file in a message, without following references."""
    if isinstance(value, str | bytes | ValueError):
        return repr(value[:60] if not isinstance(value, ValueError) else str(value)[:200])
    if isinstance(value, Global):
        return f"{value.module[:60]}.{value.name[:60]}"
    if value is None or isinstance(value, bool | float) or (isinstance(value, int) and abs(value) < 2**64):
        return str(value)
    return f"a {type(value).__name__.lstrip('_').lower()}"


_MARK = object()


class PickleMachine:
    """Interprets the opcodes of one pickle on a stack of plain values."""

    kind: ClassVar[str] = "such a file"  # What is being read, for messages.
    key_types: ClassVar[tuple[type, ...]] = (str,)  # Of dictionaries. Hashing a nested tuple can take forever.

    def __init__(self, path: Path):
        self.path = path
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    # Defined by a format.

    def calls(self) -> Mapping[tuple[str, str], Callable[[tuple[Any, ...]], Any]]:
        """The globals of the format, and what a call of each returns."""
        return {}

    def give_state(self, target: Any, state: Any) -> None:
        """BUILD: gives an object its state."""
        raise UnsafeFileError(f"{self.path}: gives {short(target)} the state {short(state)}")

    def persistent(self, reference: Any) -> Any:
        """BINPERSID: something outside the pickle."""
        raise UnsafeFileError(f"{self.path}: pickle opcode BINPERSID has no place in {self.kind}")

    # The machine.

    def run(self, data: IO[bytes]) -> Any:
        """The value of the pickle at the position of `data`, which moves to the end of the pickle."""
        for count, (opcode, arg, _) in enumerate(pickletools.genops(data)):
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
                raise UnsafeFileError(f"{self.path}: pickle opcode {opcode.name} has no place in {self.kind}")
        raise WeightsError(f"{self.path}: the pickle ends early")

    def pop(self) -> Any:
        """Pop the top value."""
        if not self.stack or self.stack[-1] is _MARK:
            raise WeightsError(f"{self.path}: malformed pickle (stack underflow)")
        return self.stack.pop()

    def pop_to_mark(self) -> list[Any]:
        """Pop the values above the last mark, and the mark."""
        items = []
        while self.stack and self.stack[-1] is not _MARK:
            items.append(self.stack.pop())
        if not self.stack:
            raise WeightsError(f"{self.path}: malformed pickle (no mark)")
        self.stack.pop()
        return items[::-1]

    def _top(self, kind: type) -> Any:
        if not self.stack or not isinstance(self.stack[-1], kind):
            raise WeightsError(f"{self.path}: malformed pickle (expected a {kind.__name__})")
        return self.stack[-1]

    def push_tuple(self, n: int) -> None:
        """TUPLE1 to TUPLE3: the top n values as a tuple."""
        items = [self.pop() for _ in range(n)]
        self.stack.append(tuple(items[::-1]))

    def recall(self, index: int) -> None:
        """GET: push a value of the memo."""
        if index not in self.memo:
            raise WeightsError(f"{self.path}: malformed pickle (no memo {index})")
        self.stack.append(self.memo[index])

    def memoize(self, index: int) -> None:
        """PUT: store the top value in the memo."""
        value = self.pop()
        self.memo[index] = value
        self.stack.append(value)

    def extend_list(self, items: list[Any]) -> None:
        """APPEND, APPENDS: add to the list on top."""
        self._top(list).extend(items)

    def push_dict(self, items: list[Any]) -> None:
        """DICT: a dictionary of keys and values in turn."""
        self.stack.append({})
        self.set_items(items)

    def set_items(self, items: list[Any]) -> None:
        """SETITEM, SETITEMS: set keys and values, in turn, of the dictionary on top."""
        target = self._top(dict)
        if len(items) % 2:
            raise WeightsError(f"{self.path}: malformed pickle (a key without a value)")
        for key, value in zip(items[::2], items[1::2], strict=True):
            if not isinstance(key, self.key_types):
                expected = " or ".join({str: "string", int: "integer"}[t] for t in self.key_types)
                raise UnsafeFileError(f"{self.path}: a dictionary key is {short(key)}, not a {expected}")
            target[key] = value

    def push_global(self, module: Any, name: Any) -> None:
        """GLOBAL: push the name of a global, if the format has it."""
        if not (isinstance(module, str) and isinstance(name, str)) or (module, name) not in self.calls():
            raise UnsafeFileError(
                f"{self.path}: asks for {short(module)}.{short(name)}, which has no place in {self.kind}{_hint(module)}"
            )
        self.stack.append(Global(module, name))

    def push_stacked_global(self) -> None:
        """STACK_GLOBAL: the same, with the names from the stack."""
        name, module = self.pop(), self.pop()
        self.push_global(module, name)

    def reduce(self) -> None:
        """REDUCE, NEWOBJ: only for globals of the format, with the arguments of the format."""
        args, function = self.pop(), self.pop()
        if not isinstance(function, Global) or not isinstance(args, tuple):
            raise UnsafeFileError(f"{self.path}: asks to call {short(function)}")
        self.stack.append(self.calls()[function.module, function.name](args))

    def build(self) -> None:
        """BUILD: pop a state and give it to the object on top."""
        state, target = self.pop(), self.pop()
        self.give_state(target, state)
        self.stack.append(target)

    def push_persistent(self) -> None:
        """BINPERSID: replace a reference by what it refers to."""
        self.stack.append(self.persistent(self.pop()))

    def refuse_call(self, args: tuple[Any, ...]) -> None:
        """For globals that occur only as arguments."""
        self.expect(False, "an object that cannot be made this way", args)

    def expect(self, condition: bool, what: str, args: tuple[Any, ...]) -> None:
        """Refuse the file unless the arguments of a call are those of the format."""
        if not condition:
            raise UnsafeFileError(f"{self.path}: asks for {what} with arguments {short(args)}")


# Programs whose files are often tried, by the modules in them.
_PROGRAMS = {
    "torch_utils.persistence": "a network of StyleGAN2-ADA or StyleGAN3 in PyTorch; this library reads StyleGAN 1",
    "tfutil": "a Progressive GAN; this library reads StyleGAN 1",
    "torch.nn": "a whole module, pickled with its code; torch.save(model.state_dict(), ...) saves the weights alone",
    "stylegan.generator": 'a Generator, pickled with its code; G.save("model.safetensors") saves what it is',
    "__main__": "an object of a program; torch.save(model.state_dict(), ...) saves the weights alone",
}


def _hint(module: Any) -> str:
    for program, what in _PROGRAMS.items():
        if isinstance(module, str) and f"{module}.".startswith(f"{program}."):
            return f": {what}"
    return ""


_IGNORED = {"PROTO", "FRAME"}
_LITERALS = {
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
    *("UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8", "BINSTRING", "SHORT_BINSTRING"),
    *("SHORT_BINBYTES", "BINBYTES", "BINBYTES8", "BYTEARRAY8"),
}
_ACTIONS: dict[str, Callable[[PickleMachine, Any], None]] = {
    "NONE": lambda m, _: m.stack.append(None),
    "NEWTRUE": lambda m, _: m.stack.append(True),
    "NEWFALSE": lambda m, _: m.stack.append(False),
    "MARK": lambda m, _: m.stack.append(_MARK),
    "EMPTY_LIST": lambda m, _: m.stack.append([]),
    "EMPTY_DICT": lambda m, _: m.stack.append({}),
    "EMPTY_TUPLE": lambda m, _: m.stack.append(()),
    "LIST": lambda m, _: m.stack.append(m.pop_to_mark()),
    "DICT": lambda m, _: m.push_dict(m.pop_to_mark()),
    "TUPLE": lambda m, _: m.stack.append(tuple(m.pop_to_mark())),
    "TUPLE1": lambda m, _: m.push_tuple(1),
    "TUPLE2": lambda m, _: m.push_tuple(2),
    "TUPLE3": lambda m, _: m.push_tuple(3),
    "APPEND": lambda m, _: m.extend_list([m.pop()]),
    "APPENDS": lambda m, _: m.extend_list(m.pop_to_mark()),
    "SETITEM": lambda m, _: m.set_items([m.pop(), m.pop()][::-1]),
    "SETITEMS": lambda m, _: m.set_items(m.pop_to_mark()),
    "GET": lambda m, index: m.recall(index),
    "BINGET": lambda m, index: m.recall(index),
    "LONG_BINGET": lambda m, index: m.recall(index),
    "PUT": lambda m, index: m.memoize(index),
    "BINPUT": lambda m, index: m.memoize(index),
    "LONG_BINPUT": lambda m, index: m.memoize(index),
    "MEMOIZE": lambda m, _: m.memoize(len(m.memo)),
    "GLOBAL": lambda m, arg: m.push_global(*arg.split(" ", 1)),
    "STACK_GLOBAL": lambda m, _: m.push_stacked_global(),
    "REDUCE": lambda m, _: m.reduce(),
    "NEWOBJ": lambda m, _: m.reduce(),
    "BUILD": lambda m, _: m.build(),
    "BINPERSID": lambda m, _: m.push_persistent(),
}
