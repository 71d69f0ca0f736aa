"""The losses, their gradients and the penalties against the official implementation, and by hand."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from stylegan.errors import InputError
from stylegan.fast import native_kernels
from stylegan.training.losses import find_loss, gradient_penalty, squared_gradient
from stylegan.training.passes import MONITORED, Critic, Draws, discriminator_loss, make_fakes

from .golden_files import Golden, assert_gradients_match
from .tiny import fuse

# Float32 against float32, other backends: relative to scores of order 1 (loss/D_wgan is a small difference of them).
RTOL = 3e-6

SETS = {name: Golden.read(name) for name in ("T", "D")}
CASES = [(name, key) for name, golden in SETS.items() for key in golden.info["losses"]]
OURS = {"G_wgan": "wgan", "G_logistic_saturating": "logistic_saturating", "G_logistic_nonsaturating": "logistic"}


fused_too = pytest.mark.parametrize(
    "prepare",
    [
        pytest.param(lambda network: None, id="modules"),
        pytest.param(
            fuse,
            id="fused",
            marks=pytest.mark.skipif(native_kernels() is None, reason="needs the compiled kernels"),
        ),
    ],
)


@fused_too
@pytest.mark.parametrize(("name", "key"), [c for c in CASES if c[1].startswith("G_")])
def test_generator_loss_matches_official(name: str, key: str, prepare: Callable[..., Any]) -> None:
    golden = SETS[name]
    G, D, lod = golden.generator(), golden.discriminator(), golden.info["losses"][key]["lod"]
    prepare(G.synthesis)
    prepare(D)
    labels = golden.labels("loss/labels", 4)
    img, _ = make_fakes(G, Draws(golden.tensor("loss/z"), None, None, None), labels, lod)
    loss = find_loss(OURS[key.split("_lod")[0]]).generator(Critic(D, lod)(img, labels))
    assert loss.item() == pytest.approx(golden.info["losses"][key]["mean"], rel=RTOL, abs=RTOL)
    loss.backward()
    norms = golden.norms("G", golden.info["losses"][key]["grad_norms"])
    # Instance norm takes most of a bias away again: what is left is a small difference, good to 1e-5.
    assert_gradients_match(G, norms, golden.ours("G", f"loss/{key}/grad/"), 1e-5)


def d_loss_settings(key: Any, golden: Any) -> Any:
    """What the official loss of that name means in our words."""
    kind = key.split("_lod")[0]
    settings = {"loss": kind.split("_")[1]}
    if kind.endswith("_gp"):
        settings |= {"gp_weight": 10.0, "gp_mixing": golden.tensor("loss/mixing_factors")}
    if "simplegp" in kind:
        settings["r1_gamma"] = 10.0
    if kind.endswith("_r2"):
        settings["r2_gamma"] = 10.0
    return settings


def sum_of_terms(terms: Any) -> Any:
    return sum(value for name, value in terms.items() if name not in MONITORED)


@fused_too
@pytest.mark.parametrize(("name", "key"), [c for c in CASES if c[1].startswith("D_")])
def test_discriminator_loss_matches_official(name: str, key: str, prepare: Callable[..., Any]) -> None:
    golden = SETS[name]
    G, D, lod = golden.generator(), golden.discriminator(), golden.info["losses"][key]["lod"]
    prepare(D)
    labels = golden.labels("real_labels", 4)
    with torch.no_grad():
        ws = G.broadcast(G.mapping(golden.tensor("loss/z"), labels))
        fakes = G.synthesis(ws, lod=lod)
    critic = Critic(D, lod)
    loss = sum_of_terms(
        discriminator_loss(critic, golden.tensor("reals")[:4], fakes, labels, **d_loss_settings(key, golden))
    )
    assert loss.item() == pytest.approx(golden.info["losses"][key]["mean"], rel=RTOL, abs=RTOL)
    loss.backward()
    norms = golden.norms("D", golden.info["losses"][key]["grad_norms"])
    assert_gradients_match(D, norms, golden.ours("D", f"loss/{key}/grad/"), RTOL)


@fused_too
@pytest.mark.parametrize("key", ["D_logistic", "D_logistic_simplegp", "D_wgan", "D_wgan_gp"])
@pytest.mark.parametrize("name", ["T", "D"])
def test_penalties_of_order_one_match_official(name: str, key: str, prepare: Callable[..., Any]) -> None:
    """With two kernels of the discriminator enlarged, the penalties weigh as much as the losses."""
    golden, amplified = SETS[name], Golden.read(name, f"{name}_amplified")
    G, D = golden.generator(), golden.discriminator()
    prepare(D)
    for official, factor in amplified.info["amplified"].items():
        layer: dict[str, Any] = {
            "FromRGB_lod0/weight": next(iter(D.from_rgb.values())).conv,
            "4x4/Dense1/weight": D.head.dense1,
        }
        layer[official].weight.data *= factor
    labels, reals = golden.labels("real_labels", 4), golden.tensor("reals")[:4]
    with torch.no_grad():
        fakes = G.synthesis(G.broadcast(G.mapping(golden.tensor("loss/z"), labels)))
    critic = Critic(D, 0.0)
    loss = sum_of_terms(discriminator_loss(critic, reals, fakes, labels, **d_loss_settings(key, golden)))
    # The scores are of order 30.
    assert loss.item() == pytest.approx(amplified.info["losses"][key]["mean"], rel=RTOL, abs=30 * RTOL)
    loss.backward()
    norms = amplified.norms("D", amplified.info["losses"][key]["grad_norms"])
    # The enlarged kernels enlarge rounding, too: 6e-6 on a processor with AMX, below 3e-6 on others.
    assert_gradients_match(D, norms, amplified.ours("D", f"{key}/grad/"), 5 * RTOL)

    reals.requires_grad_(True)
    r1 = squared_gradient(critic(reals, labels), reals)
    torch.testing.assert_close(r1, amplified.tensor("r1_penalty").view_as(r1), rtol=1e-5, atol=0)


def test_growing_images_score_the_same_at_their_own_resolution() -> None:
    golden = SETS["T"]
    G, D = golden.generator(), golden.discriminator()
    ws = G.broadcast(G.mapping(golden.tensor("loss/z")))
    for lod in (0.0, 0.5, 1.0, 1.5, 2.0):
        full, small = (G.synthesis(ws, lod=lod, enlarge=enlarge) for enlarge in (True, False))
        assert small.shape[-1] == 16 >> int(lod)
        torch.testing.assert_close(D(full, lod=lod), D(small, lod=lod), rtol=1e-5, atol=1e-6)


def test_squared_gradient_of_a_known_function() -> None:
    img = torch.ones(2, 1, 4, 4, requires_grad=True)
    scores = (img.sum(dim=(1, 2, 3), keepdim=True) * torch.tensor([1.0, 3.0])[:, None, None, None]).flatten(1)
    assert squared_gradient(scores, img).tolist() == [16.0, 144.0]


def test_gradient_penalty_is_zero_at_its_target() -> None:
    reals, fakes, mixing = torch.zeros(2, 1, 4, 4), torch.ones(2, 1, 4, 4), torch.full((2, 1, 1, 1), 0.5)
    penalty = gradient_penalty(lambda img: img.sum(dim=(1, 2, 3))[:, None], reals, fakes, mixing, target=4.0)
    assert penalty.tolist() == [0.0, 0.0]


def test_unknown_loss_is_an_error() -> None:
    with pytest.raises(InputError, match="unknown loss 'lsgan'"):
        find_loss("lsgan")
