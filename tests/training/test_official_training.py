"""Adam, the averages and mixing against the official implementation: its draws and three whole steps of training."""

import json
import re
from typing import Any

import pytest
import torch

from stylegan.fast import native_kernels
from stylegan.latents.styles import cross_over
from stylegan.runtime.averages import ema_beta, update_ema
from stylegan.training.averages import update_w_avg
from stylegan.training.optim import Adam
from stylegan.training.passes import Critic, Draws, discriminator_loss, make_fakes
from stylegan.training.step import draw_crossovers

from .golden_files import FOLDER, Golden, layer_noise
from .tiny import fuse

needs_kernels = pytest.mark.skipif(native_kernels() is None, reason="needs the compiled kernels")


@pytest.mark.parametrize(("key", "mixed"), [("mix", True), ("nomix", False), ("mix_lod1.5", True)])
@pytest.mark.parametrize(("name", "crossover"), [("T", 3), ("D", 4)])
def test_training_images_match_official(name: str, crossover: int, key: str, mixed: bool) -> None:
    golden = Golden.read(name)
    G, labels = golden.generator(), golden.labels("loss/labels", 4)
    lod = float(key.split("lod")[1]) if "lod" in key else 0.0
    shown = G.num_ws - 2 * int(lod)
    crossovers = torch.full((4,), min(crossover, shown) if mixed else G.num_ws)
    noise = layer_noise(golden, G.synthesis.num_layers)
    draws = Draws(golden.tensor("loss/z"), golden.tensor("loss/z2"), crossovers, noise)
    with torch.no_grad():
        img, w_mean = make_fakes(G, draws, labels, lod)
        update_w_avg(G, w_mean)
    full = torch.nn.functional.interpolate(img, scale_factor=2 ** int(lod))
    torch.testing.assert_close(full[:2], golden.tensor(f"G_train_{key}"), rtol=0, atol=1e-4)
    torch.testing.assert_close(G.w_avg, golden.tensor(f"G_train_{key}_dlatent_avg_after"), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("fused", [False, pytest.param(True, marks=needs_kernels)])
def test_three_steps_match_official(fused: bool) -> None:
    golden, recorded = Golden.read("T", "train3"), json.loads((FOLDER / "train3.json").read_text())
    networks = Golden.read("T")
    G, D, Gs = networks.generator(), networks.discriminator(), networks.generator("Gs").requires_grad_(False)
    if fused:
        fuse(G.synthesis)
        fuse(D)
    G_optimizer, D_optimizer = Adam(G.parameters(), lr=recorded["lr"]), Adam(D.parameters(), lr=recorded["lr"])
    lod, beta = recorded["lod"], ema_beta(recorded["minibatch_in_for_Gs_beta"], 10)
    assert beta == pytest.approx(recorded["Gs_beta"])
    steps = {s["tag"]: s for s in recorded["steps"]}
    critic = Critic(D, lod)

    def fakes(tag: Any) -> Any:
        step = steps[tag]
        crossover = step["mix_cutoff"] if step["mix_u"] < 0.9 else G.num_ws
        draws = Draws(golden.tensor(f"{tag}z"), golden.tensor(f"{tag}z2"), torch.full((4,), crossover), None)
        img, w_mean = make_fakes(G, draws, None, lod)
        update_w_avg(G, w_mean)
        return img

    def check(after: Any) -> None:
        # Adam divides each gradient by its own size: one that is nearly zero, as that of a bias below an instance norm,
        # moves its weight all the same, and in a direction that rounding decides.
        for network, expected_of in ((D, "D"), (G, "G"), (Gs, "Gs")):
            expected = golden.ours(expected_of, f"{after}/{expected_of}/")
            ours = network.state_dict()
            for name in expected:
                error = (ours[name] - expected[name]).norm() / expected[name].norm()
                below_norm = re.fullmatch(r"synthesis.layers.\d+.bias", name)
                assert error < (1e-3 if below_norm else 1e-6), f"{after} {expected_of} {name}: {error:.1e}"

    for i in range(3):
        img = fakes(f"step{i}_D/")
        reals = golden.tensor(f"step{i}_D/reals")
        terms = discriminator_loss(critic, reals, img, None, r1_gamma=10.0)
        loss = terms["D_loss"] + terms["r1"]
        assert loss.item() == pytest.approx(steps[f"step{i}_D/"]["loss_mean"], rel=1e-5)
        loss.backward()
        D_optimizer.step()
        update_ema(Gs, G, beta)
        G.zero_grad()
        loss = torch.nn.functional.softplus(-critic(fakes(f"step{i}_G/"), None)).mean()
        assert loss.item() == pytest.approx(steps[f"step{i}_G/"]["loss_mean"], rel=3e-5)
        loss.backward()
        G_optimizer.step()
        D.zero_grad()
        if i in (0, 2):
            check(f"after{i + 1}")


def test_adam_steps_by_the_formula() -> None:
    p = torch.nn.Parameter(torch.tensor([1.0]))
    optimizer = Adam([p], lr=0.1, betas=(0.5, 0.99), eps=1e-3)
    m = v = 0.0
    expected = 1.0
    for t, g in enumerate((2.0, -1.0, 0.5), start=1):
        p.grad = torch.tensor([g])
        optimizer.step()
        m, v = 0.5 * m + 0.5 * g, 0.99 * v + 0.01 * g * g
        expected -= 0.1 * (1 - 0.99**t) ** 0.5 / (1 - 0.5**t) * m / (v**0.5 + 1e-3)
        assert p.item() == pytest.approx(expected, rel=1e-6)


def test_adam_forgets_at_reset_and_leaves_unused_weights() -> None:
    p, unused = torch.nn.Parameter(torch.ones(2)), torch.nn.Parameter(torch.ones(2))
    optimizer = Adam([p, unused], lr=0.1)
    p.grad = torch.full((2,), 5.0)
    optimizer.step()
    assert torch.allclose(p, torch.full((2,), 0.9))
    assert (unused == 1).all()
    optimizer.reset()
    assert optimizer.param_groups[0]["step"] == 0
    p.grad = torch.full((2,), 0.01)
    optimizer.step()  # With the old moments it would hardly move.
    assert torch.allclose(p, torch.full((2,), 0.8), atol=1e-5)


def test_crossovers_stay_below_what_the_level_of_detail_shows() -> None:
    drawn = draw_crossovers(10_000, 10, 2.5, probability=0.9, generator=torch.Generator().manual_seed(0))
    mixed = drawn[drawn < 10]
    assert mixed.unique().tolist() == [1, 2, 3, 4, 5]  # 10 layers less 2 x 2 give 6: crossovers 1 to 5.
    assert len(mixed) / len(drawn) == pytest.approx(0.9, abs=0.01)
    assert (draw_crossovers(10, 10, 0, probability=0.0) == 10).all()
    assert (draw_crossovers(10, 1, 0, probability=1.0) == 1).all()


def test_mixing_takes_later_layers_from_the_second_latent() -> None:
    ws = cross_over([torch.zeros(2, 1), torch.ones(2, 1)], torch.tensor([1, 3]), 3)
    assert ws[:, :, 0].tolist() == [[0, 1, 1], [0, 0, 0]]


def test_ema_half_life() -> None:
    assert ema_beta(5000, 10) ** 2 == pytest.approx(0.5)
