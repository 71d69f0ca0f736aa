"""The static page (examples/web): how it is built, and when it is ready."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from stylegan import cli
from stylegan.weights.manifest import DEFAULT_MODEL

from ..conftest import ROOT, tiny_generator
from .window import Browser


def build(folder: Path) -> None:
    """Build the page as its guide says, with a model that has an encoder and one that has none."""
    npm = shutil.which("npm")
    if not npm:
        pytest.skip("needs npm")
    for package in ("onnx", "onnxruntime", "onnxscript"):
        pytest.importorskip(package, reason="needs the extra onnx")
    ignored = shutil.ignore_patterns("node_modules", "dist", "model")
    shutil.copytree(ROOT / "examples" / "web", folder, ignore=ignored, dirs_exist_ok=True)
    install = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline"]
    installed = subprocess.run(install, cwd=folder, capture_output=True, text=True)
    if installed.returncode:
        pytest.skip(f"npm cannot install onnxruntime-web: {installed.stderr.strip().splitlines()[-1]}")
    small = tiny_generator()
    small.metadata = {"name": "small"}
    small.save(folder / "small.safetensors")
    for model, options in ((DEFAULT_MODEL, ["--encoder", DEFAULT_MODEL]), (str(folder / "small.safetensors"), [])):
        export = ["export", model, "--noise", "input", "--out", str(folder / Path(model).stem), "--force", *options]
        CliRunner().invoke(cli.main, export, catch_exceptions=False)
    models = [DEFAULT_MODEL, "small"]
    subprocess.run([npm, "run", "--silent", "build", *models], cwd=folder, check=True, capture_output=True)


def ready(browser: Browser) -> None:
    """Wait until the picture of the present settings is there."""
    browser.wait("finished picture", lambda: browser.run("return document.body.dataset.state") == "ready")


def check_same(shown: np.ndarray, expected: np.ndarray) -> None:
    """At most 1 of 255 apart, in fewer than 1 of 200 values: the two round the same sums in another order."""
    difference = np.abs(shown.astype(int) - expected)
    assert shown.shape == expected.shape
    assert difference.max() <= 1
    assert (difference > 0).mean() < 1 / 200
