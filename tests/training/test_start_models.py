"""Starting from models of any origin: the first image is theirs, and so are options, level of detail and licence."""

import json
import logging
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from stylegan.cli import main
from stylegan.discriminator import Discriminator
from stylegan.errors import InputError, StyleGANError
from stylegan.generator import Generator
from stylegan.networks.quirks import Quirks
from stylegan.training import TrainingConfig, new_state, train, train_step
from stylegan.training.checkpoints import header as state_header
from stylegan.training.checkpoints import list_checkpoints, read_tensors
from stylegan.training.source import read_source
from stylegan.training.start import start_from

from ..conftest import GOLDEN, tiny_generator
from ..data.pictures import encoded, make_zip, noise
from ..weights.ports import writers as ports
from ..weights.ports.golden_sets import golden_set
from .tiny import TinyImages, run, tiny_config

PRESETS = {"T": "F", "D": "F", "styles_noconst_nonoise": "C", "traditional8": "B", "pixelnorm_in_ch1": "F"}
OFFICIAL = [*PRESETS, "no_wscale", "noblur_relu", "pickle_lod1.5", "fixed_structure", "fused_true"]


def settings(**own: Any) -> TrainingConfig:
    """As few settings as a user names: of the networks none."""
    return TrainingConfig.of({"batch": 8, "device": "cpu", "dtype": "float32", "snapshot_images": 4, **own})


def images(G: Generator) -> torch.Tensor:
    labels = [i % G.label_dim for i in range(4)] if G.label_dim else None
    img: torch.Tensor = G.sample(seeds=range(4), truncation_psi=1.0, labels=labels, output_type="pt")
    return img


def begin(source: Any, out: Any, *, resolution: Any = None, kimg: float = 0.008, **own: Any) -> Any:
    """A run of one step from a model, with data that fit it; its first averaged generator, and the model's."""
    model = Generator.from_pretrained(source)
    pictures = TinyImages(resolution or model.img_resolution, model.label_dim, model.img_channels)
    config = settings(start_from=str(source), kimg=kimg, conditional=model.label_dim > 0, **own)
    outcome = train(config, out, dataset=pictures, progress=False)
    return Generator.from_pretrained(out / "snapshots/network-000000.safetensors"), model, outcome.state


def assert_same_images(first: Generator, model: Generator) -> None:
    """But for float16, in which snapshots are stored."""
    given, expected = images(first), images(model)
    assert (given - expected).abs().max() <= 0.03 * expected.abs().max()
    assert first.recommended_truncation == model.recommended_truncation


@pytest.mark.parametrize("name", OFFICIAL)
def test_the_first_image_is_that_of_an_official_file(name: str, tmp_path: Path) -> None:
    first, model, state = begin(GOLDEN / name / "network_nosrc.pkl", tmp_path)
    assert_same_images(first, model)
    assert first.synthesis.lod == model.synthesis.lod
    assert (state.step, state.skipped) == (1, 0)
    D = Discriminator.from_pretrained(GOLDEN / name / "network_nosrc.pkl")
    for key in ("nonlinearity", "equalized_lr", "blur_filter", "mbstd_group_size", "progressive"):
        assert state.D.config[key] == D.config[key], key
    assert state.config.preset == PRESETS.get(name, "F")


@pytest.mark.parametrize("name", ["no_wscale", "noblur_relu", "pickle_lod1.5", "traditional8", "pixelnorm_in_ch1"])
def test_the_state_is_that_of_the_file_to_the_last_bit(name: str) -> None:
    path = GOLDEN / name / "network_nosrc.pkl"
    model = Generator.from_pretrained(path)
    state = new_state(settings(resolution=model.img_resolution, channels_last=False), img_channels=model.img_channels)
    start_from(state, path)
    assert torch.equal(images(state.Gs), images(model))


def test_an_official_file_has_all_three_networks(caplog: pytest.LogCaptureFixture) -> None:
    path = GOLDEN / "no_wscale" / "network_nosrc.pkl"
    state = new_state(settings(resolution=Generator.from_pretrained(path).img_resolution))
    fresh = state.D.state_dict()["head.conv.weight"].clone()
    start_from(state, path)
    assert not caplog.text
    assert not torch.equal(state.D.state_dict()["head.conv.weight"], fresh)
    assert not torch.equal(state.G.w_avg, torch.zeros(len(state.G.w_avg)))
    assert not torch.equal(next(state.G.mapping.parameters()), next(state.Gs.mapping.parameters()))


def port(name: str) -> dict[str, Any]:
    g, d = golden_set("T").g, golden_set("T").d
    files: dict[str, dict[str, Any]] = {
        "genforce": {"generator_smooth": ports.genforce_generator(g), "discriminator": ports.genforce_discriminator(d)},
        "interfacegan": ports.interfacegan(g),
        "rosinality": {
            "g_running": ports.rosinality_generator(
                dict(g) | {"4x4/Const/bias": torch.zeros_like(g["4x4/Const/bias"])}
            ),
            "discriminator": ports.rosinality_discriminator(ports.widened(d)),
        },
        "huangzh13": ports.huangzh13_generator(g),
        "huangzh13 converted": ports.huangzh13_generator(g, converted=True),
        "lernapparat": ports.lernapparat_generator(g),
        "podgorskiy": {
            "generator_s": ports.podgorskiy_generator(g, multiplied=False),
            "mapping_s": ports.podgorskiy_mapping(g, multiplied=False),
            "discriminator": ports.podgorskiy_discriminator(d, multiplied=False),
            "dlatent_avg": ports.podgorskiy_average(g),
        },
        "stylegan_zoo": ports.stylegan_zoo(g),
        "mmgeneration": {"state_dict": ports.mmgeneration(g, ports.widened(d))},
    }
    return files[name]


WITH_D = ("genforce", "rosinality", "podgorskiy", "mmgeneration")
LAYOUTS = ["genforce", "interfacegan", "rosinality", "huangzh13", "huangzh13 converted", "lernapparat"]


@pytest.mark.parametrize("name", [*LAYOUTS, "podgorskiy", "stylegan_zoo", "mmgeneration"])
def test_the_first_image_is_that_of_a_port_s_file(name: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "train_step-3.model"
    torch.save(port(name), path)
    first, model, state = begin(path, tmp_path / "run")
    assert_same_images(first, model)
    assert state.G.synthesis.quirks == model.synthesis.quirks
    assert (state.G.synthesis.quirks == Quirks()) == (name in ("genforce", "interfacegan", "podgorskiy"))
    assert (state.step, state.skipped) == (1, 0)
    assert ("holds no discriminator" in caplog.text) == (name not in WITH_D)


def test_noise_of_a_resolution_is_shared_as_in_the_model(tmp_path: Path) -> None:
    tiny_generator(synthesis={"noise_per_resolution": True}).save(tmp_path / "model.safetensors")
    seen = []
    _, _, state = begin(tmp_path / "model.safetensors", tmp_path / "run")
    state.G.synthesis.register_forward_pre_hook(
        lambda module, args, given: seen.append(given["noise"]), with_kwargs=True
    )
    img, _ = TinyImages().batch(list(range(8)))
    train_step(state, state.config, state.config.schedule().at(0), img, None)
    assert seen
    for maps in seen:
        assert all(torch.equal(a, b) for a, b in zip(maps[::2], maps[1::2], strict=True))


@pytest.mark.parametrize("preset", "ABCDEF")
def test_a_run_of_any_preset_hands_its_networks_down(preset: str, tmp_path: Path) -> None:
    run(tmp_path / "parent", preset=preset, kimg=0.016)
    first, model, state = begin(tmp_path / "parent" / "network.safetensors", tmp_path / "of-file")
    assert_same_images(first, model)
    config = settings(start_from=str(tmp_path / "parent"), kimg=0.008)
    child = train(config, tmp_path / "of-run", dataset=TinyImages(), progress=False).state
    first = Generator.from_pretrained(tmp_path / "of-run/snapshots/network-000000.safetensors")
    assert_same_images(first, model)
    for config in (state.config, child.config):
        assert (config.preset, config.z_dim, config.fmap_base, config.mbstd_group_size) == (
            *(preset, 8, 64),
            4 if config is child.config else None,  # The file holds no discriminator.
        )
        assert config.loss_name() == ("wgan" if preset == "A" else "logistic")
    other = "B" if preset == "A" else "A"
    with pytest.raises(InputError, match=f"it has preset {preset}; got preset {other}"):
        begin(tmp_path / "parent/network.safetensors", tmp_path / "other", preset=other)


def test_the_schedule_goes_on_where_the_model_was(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """In a fade, at the model's own resolution, or below the new run's."""
    parents = {"grown": run(tmp_path / "grown", kimg=0.064).state.Gs}
    parents["fading"] = run(tmp_path / "fading", kimg=0.024).state.Gs  # At level of detail 0.5.
    for name, resolution, lods in (
        ("grown", 16, [0, 0]),
        ("fading", 16, [0.5, 0.25]),
        ("grown", 32, [1, 1]),
        ("fading", 32, [1.5, 1.25]),
        ("grown", 8, [0, 0]),
    ):
        source = tmp_path / name
        stored = Generator.from_pretrained(source / "network.safetensors")  # In float16.
        for given, model in ((source, parents[name]), (source / "network.safetensors", stored)):
            config = settings(start_from=str(given), resolution=resolution, transition_kimg=0.032)
            state = new_state(config)
            start_from(state, given)
            schedule = state.config.schedule()
            assert [schedule.at(kimg).lod for kimg in (0, 0.008)] == pytest.approx(lods), (name, resolution)
            assert state.Gs.synthesis.lod == pytest.approx(lods[0])
            shown = state.Gs.synthesis(state.Gs.ws([1]), lod=lods[0], enlarge=False)
            if resolution >= 16:
                expected = model.synthesis(model.ws([1]), enlarge=False)
                torch.testing.assert_close(shown, expected, rtol=1e-5, atol=1e-5)
    assert "training starts" not in caplog.text
    assert "shows images of 16x16; cut to 8x8, the first images are others" in caplog.text
    assert caplog.text.count("the first images are others") == 2
    asked = settings(start_from="x", resolution=16, initial_resolution=8)
    state = new_state(asked)
    start_from(state, tmp_path / "fading")
    assert state.config.schedule().at(0).lod == 1  # What is asked for goes first.
    assert "training starts at 8x8 as set, below what" in caplog.text


def test_a_resumed_child_goes_on_in_the_fade_of_its_parent(tmp_path: Path) -> None:
    run(tmp_path / "parent", kimg=0.024)
    config = settings(start_from=str(tmp_path / "parent"), kimg=0.032, transition_kimg=0.064, log_kimg=0.008)
    whole = train(config, tmp_path / "whole", dataset=TinyImages(), progress=False).state
    config = settings(start_from=str(tmp_path / "parent"), kimg=0.016, transition_kimg=0.064, log_kimg=0.008)
    train(config, tmp_path / "parts", dataset=TinyImages(), progress=False)
    saved = TrainingConfig.load(tmp_path / "parts/config.yaml")
    assert (saved.initial_resolution, saved.initial_fade, saved.z_dim, saved.preset) == (8, 0.5, 8, "F")
    for given in (saved, config):  # As the command reads them, and as a caller still has them.
        given.kimg = 0.032 if given is config else 0.024
        parts = train(given, tmp_path / "parts", dataset=TinyImages(), progress=False, resume=True).state
    assert all(torch.equal(a, b) for a, b in zip(whole.tensors().values(), parts.tensors().values(), strict=True))


def test_networks_with_options_that_no_setting_has_are_resumed(tmp_path: Path) -> None:
    source = GOLDEN / "noblur_relu/network_nosrc.pkl"
    _, _, whole = begin(source, tmp_path / "whole", kimg=0.016)
    _, _, first = begin(source, tmp_path / "parts", kimg=0.008)
    config = TrainingConfig.load(tmp_path / "parts/config.yaml")
    config.kimg = 0.016
    parts = train(config, tmp_path / "parts", dataset=TinyImages(32), progress=False, resume=True).state
    assert parts.G.config["synthesis"]["nonlinearity"] == "relu"
    assert parts.D.config["blur_filter"] == first.D.config["blur_filter"] is None
    assert all(torch.equal(a, b) for a, b in zip(whole.tensors().values(), parts.tensors().values(), strict=True))


def test_a_single_rgb_layer_neither_grows_nor_shrinks(tmp_path: Path) -> None:
    source = GOLDEN / "fixed_structure/network_nosrc.pkl"
    with pytest.raises(InputError, match=r"one RGB layer, for images of 32x32, .* got 64x64. Use --resolution 32"):
        begin(source, tmp_path, resolution=64)
    with pytest.raises(InputError, match="cannot start at 8x8; leave initial_resolution out"):
        begin(source, tmp_path, initial_resolution=8)


def test_a_child_of_a_bundled_model_has_its_licence(tmp_path: Path) -> None:
    state = new_state(settings(resolution=64))
    start_from(state, "faces-64")
    assert state.metadata["license"] == "non-commercial research"
    assert "UTKFace" in state.metadata["attribution"]
    assert (state.metadata["start_from"], state.config.z_dim, state.config.fmap_base) == ("faces-64", 256, 1024)
    assert "UTKFace" in state.metadata["lineage"][0]["dataset"]
    assert state.config.schedule().at(0).lod == 0


def test_licences_are_handed_down_over_generations_and_resumes(tmp_path: Path) -> None:
    model = tiny_generator()
    model.metadata = {"name": "first", "license": "CC BY 4.0", "attribution": "someone", "dataset": "drawings"}
    model.save(tmp_path / "model.safetensors")
    begin(tmp_path / "model.safetensors", tmp_path / "child")
    config = settings(start_from=str(tmp_path / "child"), kimg=0.008)
    train(config, tmp_path / "grandchild", dataset=TinyImages(), progress=False)
    config.kimg = 0.016
    train(config, tmp_path / "grandchild", dataset=TinyImages(), progress=False, resume=True)
    found = Generator.from_pretrained(tmp_path / "grandchild/network.safetensors").metadata
    assert (found["name"], found["license"], found["attribution"]) == ("grandchild", "CC BY 4.0", "someone")
    assert [origin["name"] for origin in found["lineage"]] == ["child", "first"]
    assert (found["start_from"], found["lineage"][1]["dataset"]) == ("child", "drawings")


@pytest.mark.parametrize("name", ["faces-64", "faces-128", "avatars-128"])
def test_bundled_models_are_read_with_discriminator_and_licence(name: str) -> None:
    source = read_source(name, settings(resolution=64))
    assert set(source.networks) == {"G", "D", "Gs"}
    bundled = Generator.from_pretrained(name)
    assert (source.preset, source.generator["z_dim"], source.resolution) == ("F", 256, bundled.img_resolution)
    assert source.generator["synthesis"]["lod"] == 0
    for key in ("license", "license_url", "attribution"):
        assert source.metadata()[key] == bundled.metadata[key]
    assert source.metadata()["start_from"] == name


def test_the_command_of_the_guide_needs_no_widths(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    make_zip(tmp_path / "data.zip", {f"{i}.png": encoded(noise(64, 64, seed=i)) for i in range(8)})
    command = [
        "train",
        "--data",
        str(tmp_path / "data.zip"),
        "--out",
        str(tmp_path / "run"),
        "--start-from",
        "faces-64",
    ]
    options = ["--device", "cpu", "--minutes", "0", "--set", "snapshot_images=2"]
    with caplog.at_level(logging.WARNING):
        result = CliRunner().invoke(main, [*command, *options])
    assert result.exit_code == 0, result.output
    G = Generator.from_pretrained(tmp_path / "run/network.safetensors")
    assert (G.synthesis.lod, G.metadata["license"]) == (0, "non-commercial research")
    assert_same_images(G, Generator.from_pretrained("faces-64"))
    result = CliRunner().invoke(main, [*command, *options, "--out", str(tmp_path / "other"), "--set", "z_dim=512"])
    assert result.exit_code == 1
    assert "it has z_dim 256; got z_dim 512. Use --set z_dim=256, or leave it out" in " ".join(result.output.split())
    assert not list_checkpoints(tmp_path / "other/checkpoints")


def test_runs_of_earlier_versions_are_read_by_their_config(tmp_path: Path) -> None:
    """Their checkpoints say nothing of the networks; config.yaml lies beside."""
    before = run(tmp_path, preset="D", kimg=0.024).state
    path = list_checkpoints(tmp_path / "checkpoints")[-1]
    with safe_open(path, framework="pt") as file:
        header = file.metadata()
    counters = json.loads(header["counters"])
    del counters["run"]
    save_file(load_file(path), path, header | {"counters": json.dumps(counters)})
    state = new_state(settings(resolution=16))
    start_from(state, tmp_path)
    assert torch.equal(images(state.Gs), images(before.Gs))
    assert (state.config.preset, state.Gs.synthesis.lod) == ("D", 0.5)
    resumed = run(tmp_path, preset="D", kimg=0.032, resume=True).state
    assert resumed.step == 4
    for step in (0, 4):
        path.with_name(f"step-{step:09d}.safetensors").unlink()
    with pytest.raises(InputError, match="the run was begun with preset D, which cannot change"):
        run(tmp_path, preset="F", kimg=0.032, resume=True)


def test_an_earlier_run_without_config_says_what_is_missing(tmp_path: Path) -> None:
    run(tmp_path, kimg=0.008)
    path = list_checkpoints(tmp_path / "checkpoints")[-1]
    _, counters = read_tensors(path)
    del counters["run"]
    save_file(load_file(path), path, state_header(counters))
    (tmp_path / "config.yaml").unlink()
    with pytest.raises(InputError, match=r"without the config.yaml that says how it was made; put it into"):
        start_from(new_state(settings(resolution=16, fmap_base=64, fmap_max=8)), tmp_path)
    start_from(new_state(tiny_config()), tmp_path)  # With its settings, as ever.


@pytest.mark.parametrize(
    "change",
    [
        {"networks": {"G": {"z_dim": "x"}, "D": {}}},
        {"networks": {"G": {"z_dim": 10**9, "img_resolution": 16}, "D": {}}},
        {"networks": {"G": 3, "D": None}},
        {"networks": {}},
        {"settings": {"preset": 7}},
        {"metadata": {"lineage": 3, "name": None}},
    ],
)
def test_a_checkpoint_with_odd_metadata_is_one_clear_error(change: dict[str, dict[str, Any]], tmp_path: Path) -> None:
    run(tmp_path, kimg=0.008)
    for path in list_checkpoints(tmp_path / "checkpoints"):
        _, counters = read_tensors(path)
        counters["run"] |= change
        save_file(load_file(path), path, state_header(counters))
    refused = 0
    for read in (lambda: start_from(new_state(tiny_config()), tmp_path), lambda: run(tmp_path, resume=True)):
        try:
            read()
        except StyleGANError:
            refused += 1
    assert bool(refused) == ("metadata" not in change)  # A name that is no text harms nobody.
