"""Augmentation: exact blits, smooth geometry, colours along the axis of greys, derivatives, and the p of ADA."""

import math
from dataclasses import replace
from typing import Any

import pytest
import torch

from stylegan.training import augment, new_state, passes, step, train_step
from stylegan.training.augment import Ada, AugmentName, DiffAugment, adapt, draw_augment, keep, recolour, warp
from stylegan.training.losses import squared_gradient
from stylegan.training.matrices import around_greys

from .tiny import TinyImages, tiny_config


def rng(seed: int = 0) -> Any:
    return torch.Generator().manual_seed(seed)


def pictures(n: int = 4, channels: int = 3, size: int = 16, dtype: Any = torch.float32) -> Any:
    return torch.rand(n, channels, size, size, generator=rng(), dtype=dtype) * 2 - 1


def matrices(*rows: Any) -> Any:
    return torch.tensor([rows], dtype=torch.float32)


# What the changes do.


@pytest.mark.parametrize("size", [4, 8, 64])
@pytest.mark.parametrize("channels", [1, 3])
def test_nothing_changes_at_p_zero(size: int, channels: int) -> None:
    img = pictures(6, channels, size)
    assert torch.equal(Ada.draw(6, 0.0, size, generator=rng())(img), img)
    assert draw_augment("ada", 0.0, 6, size, generator=rng(), samples=torch.arange(6)) is keep
    assert draw_augment("none", 1.0, 6, size, generator=rng(), samples=torch.arange(6)) is keep


def test_blits_copy_pixels_exactly() -> None:
    img = pictures(1)
    assert torch.equal(warp(img, matrices([-1, 0, 0], [0, 1, 0], [0, 0, 1])), img.flip(3))
    assert torch.equal(warp(img, matrices([0, -1, 0], [1, 0, 0], [0, 0, 1])), img.rot90(1, (2, 3)))
    moved = warp(img, matrices([1, 0, -2], [0, 1, 3], [0, 0, 1]))  # Two to the right, three up,
    assert torch.equal(moved[:, :, :13, 2:], img[:, :, 3:, :14])
    assert torch.equal(moved[:, :, :13, :2], img[:, :, 3:, :2].flip(3))  # mirrored beyond the border.


def test_quarter_turns_are_exact_at_every_p(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the draws of the blits alone, each image is one of the eight flips and turns of the original, moved."""
    monkeypatch.setattr(augment, "rotation", lambda angle: torch.eye(3).repeat(len(angle), 1, 1))
    monkeypatch.setattr(torch, "randn", lambda *shape, generator, **options: torch.zeros(*shape, **options))
    img = pictures(1, size=8).expand(64, -1, -1, -1)
    ada = Ada.draw(64, 1.0, 8, generator=rng())
    out = warp(img, ada.geometry)
    known = set(img[0].flatten().tolist())
    assert set(out.flatten().tolist()) == known
    assert len({tuple(m.flatten().tolist()) for m in ada.geometry[:, :2, :2]}) == 8
    assert ada.geometry[:, :2, 2].abs().max() == 1  # An eighth of the size.


@pytest.mark.parametrize("size", [64, 128])
def test_geometry_moves_a_smooth_picture_where_it_should(size: int) -> None:
    """A turned, stretched and moved picture of a formula is the formula at other places."""
    angle = 0.5
    m = matrices(
        [1.2 * math.cos(angle), -math.sin(angle), 2.3], [math.sin(angle), 0.9 * math.cos(angle), -1.1], [0, 0, 1]
    )
    axis = torch.arange(size) - (size - 1) / 2

    def formula(x: Any, y: Any) -> Any:
        return torch.sin(6 * x / size) + torch.cos(4 * (x + y) / size)

    y, x = torch.meshgrid(axis, axis, indexing="ij")
    img = formula(x, y)[None, None]
    expected = formula(m[0, 0, 0] * x + m[0, 0, 1] * y + m[0, 0, 2], m[0, 1, 0] * x + m[0, 1, 1] * y + m[0, 1, 2])
    middle = slice(size // 4, -size // 4)  # What comes from beyond the borders is mirrored instead.
    error = (warp(img, m)[0, 0] - expected)[middle, middle].abs().max().item()
    assert error < 2e-3 * (64 / size) ** 2


def test_greys_stay_grey_and_one_channel_is_as_three() -> None:
    grey = pictures(8, channels=1)
    colour = Ada.draw(8, 1.0, 16, generator=rng()).colour
    out = recolour(grey.expand(-1, 3, -1, -1), colour)
    torch.testing.assert_close(out[:, 0], out[:, 1], rtol=0, atol=1e-5)
    torch.testing.assert_close(recolour(grey, colour), out.mean(dim=1, keepdim=True), rtol=1e-5, atol=1e-5)


def test_a_third_of_a_turn_of_hue_takes_red_to_green_to_blue() -> None:
    turn = around_greys(torch.tensor([2 * math.pi / 3]))
    torch.testing.assert_close(turn[0], torch.eye(4)[[2, 0, 1, 3]], rtol=0, atol=1e-6)


def test_shares_and_sizes_of_the_changes() -> None:
    """20,000 draws at p = 0.3, within four standard deviations of a share."""
    p, n = 0.3, 20_000
    ada = Ada.draw(n, p, 64, generator=rng())
    tolerance = 4 * math.sqrt(p * (1 - p) / n)

    linear = ada.geometry[:, :2, :2]
    zoom = linear.det().abs().log2() / 2
    zoomed = zoom.abs() > 1e-5
    assert zoomed.float().mean() == pytest.approx(p, abs=tolerance)
    assert zoom[zoomed].std() == pytest.approx(0.2, rel=0.05)
    assert (linear.det() < 0).float().mean() == pytest.approx(p / 2, abs=tolerance)  # Mirrored.
    untouched = (ada.geometry == torch.eye(3)).all(dim=(1, 2)).float().mean()
    # Mirrored, turned, moved by whole pixels (or by less than one half), zoomed, rotated, stretched, moved.
    not_blitted = (1 - p / 2) * (1 - p * 3 / 4) * (1 - p * (1 - 1 / 17**2))
    assert untouched == pytest.approx(not_blitted * (1 - p) ** 4, abs=tolerance)

    assert (ada.colour[:, 0, 3] != 0).float().mean() == pytest.approx(p, abs=tolerance)
    greys = ada.colour[:, 0, :3].sum(dim=1)
    assert (greys < 0).float().mean() == pytest.approx(p / 2, abs=tolerance)
    contrast = greys.abs().log2()
    assert contrast[contrast.abs() > 1e-5].std() == pytest.approx(0.5, rel=0.05)


def test_diffaugment_moves_by_an_eighth_and_hides_a_quarter() -> None:
    n, size = 500, 16
    img = torch.ones(n, 3, size, size)
    out = DiffAugment.draw(n, generator=rng())(img)
    hidden = (out == 0).all(dim=1).float().mean(dim=(1, 2))
    assert hidden.max() <= 1 / 4 + 1 - (14 / 16) ** 2
    assert 0.2 < hidden.mean() < 0.35
    values = out.amax(dim=(1, 2, 3))
    assert 0.5 <= values.min() < 0.55
    assert 1.45 < values.max() <= 1.5


def test_diffaugment_cuts_a_square_out_and_moves_zeros_in() -> None:
    img = pictures(1)
    zero, one = torch.zeros(1), torch.ones(1)
    out = DiffAugment(zero, one, one, shift=torch.tensor([[0.125, 0.0]]), hole=torch.tensor([[0.5, 0.75]]))(img)
    expected = torch.zeros_like(img)
    expected[..., 2:] = img[..., :-2]
    expected[:, :, 8:16, 4:12] = 0
    torch.testing.assert_close(out, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", ["ada", "diffaugment"])
def test_each_image_has_its_own_draws_whoever_computes_it(name: AugmentName) -> None:
    img = pictures(8)
    options = {"generator": None, "samples": torch.arange(8)}

    def augmented(samples: Any, seed: int = 0) -> Any:
        draws = draw_augment(name, 0.8, 8, 16, **options | {"generator": rng(seed), "samples": samples})
        return draws(img[samples])

    whole = augmented(torch.arange(8))
    assert torch.equal(augmented(torch.tensor([1, 3, 5])), whole[[1, 3, 5]])
    assert not torch.equal(augmented(torch.arange(8), seed=1), whole)


# Derivatives.


@pytest.mark.parametrize("name", ["ada", "diffaugment"])
def test_first_and_second_derivatives(name: AugmentName) -> None:
    img = pictures(2, size=4, dtype=torch.float64).requires_grad_(True)
    draws = draw_augment(name, 0.9, 2, 4, generator=rng(1), samples=torch.arange(2))
    assert torch.autograd.gradcheck(draws, (img,))
    assert torch.autograd.gradgradcheck(lambda x: draws(x).pow(3), (img,))


@pytest.mark.parametrize("name", ["ada", "diffaugment"])
def test_r1_through_augmentation_has_the_right_gradient(name: AugmentName) -> None:
    """By finite differences in the weights of a small discriminator."""
    img = pictures(2, size=4, dtype=torch.float64).requires_grad_(True)
    draws = draw_augment(name, 0.9, 2, 4, generator=rng(2), samples=torch.arange(2))

    def r1(weight: Any) -> Any:
        scores = torch.tanh(draws(img).flatten(1) @ weight).sum(dim=1)
        return squared_gradient(scores, img)

    weight = torch.randn(48, 2, generator=rng(), dtype=torch.float64).mul(0.3).requires_grad_(True)
    assert r1(weight).min() > 0
    assert torch.autograd.gradcheck(r1, (weight,))


# In training.


def test_p_follows_the_signs() -> None:
    assert adapt(0.2, [1, 1, 0.5, 0.5], 500, target=0.6, kimg=500) == pytest.approx(0.201)
    assert adapt(0.2, [1, 0, 0.5, 0.5], 500, target=0.6, kimg=500) == pytest.approx(0.199)
    assert adapt(0.2, [0.6], 500, target=0.6, kimg=500) == 0.2
    assert adapt(0.0, [0], 500, target=0.6, kimg=500) == 0
    assert adapt(1.0, [1], 500, target=0.6, kimg=500) == 1


@pytest.mark.parametrize("name", ["ada", "diffaugment"])
@pytest.mark.parametrize("options", [{}, {"preset": "A"}, {"share_fakes": True, "r2_gamma": 0.1}], ids=str)
def test_reals_and_fakes_are_drawn_alike_and_labels_are_kept(
    monkeypatch: pytest.MonkeyPatch, name: AugmentName, options: dict[str, Any]
) -> None:
    """At a coarse level, in a fade and at full resolution; R1, R2 and WGAN-GP go through it."""
    drawn, labels_seen = [], []
    call = passes.Critic.__call__

    def recording_draw(*args: Any, generator: Any, **kwargs: Any) -> Any:
        drawn.append((args, generator.initial_seed()))
        return draw_augment(*args, generator=generator, **kwargs)

    def recording_call(self: Any, img: Any, labels: Any) -> Any:
        labels_seen.append(labels)
        return call(self, img, labels)

    monkeypatch.setattr(step, "draw_augment", recording_draw)
    monkeypatch.setattr(passes.Critic, "__call__", recording_call)
    config = tiny_config(augment=name, conditional=True, z_dim=8, initial_resolution=8, **options)
    s = new_state(config, label_dim=3)
    s.augment_p = 0.7
    for kimg, resolution in ((0, 8), (0.024, 16), (99, 16)):
        drawn.clear()
        img, labels = TinyImages(resolution, label_dim=3).batch(list(range(8)))
        assert labels is not None
        report = train_step(s, config, config.schedule().at(kimg), img, labels)
        assert not report.skipped
        settings, seeds = zip(*drawn, strict=True)
        assert set(settings) == {(name, 0.7, 8, resolution)}
        assert len(settings) == len(set(seeds)) == 3  # For D's reals, D's fakes and G's fakes.
        assert all(torch.equal(seen, labels) for seen in labels_seen)


def test_augmentation_is_what_the_networks_learn_from() -> None:
    """The same step with and without it gives other scores; without the setting, p plays no part."""

    def scores(name: Any, p: Any) -> Any:
        config = tiny_config(augment=name)
        s = new_state(config)
        s.augment_p = p
        img, _ = TinyImages().batch(list(range(8)))
        losses = train_step(s, config, config.schedule().at(99), img, None).losses
        return [losses[key].item() for key in ("D_real", "D_fake", "G_loss")]

    plain = scores("none", 0.0)
    assert scores("none", 1.0) == scores("ada", 0.0) == plain
    for other in (scores("ada", 1.0), scores("diffaugment", 0.0)):
        assert all(a != b for a, b in zip(other, plain, strict=True))


def test_a_skipped_step_does_not_count() -> None:
    config = tiny_config(augment="ada")
    s = new_state(config)
    s.D.head.dense1.get_parameter("bias").data.fill_(float("nan"))
    img, _ = TinyImages().batch(list(range(8)))
    assert train_step(s, config, config.schedule().at(99), img, None).skipped
    assert (s.augment_p, s.real_signs) == (0, [])


# Alpha


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", ["diffaugment", "ada"])
def test_colours_change_as_without_alpha_which_moves_along(name: AugmentName, channels: int) -> None:
    """Draws that move and cut nothing leave alpha alone; others treat it like the other channels."""
    generator = torch.Generator().manual_seed(3)
    colour, alpha = (torch.randn(4, c, 8, 8, generator=generator) for c in (channels, 1))
    change = draw_augment(name, 0.99, 4, 8, generator=generator, samples=torch.arange(4))
    both = change(torch.cat([colour, alpha], dim=1))
    assert torch.equal(both[:, :-1], change(colour))
    still: DiffAugment | Ada
    if isinstance(change, DiffAugment):
        still = replace(change, brightness=torch.zeros(4), saturation=torch.ones(4), contrast=torch.ones(4))
    else:
        assert isinstance(change, Ada)
        still = replace(change, colour=torch.eye(4).repeat(4, 1, 1))
    torch.testing.assert_close(both[:, -1:], still(alpha))
