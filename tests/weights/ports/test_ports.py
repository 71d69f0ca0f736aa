"""The readers of other ports' files, on files made from official golden sets: the golden images come back.

Where a port computes something else than the official code, its images are those of an emulation, which without the
difference gives the official numbers.
"""

import re
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from stylegan import Generator
from stylegan.errors import WeightsError
from stylegan.weights.checkpoint import Checkpoint

from . import writers as ports
from .emulations import emulate, emulate_discriminator, emulate_rosinality
from .golden_sets import Set, as_discriminator, as_generator, assert_images, golden_set, noise_of
from .writers import Variables, scopes


def test_the_emulations_are_the_official_networks() -> None:
    b, t = golden_set("B"), golden_set("T")
    assert_images(emulate(b.g, b["wplus_random"], noise_of(b.g)), b["img_wplus_random"])
    torch.testing.assert_close(emulate_discriminator(b.d, b["reals"]), b["D_reals_n1"], rtol=0, atol=1e-5)
    torch.testing.assert_close(emulate_discriminator(t.d, t["reals"]), t["D_reals"], rtol=0, atol=1e-5)


def check_generator(G: Generator, golden: Set, *, own_noise: bool = True) -> None:
    """The golden numbers of a set: w, an image of given ws, a truncated one."""
    labels = golden["labels"] if G.label_dim else None
    noise = None if own_noise else noise_of(golden.g)
    w = G.mapping(golden["z"], labels)
    torch.testing.assert_close(w, golden["w"], rtol=1e-5, atol=1e-5)
    given = G.synthesis(golden["wplus_random"], noise=noise, lod=0)
    assert_images(given, golden["img_wplus_random"])
    key = "img_psi05_cut3"
    given = G.synthesis(G.truncate(G.broadcast(w), 0.5, 3)[: len(golden[key])], noise=noise, lod=0)
    assert_images(given, golden[key])


# genforce, sefa, the hub

FUSED = "fused_scale is taken for 'auto': the file does not tell it (stylegan convert --fused-scale)"


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("name", ["T", "B", "D", "pickle_lod1.5"])
def test_genforce(read: Callable[..., list[Checkpoint]], name: str, legacy: bool) -> None:
    golden = golden_set(name)
    other = {key: value + 1 for key, value in ports.genforce_generator(golden.g).items()}
    wrapper = {
        "generator": other,
        "discriminator": ports.genforce_discriminator(golden.d),
        "generator_smooth": ports.genforce_generator(golden.g),
    }
    G, D = read(wrapper, "stylegan_cat256.pth", legacy=legacy)
    assert G.metadata == {
        "name": "stylegan_cat256",
        "source": "generator_smooth (genforce layout) of stylegan_cat256.pth",
        "notes": [FUSED],
    }
    check_generator(as_generator(G), golden)
    network = as_discriminator(D)
    labels = golden["real_labels"][:1] if network.label_dim else None
    torch.testing.assert_close(network(golden["reals"][:1], labels, lod=0), golden["D_reals_n1"], rtol=0, atol=1e-5)
    if name == "pickle_lod1.5":
        assert (G.config["synthesis"]["lod"], D.config["lod"]) == (1.5, 1.5)


def test_genforce_without_a_learned_constant(read: Callable[..., list[Checkpoint]]) -> None:
    golden = golden_set("styles_noconst_nonoise")
    (G,) = read(ports.genforce_generator(golden.g))
    assert G.config["synthesis"]["const_input"] is False
    check_generator(as_generator(G), golden)


def test_genforce_training_file_takes_the_maintained_average(read: Callable[..., list[Checkpoint]]) -> None:
    golden = golden_set("T")
    smooth = ports.genforce_generator(golden.g)
    smooth["truncation.w_avg"] = torch.zeros_like(smooth["truncation.w_avg"])
    models = {"generator": ports.genforce_generator(golden.g), "generator_smooth": smooth}
    models["discriminator"] = ports.genforce_discriminator(golden.d)
    models = {part: {f"module.{key}": value for key, value in state.items()} for part, state in models.items()}
    running = {"iter": 10, "seen_img": 25_000_000}
    G, _ = read({"models": models, "running_metadata": running, "optimizers": {}, "learning_rates": {"g": [0.001]}})
    check_generator(as_generator(G), golden)
    assert G.metadata["notes"] == [FUSED, "w_avg is that of the part 'generator'"]


def test_genforce_noise_by_channel_is_refused(read: Callable[..., list[Checkpoint]]) -> None:
    state = ports.genforce_generator(golden_set("T").g)
    state["synthesis.layer3.apply_noise.noise"] = torch.zeros(1, 8, 1, 1)
    with pytest.raises(WeightsError, match="noise of layer 3"):
        read(state)


def test_interfacegan(read: Callable[..., list[Checkpoint]]) -> None:
    golden = golden_set("B")
    (G,) = read(ports.interfacegan(golden.g), "stylegan_ffhq.pth")
    check_generator(as_generator(G), golden)


# rosinality


def as_trained_by_rosinality(g: Variables) -> Variables:
    """Official variables that this port can hold: no bias after the constant, the same noise in both layers."""
    g = dict(g) | {"4x4/Const/bias": torch.zeros_like(g["4x4/Const/bias"])}
    for i in range(0, len(scopes(ports.resolution_of(g))), 2):
        g[f"noise{i + 1}"] = g[f"noise{i}"]
    return g


@pytest.mark.parametrize("name", ["T", "B"])
def test_rosinality(read: Callable[..., list[Checkpoint]], name: str) -> None:
    golden = golden_set(name)
    g = as_trained_by_rosinality(golden.g)
    port, resolution = ports.rosinality_generator(g), ports.resolution_of(g)
    wrapper = {
        "generator": {key: value + 1 for key, value in port.items()},
        "discriminator": ports.rosinality_discriminator(ports.widened(golden.d)),
        "g_optimizer": {"state": {0: {"step": 3, "exp_avg": torch.ones(2)}}, "param_groups": []},
        "g_running": port,
    }
    G, D = read(wrapper, "train_step-7.model", legacy=True, resolution=resolution)
    network, ws, noise = as_generator(G), golden["wplus_random"], noise_of(g)
    torch.testing.assert_close(network.mapping(golden["z"]), golden["w"], rtol=1e-5, atol=1e-5)
    image = network.synthesis(ws, noise=noise)
    emulated = emulate_rosinality(port, ws, noise[::2], resolution.bit_length() - 3)
    assert_images(emulated, emulate(g, ws, noise, epsilon=1e-5, bias_before_blur=True))
    assert_images(image, emulated)
    torch.testing.assert_close(network.w_avg, _mean_w(network), rtol=1e-4, atol=1e-5)
    quirks = {"instance_norm_epsilon": 1e-5, "bias_before_blur": True, "noise_per_resolution": True}
    assert G.config["synthesis"]["quirks"] == quirks
    # Both layers of a resolution share their noise, stored or drawn.
    maps = [layer.get_buffer("noise_const") for layer in network.synthesis.layers]
    assert all(map(torch.equal, maps[::2], maps[1::2]))
    assert torch.equal(network.noise([1])[2], network.noise([1])[3])
    assert not torch.equal(network.noise([1])[1], network.noise([1])[2][:, :, :4, :4])

    assert D.config["quirks"].get("widen_first", False) == (
        name == "B"
    )  # All feature maps of T are of the same number.
    discriminator, reals = as_discriminator(D), golden["reals"]
    expected = emulate_discriminator(ports.widened(golden.d), reals, group_size=len(reals))
    torch.testing.assert_close(discriminator(reals), expected, rtol=0, atol=1e-5)


def _mean_w(G: Generator) -> Tensor:
    z = torch.from_numpy(np.random.RandomState(0).standard_normal((10_000, G.z_dim)).astype(np.float32))
    labels = torch.eye(G.label_dim)[torch.arange(10_000) % G.label_dim] if G.label_dim else None
    return G.mapping(z, labels).mean(dim=0)


def test_rosinality_discriminator_without_activation(read: Callable[..., list[Checkpoint]]) -> None:
    golden = golden_set("T")
    (D,) = read(ports.rosinality_discriminator(golden.d, activated=False), resolution=16)
    expected = emulate_discriminator(golden.d, golden["reals"][:4], activations=0)
    torch.testing.assert_close(as_discriminator(D)(golden["reals"][:4]), expected, rtol=0, atol=1e-5)


# huangzh13, lernapparat and ganspace


@pytest.mark.parametrize("name", ["B", "D"])
def test_huangzh13(read: Callable[..., list[Checkpoint]], name: str) -> None:
    golden = golden_set(name)
    depth = ports.resolution_of(golden.g).bit_length() - 3
    (G,) = read(ports.huangzh13_generator(golden.g), f"GAN_GEN_{depth}_120.pth")
    network, noise = as_generator(G), noise_of(golden.g)
    image = network.synthesis(golden["wplus_random"], noise=noise)
    assert_images(image, emulate(golden.g, golden["wplus_random"], noise, epsilon=1e-5))
    G.config["synthesis"]["quirks"]["instance_norm_epsilon"] = 1e-8
    check_generator(as_generator(G), golden, own_noise=False)
    if name == "B":
        (D,) = read(ports.huangzh13_discriminator(golden.d), f"GAN_DIS_{depth}_120.pth")
        expected = emulate_discriminator(golden.d, golden["reals"], activations=0)
        torch.testing.assert_close(as_discriminator(D)(golden["reals"]), expected, rtol=0, atol=1e-5)


def test_huangzh13_parts_that_are_not_what_they_seem(read: Callable[..., list[Checkpoint]]) -> None:
    golden = golden_set("T")
    # A converted file has random RGB layers but for the last.
    (G,) = read(ports.huangzh13_generator(golden.g, converted=True))
    assert G.config["synthesis"]["progressive"] is False
    assert "synthesis.to_rgb.8.weight" not in G.state_dict
    # Networks that are no StyleGAN.
    for key in ("embeddings.0.weight", "g_synthesis.init_block.dense.weight"):
        files = {"embeddings.0.weight": ports.huangzh13_discriminator(golden.d)}
        state = files.get(key, ports.huangzh13_generator(golden.g))
        with pytest.raises(WeightsError, match="cannot be converted"):
            read(state | {key: torch.ones(2)})


def test_lernapparat_and_ganspace(read: Callable[..., list[Checkpoint]]) -> None:
    golden = golden_set("B")
    (G,) = read(ports.lernapparat_generator(golden.g), "ffhq.for_g_all.pt", legacy=True)
    network, noise = as_generator(G), noise_of(golden.g)
    image = network.synthesis(golden["wplus_random"], noise=noise)
    assert_images(image, emulate(golden.g, golden["wplus_random"], noise, epsilon=1e-5))
    assert G.config["synthesis"]["progressive"] is False
    torch.testing.assert_close(network.w_avg, _mean_w(network), rtol=1e-4, atol=1e-5)
    G.config["synthesis"]["quirks"]["instance_norm_epsilon"] = 1e-8
    G.state_dict["w_avg"] = golden.g["dlatent_avg"]
    check_generator(as_generator(G), golden, own_noise=False)

    (D,) = read(ports.lernapparat_discriminator(golden.d), "ffhq.for_d_basic.pt")
    torch.testing.assert_close(as_discriminator(D)(golden["reals"]), golden["D_reals_n1"], rtol=0, atol=1e-5)


def test_official_names(read: Callable[..., list[Checkpoint]]) -> None:
    golden = golden_set("B")
    mapping = {f"G_mapping/{name}": value for name, value in golden.g.items() if name.startswith("Dense")}
    g = {name: value for name, value in golden.g.items() if not re.match(r"Dense|noise|lod|dlatent_avg", name)}
    Gs = mapping | {f"G_synthesis/{name}": value for name, value in g.items()}
    G = {name: value + 1 for name, value in Gs.items()}
    D = {name: value for name, value in golden.d.items() if name != "lod"}
    first, second = read([G, D, Gs], "karras2019stylegan-ffhq-1024x1024.pt")
    first.state_dict["w_avg"] = golden.g["dlatent_avg"]
    check_generator(as_generator(first), golden, own_noise=False)
    torch.testing.assert_close(as_discriminator(second)(golden["reals"]), golden["D_reals_n1"], rtol=0, atol=1e-5)


# podgorskiy, ALAE, stylegan_zoo


@pytest.mark.parametrize("multiplied", [False, True])
@pytest.mark.parametrize("name", ["T", "B"])
def test_podgorskiy(read: Callable[..., list[Checkpoint]], name: str, multiplied: bool) -> None:
    golden = golden_set(name)
    models = {
        "discriminator": ports.podgorskiy_discriminator(golden.d, multiplied=multiplied),
        "generator": {"const": torch.ones(1, 4, 4, 4)},
        "dlatent_avg": ports.podgorskiy_average(golden.g),
        "generator_s": ports.podgorskiy_generator(golden.g, multiplied=multiplied),
        "mapping_s": ports.podgorskiy_mapping(golden.g, multiplied=multiplied),
    }
    G, D = read({"models": models, "auxiliary": {"scheduler": {"last_epoch": 3}}}, "model_final.pth", legacy=True)
    check_generator(as_generator(G), golden, own_noise=False)
    assert ("not multiplied" in G.metadata["notes"][0]) is not multiplied
    expected = emulate_discriminator(golden.d, golden["reals"], activations=2)
    torch.testing.assert_close(as_discriminator(D)(golden["reals"]), expected, rtol=0, atol=1e-5)


def test_podgorskiy_average_of_each_layer(read: Callable[..., list[Checkpoint]]) -> None:
    golden = golden_set("T")
    average = ports.podgorskiy_average(golden.g)
    average["buff"][0] += 1
    models = {"dlatent_avg": average, "generator_s": ports.podgorskiy_generator(golden.g, multiplied=False)}
    models["mapping_s"] = ports.podgorskiy_mapping(golden.g, multiplied=False)
    (G,) = read({"models": models})
    torch.testing.assert_close(G.state_dict["w_avg"], golden.g["dlatent_avg"] + 1 / 6)


def test_alae(read: Callable[..., list[Checkpoint]]) -> None:
    golden = golden_set("B")
    # The variables' learning rate multiplier of 0.01 goes into the weights, which this port holds multiplied.
    mapping = ports.podgorskiy_mapping(golden.g, multiplied=True, pattern="map_blocks.{}.fc", first=0)
    decoder = ports.podgorskiy_generator(golden.g, multiplied=True)
    models = {"generator_s": decoder, "mapping_fl_s": mapping, "dlatent_avg": ports.podgorskiy_average(golden.g)}
    models["discriminator_s"] = {"encode_block.0.style_1.weight": torch.ones(3)}
    (G,) = read({"models": models, "auxiliary": {}})
    assert G.config["mapping"]["lr_multiplier"] == 0.1
    check_generator(as_generator(G), golden, own_noise=False)
    models["generator_s"] = {"fc_1.weight": torch.ones(3)}
    with pytest.raises(WeightsError, match="not StyleGAN's"):
        read({"models": models})


@pytest.mark.parametrize("multiplied", [False, True])
def test_stylegan_zoo(read: Callable[..., list[Checkpoint]], multiplied: bool) -> None:
    golden = golden_set("B")
    (G,) = read(ports.stylegan_zoo(golden.g, multiplied=multiplied), "cat256.mat", legacy=True)
    image = as_generator(G).synthesis(golden["wplus_random"], noise=noise_of(golden.g))
    assert_images(image, emulate(golden.g, golden["wplus_random"], noise_of(golden.g), bilinear=True))
    assert G.config["synthesis"].pop("quirks") == {"bilinear_upscale": True}
    check_generator(as_generator(G), golden, own_noise=False)
