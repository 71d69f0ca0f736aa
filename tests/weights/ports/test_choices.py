"""What a file of another port leaves open: how far it was grown, which generator is meant, whose average w it has."""

import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import Result

from stylegan import Generator
from stylegan.errors import WeightsError
from stylegan.weights.checkpoint import Checkpoint
from stylegan.weights.loading import read_weights

from . import writers as ports
from .golden_sets import as_discriminator, as_generator, golden_set
from .writers import Variables

SMALL = "stylegan.weights.ports.checkpoints.NUM_W_AVG"


@pytest.fixture(autouse=True)
def _few_z(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SMALL, 10)


def untrained(state: dict[str, Any], pattern: str) -> dict[str, Any]:
    """With the biases and noise strengths of some blocks as they were at first."""
    zero = re.compile(rf"{pattern}.*(bias|noise|noise_weight)[^/]*")
    styles = re.compile(r".*style.*")
    return {
        name: torch.zeros_like(tensor) if zero.fullmatch(name) and not styles.fullmatch(name) else tensor
        for name, tensor in state.items()
    }


# The resolution: from the tensors first, from the name where they leave it open, which is then said.


@pytest.mark.parametrize(
    "name",
    [
        "train_step-9.model",
        "cats-batch16-final.model",
        "gan_2019-08-16.model",
        "140000.model",
        "512.model",
        "run-64-gpus/x.model",
    ],
)
def test_numbers_in_a_name_are_no_resolution(
    read: Callable[..., list[Checkpoint]], name: str, caplog: pytest.LogCaptureFixture
) -> None:
    port = ports.rosinality_generator(golden_set("B").g)
    (G,) = read({"g_running": port}, name.replace("/", "-"))
    assert G.config["img_resolution"] == 256
    assert not caplog.records


@pytest.mark.parametrize("name", ["stylegan-512px-new.model", "cats_1024x1024.model", "8PX.model"])
def test_a_name_that_contradicts_the_tensors_is_named_and_loses(
    read: Callable[..., list[Checkpoint]], name: str, caplog: pytest.LogCaptureFixture
) -> None:
    port = ports.rosinality_generator(golden_set("B").g)
    (G,) = read({"g_running": port}, name)
    assert G.config["img_resolution"] == 256
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "tensors are trained to 256x256" in record.getMessage()
    assert name in record.getMessage()
    assert any("trained to 256x256" in note for note in G.metadata["notes"])


def test_where_tensors_do_not_tell_the_name_counts_with_a_note(read: Callable[..., list[Checkpoint]]) -> None:
    port = ports.rosinality_generator(golden_set("T").g)
    for block in range(9):
        port[f"generator.to_rgb.{block}.conv.bias"] = torch.ones(3)  # Blocks without noise whose colours were trained.
    (G,) = read(port, "stylegan-16px-new.model")
    assert G.config["img_resolution"] == 16
    assert "16x16, is that of the file's name" in G.metadata["notes"][0]
    with pytest.raises(WeightsError, match=r"step-3\.model: .*step 3 is 32, or 16 at the end.*--resolution"):
        read(port, "train_step-3.model")
    for name in ("140000.model", "batch16.model", "2019-08-16.model"):
        with pytest.raises(WeightsError, match="pass resolution"):
            read(port, name)
    (G,) = read(port, "stylegan-32px.model", resolution=16)
    assert G.config["img_resolution"] == 16
    with pytest.raises(WeightsError, match="2048"):
        read(port, resolution=2048)


def test_no_more_than_was_trained_can_be_asked_for(read: Callable[..., list[Checkpoint]]) -> None:
    with pytest.raises(WeightsError, match="resolution 512 was asked for, but its tensors are trained up to 256x256"):
        read(ports.rosinality_generator(golden_set("B").g), resolution=512)


def test_rosinalitys_discriminator_alone_tells_its_resolution(read: Callable[..., list[Checkpoint]]) -> None:
    (D,) = read(ports.rosinality_discriminator(golden_set("T").d), "D-final.model")
    assert as_discriminator(D).img_resolution == 16


def test_huangzh13_depth(read: Callable[..., list[Checkpoint]], caplog: pytest.LogCaptureFixture) -> None:
    golden = golden_set("T")
    generator, discriminator = ports.huangzh13_generator(golden.g), ports.huangzh13_discriminator(golden.d)
    (G,) = read(generator, "GAN_GEN_1_9.pth")  # The name says 8x8.
    assert G.config["img_resolution"] == 16
    assert "trained to 16x16" in caplog.text
    grown = untrained(generator, r"g_synthesis\.(blocks\.1\.|to_rgb\.2\.)")
    for name in ("GAN_GEN_1_9.pth", "GAN_GEN_SHADOW_2_9.pth", "final.pth"):
        (G,) = read(grown, name)
        assert as_generator(G).img_resolution == 8, name
    (D,) = read(untrained(discriminator, r"(blocks\.0\.|from_rgb\.0\.)"), "discriminator.pth")
    assert as_discriminator(D).img_resolution == 8
    # Blocks without noise of which some biases are zero: only the name can tell.
    for block in ("init_block.conv", "blocks.0.conv1"):
        grown = grown | {f"g_synthesis.{block}.bias": torch.zeros(8)}
    (G,) = read(grown, "GAN_GEN_0_9.pth", resolution=8)
    assert G.config["img_resolution"] == 8
    (G,) = read(grown, "GAN_GEN_1_9.pth")
    assert "8x8, is that of the file's name" in G.metadata["notes"][0]


def test_podgorskiy_file_in_the_middle_of_growing(
    read: Callable[..., list[Checkpoint]], caplog: pytest.LogCaptureFixture
) -> None:
    golden = golden_set("T")
    whole = ports.podgorskiy_generator(golden.g, multiplied=True)
    grown = untrained(whole, r"(decode_block|to_rgb)\.2\.")
    mapping = ports.podgorskiy_mapping(golden.g, multiplied=True)

    def resolution(generator: dict[str, Any], name: str) -> int:
        (G,) = read({"models": {"generator_s": generator, "mapping_s": mapping}}, name)
        return as_generator(G).img_resolution

    assert resolution(grown, "model_tmp_intermediate_lod1.pth") == resolution(grown, "model_tmp.pth") == 8
    assert resolution(whole, "model_tmp_lod7.pth") == resolution(whole, "model_tmp.pth") == 16
    assert not caplog.records
    assert resolution(whole, "model_tmp_lod1.pth") == 16
    assert "trained to 16x16" in caplog.text


# Which generator.


def both(name: str, trained: Variables, averaged: Variables) -> Any:
    """A file of a port with both generators."""
    if name == "genforce":
        parts = ("generator", "generator_smooth")
        return dict(zip(parts, map(ports.genforce_generator, (trained, averaged)), strict=True))
    if name == "rosinality":
        return {
            "generator": ports.rosinality_generator(trained),
            "g_running": ports.rosinality_generator(averaged),
        }
    if name == "official names":
        return [{}, trained_names(trained), trained_names(averaged)]
    pattern = {"podgorskiy": "block_{}.fc", "alae": "map_blocks.{}.fc"}[name]
    models = {}
    for suffix, g in (("", trained), ("_s", averaged)):
        models[f"generator{suffix}"] = ports.podgorskiy_generator(g, multiplied=True)
        mapping = "mapping" if name == "podgorskiy" else "mapping_fl"
        first = 1 if name == "podgorskiy" else 0
        models[mapping + suffix] = ports.podgorskiy_mapping(g, multiplied=True, pattern=pattern, first=first)
    return {"models": models}


def trained_names(g: Variables) -> dict[str, Any]:
    """Official variables under their whole names, those that training changes."""
    return {
        f"{'G_mapping' if name.startswith('Dense') else 'G_synthesis'}/{name}": value
        for name, value in g.items()
        if not re.match(r"noise|lod|dlatent_avg", name)
    }


@pytest.mark.parametrize("name", ["genforce", "rosinality", "podgorskiy", "alae", "official names"])
def test_g_is_the_generator_as_trained_and_gs_the_average(tmp_path: Path, name: str) -> None:
    averaged = golden_set("T").g
    trained = dict(averaged)
    trained["ToRGB_lod0/bias"] = averaged["ToRGB_lod0/bias"] + 1
    path = tmp_path / "both.pth"
    torch.save(both(name, trained, averaged), path)
    key = "synthesis.to_rgb.16.bias"
    G, Gs = (read_weights(path, network=which).checkpoint for which in ("G", "Gs"))
    assert torch.allclose(Gs.state_dict[key], averaged["ToRGB_lod0/bias"])
    assert torch.allclose(G.state_dict[key], trained["ToRGB_lod0/bias"])
    with pytest.raises(WeightsError, match=r"both\.pth: holds no Discriminator; it has Generator"):
        read_weights(path, network="D")


def test_a_generator_that_is_not_there_is_not_replaced(tmp_path: Path) -> None:
    state = ports.genforce_generator(golden_set("T").g)
    torch.save({"generator_smooth": state}, tmp_path / "average.pth")
    with pytest.raises(WeightsError, match=r"average\.pth: holds no generator as trained"):
        read_weights(tmp_path / "average.pth", network="G")
    torch.save({"generator": state}, tmp_path / "trained.pth")
    assert "no averaged generator" in Generator.from_pretrained(tmp_path / "trained.pth").metadata["notes"][0]
    torch.save(state, tmp_path / "one.pth")
    for network in ("G", "Gs"):
        assert read_weights(tmp_path / "one.pth", network=network).checkpoint.network == "Generator"


# The average w.


def test_huangzh13_keeps_an_average_whatever_the_file_is_called(read: Callable[..., list[Checkpoint]]) -> None:
    state = ports.huangzh13_generator(golden_set("T").g)
    for name in ("GAN_GEN_SHADOW_2_9.pth", "GAN_GEN_2_9.pth"):
        (G,) = read(state, name)
        assert torch.equal(G.state_dict["w_avg"], golden_set("T").g["dlatent_avg"])
    state["truncation.avg_latent"] = torch.zeros(10)
    (G,) = read(state, "GAN_GEN_SHADOW_2_9.pth")
    assert G.state_dict["w_avg"].any()
    assert any("no average w" in note for note in G.metadata["notes"])


@pytest.mark.parametrize(
    "beside",
    [
        lambda parts, average: [*parts, average],
        lambda parts, average: [*parts, average[None]],
        lambda parts, average: [*parts, {"dlatent_avg": average}],
        lambda parts, average: dict(zip(("G", "D", "Gs"), parts, strict=True)) | {"dlatent_avg": average},
        lambda parts, average: {"Gs": parts[2], "latent_avg": average.expand(6, -1).clone()},
        lambda parts, average: [parts[0] | {"dlatent_avg": average}, *parts[1:]],
    ],
)
def test_an_average_that_is_kept_apart_is_found(
    read: Callable[..., list[Checkpoint]], beside: Callable[..., Any]
) -> None:
    golden = golden_set("T")
    parts = [trained_names(golden.g), {k: v for k, v in golden.d.items() if k != "lod"}, trained_names(golden.g)]
    G = read(beside(parts, golden.g["dlatent_avg"]))[0]
    torch.testing.assert_close(G.state_dict["w_avg"], golden.g["dlatent_avg"])
    assert any("keeps apart" in note for note in G.metadata["notes"])


def test_conversions_of_one_file_are_equal_byte_for_byte(tmp_path: Path, run: Callable[..., Result]) -> None:
    torch.save(ports.lernapparat_generator(golden_set("T").g), tmp_path / "ffhq.pt")
    for name in ("a", "b"):
        assert run("convert", "ffhq.pt", f"{name}.safetensors").exit_code == 0
    assert (tmp_path / "a.safetensors").read_bytes() == (tmp_path / "b.safetensors").read_bytes()


# genforce's fused_scale.


def test_fused_scale_of_genforce_is_an_option_and_noted(tmp_path: Path, run: Callable[..., Result]) -> None:
    golden = golden_set("fused_true")
    torch.save(ports.genforce_generator(golden.g), tmp_path / "fused.pth")
    result = run("convert", "fused.pth", "fused.safetensors", "--fused-scale", "true")
    assert result.exit_code == 0, result.output
    G = Generator.from_pretrained(tmp_path / "fused.safetensors")
    image = G.synthesis(golden["wplus_random"], lod=0)
    torch.testing.assert_close(image, golden["img_wplus_random"], rtol=0, atol=1e-4)
    assert "--fused-scale" in run("info", "fused.pth").output
    assert "--fused-scale" not in run("info", "fused.safetensors").output


# Values that are not finite.


@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("key", ["synthesis.layer3.bias", "synthesis.lod", "truncation.w_avg", "mapping.dense1.weight"])
def test_values_not_finite_are_named_as_in_the_file(
    read: Callable[..., list[Checkpoint]], key: str, wrong: float
) -> None:
    state = ports.genforce_generator(golden_set("T").g)
    state[key] = state[key].clone()
    state[key].view(-1)[0] = wrong
    with pytest.raises(WeightsError, match=rf"port\.pth: tensor '{re.escape(key)}' holds NaN or infinity"):
        read(state)
