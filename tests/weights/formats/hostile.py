"""Objects that run something when they are unpickled; what they run writes the sentinel, or breaks."""

import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ...conftest import ROOT


def calls(function: Any, *args: Any) -> object:
    """An object whose unpickling calls a function."""
    return type("Hostile", (), {"__reduce__": lambda self: (function, args)})()


def check_harmless(module: str, folder: Path, *, setup: str = "", least: int) -> None:
    """Call `run_hostile_files` of a test module in a process of its own: all of at least so many files are refused."""
    sentinel = folder / "sentinel"
    script = f"import sys; sys.path[:0] = [sys.argv[1]]\nimport {module} as t\n{setup}\nt.run_hostile_files()"
    result = subprocess.run(
        [sys.executable, "-c", script, str(ROOT)],
        env=os.environ | {"SENTINEL": str(sentinel)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert result.returncode == 0, result.stderr
    assert int(result.stdout.split()[-1]) > least
    assert not sentinel.exists()


def payloads() -> dict[str, object]:
    """By name. The path of the sentinel is in the environment, as these go to another process."""
    sentinel = os.environ["SENTINEL"]
    touch = f"open({sentinel!r}, 'w').close()"
    return {
        "os.system": calls(os.system, f"touch {sentinel}"),
        "eval": calls(eval, touch),
        "exec": calls(exec, touch),
        "Popen": calls(subprocess.Popen, ["touch", sentinel]),
        "open": calls(open, sentinel, "w"),
        "rmtree": calls(shutil.rmtree, sentinel),
        "import": calls(__import__, "antigravity"),
        "torch.hub.load": calls(torch.hub.load, "nobody/nothing", "model"),
        "torch.load": calls(torch.load, sentinel),
        "getattr chain": calls(getattr, calls(__import__, "os"), "system"),
        "nested pickle": calls(pickle.loads, pickle.dumps(calls(os.system, f"touch {sentinel}"))),
        "numpy load": calls(np.load, sentinel, None, True),
        "bytearray": calls(bytearray, 10**12),
        "set": {1, 2},
        "class": Path,
    }
