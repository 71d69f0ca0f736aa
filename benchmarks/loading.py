"""Times and memory of loading: an official-size .pkl, and a cached model of 105 MB.

    python benchmarks/loading.py [official.pkl]

Without a file, one of the official size (325 MB) is made of random numbers. Each measurement runs in its own process;
memory is the peak resident size of the whole process, and in brackets what it is above `import stylegan`.
"""

import json
import os
import pickle
import re
import subprocess
import sys
import tempfile
import types
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[1]

MEASURE = """
import json, os, resource, sys, threading, time
import stylegan
from stylegan.weights import loading
from stylegan.weights.checkpoint import save_checkpoint

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

peak, stop, before = [0], threading.Event(), resident()
def watch():
    while not stop.is_set():
        peak[0] = max(peak[0], resident())
        time.sleep(0.005)
threading.Thread(target=watch, daemon=True).start()
start = time.perf_counter()
{work}
seconds = time.perf_counter() - start
stop.set()
highest = max(peak[0], resident())
print(json.dumps([seconds, highest / 1e6, (highest - before) / 1e6]))
"""


def main() -> None:
    """Measure, and print a table."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        official = Path(sys.argv[1]) if len(sys.argv) > 1 else make_official(folder / "official.pkl")
        size = official.stat().st_size / 1e6
        load = "G = stylegan.Generator.from_pretrained({!r})"
        convert = (
            f"loaded = loading.read_weights({str(official)!r})\n"
            f"save_checkpoint({str(folder / 'G.safetensors')!r}, loaded.checkpoint)"
        )
        show(f"read and convert, {size:.0f} MB", *measure(convert, folder), size)
        converted = (folder / "G.safetensors").stat().st_size / 1e6
        with Server(official) as url:
            show(f"first from_pretrained, {size:.0f} MB from a local server", *measure(load.format(url), folder), size)
            again = measure(load.format(url), folder)
        show(f"second from_pretrained, {converted:.0f} MB in the cache", *again, converted)


def show(what: str, seconds: float, highest: float, added: float, size: float) -> None:
    """Print one line."""
    memory = f"{highest:5.0f} MB = {highest / size:.2f} x file ({added:.0f} MB = {added / size:.2f} x)"
    sys.stdout.write(f"{what:55s} {seconds:6.2f} s  {memory}\n")


def measure(work: str, folder: Path) -> tuple[float, float, float]:
    """Seconds and megabytes (in all, and above those at the start) of some work, in another process."""
    env = os.environ | {"PYTHONPATH": str(ROOT), "STYLEGAN_CACHE": str(folder / "cache"), "PYTHONWARNINGS": "ignore"}
    script = MEASURE.replace("{work}", work)
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=env, check=False)
    if result.returncode:
        raise SystemExit(result.stderr)
    seconds, highest, added = json.loads(result.stdout.splitlines()[-1])
    return seconds, highest, added


class Server:
    """Serves one file on this computer."""

    def __init__(self, path: Path) -> None:
        command = [sys.executable, "-m", "http.server", "0", "--bind", "127.0.0.1", "--directory", str(path.parent)]
        self.process = subprocess.Popen(
            [*command[:1], "-u", *command[1:]], stdout=subprocess.PIPE, stderr=-3, text=True
        )
        assert self.process.stdout is not None
        self.url = f"http://127.0.0.1:{self.process.stdout.readline().split('port ')[1].split()[0]}/{path.name}"

    def __enter__(self) -> str:
        return self.url

    def __exit__(self, *error: object) -> None:
        self.process.terminate()
        self.process.wait()


def make_official(path: Path) -> Path:
    """Write a file of the form and size of the official FFHQ network, of random numbers."""
    modules = {name: types.ModuleType(name) for name in ("dnnlib", "dnnlib.tflib", "dnnlib.tflib.network")}
    sys.modules |= modules
    Network: Any = type("Network", (), {"__module__": "dnnlib.tflib.network"})
    modules["dnnlib.tflib.network"].Network = Network  # type: ignore[attr-defined]

    random = np.random.default_rng(0)
    options = {"num_channels": 3, "resolution": 1024, "label_size": 0}
    variables = read_listing(ROOT / "tests" / "golden" / "variables_ffhq1024.txt")

    def network(function: str, prefix: str, components: dict[str, Any], shapes: dict[str, tuple[int, ...]]) -> Any:
        made = Network()
        own = {k.removeprefix(prefix): v for k, v in shapes.items() if k.startswith(prefix)}
        own = {k: v for k, v in own.items() if not k.startswith(tuple(c + "/" for c in ("G_synthesis", "G_mapping")))}
        made.__dict__.update(
            version=3,
            name=prefix.strip("/") or function,
            static_kwargs=options,
            components=components,
            build_module_src="",
            build_func_name=function,
            variables=[(k, random.standard_normal(shape, np.float32)) for k, shape in own.items()],
        )
        return made

    def generator() -> Any:
        parts = {part: network(f"G_{part}", f"G_{part}/", {}, variables["G"]) for part in ("synthesis", "mapping")}
        return network("G_style", "", parts, variables["G"])

    with path.open("wb") as file:
        networks = (generator(), network("D_basic", "", {}, variables["D"]), generator())
        pickle.dump(networks, file, protocol=4)
    return path


def read_listing(path: Path) -> dict[str, dict[str, tuple[int, ...]]]:
    """The shapes of the variables of G and D."""
    shapes: dict[str, dict[str, tuple[int, ...]]] = {}
    for line in path.read_text().splitlines():
        if match := re.match(r"# (\w+) [GD]_", line):
            shapes[match[1]] = {}
        elif match := re.match(r"(\S+) +\(([\d, ]*)\)", line):
            shape = tuple(int(n) for n in re.findall(r"\d+", match[2]))
            shapes[list(shapes)[-1]][match[1]] = shape
    return shapes


if __name__ == "__main__":
    main()
