"""Folders and paths: a run of training, a clone with one weight file, and what is no path at all."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import Result

from stylegan import Discriminator, Generator
from stylegan.errors import DownloadError, InputError, NotFoundError, WeightsError
from stylegan.weights import hub
from stylegan.weights.loading import read_weights

from ..conftest import GOLDEN, ok, tiny_generator
from .ports import writers as ports
from .ports.golden_sets import golden_set


@pytest.fixture
def port(tmp_path: Path) -> Path:
    path = tmp_path / "port"
    torch.save(ports.genforce_generator(golden_set("T").g), path)
    return path


def test_a_run_of_training(tmp_path: Path, run: Callable[..., Result]) -> None:
    folder = tmp_path / "runs/faces"
    (folder / "checkpoints").mkdir(parents=True)
    with pytest.raises(NotFoundError, match="written no network yet"):
        Generator.from_pretrained(folder)
    for kimg, z_dim in ((80, 8), (999_999, 12), (1_000_001, 16)):
        tiny_generator(z_dim=z_dim).save(folder / f"snapshots/network-{kimg:06d}.safetensors")
    assert Generator.from_pretrained(folder).z_dim == 16  # The newest.
    tiny_generator(z_dim=20).save(folder / "network.safetensors")
    assert Generator.from_pretrained("runs/faces" if Path("runs/faces").exists() else folder).z_dim == 20
    assert '"z_dim": 20' in ok(run("info", "runs/faces"))
    ok(run("sample", "--model", "runs/faces", "--seeds", "1"))


@pytest.mark.parametrize("name", ["pytorch_model.bin", "cats.model", "anything", "a.dat", "G.PTH"])
def test_a_clone_with_one_weight_file(tmp_path: Path, port: Path, name: str) -> None:
    folder = tmp_path / "my-cats"
    folder.mkdir()
    shutil.copy(port, folder / name)
    for other in ("README.md", ".gitattributes", "config.json", "samples.txt"):
        (folder / other).write_text("# text")
    G = Generator.from_pretrained(folder)
    assert G.img_resolution == 16
    assert G.name == ("my-cats" if name == "pytorch_model.bin" else name.rsplit(".", 1)[0])


def test_folders_that_leave_it_open_or_hold_none(tmp_path: Path, port: Path) -> None:
    folder = tmp_path / "models"
    folder.mkdir()
    with pytest.raises(NotFoundError, match=r"models: no weights in this folder; expected config\.json"):
        Generator.from_pretrained(folder)
    for name in ("a.pth", "b.pth"):
        shutil.copy(port, folder / name)
    with pytest.raises(InputError, match=r"models: which file\? It has a\.pth, b\.pth"):
        Generator.from_pretrained(folder)
    shutil.copy(port, folder / "pytorch_model.bin")
    assert Generator.from_pretrained(folder).img_resolution == 16
    for name, message in (("saved_model.pb", "a folder of TensorFlow"), ("model_index.json", "pipeline of diffusers")):
        other = tmp_path / name.split(".")[0]
        other.mkdir()
        (other / name).write_bytes(b"x")
        with pytest.raises(WeightsError, match=message):
            Generator.from_pretrained(other)


def test_our_file_alone_in_a_folder(tmp_path: Path, tiny: Generator) -> None:
    tiny.save(tmp_path / "model.safetensors")  # Its header says what config.json would.
    assert torch.equal(Generator.from_pretrained(tmp_path).w_avg, tiny.w_avg)


def test_a_mistyped_path_asks_no_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "trained").mkdir()
    monkeypatch.setattr(hub, "find_weights", None)
    for name in ("runs/photo", "models/faces", "trained/fases", "trained/faces.SAFETENSORS", "a/b/c", "~/x/y"):
        with pytest.raises(NotFoundError, match="no such file or folder"):
            Generator.from_pretrained(name)
    with pytest.raises(NotFoundError, match="hf:runs/photo"):
        Generator.from_pretrained("runs/photo")


def test_a_repository_that_is_not_there_may_be_a_mistyped_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STYLEGAN_CACHE", str(tmp_path / "cache"))
    with pytest.raises(DownloadError, match="nor is there a file or folder me/photo"):
        Generator.from_pretrained("me/photo", local_files_only=True)


# Networks that a file does not hold.


def test_no_network_stands_in_for_another(tmp_path: Path, run: Callable[..., Result], tiny: Generator) -> None:
    tiny.save("G.safetensors")
    result = run("convert", "G.safetensors", "D.safetensors", "--network", "D")
    assert result.exit_code == 1
    assert "holds a Generator, expected a Discriminator" in result.output
    assert not Path("D.safetensors").exists()
    ok(run("convert", "faces-64", "D.safetensors", "--network", "D"))  # A bundled model has both.
    assert "Discriminator" in ok(run("info", "D.safetensors"))
    Discriminator(img_resolution=8, fmap_base=64, fmap_max=8).save("D.safetensors")
    for network in ("G", "Gs"):
        result = run("convert", "D.safetensors", "out.safetensors", "--network", network)
        assert "holds a Discriminator, expected a Generator" in result.output
    ok(run("convert", "D.safetensors", "out.safetensors"))  # Nothing else was asked for.
    assert "Discriminator" in ok(run("info", "out.safetensors"))
    official = GOLDEN / "T" / "network_nosrc.pkl"
    names: list[tuple[Any, str]] = [("G", "Generator"), ("Gs", "Generator"), ("D", "Discriminator")]
    for network, expected in names:
        assert read_weights(official, network=network).checkpoint.network == expected


def test_a_resolution_that_a_file_has_not(tmp_path: Path, run: Callable[..., Result], tiny: Generator) -> None:
    tiny.save(tmp_path / "m.safetensors")
    assert Generator.from_pretrained(tmp_path / "m.safetensors", resolution=16).img_resolution == 16
    with pytest.raises(WeightsError, match=r"m\.safetensors: its network is of 16x16, not 32x32"):
        Generator.from_pretrained(tmp_path / "m.safetensors", resolution=32)
    path = tmp_path / "cats.model"
    state = ports.rosinality_generator(golden_set("T").g)
    for block in range(9):
        state[f"generator.to_rgb.{block}.conv.bias"] = torch.ones(3)
    torch.save(state, path)
    for command in (["info", path], ["sample", "--seeds", "1", "--model", path], ["convert", path, "o.safetensors"]):
        result = run(*command)
        assert "--resolution" in result.output
        ok(run(*command, "--resolution", "16"))
