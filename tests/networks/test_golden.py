"""Every number of the networks against the official implementation.

Images in float32 are off what the network is, the official ones by up to 1e-4 at 32x32 (noblur_relu), and how far
depends on the order of sums, so on a processor's instructions. Each path is therefore judged by its distance to the
same network in float64, and the official number by its own.
"""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from stylegan import Generator, images
from stylegan.networks import ops
from stylegan.networks.layers import activate
from stylegan.networks.synthesis import SynthesisNetwork

from ..conftest import FAST_PATHS, GOLDEN, Golden, load_golden

# Official scope -> index of our layer.
SCOPES = ["4x4/Const", "4x4/Conv"] + [f"{r}x{r}/{c}" for r in (8, 16, 32, 64, 128, 256) for c in ("Conv0_up", "Conv1")]

# Key of the image -> arguments of truncate. None stands for the file's own static setting.
TRUNCATIONS = {
    "img_default": None,
    "img_psi_none": (1.0, None),
    "img_psi1": (1.0, 8),
    "img_psi07_cut8": (0.7, 8),
    "img_psi07_cutNone": (0.7, 0),  # The official way to say: no layer.
    "img_psi07_cutm1": (0.7, -1),
    "img_psi05_cut3": (0.5, 3),
    "img_psi05_cut99": (0.5, 99),
    "img_is_validation": (1.0, None),
}


def limit_of(img: Tensor) -> float:
    """The largest error of a value: the official code itself differs by 4e-5 between batch sizes at 64x64."""
    return 1e-4 if img.shape[-1] <= 64 else 5e-4


def assert_close(given: Tensor, expected: Tensor) -> None:
    """Within the stated tolerance: absolute by size, and 5e-5 relative RMS at every size."""
    error = given[: len(expected)] - expected
    assert error.abs().max() <= limit_of(expected)
    assert error.square().mean().sqrt() <= 5e-5 * expected.std()


def assert_right(G: Generator, ws: Tensor, expected: Tensor, **options: Any) -> None:
    """The images of ws are as near to those in float64 as the official ones, and both are near."""
    exact = copy.deepcopy(G).double()
    exact.path = "plain"
    truth = exact.synthesis(ws.double(), **options)[: len(expected)]
    ours, official = (img[: len(expected)] - truth for img in (G.synthesis(ws, **options), expected))
    assert official.abs().max() <= limit_of(expected)
    assert official.square().mean().sqrt() <= 5e-5 * truth.std()
    # Single values vary more than their mean: with AVX2, one of 256x256 is off by 2e-4, and none of the official ones.
    assert ours.abs().max().item() <= max(limit_of(expected), 3 * official.abs().max().item())
    assert ours.square().mean().sqrt() <= 2 * official.square().mean().sqrt()


def ws_of(golden: Golden) -> Tensor:
    return golden.Gs.broadcast(golden.Gs.mapping(golden["z"], golden.labels))


@pytest.fixture(params=["plain", *FAST_PATHS])
def rendered(request: pytest.FixtureRequest, golden: Golden) -> Golden:
    """A set on each path to its images."""
    golden.Gs.path = golden.G.path = request.param
    return golden


def test_w(golden: Golden) -> None:
    torch.testing.assert_close(golden.Gs.mapping(golden["z"], golden.labels), golden["w"], rtol=1e-5, atol=1e-5)
    if "G_w" in golden:
        torch.testing.assert_close(golden.G.mapping(golden["z"], golden.labels), golden["G_w"], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("key", TRUNCATIONS)
def test_truncation(rendered: Golden, key: str) -> None:
    if key not in rendered:
        pytest.skip("not in this set")
    G = rendered.Gs
    psi, cutoff = TRUNCATIONS[key] or G.recommended_truncation.values()
    assert_right(G, G.truncate(ws_of(rendered), psi, cutoff), rendered[key], lod=0)


@pytest.mark.parametrize(("key", "psi"), [("img_psi0", 0.0), ("img_psim05", -0.5)])
def test_truncation_with_the_static_cutoff(rendered: Golden, key: str, psi: float) -> None:
    if key not in rendered:
        pytest.skip("not in this set")
    G = rendered.Gs
    # A file without a cutoff of its own says psi None; these runs then use the official default of 8 layers.
    cutoff = G.recommended_truncation["truncation_cutoff"] or 8
    assert_right(G, G.truncate(ws_of(rendered), psi, cutoff), rendered[key], lod=0)


def test_other_generator_of_the_file(rendered: Golden) -> None:
    if "img_G_default" not in rendered:
        pytest.skip("not in this set")
    G = rendered.G
    ws = G.truncate(G.broadcast(rendered["G_w"]), *G.recommended_truncation.values())
    assert_right(G, ws, rendered["img_G_default"], lod=0)


@pytest.mark.parametrize("key", ["wplus_random", "wplus_mix"])
def test_one_w_for_each_layer(rendered: Golden, key: str) -> None:
    if key not in rendered:
        pytest.skip("not in this set")
    assert_right(rendered.Gs, rendered[key], rendered[f"img_{key}"], lod=0)


def test_mix_styles_makes_the_official_mixture(golden: Golden) -> None:
    if "wplus_mix" not in golden or golden.Gs.num_ws == 1:
        pytest.skip("not in this set")
    ws = ws_of(golden)
    crossover = golden.Gs.num_ws // 2 - 1  # That of the runs.
    torch.testing.assert_close(
        golden.Gs.mix_styles(ws[:1], ws[1:2], crossover), golden["wplus_mix"], rtol=1e-5, atol=1e-5
    )


def test_given_noise(rendered: Golden) -> None:
    if "noise_in/4x4/Const/Noise" not in rendered:
        pytest.skip("not in this set")
    noise = [rendered[f"noise_in/{scope}/Noise"] for scope in SCOPES[: rendered.Gs.num_ws]]
    ws = ws_of(rendered)[: len(noise[0])]
    assert_right(rendered.Gs, ws, rendered["img_random_noise"], noise=noise, lod=0)


def test_levels_of_detail(rendered: Golden) -> None:
    G = rendered.Gs
    ws = G.truncate(ws_of(rendered), *G.recommended_truncation.values())
    for key in rendered.arrays:
        if key.startswith("img_lod"):
            assert_right(G, ws, rendered[key], lod=float(key.removeprefix("img_lod")))


def test_stored_level_of_detail_is_the_default() -> None:
    golden = load_golden(GOLDEN / "pickle_lod1.5")
    G = golden.Gs
    assert (G.synthesis.lod, golden.D.lod) == (1.5, 1.5)
    ws = G.truncate(ws_of(golden), *G.recommended_truncation.values())
    assert_close(G.synthesis(ws), golden["img_lod1.5"])
    assert_close(golden.D(golden["reals"]), golden["D_reals_lod1.5"])


def test_static_truncation_is_read_from_the_file(golden: Golden) -> None:
    expected = {"pickle_lod1.5": (0.6, 5), "traditional8": (1.0, None)}.get(golden.name, (0.7, 8))
    assert tuple(golden.Gs.config[key] for key in ("truncation_psi", "truncation_cutoff")) == expected


def test_official_uint8_images(golden: Golden) -> None:
    if "img_default_uint8_nhwc" not in golden:
        pytest.skip("not in this set")
    expected = golden["img_default_uint8_nhwc"].numpy().astype(int)
    given = images.to_numpy(golden["img_default"][: len(expected)])
    # The conversion is exact, but set B made its floats in another run than its integers: some lie on an edge.
    assert abs(given - expected).max() <= 1
    assert (given != expected).mean() <= (2e-4 if golden.name == "B" else 0)


def test_every_activation(golden_t: Golden) -> None:
    G, w = golden_t.Gs, golden_t["w"][:1]
    seen: dict[str, Tensor] = {}

    def record(name: str) -> Callable[..., Any]:
        return lambda module, args, output: seen.__setitem__(name, output)

    hooks = [G.synthesis.layers[i].register_forward_hook(record(SCOPES[i])) for i in range(G.num_ws)]
    for lod, resolution in enumerate((16, 8, 4)):
        hooks.append(G.synthesis.to_rgb[str(resolution)].register_forward_hook(record(f"ToRGB_lod{lod}")))
    G.synthesis(G.broadcast(w))
    for hook in hooks:
        hook.remove()
    # Only the images that are shown are computed: the small ones need a level of detail of their own.
    for lod in (1, 2):
        seen[f"ToRGB_lod{lod}"] = G.synthesis(G.broadcast(w), lod=lod)[:, :, :: 2**lod, :: 2**lod]
    assert len(seen) == 9
    for name, activation in seen.items():
        assert_close(activation, golden_t[f"layer/{name}"])

    x = ops.pixel_norm(golden_t["z"][:1])
    for i, layer in enumerate(G.mapping.layers):
        x = activate(layer(x), G.mapping.nonlinearity)
        torch.testing.assert_close(x, golden_t[f"layer/mapping_Dense{i}"], rtol=1e-5, atol=1e-6)


def test_weights_at_run_time(golden_t: Golden) -> None:
    """The constants of the equalized learning rate, layer by layer, not only in their product."""
    G: SynthesisNetwork = golden_t.Gs.synthesis
    dense: Any = golden_t.Gs.mapping.layers[0]
    conv: Any = G.layers[1].source
    up: Any = G.layers[2].source
    style: Any = G.layers[1].style
    # Official layouts: dense [in, out], conv [kh, kw, in, out].
    for key, ours in {
        "Dense0/mul": dense.scaled_weight().T,
        "Dense0/mul_1": dense.scaled_bias(),
        "4x4/Conv/mul": conv.scaled_weight().permute(2, 3, 1, 0),
        "4x4/Conv/StyleMod/mul": style.scaled_weight().T,
        "8x8/Conv0_up/mul": up.scaled_weight().permute(2, 3, 1, 0),
        "ToRGB_lod0/mul": G.to_rgb["16"].scaled_weight().permute(2, 3, 1, 0),
    }.items():
        torch.testing.assert_close(ours.flatten()[:64], golden_t[f"runtime/{key}"], rtol=1e-6, atol=1e-7)


def test_discriminator(golden: Golden) -> None:
    labels = golden["real_labels"] if golden.D.label_dim else None

    def scores(key: str, n: int, lod: float = 0.0) -> None:
        given = golden.D(golden["reals"][:n], None if labels is None else labels[:n], lod=lod)
        torch.testing.assert_close(given, golden[key], rtol=0, atol=1e-5)

    for n in (1, 2, 3):  # Batches below the group size of the minibatch standard deviation.
        if f"D_reals_n{n}" in golden:
            scores(f"D_reals_n{n}", n)
    for key in golden.arrays:
        if key.startswith("D_reals_lod"):
            scores(key, len(golden["reals"]), lod=float(key.removeprefix("D_reals_lod")))
    if "D_reals" in golden:
        scores("D_reals", len(golden["reals"]))


def test_discriminator_with_other_groups(golden: Golden) -> None:
    if "D_reals_group2" not in golden:
        pytest.skip("not in this set")
    D = golden.D
    labels = golden["real_labels"] if D.label_dim else None
    own = D.head.mbstd_group_size
    for key, group_size in (("D_reals_group2", 2), ("D_reals6_group3", 3)):
        if key not in golden:
            continue
        n = len(golden[key])
        D.head.mbstd_group_size = group_size
        given = D(golden["reals"][:n], None if labels is None else labels[:n], lod=0)
        D.head.mbstd_group_size = own
        torch.testing.assert_close(given, golden[key], rtol=0, atol=1e-5)
