"""Networks and golden files that several tests use."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from torch import Tensor

from stylegan import Discriminator, Generator, cli
from stylegan.fast.native import native_kernels
from stylegan.runtime.choices import RenderPath
from stylegan.weights.loading import build_network, read_weights

from .hub_server import HubServer

# The only model hub that the tests can reach; the hub's client reads its settings when it is imported.
HUB = HubServer()
_HOME = tempfile.TemporaryDirectory(prefix="stylegan-tests-")
os.environ |= {
    "HF_ENDPOINT": HUB.url,
    "HF_HOME": _HOME.name,
    "HF_HUB_DISABLE_XET": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "NO_PROXY": "127.0.0.1",
}
for name in ("HF_TOKEN", "HF_HUB_OFFLINE", "HF_HUB_CACHE", "STYLEGAN_CACHE", "STYLEGAN_MANIFEST"):
    os.environ.pop(name, None)

# Where there is no GPU, Triton's kernels run in its interpreter; it asks when it is imported.
if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"

ROOT = Path(__file__).parents[1]
GOLDEN = ROOT / "tests" / "golden"
# How images are computed here, besides the plain path.
FAST_PATHS: list[RenderPath] = ["fast", "native"] if native_kernels() else ["fast"]
SHARED = ROOT.parent / "shared"


# The files that take longest, about 20 to 70 s of CPU time each.
LONGEST = (
    "training/test_distributed.py",
    "browser/test_web_photo.py",
    "browser/test_web.py",
    "browser/test_demo.py",
    "browser/test_demo_words.py",
    "test_archives.py",
    "weights/formats/test_fuzz.py",
    "training/test_faults.py",
    "cli/test_cli_editing.py",
    "metrics/test_evaluate.py",
    "projection/test_project.py",
    "test_elsewhere.py",
)


def pytest_configure(config: pytest.Config) -> None:
    """Files go to the workers in our order; pytest-xdist would begin with those of the most tests."""
    if hasattr(config.option, "loadscopereorder"):
        config.option.loadscopereorder = False


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Where several workers share the tests, the longest files come first: none is left to one worker in the end."""
    if hasattr(config, "workerinput"):
        rank = {ROOT / "tests" / name: i for i, name in enumerate(LONGEST)}
        items.sort(key=lambda item: rank.get(item.path, len(rank)))


def in_threads(work: Callable[[int], None], count: int) -> None:
    """work(0), work(1)... at the same time."""
    threads = [threading.Thread(target=work, args=(i,)) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> Iterator[None]:
    """Networks as small as these lose more by threads than they gain, and other tests run beside this one."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@dataclass
class Golden:
    """One set of golden outputs: its networks and its arrays."""

    name: str
    folder: Path
    Gs: Generator
    G: Generator
    D: Discriminator
    arrays: dict[str, Tensor]

    def __getitem__(self, key: str) -> Tensor:
        return self.arrays[key]

    def __contains__(self, key: str) -> bool:
        return key in self.arrays

    @property
    def labels(self) -> Tensor | None:
        return self["labels"] if self.Gs.label_dim else None


def load_golden(folder: Path) -> Golden:
    path = folder / "network_nosrc.pkl"
    with np.load(folder / "io.npz") as arrays:
        tensors = {key: torch.from_numpy(arrays[key]) for key in arrays.files}
    return Golden(
        folder.name,
        folder,
        Generator.from_pretrained(path),
        build_network(Generator, read_weights(path, network="G")).requires_grad_(False),
        Discriminator.from_pretrained(path),
        tensors,
    )


def golden_folders() -> list[Path]:
    """The sets in this repository; the whole sets of the shared folder instead, where it is there."""
    whole = SHARED / "golden"
    return sorted(p.parent for p in (whole if whole.is_dir() else GOLDEN).glob("*/network_nosrc.pkl"))


@pytest.fixture(scope="session", params=golden_folders(), ids=lambda folder: folder.name)
def golden(request: pytest.FixtureRequest) -> Golden:
    return load_golden(request.param)


@pytest.fixture(scope="session")
def golden_t() -> Golden:
    return load_golden(GOLDEN / "T")


@pytest.fixture(scope="session")
def faces() -> Generator:
    """The small bundled model."""
    return Generator.from_pretrained("faces-64")


@pytest.fixture(scope="session")
def default() -> Generator:
    """The model that the commands take where none is named."""
    return Generator.from_pretrained()


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """A command of ours, run in an empty folder with a cache of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STYLEGAN_CACHE", str(tmp_path.with_name(f"{tmp_path.name}-cache")))
    return lambda *arguments: CliRunner().invoke(cli.main, [str(a) for a in arguments])


def ok(result: Result) -> str:
    """What a command said, if it went well."""
    assert result.exit_code == 0, result.output
    return result.output


def tiny_generator(**options: Any) -> Generator:
    """A 16x16 generator with random weights that all matter: noise strengths and biases are not zero."""
    synthesis = {"fmap_base": 128, "fmap_max": 16} | options.pop("synthesis", {})
    mapping = {"hidden_dim": 24} | options.pop("mapping", {})
    options = {"z_dim": 24, "w_dim": 24, "img_resolution": 16} | options
    G = Generator(**options, mapping=mapping, synthesis=synthesis).eval().requires_grad_(False)
    generator = torch.Generator().manual_seed(1)
    for name, tensor in G.state_dict().items():
        if name.endswith(("bias", "noise_strength", "w_avg")):
            tensor.copy_(torch.randn(tensor.shape, generator=generator) * 0.3)
    return G


def gentle_generator() -> Generator:
    """A tiny model whose images lie within [-1, 1], as pictures do, and whose w can be told from them."""
    G = tiny_generator(z_dim=8, w_dim=8)
    for rgb in G.synthesis.to_rgb.values():
        for parameter in rgb.parameters():
            parameter.mul_(0.2)
    return G


@pytest.fixture(scope="session")
def tiny() -> Generator:
    return tiny_generator()


@pytest.fixture
def space_address(tmp_path: Path) -> Iterator[str]:
    """The Space on this computer alone, with no folder but its own."""
    pytest.importorskip("gradio", reason="needs the extra demo")
    env = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", "OMP_NUM_THREADS": "1"}
    env |= {"GRADIO_SERVER_NAME": "127.0.0.1", "GRADIO_SERVER_PORT": "0"}
    shutil.copytree(ROOT / "examples" / "space", tmp_path / "space")
    server = subprocess.Popen(
        [sys.executable, "app.py"], cwd=tmp_path / "space", env=env, stdout=subprocess.PIPE, text=True
    )
    assert server.stdout is not None
    line = server.stdout.readline()
    found = re.search(r"http://127\.0\.0\.1:\d+", line)
    assert found, line
    yield found[0]
    server.terminate()
    server.wait(20)
