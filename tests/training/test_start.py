"""Starting from trained networks: all of them, a generator alone, and growing."""

import logging
import runpy
from pathlib import Path
from typing import Any

import pytest
import torch

from stylegan.discriminator import Discriminator
from stylegan.errors import InputError, NotFoundError
from stylegan.generator import Generator
from stylegan.training import TrainingState, new_state, train
from stylegan.training.checkpoints import load_state
from stylegan.training.start import start_from

from ..conftest import ROOT
from .tiny import TinyImages, assert_same, tiny_config


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, TrainingState]:
    """A run at 8x8."""
    out = tmp_path_factory.mktemp("trained")
    config = tiny_config(resolution=8, snapshot_kimg=1000)
    return out, train(config, out, dataset=TinyImages(8), progress=False).state


def assert_same_weights(a: Any, b: Any) -> None:
    assert_same(a.state_dict(), b.state_dict())


def test_a_new_run_begins_with_the_weights_of_another(trained: tuple[Path, TrainingState], tmp_path: Path) -> None:
    source, before = trained
    config = tiny_config(resolution=8, start_from=str(source), kimg=0.008)
    train(config, tmp_path, dataset=TinyImages(8), progress=False)
    state = new_state(config)
    load_state(state, tmp_path / "checkpoints/step-000000000.safetensors")
    for name, network in state.networks().items():
        assert_same_weights(network, before.networks()[name])
    assert (state.step, state.images, len(state.G_optimizer.state)) == (0, 0, 0)
    assert Generator.from_pretrained(tmp_path / "network.safetensors").metadata["start_from"] == source.name


def test_one_checkpoint_of_a_run_will_do(trained: tuple[Path, TrainingState]) -> None:
    source, _ = trained
    state = new_state(tiny_config(resolution=8))
    start_from(state, source / "checkpoints/step-000000000.safetensors")
    assert_same_weights(state.G, new_state(tiny_config(resolution=8)).G)


def test_the_discriminator_of_a_run_is_kept_for_the_package(
    trained: tuple[Path, TrainingState], tmp_path: Path
) -> None:
    source, before = trained
    out = tmp_path / "discriminator-tiny.safetensors"
    runpy.run_path(str(ROOT / "models/bundle.py"))["discriminator"](source, "tiny", out)
    D = Discriminator.from_pretrained(out)
    assert D.name == "tiny"
    for key, tensor in D.state_dict().items():
        torch.testing.assert_close(tensor, before.D.state_dict()[key], rtol=1e-3, atol=1e-6)


def test_resuming_does_not_start_again(trained: tuple[Path, TrainingState], tmp_path: Path) -> None:
    source, _ = trained
    config = tiny_config(resolution=8, start_from=str(source), kimg=0.008)
    first = train(config, tmp_path, dataset=TinyImages(8), progress=False).state
    config.start_from = "gone"
    again = train(config, tmp_path, dataset=TinyImages(8), progress=False, resume=True).state
    assert_same_weights(again.G, first.G)


def test_a_grown_model_shows_at_first_what_it_showed(trained: tuple[Path, TrainingState]) -> None:
    source, before = trained
    state = new_state(tiny_config(resolution=16))
    fresh = {name: {k: v.clone() for k, v in net.state_dict().items()} for name, net in state.networks().items()}
    start_from(state, source)
    ws = before.Gs.ws([1, 2])
    old = before.Gs.synthesis(ws, noise_mode="const")
    new = state.Gs.synthesis(state.Gs.ws([1, 2]), noise_mode="const", lod=1, enlarge=False)
    torch.testing.assert_close(new, old, rtol=0, atol=0)
    img = torch.randn(4, 3, 16, 16)
    small = torch.nn.functional.avg_pool2d(img, 2)
    torch.testing.assert_close(state.D(img, lod=1), before.D(small), rtol=1e-5, atol=1e-5)
    for name in ("to_rgb.16.weight", "layers.4.source.weight", "layers.5.style.weight"):
        key = f"synthesis.{name}"
        assert torch.equal(state.G.state_dict()[key], fresh["G"][key])
    for key in ("from_rgb.16.conv.weight", "blocks.16.conv0.weight"):
        assert torch.equal(state.D.state_dict()[key], fresh["D"][key])


def test_a_generator_alone_gets_a_new_discriminator_with_a_note(
    trained: tuple[Path, TrainingState], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    _, before = trained
    before.Gs.save(tmp_path / "model.safetensors")
    state = new_state(tiny_config(resolution=8))
    with caplog.at_level(logging.WARNING):
        start_from(state, tmp_path / "model.safetensors")
    assert "holds no discriminator" in caplog.text
    assert_same_weights(state.G, before.Gs)
    assert_same_weights(state.Gs, before.Gs)
    assert_same_weights(state.D, new_state(tiny_config(resolution=8)).D)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "Cats.PT", "cats.safetensors"])
def test_a_folder_with_one_weight_file_is_a_model_as_everywhere(
    trained: tuple[Path, TrainingState], tmp_path: Path, name: str
) -> None:
    _, before = trained
    (tmp_path / "cats").mkdir()
    before.Gs.save(tmp_path / "cats" / name)
    state = new_state(tiny_config(resolution=8))
    start_from(state, tmp_path / "cats")
    assert_same_weights(state.G, before.Gs)


def test_other_settings_are_an_error_that_names_them(trained: tuple[Path, TrainingState]) -> None:
    source, _ = trained
    message = r"made with other settings: it has hidden_dim 8, fmap_max 8; got hidden_dim 4, fmap_max 2. Use "
    message += "--set hidden_dim=8 --set fmap_max=8, or leave them out"
    with pytest.raises(InputError, match=message):
        start_from(new_state(tiny_config(resolution=8, hidden_dim=4, fmap_max=2)), source)
    with pytest.raises(InputError, match=r"it has preset F; got preset D. Use --set preset=F, or leave it out"):
        start_from(new_state(tiny_config(resolution=8, preset="D")), source)
    with pytest.raises(InputError, match="it has mapping_layers 8; got mapping_layers 2"):
        start_from(new_state(tiny_config(resolution=8, mapping_layers=2)), source)
    with pytest.raises(
        InputError, match="makes images of 3 channels, the data set has 1; `stylegan dataset --channels 3`"
    ):
        start_from(new_state(tiny_config(resolution=8), img_channels=1), source)
    with pytest.raises(InputError, match="has no labels, this run has 5; leave conditional out"):
        start_from(new_state(tiny_config(resolution=8, conditional=True), label_dim=5), source)


def test_settings_that_make_the_same_networks_are_the_same(trained: tuple[Path, TrainingState]) -> None:
    """Feature maps are compared as numbers of them, and E and F are the same networks."""
    source, before = trained
    state = new_state(tiny_config(resolution=16, fmap_base=128, fmap_max=8, preset="E", mbstd_group_size=2))
    start_from(state, source)
    assert (state.config.preset, state.D.head.mbstd_group_size) == ("E", 2)
    shown = state.Gs.synthesis(state.Gs.ws([1]), lod=1, enlarge=False)
    torch.testing.assert_close(shown, before.Gs.synthesis(before.Gs.ws([1])), rtol=0, atol=0)


def test_what_is_no_model_is_an_error(tmp_path: Path, trained: tuple[Path, TrainingState]) -> None:
    state = new_state(tiny_config(resolution=8))
    with pytest.raises(NotFoundError, match="no weights in this folder"):
        start_from(state, tmp_path)
    with pytest.raises(NotFoundError, match="no such file"):
        start_from(state, tmp_path / "gone.safetensors")
    trained[1].D.save(tmp_path / "D.safetensors")
    with pytest.raises(InputError, match="holds a Discriminator; expected a generator"):
        start_from(state, tmp_path / "D.safetensors")
