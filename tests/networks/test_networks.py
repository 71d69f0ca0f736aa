"""The networks: sizes, options, operators against their plain definitions, errors."""

import re
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from stylegan import Discriminator, Generator, MappingNetwork, SynthesisNetwork
from stylegan.errors import InputError, WeightsError
from stylegan.networks import ops
from stylegan.networks.layers import Conv2d
from stylegan.training.presets import PRESETS
from stylegan.weights.checkpoint import Checkpoint
from stylegan.weights.formats.official import discriminator_key, mapping_key, synthesis_key
from stylegan.weights.loading import Loaded, build_network

from ..conftest import GOLDEN, tiny_generator


def official_variables() -> dict[str, dict[str, tuple[int, ...]]]:
    """Names and shapes of the official FFHQ 1024 networks, without their levels of detail."""
    networks: dict[str, dict[str, tuple[int, ...]]] = {}
    for line in (GOLDEN / "variables_ffhq1024.txt").read_text().splitlines():
        if match := re.match(r"# (G|D) [GD]_", line):
            current = networks.setdefault(match[1], {})
        elif match := re.match(r"(\S+)\s+\((.*?)\)", line):
            shape = tuple(int(n) for n in match[2].split(",") if n)
            current |= {} if match[1].endswith("lod") else {match[1]: shape}
    return networks


def our_key(network: str, name: str) -> str:
    scope, _, rest = name.partition("/")
    if network == "D":
        return discriminator_key(name, 1024)
    if scope == "dlatent_avg":
        return "w_avg"
    return f"mapping.{mapping_key(rest)}" if scope == "G_mapping" else f"synthesis.{synthesis_key(rest, 1024)}"


@pytest.mark.parametrize(("network", "parameters"), [("G", 26_219_627), ("D", 23_087_249)])
def test_official_ffhq_networks_have_these_variables(network: str, parameters: int) -> None:
    with torch.device("meta"):
        ours = Generator(seed=None) if network == "G" else Discriminator(seed=None)
    assert sum(p.numel() for p in ours.parameters()) == parameters
    state = {name: tuple(tensor.shape) for name, tensor in ours.state_dict().items()}
    for name, shape in official_variables()[network].items():
        expected = shape
        if name.endswith("weight") and len(shape) == 4:
            expected = (shape[3], shape[2], shape[0], shape[1])
        elif name.endswith("weight") and len(shape) == 2:
            expected = shape[::-1]
        assert state.pop(our_key(network, name)) == expected, name
    assert not state  # Ours has nothing that the official network lacks.


@pytest.mark.parametrize("channels", [(3, 5), (8, 2)])
def test_fused_operators_equal_their_definitions(channels: tuple[int, int]) -> None:
    x, w = torch.randn(2, channels[0], 8, 8), torch.randn(channels[1], channels[0], 3, 3)
    torch.testing.assert_close(ops.upscale_conv2d(x, w), ops.conv2d(ops.upscale(x), w), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(ops.conv2d_downscale(x, w), ops.downscale(ops.conv2d(x, w)), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("taps", "before", "after"), [([1, 2, 1], 1, 1), ([1, 3, 3, 1], 1, 2), ([1], 0, 0), ([1, 2], 0, 1)]
)
def test_blur_is_a_normalized_correlation_with_zero_borders(taps: list[float], before: int, after: int) -> None:
    x = torch.randn(1, 2, 6, 7)
    padded = F.pad(x, [before, after, before, after])
    expected = (
        sum(a * b * padded[:, :, i : i + 6, j : j + 7] for i, a in enumerate(taps) for j, b in enumerate(taps))
        / sum(taps) ** 2
    )
    torch.testing.assert_close(ops.blur(x, ops.blur_kernel(taps)), expected)


def test_asymmetric_blur_is_not_flipped() -> None:
    impulse = torch.zeros(1, 1, 5, 5)
    impulse[..., 2, 2] = 1
    row = ops.blur(impulse, ops.blur_kernel([1, 2, 5]))[0, 0, 2]
    assert row.argmax() == 1  # A correlation: the last tap reaches the pixel to its left.


def test_minibatch_stddev_groups_sample_i_with_i_mod_m() -> None:
    x = torch.randn(6, 4, 2, 2)
    y = ops.minibatch_stddev(x, group_size=3, num_features=2)
    assert y.shape == (6, 6, 2, 2)
    for i in range(6):
        group = x[[j for j in range(6) if j % 2 == i % 2]]
        std = (group.var(dim=0, correction=0) + 1e-8).sqrt()
        torch.testing.assert_close(y[i, 4], std[:2].mean().expand(2, 2))
        torch.testing.assert_close(y[i, 5], std[2:].mean().expand(2, 2))


def test_instance_norm_keeps_float32_statistics() -> None:
    x = torch.randn(1, 4, 64, 64) + 50
    exact = (x - x.mean((2, 3), keepdim=True)) / x.std((2, 3), correction=0, keepdim=True)
    assert (ops.instance_norm(x.bfloat16()).float() - exact).abs().mean() < 0.2
    torch.testing.assert_close(ops.instance_norm(x), exact, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("n", [1, 2])
def test_gradient_of_instance_norm(n: int, layout: torch.memory_format) -> None:
    x, gradient = torch.randn(2, n, 5, 8, 8, generator=torch.Generator().manual_seed(0))
    found = []
    for dtype in (torch.float32, torch.float64):
        own = x.to(dtype, memory_format=layout).detach().clone().requires_grad_(True)
        std, mean = torch.std_mean(own, (2, 3), correction=0, keepdim=True)
        y = ops.instance_norm(own) if dtype == torch.float32 else (own - mean) / std
        y.backward(gradient.to(dtype, memory_format=layout))
        found.append(own.grad.float())
    torch.testing.assert_close(*found, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("resolution", [8, 16, 32, 128])
def test_any_power_of_two(resolution: int) -> None:
    G, D = PRESETS["F"].build(img_resolution=resolution)
    assert G.num_ws == 2 * (resolution.bit_length() - 2)
    with torch.no_grad():
        img = G(G.z(range(2)))
        assert img.shape == (2, 3, resolution, resolution)
        assert D(img).shape == (2, 1)


def test_sizes_above_1024() -> None:
    with torch.device("meta"):
        G = Generator(img_resolution=2048, seed=None)
        assert G.synthesis(torch.empty(1, 20, 512)).shape == (1, 3, 2048, 2048)


@pytest.mark.parametrize("resolution", [0, 4, 12, 1000, 64.0, "64", None, True, 2**20, -8])
def test_other_resolutions_are_refused(resolution: Any) -> None:
    with pytest.raises(InputError, match="power of two"):
        Generator(img_resolution=resolution)
    with pytest.raises(InputError, match="power of two"):
        Discriminator(img_resolution=resolution)


@pytest.mark.parametrize("name", "ABCDEF")
def test_presets(name: str) -> None:
    G, D = PRESETS[name].build(img_resolution=32)
    layer = G.synthesis.layers[2]
    assert (len(G.mapping.layers) == 0) == (name in "AB")
    assert (layer.style is None) == (name in "AB")
    assert (layer.blur_kernel is None) == (D.blocks["32"].blur_kernel is None) == (name == "A")
    assert hasattr(G.synthesis.layers[0].source, "const") == (name in "DEF")
    assert (layer.noise_strength is not None) == (name in "EF")
    assert PRESETS[name].style_mixing_prob == (0.9 if name == "F" else 0)
    with torch.no_grad():
        assert D(G(G.z(range(4)))).shape == (4, 1)


def test_conditional_networks_depend_on_the_label() -> None:
    G = tiny_generator(label_dim=3)
    D = Discriminator(img_resolution=16, fmap_base=128, fmap_max=16, label_dim=3).requires_grad_(False)
    labels = torch.eye(3)
    img = G(G.z([5]).expand(3, -1), labels)
    assert (img[0] - img[1]).abs().mean() > 1e-3
    scores = D(img[:1].expand(3, -1, -1, -1), labels)
    assert len(scores.unique()) == 3


def test_fractional_lod_blends_its_neighbours(tiny: Generator) -> None:
    ws = tiny.broadcast(tiny.mapping(tiny.z(3)))
    at = {lod: tiny.synthesis(ws, lod=lod) for lod in (0, 0.25, 1, 2)}
    torch.testing.assert_close(at[0.25], torch.lerp(at[0], at[1], 0.25))
    assert (at[2][..., 0::4, 0::4] == at[2][..., 3::4, 3::4]).all()


def test_initial_weights_follow_from_the_seed_alone() -> None:
    torch.manual_seed(7)
    before = torch.get_rng_state()
    a, b, c = (Generator(img_resolution=8, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(before, torch.get_rng_state())
    for key, value in a.state_dict().items():
        assert torch.equal(value, b.state_dict()[key])
    assert not torch.equal(next(a.mapping.parameters()), next(c.mapping.parameters()))


@pytest.mark.parametrize("equalized_lr", [True, False])
def test_initial_weights(equalized_lr: bool) -> None:
    G = SynthesisNetwork(img_resolution=8, w_dim=256, fmap_max=64, equalized_lr=equalized_lr)
    conv = G.layers[1].source
    assert isinstance(conv, Conv2d)
    torch.testing.assert_close(conv.scaled_weight().std().item(), (2 / (64 * 9)) ** 0.5, rtol=0.05, atol=0)
    torch.testing.assert_close(conv.weight.std().item(), 1.0 if equalized_lr else (2 / 576) ** 0.5, rtol=0.05, atol=0)
    assert (G.layers[0].source.get_parameter("const") == 1).all()
    assert (G.layers[0].get_parameter("noise_strength") == 0).all()
    layer: Any = MappingNetwork(equalized_lr=equalized_lr).layers[0]
    torch.testing.assert_close(layer.scaled_weight().std().item(), (2 / 512) ** 0.5, rtol=0.05, atol=0)


def test_a_typo_in_an_argument_raises() -> None:
    with pytest.raises(
        InputError, match="mapping: unknown argument 'num_layer'; MappingNetwork has num_layers, hidden"
    ):
        Generator(img_resolution=8, mapping={"num_layer": 2})


def test_errors_name_what_was_expected(tiny: Generator) -> None:
    w = tiny.mapping(tiny.z([0]))
    D = Discriminator(img_resolution=16, fmap_base=64, fmap_max=8, mbstd_group_size=4)
    cases: list[tuple[Callable[[], object], str]] = [
        (lambda: tiny.mapping(torch.zeros(2, 5)), r"z must be \[N, 24\], got \[2, 5\]"),
        (lambda: tiny.mapping(tiny.z([0]), torch.zeros(1, 3)), "unconditional"),
        (lambda: tiny_generator(label_dim=3).mapping(tiny.z([0])), "labels=0 .in commands, --label 0."),
        (lambda: tiny.synthesis(w), r"ws must be \[N, 6, 24\], got \[1, 24\]; use G.broadcast"),
        (lambda: tiny.synthesis(tiny.broadcast(w), noise_mode="loud"), "noise_mode must be one of 'const'"),
        (lambda: tiny.synthesis(tiny.broadcast(w), noise=[None] * 5), "6 layers, got 5"),
        (lambda: tiny.synthesis(tiny.broadcast(w), noise=[torch.zeros(1, 1, 8, 8)] * 6), "noise of layer 0 must be"),
        (lambda: tiny.synthesis(tiny.broadcast(w), lod=3), "lod at resolution 16 must be a number from 0 to 2"),
        (lambda: D(torch.zeros(1, 3, 8, 8)), r"img must be \[N, 3, 16, 16\], got \[1, 3, 8, 8\]"),
        (lambda: D(torch.zeros(6, 3, 16, 16)), "divisible by, mbstd_group_size 4; got 6"),
        (lambda: MappingNetwork(num_layers=0, w_dim=7), "w_dim must equal"),
        (lambda: MappingNetwork(nonlinearity="gelu"), "one of 'lrelu', 'relu'"),  # type: ignore[arg-type]
        (lambda: SynthesisNetwork(img_resolution=8, blur_filter=[1, -1]), "blur_filter"),
    ]
    for call, message in cases:
        with pytest.raises(InputError, match=message):
            call()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"z_dim": 0}, "z_dim must be an integer from 1 to 65536, got 0"),
        ({"z_dim": -4}, "z_dim must be"),
        ({"w_dim": "64"}, "w_dim must be an integer from 1 to 65536, got '64'"),
        ({"label_dim": -1}, "label_dim must be an integer from 0"),
        ({"img_channels": 0}, "img_channels must be"),
        ({"truncation_psi": "x"}, "truncation_psi must be a number from -100 to 100, got 'x'"),
        ({"truncation_psi": float("nan")}, "truncation_psi must be"),
        ({"truncation_cutoff": 2.5}, "truncation_cutoff, a layer index or None,"),
        ({"seed": "x"}, "seed, an integer or None, must be"),
        ({"mapping": 3}, "mapping must be a dictionary of arguments of MappingNetwork, got 3"),
        ({"mapping": {"z_dim": 4}}, "mapping: 'z_dim' is an argument of the whole network"),
        ({"mapping": {"hidden_dim": 0}}, "hidden_dim must be"),
        ({"mapping": {"lr_multiplier": 0}}, "lr_multiplier must be"),
        ({"synthesis": {"foo": 1}}, "synthesis: unknown argument 'foo'; SynthesisNetwork has fmap_base"),
        ({"synthesis": {"fmap_max": 1.5}}, "fmap_max must be an integer"),
        ({"synthesis": {"use_noise": "no"}}, "use_noise must be True or False, got 'no'"),
        ({"synthesis": {"nonlinearity": ["relu"]}}, "nonlinearity must be one of 'lrelu', 'relu'"),
        ({"synthesis": {"blur_filter": 3}}, "blur_filter must be None or a list"),
        ({"synthesis": {"blur_filter": ["a"]}}, "each number of blur_filter must be"),
        ({"synthesis": {"lod": "1"}}, "lod must be"),
    ],
)
def test_odd_settings_are_one_error_in_calls_and_in_checkpoints(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Generator(img_resolution=8, **options)
    if "seed" not in options:  # No checkpoint has one.
        config = Generator(img_resolution=8).config | options
        with pytest.raises(WeightsError, match=f"x: its config describes no Generator: {message}"):
            build_network(Generator, Loaded(Checkpoint("Generator", config, {}), "x"))


def test_networks_on_the_meta_device_have_no_pictures() -> None:
    with torch.device("meta"):
        G = Generator(img_resolution=8, seed=None)
    for call in (G.sample, lambda: G.z(1), lambda: G.noise(1), lambda: G.render(torch.zeros(1, 4, 512))):
        with pytest.raises(InputError, match="meta device, where there are no numbers"):
            call()
