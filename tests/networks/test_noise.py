"""Noise modes: one that is added in two files is there for every caller."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import get_args

from stylegan.networks.noise import NOISE_MODES
from stylegan.runtime.choices import DRAWN_NOISE, NoiseMode

from ..conftest import ROOT

MODE = '''
def per_channel(network: "SynthesisNetwork", draw: Draw) -> Maps:
    """A map for each feature of each layer."""
    sizes = zip(network.layers, network.noise_shapes, strict=True)
    return [draw(layer.bias.numel(), h, w) for layer, (h, w) in sizes]


NOISE_MODES:'''

SCRIPT = """
import torch
from click.testing import CliRunner
from stylegan import Generator
from stylegan.animation.frames import Animation
from stylegan.cli import main
from stylegan.demo.words import NOISE
from stylegan.jobs import Job
from stylegan.metrics.images import Images

G = Generator(z_dim=8, w_dim=8, img_resolution=16, mapping={"num_layers": 1}, synthesis={"fmap_max": 8}).eval()
for layer in G.synthesis.layers:
    layer.noise_strength.data.fill_(1.0)
def sample(**options):
    return G.sample(seeds=[1, 2], output_type="pt", **options)
first = sample(noise_mode="per_channel", noise_seed=3)
assert torch.equal(first, sample(noise_mode="per_channel", noise_seed=3))
assert not torch.equal(first, sample(noise_mode="random", noise_seed=3))
assert not torch.equal(first, sample(noise_mode="per_channel"))
for path in ("plain", "fast", "native"):
    G.path = path
    assert torch.equal(first, sample(noise_mode="per_channel", noise_seed=3)), path
G.path = "auto"
assert G.noise(1, noise_mode="per_channel")[0].shape == (1, 8, 4, 4)
image = G.sample(noise_mode="per_channel")[0]
assert image.info["noise_mode"] == "per_channel" and image.info["noise_seed"]
assert ("per_channel", "per_channel") in NOISE
assert Job(G=G, noise_mode="per_channel").has_fresh_noise
assert not torch.equal(Images(G, noise_mode="per_channel").images([1]), Images(G).images([1]))
for command in ("sample", "evaluate"):
    help = CliRunner().invoke(main, [command, "--help"]).output
    assert "const|random|none|per_channel" in help, help
"""


def test_every_mode_that_is_named_is_made() -> None:
    assert set(NOISE_MODES) == set(get_args(NoiseMode)) >= set(DRAWN_NOISE)


def test_a_mode_is_added_in_two_files(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "stylegan", tmp_path / "stylegan", ignore=shutil.ignore_patterns("__pycache__"))
    for name, old, new in (
        ("runtime/choices.py", '"random", "none"]', '"random", "none", "per_channel"]'),
        ("runtime/choices.py", '= ("random",)', '= ("random", "per_channel")'),
        ("networks/noise.py", "\nNOISE_MODES:", MODE),
        ("networks/noise.py", '"none": none,', '"none": none, "per_channel": per_channel,'),
    ):
        file = tmp_path / "stylegan" / name
        text = file.read_text()
        assert text.count(old) == 1, (name, old)
        file.write_text(text.replace(old, new))
    env = os.environ | {"PYTHONPATH": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", SCRIPT], env=env, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
