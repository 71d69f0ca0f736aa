"""The command line: what it writes, what it says, and how it fails."""

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import numpy as np
import pytest
import torch
from click.testing import Result
from PIL import Image
from PIL.PngImagePlugin import PngImageFile

from stylegan import Generator, cli, images
from stylegan.cli.types import LayersType, SeedsType

from ..conftest import GOLDEN, ROOT, ok


def test_sample_without_arguments_writes_a_grid_and_says_where(
    run: Callable[..., Result], tmp_path: Path, default: Generator
) -> None:
    assert str(tmp_path / "samples.png") in ok(run("sample"))
    grid, side = np.asarray(Image.open("samples.png")).astype(int), default.img_resolution
    assert grid.shape == (4 * side, 8 * side, 3)
    last = default.sample(seeds=[31], output_type="np")[0]
    assert abs(grid[-side:, -side:] - last).max() <= 1


def test_sample_to_a_folder_writes_one_picture_for_each_seed(run: Callable[..., Result]) -> None:
    ok(run("sample", "--seeds", "3,7-9", "--out", "faces/", "--batch-size", 3, "--truncation-psi", 0.5))
    assert sorted(os.listdir("faces")) == ["seed0003.png", "seed0007.png", "seed0008.png", "seed0009.png"]
    text = PngImageFile("faces/seed0007.png").text
    assert (text["seed"], text["truncation_psi"]) == ("7", "0.5")


@pytest.mark.parametrize("layers", [[], ["--layers", "4,8"], ["--layers", "0-3,4-7,8:"]])
def test_three_seeds_are_mixed_into_one(run: Callable[..., Result], default: Generator, layers: list[str]) -> None:
    ok(run("mix", "--seeds", "4,1,6", "--seeds", "2,9,5", *layers))
    grid, side = np.asarray(Image.open("mix.png")).astype(int), default.img_resolution
    a, b, c = default.ws([2, 9, 5]).split(1)
    made = default.render(torch.cat([a, b, c, default.mix_styles(a, {"middle": b, "fine": c})]), output_type="np")
    for i, picture in enumerate(made):
        left = grid.shape[1] - (4 - i) * side - (3 - i) * (side // 32)
        assert abs(grid[-side:, left : left + side] - picture).max() <= 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            "--seeds 1,2,3 --layers 0-3,4-7",
            "to one of 3 seeds, .* as 0-3,4-7,8-11 does, or .* as 4,8 does",
        ),
        ("--seeds 1,2,3 --layers 0-3,4-8,8-11", "the network's 12 layers to one of 3 seeds"),
        ("--seeds 1,2,3 --layers 8,4", "the network's 12 layers to one of 3 seeds"),
        ("--seeds 1,2,3 --layers 4,12", "the network's 12 layers to one of 3 seeds"),
        ("--seeds 1,2,3 --layers 4,4", "the network's 12 layers to one of 3 seeds"),
        ("--seeds 1-13 --layers 0,1", "this network has 12 layers, too few for 13 seeds"),
        ("--seeds 1,2 --layers coarse", "the network's 12 layers to one of 2 seeds"),
        ("--seeds 1,2", "2 --seeds need --layers, the layers of each: --layers 0-5,6-11"),
        ("--seeds 1", "two sources or more, and each time as many; got 1"),
        ("--seeds 1-3 --seeds 1-4", "each time as many; got 3, 4"),
        ("--seeds 1-3 --rows 4", "--seeds and --rows both choose the sources"),
        ("--layers coarse,4-7", "name the sources by --seeds"),
        ("--seeds 1-3 --layers coarse,fines,fine", "'fines' names no layers"),
    ],
)
def test_sources_without_their_layers_are_refused(run: Callable[..., Result], options: str, message: str) -> None:
    result = run("mix", *options.split())
    assert result.exit_code in (1, 2)
    assert re.search(message, result.output)
    assert not os.listdir()


def test_sample_options(run: Callable[..., Result], default: Generator) -> None:
    ok(
        run(
            "sample",
            "--seeds",
            5,
            "--noise-mode",
            "random",
            "--noise-seed",
            2,
            "--truncation-cutoff",
            4,
            "--out",
            "a.png",
        )
    )
    expected = default.sample(seeds=[5], noise_mode="random", noise_seed=2, truncation_cutoff=4, output_type="np")[0]
    assert (np.asarray(Image.open("a.png")) == expected).all()


def test_samples_are_enlarged_on_request_and_keep_their_text(run: Callable[..., Result], default: Generator) -> None:
    side = default.img_resolution
    ok(run("sample", "--seeds", "3", "--size", 2 * side, "--out", "faces/"))
    image = PngImageFile("faces/seed0003.png")
    assert (image.size, image.text["seed"]) == ((2 * side, 2 * side), "3")
    assert f"whole multiple of {side}" in run("sample", "--size", 100).output


def test_mix_takes_layers_of_the_row_and_the_rest_of_the_column(run: Callable[..., Result], default: Generator) -> None:
    ok(run("mix", "--columns", "1,2", "--rows", "3", "--layers", "coarse"))
    grid, side = np.asarray(Image.open("mix.png")).astype(int), default.img_resolution
    a, b = default.ws([2]), default.ws([3])
    cell = default.render(default.mix_styles(a, b, "coarse"), output_type="np")[0]
    assert abs(grid[-side:, -side:] - cell).max() <= 1
    padding = side // 32
    sources = grid[: -side - padding, -side:], grid[-side:, : -2 * (side + padding)]
    assert abs(sources[0][-side:] - default.sample(seeds=[2], output_type="np")[0]).max() <= 1
    assert abs(sources[1][:, -side:] - default.sample(seeds=[3], output_type="np")[0]).max() <= 1
    for label in (sources[0][:-side], sources[1][:, :-side]):  # Their seeds, as black text on white.
        assert label.min() < 128
        assert label.max() == 255
    told = images.recall("mix.png")
    assert (told["columns"], told["rows"], told["layers"]) == ("1,2", "3", "coarse")
    assert "seeds" not in told


def test_truncate_sweeps_from_left_to_right(run: Callable[..., Result], default: Generator) -> None:
    ok(run("truncate", "--seeds", "4,5", "--truncation-psi", "1,0,-1", "--out", "sweep.png"))
    grid, side = np.asarray(Image.open("sweep.png")).astype(int), default.img_resolution
    assert abs(grid[-side:, -side:] - default.sample(seeds=[5], truncation_psi=-1, output_type="np")[0]).max() <= 1


def test_info(run: Callable[..., Result]) -> None:
    text = ok(run("info", "faces-64"))
    for part in ("faces-64", "non-commercial research", "1900719", "64", "UTKFace", "limits"):
        assert part in text
    facts = json.loads(ok(run("info", GOLDEN / "T" / "network_nosrc.pkl", "--json")))
    assert (facts["resolution"], facts["config"]["z_dim"]) == (16, 12)


def test_info_of_a_model_that_is_not_here_downloads_nothing(run: Callable[..., Result], tmp_path: Path) -> None:
    text = ok(run("info", "ffhq-1024", "--cache-dir", tmp_path / "cache"))
    for part in ("CC BY-NC 4.0", "324.7 MB", "stylegan download ffhq-1024", "4.4159"):
        assert part in text
    assert not (tmp_path / "cache").exists()


def test_list(run: Callable[..., Result]) -> None:
    text = ok(run("list"))
    assert re.search(r"faces-128 \* +128x128 +3.9 MB +bundled +known +non-commercial research", text)
    assert re.search(r"faces-64 +64x64 +3.8 MB +bundled", text)
    assert re.search(r"ffhq-1024 +1024x1024 +324.7 MB +to download +known +CC BY-NC 4.0", text)
    assert re.search(r"cats-256 +256x256 +unknown +to download +unverified", text)
    assert re.search(
        r"mmgen-ffhq-256 +256x256 +unknown +to download +8 digits +Apache.* download.openmmlab.com \+1", text
    )
    assert "genforce-ffhq-256" not in text
    everything = ok(run("list", "--all"))
    assert re.search(r"genforce-ffhq-256 +256x256 +unknown +to download +unverified +MIT", everything)
    (further,) = map(int, re.findall(r"^(\d+) more networks", text, re.MULTILINE))
    assert len(everything.splitlines()) == len(text.splitlines()) + further - 1


@pytest.mark.parametrize("target", ["out.safetensors", "folder"])
def test_convert(run: Callable[..., Result], target: str) -> None:
    source = GOLDEN / "T" / "network_nosrc.pkl"
    ok(run("convert", source, target, "--metadata", "name=tiny", "--metadata", "license=CC0"))
    G, official = Generator.from_pretrained(target), Generator.from_pretrained(source)
    assert G.metadata == {"name": "tiny", "license": "CC0", "source": "Gs of network_nosrc.pkl"}
    assert (G.sample(output_type="np") == official.sample(output_type="np")).all()
    assert run("convert", source, target).exit_code == 1
    ok(run("convert", source, target, "--force", "--network", "D", "--dtype", "float16"))
    assert "Discriminator" in ok(run("info", target))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("sample --model faces-6", "did you mean 'faces-64'?"),
        ("sample --model gone.pkl", "no such file"),
        ("sample --out faces.txt", "use .png, .jpg or .webp"),
        ("sample --device cuda:77", "no device 'cuda:77'"),
        ("sample --device gpu", "no device 'gpu' is known; expected cpu, cuda, cuda:1, mps"),
        ("sample --model ''", "--model is empty"),
        ("sample --truncation-cutoff 99", "must be an integer from 0 to 12, got 99"),
        ("sample --truncation-cutoff -3", "must be an integer from 0 to 12, got -3"),
        (
            "sample --seeds 0-99999999 --out c.png",
            "too large for one file; `stylegan sample --out faces/`",
        ),
        ("mix --columns 0-99999999", "too large for one file"),
        ("truncate --seeds 0-99999999", "too large for one file"),
        ("sample --out /proc/x.png", "--out /proc/x.png: cannot write into /proc"),
        ("mix --layers 4:99", "this network has 12 layers, 0 to 11; got the range 4:99"),
        ("sample --label 1", "unconditional"),
        ("sample --noise-seed 1", "noise_mode 'random'"),
        ("sample --out file/faces.png", "cannot write"),
        ("mix --model faces-64 --layers 11", "crossover must be from 0 to 10"),
        ("mix --model faces-64 --layers 3,12", "layers 0 to 9"),
        ("info .", "config.json and model.safetensors"),
        ("convert faces-64 out.txt", "expected a .safetensors file or a folder"),
        ("convert faces-64 o.safetensors --metadata x", "expected KEY=VALUE"),
    ],
)
def test_user_errors_are_one_line_and_exit_1(run: Callable[..., Result], arguments: str, message: str) -> None:
    Path("file").touch()
    result = run(*shlex.split(arguments))
    assert result.exit_code == 1
    assert "Traceback" not in result.output
    assert message in result.output.strip().splitlines()[-1]
    assert sorted(os.listdir()) == ["file"]


@pytest.mark.parametrize(
    "arguments",
    [
        "sample --seeds 5-3",
        "sample --seeds a",
        "sample --seeds 0-4294967296",
        "sample --batch-size 0",
        "sample --dtype int8",
        "mix --layers rough",
        "truncate --truncation-psi 1,x",
        "edit --strengths 1:2",
        "edit --strengths a",
        "directions --method lda",
        "project --out run",
        "project a.jpg",
        "project a.jpg --out run --points 1,2",
        "project a.jpg --out run --crop 1,2,3,x",
        "project a.jpg --out run --steps 0",
        "smaple",
    ],
)
def test_usage_errors_exit_2(run: Callable[..., Result], arguments: str) -> None:
    result = run(*shlex.split(arguments))
    assert result.exit_code == 2
    assert "Traceback" not in result.output


def test_every_command_has_help_with_an_example(run: Callable[..., Result]) -> None:
    for name in cli.main.commands:
        text = ok(run(name, "--help"))
        assert "Example" in text
        assert f"stylegan {name}" in text


def test_seeds_and_layers() -> None:
    assert list(SeedsType().convert("0-2,42, 7", None, None)) == [0, 1, 2, 42, 7]
    layers = LayersType()
    assert [layers.convert(x, None, None) for x in ("fine", "6", "4:8", ":2", "0,3")] == [
        "fine",
        6,
        slice(4, 8),
        slice(None, 2),
        [0, 3],
    ]


# For each command: is torch loaded when its help has been shown?
HELP_SCRIPT = """if True:
    import contextlib, io, sys, click
    from stylegan import cli
    def commands(command, path):
        yield path
        if isinstance(command, click.Group):
            for name, own in command.commands.items():
                yield from commands(own, [*path, name])
    for path in [["--version"], *([*path, "--help"] for path in commands(cli.main, []))]:
        with contextlib.redirect_stdout(io.StringIO()) as said, contextlib.suppress(SystemExit):
            cli.main(path)
        assert "stylegan" in said.getvalue(), path
        loaded = {"torch", "numpy", "PIL", "huggingface_hub"} & set(sys.modules)
        assert not loaded, (path, loaded)
"""


def python(script: str, **environment: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(ROOT)} | environment
    return subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True)


# A command line that ends, and what is loaded then.
LOADED_SCRIPT = """if True:
    import sys
    from stylegan import cli
    try:
        cli.main({arguments}, prog_name="stylegan")
    finally:
        print(*sys.modules, file=sys.stderr)
"""


def test_help_of_every_command_and_completion_load_no_torch() -> None:
    result = python(HELP_SCRIPT)
    assert result.returncode == 0, result.stderr
    asked = {"_STYLEGAN_COMPLETE": "bash_complete", "COMP_WORDS": "stylegan sample --no", "COMP_CWORD": "2"}
    result = python(LOADED_SCRIPT.format(arguments=[]), **asked)
    assert "--noise-mode" in result.stdout
    assert "torch" not in result.stderr.split()


def test_commands_that_take_seeds_take_one_by_its_name() -> None:
    def commands(command: click.Command) -> Iterator[click.Command]:
        yield command
        for own in command.commands.values() if isinstance(command, click.Group) else ():
            yield from commands(own)

    takers = [option.opts for command in commands(cli.main) for option in command.params if "--seeds" in option.opts]
    assert len(takers) == 9
    assert all("--seed" in names for names in takers)


def test_as_a_module(tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "stylegan", "--version"], capture_output=True, text=True, cwd=tmp_path, check=True
    )
    assert result.stdout.startswith("stylegan, version")


def test_sample_loads_no_training() -> None:
    loaded = python(LOADED_SCRIPT.format(arguments=["sample", "--model", "gone.pkl"])).stderr.split()
    assert "stylegan.generator" in loaded
    assert "stylegan.training.loop" not in loaded


def test_cache_verify_says_what_it_read(run: Callable[..., Result], tmp_path: Path) -> None:
    assert "read 0 files of" in ok(run("cache", "verify", "--cache-dir", tmp_path / "cache"))


def test_a_reader_who_has_had_enough_is_no_error() -> None:
    shown = subprocess.Popen([sys.executable, "-m", "stylegan", "list"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert shown.stdout is not None
    assert shown.stderr is not None
    shown.stdout.close()
    assert b"Broken pipe" not in shown.stderr.read()
    shown.wait()


def test_what_a_network_is_not_read_from_is_said(run: Callable[..., Result]) -> None:
    os.mkfifo("pipe")
    assert "pipe: a pipe or a device; reading weights needs random access" in run("info", "./pipe").output
    Path("faces.csv").write_text("0.1,0.2\n" * 100)
    assert (
        "latents are read from .safetensors, .npy, .npz and torch.save files"
        in run("sample", "--latents", "faces.csv").output
    )


def test_layers_that_hold_no_layer_are_refused(run: Callable[..., Result]) -> None:
    assert "'4:4' holds no layer" in run("mix", "--layers", "4:4").output


def test_evaluate_looks_at_the_data_before_any_download(run: Callable[..., Result]) -> None:
    result = run("evaluate", "faces-64", "--data", "gone.zip", "--metrics", "fid10", "--extractor", "gone.pt")
    assert "gone.zip" in result.output
    assert "gone.pt" not in result.output
