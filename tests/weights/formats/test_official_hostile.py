"""Hostile official pickles: refused, in little memory and time, and nothing was run."""

import io
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stylegan import Discriminator, Generator
from stylegan.errors import UnsafeFileError, WeightsError
from stylegan.weights.formats.official_pickle import OfficialNetwork, read_official_pickle

from .hostile import calls, check_harmless, payloads
from .limits import read_within_limits
from .official import Network, as_official


def hostile() -> dict[str, object]:
    """Hostile objects, and what official files never hold, alone and in every place of a network."""
    bad = payloads() | {
        "object array": np.array([calls(os.system, "true")], dtype=object),
        "structured array": np.zeros(2, dtype=[("a", "f4")]),
        "numpy empty": calls(np.empty, (10**6, 10**6)),
        "complex": 1j,
    }
    within: dict[str, Callable[[Any], object]] = {
        "in variables": lambda p: _network(variables=[("w", p)]),
        "in static_kwargs": lambda p: _network(static_kwargs={"resolution": p}),
        "in components": lambda p: _network(components={"mapping": p}),
        "as source": lambda p: _network(build_module_src=p),
    }
    every = dict(bad)
    for place, wrap in within.items():
        every |= {f"{name} {place}": wrap(payload) for name, payload in bad.items()}
    return every


def _network(**changes: Any) -> Network:
    state = {"version": 3, "name": "G", "static_kwargs": {}, "components": {}, "build_module_src": ""}
    return Network(**state | {"build_func_name": "G_style", "variables": []} | changes)


def run_hostile_files() -> None:
    """In a process of its own: every hostile file at every protocol, and what it did."""
    from stylegan.errors import UnsafeFileError

    folder = Path(os.environ["SENTINEL"]).parent
    refused = 0
    for name, payload in hostile().items():
        for protocol in range(6):
            try:
                data = pickle.dumps((payload,), protocol)
            except (pickle.PicklingError, AttributeError, TypeError):
                continue
            path = folder / "hostile.pkl"
            path.write_bytes(data)
            try:
                Generator.from_pretrained(path)
            except UnsafeFileError:
                refused += 1
                continue
            except WeightsError as error:
                # A literal, such as a complex number's arguments, may end as malformed instead.
                raise AssertionError(f"{name} at protocol {protocol}: {error}") from error
            raise AssertionError(f"{name} at protocol {protocol} was loaded")
    print("refused", refused)


def test_hostile_pickles_are_refused_and_do_nothing(tmp_path: Path) -> None:
    setup = "from tests.weights.formats.official import official_modules\nsys.modules.update(official_modules())"
    check_harmless(__name__, tmp_path, setup=setup, least=300)


@pytest.mark.parametrize(
    "code",
    [
        b"cos\nsystem\n(S'true'\ntR.",  # protocol 0
        b"(cos\nsystem\nS'true'\no.",  # OBJ
        b"(S'true'\nios\nsystem\n.",  # INST
        b"\x80\x02\x82\x01.",  # EXT1
        b"Pid\n.",  # PERSID
        b"\x80\x02K\x01Q.",  # BINPERSID
        b"\x80\x04\x8f.",  # EMPTY_SET
        b"\x80\x05\x97.",  # NEXT_BUFFER
        b"\x80\x04\x8c\x02os\x8c\x06system\x93.",  # STACK_GLOBAL
        b"PK\x03\x04rest of a zip archive",
        b"cnumpy\nndarray\n)R.",
        b"cdnnlib.tflib.network\nNetwork\n(K\x01tR.",
        b"\x80\x02}K\x01K\x02s.",  # A key that is no string.
        b"\x80\x02(K\x01K\x02d.",
    ],
)
def test_other_opcodes_and_globals_are_refused(tmp_path: Path, code: bytes) -> None:
    path = tmp_path / "network.pkl"
    path.write_bytes(code)
    with pytest.raises(UnsafeFileError, match=r"network\.pkl"):
        read_official_pickle(path)


def laughs() -> bytes:
    value: list[Any] = ["lol"]
    for _ in range(60):
        value = [value] * 10
    return pickle.dumps((value,), 4)


def laughing_key() -> bytes:
    """A dictionary whose key is a tuple of tuples: its hash would take 2^60 steps."""
    code = io.BytesIO()
    code.write(b"\x80\x04}K\x01\x94")
    for i in range(60):
        code.write(b"h" + bytes([i]) + b"h" + bytes([i]) + b"\x86\x94")
    code.write(b"Ns.")
    return code.getvalue()


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc")
@pytest.mark.parametrize(
    "code",
    [
        b"\x80\x04\x8e" + (10**12).to_bytes(8, "little") + b"x.",  # BINBYTES8 of 1 TB
        b"\x80\x04\x8d" + (10**12).to_bytes(8, "little") + b"x.",  # BINUNICODE8
        b"\x80\x05\x96" + (10**12).to_bytes(8, "little") + b"x.",  # BYTEARRAY8
        b"\x80\x04\x95" + (10**12).to_bytes(8, "little") + b"N.",  # a frame
        b"\x80\x02\x8b" + (2**31 - 1).to_bytes(4, "little") + b"x.",  # LONG4
        b"\x80\x02Nr\xff\xff\xff\x7f.",  # a memo index of 2 billion
        b"L" + b"9" * 10**6 + b"L\n.",  # a decimal number of a million digits
        b"(" * 2_000_000,  # opcodes without end
        laughs(),
        laughing_key(),
    ],
    ids=["bytes", "text", "bytearray", "frame", "long", "memo", "digits", "opcodes", "laughs", "key"],
)
def test_bombs_are_refused_in_little_memory_and_time(code: bytes, tmp_path: Path) -> None:
    path = tmp_path / "network.pkl"
    path.write_bytes(code)
    said = read_within_limits(lambda: read_official_pickle(path), megabytes=300)
    assert said in ("WeightsError", "UnsafeFileError")


def test_arrays_that_repeat_the_same_values_are_refused(
    networks: dict[str, OfficialNetwork], dump: Callable[..., Path]
) -> None:
    one = np.zeros((512, 512), "f4")
    network = as_official(networks["D"], variables=[(f"{i}x{i}/Conv0/weight", one) for i in range(100)])
    with pytest.raises(UnsafeFileError, match="repeat the same values"):
        Discriminator.from_pretrained(dump(network))
