"""CONTRIBUTING's recipes, each followed on a toy: the files that it names are enough."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from stylegan.generator import Generator

from .conftest import ROOT

MODE = '''
def per_channel(network: NoisyNetwork, draw: Draw) -> Maps:
    """A map for each feature of each layer."""
    sizes = zip(network.layers, network.noise_shapes, strict=True)
    return [draw(layer.bias.numel(), h, w) for layer, (h, w) in sizes]


NOISE_MODES:'''

NOISE = """
import torch
from click.testing import CliRunner
from stylegan import Generator
from stylegan.animation.frames import Animation
from stylegan.cli import main
from stylegan.demo.words import NOISE
from stylegan.fast import native_kernels
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
for path in ("plain", "fast", "native")[: 3 if native_kernels() else 2]:
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

LAYOUT = '''
"""A port that puts "toy/" before our names."""

from .checkpoints import Converted, make_generator
from .common import Layout, Source


def _recognise(parts):
    return any("toy/w_avg" in tensors for tensors in parts.values())


def _convert(parts, request):
    tensors = next(tensors for tensors in parts.values() if "toy/w_avg" in tensors)
    port, out = Source(tensors, request), Converted()
    for name in tensors:
        out.state[name.removeprefix("toy/")] = port.take(name)
    port.finish()
    return [make_generator(out, request, source="generator (toy layout)")]


LAYOUT = Layout("toy", _recognise, _convert)
'''

COMMAND = '''
"""stylegan count: the parameters of a model."""

import click

from stylegan.cli.options import resolution_option


@click.command()
@click.argument("model")
@resolution_option
def count(model, resolution):
    """Count the parameters."""
    from stylegan.generator import Generator

    G = Generator.from_pretrained(model, resolution=resolution)
    click.echo(sum(p.numel() for p in G.parameters()))
'''


PREFIXED = """
import stylegan, torch
G = stylegan.Generator.from_pretrained("ours.safetensors")
torch.save({f"toy/{key}": tensor for key, tensor in G.state_dict().items()}, "theirs.pt")
other = stylegan.Generator.from_pretrained("theirs.pt")
assert other.metadata["source"] == "generator (toy layout) of theirs.pt", other.metadata
assert torch.equal(*(g.sample(seeds=[1], output_type="pt") for g in (G, other)))
"""

COUNT = """
from click.testing import CliRunner
from stylegan.cli import main
assert "Count the parameters." in CliRunner().invoke(main, ["--help"]).output
print(CliRunner().invoke(main, ["count", "G.safetensors"], catch_exceptions=False).output)
"""

Changes = dict[str, dict[str, str] | str]  # File -> its text, or lines to replace.


def tiny() -> Generator:
    mapping = {"num_layers": 2, "hidden_dim": 8}
    synthesis = {"fmap_base": 64, "fmap_max": 8}
    G = Generator(z_dim=8, w_dim=8, img_resolution=16, mapping=mapping, synthesis=synthesis)
    G.w_avg.fill_(0.1)
    return G


def named_files(recipe: str, **placeholders: str) -> set[str]:
    """The files of the package that a recipe says to change."""
    text = (ROOT / "CONTRIBUTING.md").read_text()
    section = re.split(r"^##", text.split(f"### {recipe}\n")[1], flags=re.MULTILINE)[0]
    for name, value in placeholders.items():
        section = section.replace(f"<{name}>", value)
    return set(re.findall(r"`(stylegan/[\w/]+\.py)`", section))


def follow(folder: Path, files: set[str], changes: Changes, script: str) -> str:
    """What a script prints, with a copy of the package in which these files are new or have lines replaced."""
    assert changes.keys() == files
    shutil.copytree(ROOT / "stylegan", folder / "stylegan", ignore=shutil.ignore_patterns("__pycache__", "assets"))
    (folder / "stylegan" / "assets").symlink_to(ROOT / "stylegan" / "assets")
    for name, change in changes.items():
        path = folder / name
        if isinstance(change, str):
            assert not path.exists()
            path.write_text(change)
            continue
        text = path.read_text()
        for old, new in change.items():
            assert text.count(old) == 1, old
            text = text.replace(old, new)
        path.write_text(text)
    env = os.environ | {"PYTHONPATH": str(folder)}
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=env, cwd=folder)
    assert found.returncode == 0, found.stderr
    return found.stdout


def test_a_noise_mode_is_a_name_and_a_function(tmp_path: Path) -> None:
    changes: Changes = {
        "stylegan/runtime/choices.py": {
            '"random", "none"]': '"random", "none", "per_channel"]',
            '= ("random",)': '= ("random", "per_channel")',
        },
        "stylegan/networks/noise.py": {
            "\nNOISE_MODES:": MODE,
            '"none": none,': '"none": none, "per_channel": per_channel,',
        },
    }
    follow(tmp_path, named_files("A noise mode"), changes, NOISE)


def test_a_layout_is_a_file_and_a_line_of_the_list(tmp_path: Path) -> None:
    tiny().save(tmp_path / "ours.safetensors")
    changes: Changes = {
        "stylegan/weights/ports/toy.py": LAYOUT,
        "stylegan/weights/ports/__init__.py": {
            "    stylegan_zoo,\n)": "    stylegan_zoo,\n    toy,\n)",
            "    stylegan_zoo.LAYOUT,\n": "    stylegan_zoo.LAYOUT,\n    toy.LAYOUT,\n",
        },
    }
    follow(tmp_path, named_files("A layout of another port", port="toy"), changes, PREFIXED)


def test_a_command_is_a_file_and_a_line_of_the_list(tmp_path: Path) -> None:
    tiny().save(tmp_path / "G.safetensors")
    files = named_files("A command", command="count") - {"stylegan/cli/options.py"}  # Used, not changed.
    changes: Changes = {
        "stylegan/cli/count.py": COMMAND,
        "stylegan/cli/__init__.py": {
            "from stylegan.cli.edit import": "from stylegan.cli.count import count\nfrom stylegan.cli.edit import",
            "    dataset,\n": "    dataset,\n    count,\n",
        },
    }
    expected = sum(p.numel() for p in tiny().parameters())
    assert int(follow(tmp_path, files, changes, COUNT)) == expected
