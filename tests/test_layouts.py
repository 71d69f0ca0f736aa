"""The readers of other ports' files, on files made from official golden sets: the golden images come back.

Where a port computes something else than the official code, its images are those of an emulation written out here,
which without the difference gives the official numbers.
"""

import json
import re
from dataclasses import dataclass
from functools import cache
from math import sqrt

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from stylegan import Discriminator, Generator
from stylegan.errors import UnsafeFileError, WeightsError
from stylegan.weights.checkpoint import Checkpoint
from stylegan.weights.layouts import read_port_file
from stylegan.weights.loading import Loaded, build_network
from stylegan.weights.official_pickle import read_official_pickle

from . import ports
from .conftest import GOLDEN, SHARED
from .ports import Variables, scopes


@pytest.fixture(autouse=True, scope="module")
def _one_thread():
    """Networks as small as these lose more by threads than they gain."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@dataclass
class Set:
    """A golden set: its official variables and its arrays."""

    g: Variables
    d: Variables
    arrays: dict[str, Tensor]

    def __getitem__(self, key: str) -> Tensor:
        return self.arrays[key]


@cache
def golden_set(name: str) -> Set:
    networks = read_official_pickle(GOLDEN / name / "network_nosrc.pkl")
    Gs, D = networks["Gs"], networks["D"]
    g = dict(Gs.variables) | Gs.components["mapping"].variables | Gs.components["synthesis"].variables
    with np.load(GOLDEN / name / "io.npz") as arrays:
        tensors = {key: torch.from_numpy(arrays[key]) for key in arrays.files}
    return Set(_tensors(g), _tensors(D.variables), tensors)


def _tensors(variables) -> Variables:
    return {name: torch.from_numpy(np.array(value, np.float32)) for name, value in variables.items()}


def as_generator(checkpoint: Checkpoint) -> Generator:
    return build_network(Generator, Loaded(checkpoint, "test")).eval().requires_grad_(False)


def as_discriminator(checkpoint: Checkpoint) -> Discriminator:
    return build_network(Discriminator, Loaded(checkpoint, "test")).eval().requires_grad_(False)


@pytest.fixture
def read(tmp_path):
    """Save an object as torch.save does, and read it back as checkpoints."""

    def save_and_read(value, name: str = "port.pth", *, legacy: bool = False, **options) -> list[Checkpoint]:
        path = tmp_path / name
        torch.save(value, path, _use_new_zipfile_serialization=not legacy)
        return read_port_file(path, **options)

    return save_and_read


def noise_of(g: Variables) -> list[Tensor]:
    return [g[f"noise{i}"] for i in range(len(scopes(ports.resolution_of(g))))]


def assert_images(given: Tensor, expected: Tensor, limit: float = 1e-4) -> None:
    """Relative RMS, as the golden tests: 5e-5 there, and the absolute limit of 256x256 images."""
    error = given - expected
    assert error.square().mean().sqrt() <= limit * expected.std()
    assert error.abs().max() <= (1e-4 if expected.shape[-1] <= 64 else 5e-4) * max(limit / 1e-4, 1)


# The official networks, and what ports change in them.


def emulate(
    g: Variables,
    ws: Tensor,
    noise: list[Tensor],
    *,
    epsilon: float = 1e-8,
    bias_before_blur: bool = False,
    bilinear: bool = False,
) -> Tensor:
    """The synthesis network on official variables; ws: [N, num_ws, w_dim]."""
    x = g["4x4/Const/const"].expand(len(ws), -1, -1, -1)
    for i, scope in enumerate(scopes(ports.resolution_of(g))):
        bias = g[f"{scope}/bias"][:, None, None]
        if i:
            k = g[f"{scope}/weight"]
            k = (k * sqrt(2) / sqrt(k[..., 0].numel())).permute(3, 2, 0, 1)  # [out, in, 3, 3]
        if i and i % 2 == 0:
            if 4 << (i // 2) >= 128:
                k4 = sum(F.pad(k, [a, 1 - a, b, 1 - b]) for a in (0, 1) for b in (0, 1))
                x = F.conv_transpose2d(x, k4.transpose(0, 1), stride=2, padding=1)
            else:
                options = {"mode": "bilinear", "align_corners": True} if bilinear else {"mode": "nearest"}
                x = F.conv2d(F.interpolate(x, scale_factor=2, **options), k, padding=1)
            if bias_before_blur:
                x, bias = x + bias, torch.zeros(1)
            x = F.conv2d(x, ports.blur(x.shape[1], "cpu"), padding=1, groups=x.shape[1])
        elif i:
            x = F.conv2d(x, k, padding=1)
        x = F.leaky_relu(x + noise[i] * g[f"{scope}/Noise/weight"][:, None, None] + bias, 0.2)
        x = x - x.mean(dim=(2, 3), keepdim=True)
        x = x / (x.square().mean(dim=(2, 3), keepdim=True) + epsilon).sqrt()
        w = ws[:, i] @ g[f"{scope}/StyleMod/weight"] / sqrt(ws.shape[2]) + g[f"{scope}/StyleMod/bias"]
        scale, shift = w[:, :, None, None].split(x.shape[1], dim=1)
        x = x * (scale + 1) + shift
    weight = g["ToRGB_lod0/weight"]
    return F.conv2d(x, ports.conv(weight) / sqrt(weight.shape[2]), g["ToRGB_lod0/bias"])


def emulate_rosinality(port: dict[str, Tensor], ws: Tensor, noise: list[Tensor], top: int) -> Tensor:
    """The generator up to block `top`, on the tensors of the port as it uses them; noise: one map a block."""

    def equal(name: str) -> Tensor:
        weight = port[f"{name}.weight_orig"]
        return weight * sqrt(2 / weight[0].numel())

    x = port["generator.progression.0.conv1.input"].expand(len(ws), -1, -1, -1)
    for block in range(top + 1):
        name = f"generator.progression.{block}"
        if block >= 5:
            k = port[f"{name}.conv1.0.weight"]
            k = k * sqrt(2 / (k.shape[0] * 9))
            k4 = sum(F.pad(k, [a, 1 - a, b, 1 - b]) for a in (0, 1) for b in (0, 1)) / 4
            x = F.conv_transpose2d(x, k4, port[f"{name}.conv1.0.bias"], stride=2, padding=1)
            x = F.conv2d(x, port[f"{name}.conv1.1.weight"], padding=1, groups=x.shape[1])
        elif block:
            x = F.interpolate(x, scale_factor=2)
            x = F.conv2d(x, equal(f"{name}.conv1.1.conv"), port[f"{name}.conv1.1.conv.bias"], padding=1)
            x = F.conv2d(x, port[f"{name}.conv1.2.weight"], padding=1, groups=x.shape[1])
        for k in (1, 2):
            if k == 2:
                x = F.conv2d(x, equal(f"{name}.conv2.conv"), port[f"{name}.conv2.conv.bias"], padding=1)
            strength = port[f"{name}.noise{k}.weight_orig"]
            x = F.leaky_relu(x + strength * sqrt(2 / strength.numel()) * noise[block], 0.2)
            style = f"{name}.adain{k}.style.linear"
            w = F.linear(ws[:, 2 * block + k - 1], equal(style), port[f"{style}.bias"])[:, :, None, None]
            scale, shift = w.chunk(2, dim=1)
            x = scale * F.instance_norm(x, eps=1e-5) + shift
    name = f"generator.to_rgb.{top}.conv"
    return F.conv2d(x, equal(name), port[f"{name}.bias"])


def emulate_discriminator(d: Variables, x: Tensor, *, activations: int = 1, group_size: int = 4) -> Tensor:
    def layer(scope: str, x: Tensor, gain: float = sqrt(2)) -> Tensor:
        w, b = d[f"{scope}/weight"], d[f"{scope}/bias"]
        w = w * gain / sqrt(w[..., 0].numel())
        if w.ndim == 2:
            return x.flatten(1) @ w + b
        return F.conv2d(x, ports.conv(w), b, padding=w.shape[0] // 2)

    x = layer("FromRGB_lod0", x)
    for _ in range(activations):
        x = F.leaky_relu(x, 0.2)
    r = ports.resolution_of(d)
    while r > 4:
        x = F.leaky_relu(layer(f"{r}x{r}/Conv0", x), 0.2)
        x = F.conv2d(x, ports.blur(x.shape[1], "cpu"), padding=1, groups=x.shape[1])
        bias = d[f"{r}x{r}/Conv1_down/bias"][:, None, None]
        # Shrinking adds nothing to a bias, so that it may come before.
        x = F.leaky_relu(F.avg_pool2d(layer(f"{r}x{r}/Conv1_down", x) - bias, 2) + bias, 0.2)
        r //= 2
    n = len(x)
    g = min(group_size, n)
    y = x.reshape(g, -1, *x.shape[1:])
    y = (y.var(dim=0, correction=0) + 1e-8).sqrt().mean(dim=(1, 2, 3), keepdim=True)
    x = torch.cat([x, y.repeat(g, 1, 4, 4)], dim=1)
    x = F.leaky_relu(layer("4x4/Conv", x), 0.2)
    return layer("4x4/Dense1", F.leaky_relu(layer("4x4/Dense0", x), 0.2), gain=1.0)


def test_the_emulations_are_the_official_networks():
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


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("name", ["T", "B", "D", "pickle_lod1.5"])
def test_genforce(read, name, legacy):
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
    }
    check_generator(as_generator(G), golden)
    network = as_discriminator(D)
    labels = golden["real_labels"][:1] if network.label_dim else None
    torch.testing.assert_close(network(golden["reals"][:1], labels, lod=0), golden["D_reals_n1"], rtol=0, atol=1e-5)
    if name == "pickle_lod1.5":
        assert (G.config["synthesis"]["lod"], D.config["lod"]) == (1.5, 1.5)


def test_genforce_without_a_learned_constant(read):
    golden = golden_set("styles_noconst_nonoise")
    (G,) = read(ports.genforce_generator(golden.g))
    assert G.config["synthesis"]["const_input"] is False
    check_generator(as_generator(G), golden)


def test_genforce_training_file_takes_the_average_that_is_maintained(read):
    golden = golden_set("T")
    smooth = ports.genforce_generator(golden.g)
    smooth["truncation.w_avg"] = torch.zeros_like(smooth["truncation.w_avg"])
    models = {"generator": ports.genforce_generator(golden.g), "generator_smooth": smooth}
    models["discriminator"] = ports.genforce_discriminator(golden.d)
    models = {part: {f"module.{key}": value for key, value in state.items()} for part, state in models.items()}
    running = {"iter": 10, "seen_img": 25_000_000}
    G, _ = read({"models": models, "running_metadata": running, "optimizers": {}, "learning_rates": {"g": [0.001]}})
    check_generator(as_generator(G), golden)
    assert G.metadata["notes"] == ["w_avg is that of the part 'generator'"]


def test_genforce_noise_by_channel_is_refused(read):
    state = ports.genforce_generator(golden_set("T").g)
    state["synthesis.layer3.apply_noise.noise"] = torch.zeros(1, 8, 1, 1)
    with pytest.raises(WeightsError, match="noise of layer 3"):
        read(state)


def test_interfacegan(read):
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
def test_rosinality(read, name):
    golden = golden_set(name)
    g = as_trained_by_rosinality(golden.g)
    port, resolution = ports.rosinality_generator(g), ports.resolution_of(g)
    wrapper = {
        "generator": {key: value + 1 for key, value in port.items()},
        "discriminator": ports.rosinality_discriminator(widened(golden.d)),
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
    assert {"instance_norm_epsilon": 1e-5, "bias_before_blur": True} | G.config["synthesis"] == G.config["synthesis"]
    # Both layers of a resolution share their noise, stored or drawn.
    layers = network.synthesis.layers
    assert all(torch.equal(layers[i].noise_const, layers[i + 1].noise_const) for i in range(0, len(layers), 2))
    assert torch.equal(network.noise([1])[2], network.noise([1])[3])
    assert not torch.equal(network.noise([1])[1], network.noise([1])[2][:, :, :4, :4])

    assert D.config.get("widen_first", False) == (name == "B")  # All feature maps of T are of the same number.
    discriminator, reals = as_discriminator(D), golden["reals"]
    expected = emulate_discriminator(widened(golden.d), reals, group_size=len(reals))
    torch.testing.assert_close(discriminator(reals), expected, rtol=0, atol=1e-5)


def widened(d: Variables) -> Variables:
    """Discriminator variables with this port's numbers of feature maps: Conv0 changes them, not Conv1_down."""
    d, generator = dict(d), torch.Generator().manual_seed(0)
    r = ports.resolution_of(d)
    while r > 4:
        after = len(d[f"{r}x{r}/Conv1_down/bias"])
        for name, before in (("Conv0", d[f"{r}x{r}/Conv0/weight"].shape[2]), ("Conv1_down", after)):
            if d["lod"].is_meta:
                d[f"{r}x{r}/{name}/weight"] = torch.empty(3, 3, before, after, device="meta")
                d[f"{r}x{r}/{name}/bias"] = torch.empty(after, device="meta")
            else:
                d[f"{r}x{r}/{name}/weight"] = torch.randn(3, 3, before, after, generator=generator)
                d[f"{r}x{r}/{name}/bias"] = torch.randn(after, generator=generator)
        r //= 2
    return d


def _mean_w(G: Generator) -> Tensor:
    z = torch.from_numpy(np.random.RandomState(0).standard_normal((10_000, G.z_dim)).astype(np.float32))
    labels = torch.eye(G.label_dim)[torch.arange(10_000) % G.label_dim] if G.label_dim else None
    return G.mapping(z, labels).mean(dim=0)


def test_rosinality_resolution(read):
    golden = golden_set("T")
    port = ports.rosinality_generator(golden.g)
    # From the file name, and from blocks that are as they were at first.
    for name in ("stylegan-16px-new.model", "train_step-3.model"):
        (G,) = read(port, name)
        assert G.config["img_resolution"] == 16
    for block in range(9):
        port[f"generator.to_rgb.{block}.conv.bias"] = torch.ones(3)
    (G,) = read(port, "stylegan-16px-new.model")
    assert G.config["img_resolution"] == 16
    with pytest.raises(WeightsError, match=r"step 3 is 32, or 16 at the end of training"):
        read(port, "train_step-3.model")
    with pytest.raises(WeightsError, match="pass resolution"):
        read(port, "140000.model")
    with pytest.raises(WeightsError, match="2048"):
        read(port, resolution=2048)


def test_rosinality_discriminator_without_activation(read):
    golden = golden_set("T")
    (D,) = read(ports.rosinality_discriminator(golden.d, activated=False), resolution=16)
    expected = emulate_discriminator(golden.d, golden["reals"][:4], activations=0)
    torch.testing.assert_close(as_discriminator(D)(golden["reals"][:4]), expected, rtol=0, atol=1e-5)


# huangzh13, lernapparat and ganspace


@pytest.mark.parametrize("name", ["B", "D"])
def test_huangzh13(read, name):
    golden = golden_set(name)
    depth = ports.resolution_of(golden.g).bit_length() - 3
    (G,) = read(ports.huangzh13_generator(golden.g), f"GAN_GEN_{depth}_120.pth")
    network, noise = as_generator(G), noise_of(golden.g)
    image = network.synthesis(golden["wplus_random"], noise=noise)
    assert_images(image, emulate(golden.g, golden["wplus_random"], noise, epsilon=1e-5))
    G.config["synthesis"]["instance_norm_epsilon"] = 1e-8
    check_generator(as_generator(G), golden, own_noise=False)
    if name == "B":
        (D,) = read(ports.huangzh13_discriminator(golden.d), f"GAN_DIS_{depth}_120.pth")
        expected = emulate_discriminator(golden.d, golden["reals"], activations=0)
        torch.testing.assert_close(as_discriminator(D)(golden["reals"]), expected, rtol=0, atol=1e-5)


def test_huangzh13_parts_that_are_not_what_they_seem(read):
    golden = golden_set("T")
    # A converted file has random RGB layers but for the last.
    (G,) = read(ports.huangzh13_generator(golden.g, converted=True))
    assert G.config["synthesis"]["progressive"] is False
    assert "synthesis.to_rgb.8.weight" not in G.state_dict
    # The average w beside averaged weights is not theirs.
    (G,) = read(ports.huangzh13_generator(golden.g), "GAN_GEN_SHADOW_2_9.pth")
    network = as_generator(G)
    torch.testing.assert_close(network.w_avg, _mean_w(network), rtol=1e-4, atol=1e-5)
    # The depth of the name says how much was trained.
    (G,) = read(ports.huangzh13_generator(golden.g), "GAN_GEN_1_9.pth")
    image = as_generator(G).synthesis(golden["wplus_random"][:, :4], noise=noise_of(golden.g)[:4])
    assert image.shape == (1, 3, 8, 8)
    # Networks that are no StyleGAN.
    for key in ("embeddings.0.weight", "g_synthesis.init_block.dense.weight"):
        files = {"embeddings.0.weight": ports.huangzh13_discriminator(golden.d)}
        state = files.get(key, ports.huangzh13_generator(golden.g))
        with pytest.raises(WeightsError, match="cannot be converted"):
            read(state | {key: torch.ones(2)})


def test_lernapparat_and_ganspace(read):
    golden = golden_set("B")
    (G,) = read(ports.lernapparat_generator(golden.g), "ffhq.for_g_all.pt", legacy=True)
    network, noise = as_generator(G), noise_of(golden.g)
    image = network.synthesis(golden["wplus_random"], noise=noise)
    assert_images(image, emulate(golden.g, golden["wplus_random"], noise, epsilon=1e-5))
    assert G.config["synthesis"]["progressive"] is False
    torch.testing.assert_close(network.w_avg, _mean_w(network), rtol=1e-4, atol=1e-5)
    G.config["synthesis"]["instance_norm_epsilon"] = 1e-8
    G.state_dict["w_avg"] = golden.g["dlatent_avg"]
    check_generator(as_generator(G), golden, own_noise=False)

    (D,) = read(ports.lernapparat_discriminator(golden.d), "ffhq.for_d_basic.pt")
    torch.testing.assert_close(as_discriminator(D)(golden["reals"]), golden["D_reals_n1"], rtol=0, atol=1e-5)


def test_official_names(read):
    golden = golden_set("B")
    mapping = {f"G_mapping/{name}": value for name, value in golden.g.items() if name.startswith("Dense")}
    g = {name: value for name, value in golden.g.items() if not re.match(r"Dense|noise|lod|dlatent_avg", name)}
    Gs = mapping | {f"G_synthesis/{name}": value for name, value in g.items()}
    G = {name: value + 1 for name, value in Gs.items()}
    D = {name: value for name, value in golden.d.items() if name != "lod"}
    G, D = read([G, D, Gs], "karras2019stylegan-ffhq-1024x1024.pt")
    G.state_dict["w_avg"] = golden.g["dlatent_avg"]
    check_generator(as_generator(G), golden, own_noise=False)
    torch.testing.assert_close(as_discriminator(D)(golden["reals"]), golden["D_reals_n1"], rtol=0, atol=1e-5)


# podgorskiy, ALAE, stylegan_zoo


@pytest.mark.parametrize("multiplied", [False, True])
@pytest.mark.parametrize("name", ["T", "B"])
def test_podgorskiy(read, name, multiplied):
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


def test_podgorskiy_training_file_in_the_middle_of_growing(read):
    golden = golden_set("T")
    models = {"generator_s": ports.podgorskiy_generator(golden.g, multiplied=True)}
    models["mapping_s"] = ports.podgorskiy_mapping(golden.g, multiplied=True)
    for name, resolution in (("model_tmp_intermediate_lod1.pth", 8), ("model_tmp_lod7.pth", 16), ("model_tmp.pth", 16)):
        (G,) = read({"models": models}, name)
        assert as_generator(G).img_resolution == resolution


def test_podgorskiy_average_of_each_layer(read):
    golden = golden_set("T")
    average = ports.podgorskiy_average(golden.g)
    average["buff"][0] += 1
    models = {"dlatent_avg": average, "generator_s": ports.podgorskiy_generator(golden.g, multiplied=False)}
    models["mapping_s"] = ports.podgorskiy_mapping(golden.g, multiplied=False)
    (G,) = read({"models": models})
    torch.testing.assert_close(G.state_dict["w_avg"], golden.g["dlatent_avg"] + 1 / 6)


def test_alae(read):
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
def test_stylegan_zoo(read, multiplied):
    golden = golden_set("B")
    (G,) = read(ports.stylegan_zoo(golden.g, multiplied=multiplied), "cat256.mat", legacy=True)
    image = as_generator(G).synthesis(golden["wplus_random"], noise=noise_of(golden.g))
    assert_images(image, emulate(golden.g, golden["wplus_random"], noise_of(golden.g), bilinear=True))
    assert G.config["synthesis"].pop("bilinear_upscale") is True
    check_generator(as_generator(G), golden, own_noise=False)


# Names and shapes against the descriptions of the layouts, and refusals


def standard_variables() -> tuple[Variables, Variables]:
    """The variables of the official 1024x1024 networks, without memory."""
    g: Variables = {}
    d: Variables = {}
    target = {}
    for line in (GOLDEN / "variables_ffhq1024.txt").read_text().splitlines():
        if line.startswith("# "):
            target = d if line.startswith("# D ") else g if line.startswith("# G ") or "component" in line else {}
        elif match := re.match(r"(\S+)\s+\(([\d, ]*)\)", line):
            shape = [int(n) for n in match[2].replace(" ", "").split(",") if n]
            target[re.sub(r"^G_(synthesis|mapping)/", "", match[1])] = torch.empty(shape, device="meta")
    return g, d


def described(layout: str, key: str) -> dict[str, list[int]]:
    description = json.loads((SHARED / "layouts" / f"{layout}.json").read_text())
    return {name: shape for name, shape, *_ in description[key]}


@pytest.mark.skipif(not (SHARED / "layouts").is_dir(), reason="the descriptions of the layouts are not there")
def test_files_of_these_tests_are_as_described():
    g, d = standard_variables()
    podgorskiy = ports.podgorskiy_generator(g, multiplied=True)
    mapping_f = ports.podgorskiy_mapping(g, multiplied=True, pattern="map_blocks.{}.fc", first=0)
    for layout, key, state in [
        ("genforce", "generator_1024", ports.genforce_generator(g)),
        ("genforce", "discriminator_1024", ports.genforce_discriminator(d)),
        ("interfacegan", "generator_1024", ports.interfacegan(g)),
        ("rosinality", "generator", ports.rosinality_generator(g)),
        ("rosinality", "discriminator_from_rgb_activate", ports.rosinality_discriminator(widened(d))),
        (
            "rosinality",
            "discriminator_no_from_rgb_activate",
            ports.rosinality_discriminator(widened(d), activated=False),
        ),
        ("huangzh13", "generator_1024", ports.huangzh13_generator(g)),
        ("huangzh13", "discriminator_1024", ports.huangzh13_discriminator(d)),
        ("lernapparat", "g_all_1024", ports.lernapparat_generator(g)),
        ("lernapparat", "d_basic_1024", ports.lernapparat_discriminator(d)),
        ("ganspace", "generator_1024", ports.lernapparat_generator(g)),
        ("podgorskiy", "generator", podgorskiy),
        ("podgorskiy", "mapping", ports.podgorskiy_mapping(g, multiplied=True)),
        ("podgorskiy", "discriminator", ports.podgorskiy_discriminator(d, multiplied=True)),
        ("podgorskiy", "dlatent_avg", ports.podgorskiy_average(g)),
        ("alae", "decoder", podgorskiy),
        ("alae", "mapping_f", mapping_f),
        ("stylegan_zoo", "model", ports.stylegan_zoo(g)),
    ]:
        given = {name: list(tensor.shape) for name, tensor in state.items()}
        assert given == described(layout, key), (layout, key)


def test_obsolete_unknown_and_ambiguous_files(read):
    older = {"generator.progression.1.conv1.conv.weight_orig": torch.ones(2, 2, 3, 3)}
    with pytest.raises(WeightsError, match="before 4 July 2019"):
        read({"generator": older, "g_running": older, "discriminator": {}})
    with pytest.raises(WeightsError, match=r"synthesis\.b4\.const, .*supported are genforce, interfacegan"):
        read({"synthesis.b4.const": torch.ones(1), "mapping.fc0.weight": torch.ones(1)})
    with pytest.raises(WeightsError, match="first tensors are none"):
        read({"state": {"epoch": 3}})
    with pytest.raises(WeightsError, match="expected dictionaries"):
        read(torch.ones(3))
    golden = golden_set("T")
    both = {"a": ports.genforce_generator(golden.g), "b": ports.lernapparat_generator(golden.g)}
    with pytest.raises(WeightsError, match="several layouts: genforce, lernapparat"):
        read(both)


EVERY = {
    "genforce": lambda s: ports.genforce_generator(s.g),
    "genforce D": lambda s: ports.genforce_discriminator(s.d),
    "interfacegan": lambda s: ports.interfacegan(s.g),
    "rosinality": lambda s: ports.rosinality_generator(s.g),
    "rosinality D": lambda s: ports.rosinality_discriminator(s.d),
    "huangzh13": lambda s: ports.huangzh13_generator(s.g),
    "huangzh13 D": lambda s: ports.huangzh13_discriminator(s.d),
    "lernapparat": lambda s: ports.lernapparat_generator(s.g),
    "lernapparat D": lambda s: ports.lernapparat_discriminator(s.d),
    "stylegan_zoo": lambda s: ports.stylegan_zoo(s.g),
}


@pytest.mark.parametrize("layout", EVERY)
def test_missing_extra_misshapen_and_broken_tensors(read, layout, monkeypatch):
    monkeypatch.setattr("stylegan.weights.layouts.common.NUM_W_AVG", 10)  # For speed.
    state = EVERY[layout](golden_set("T"))
    names = [
        name for name in state if not re.search(r"blur|kernel|conv1\.[12]\.weight(_flip)?$|conv2\.0\.weight", name)
    ]
    # Nor blocks that were not trained.
    cut = {"rosinality": r"(progression|to_rgb)\.[3-8]", "rosinality D": r"(progression|from_rgb)\.[0-5]\."}
    names = [name for name in names if not re.search(cut.get(layout, "(?!)"), name)]
    generator = np.random.RandomState(0)
    for i in generator.choice(len(names), 8, replace=False):
        name = names[i]
        changed = dict(state)
        del changed[name]
        optional = re.search(r"w_avg|avg_latent|dlatent_avg|lod|truncation\.truncation", name)
        outcome = _outcome(read, changed)
        assert outcome is not None or optional, f"without {name}"
        for wrong in (torch.ones(7), torch.ones(()), torch.ones(0), torch.ones(2, 3, 5, 1), state[name].half() / 0):
            outcome = _outcome(read, state | {name: wrong})
            assert outcome is not None or re.search(r"lod|truncation\.truncation", name), (name, wrong.shape)
    with pytest.raises(WeightsError, match="unexpected tensors 'surprise'"):
        read(state | {"surprise": torch.ones(3)}, resolution=16)


def _outcome(read, state: dict[str, Tensor]) -> str | None:
    """What reading and building raises of our errors; anything else fails the test."""
    try:
        for checkpoint in read(state, resolution=16):
            (as_generator if checkpoint.network == "Generator" else as_discriminator)(checkpoint)
    except WeightsError as error:
        return str(error)
    return None


def test_a_small_file_of_many_references_is_refused(read):
    one = torch.ones(1000, 1000)
    with pytest.raises(UnsafeFileError, match="repeat the same values"):
        read({f"mapping.dense{i}.weight": one for i in range(1000)})
