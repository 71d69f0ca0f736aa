"""Walks between latents: where they are when, and that they close."""

from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from stylegan import Generator, animation
from stylegan.animation.noise import noise_loop
from stylegan.errors import InputError
from stylegan.latents.styles import slerp

from ..conftest import tiny_generator


def pixels(image: Image.Image) -> np.ndarray:
    return np.asarray(image).astype(int)


def interpolate(G: Generator, seeds: Any, **options: Any) -> animation.Animation:
    return animation.interpolate(G, seeds, **{"size": 16, "num_frames": 12} | options)


def test_slerp_keeps_the_length_and_turns_evenly() -> None:
    a, b = torch.tensor([[3.0, 0, 0]]), torch.tensor([[0, 3.0, 0]])
    t = torch.linspace(0, 1, 7)[:, None]
    between = slerp(a, b, t)
    assert torch.allclose(between.norm(dim=-1), torch.full((7,), 3.0))
    assert torch.allclose(torch.atan2(between[:, 1], between[:, 0]), t[:, 0] * torch.pi / 2, atol=1e-6)


def test_slerp_changes_the_length_evenly() -> None:
    a, b = torch.randn(2, 5, 64, generator=torch.Generator().manual_seed(0)).unbind()
    lengths = slerp(a, 3 * b, 0.25).norm(dim=-1)
    assert torch.allclose(lengths, 0.75 * a.norm(dim=-1) + 0.25 * 3 * b.norm(dim=-1), rtol=1e-5)


def test_slerp_starts_and_ends_at_its_vectors_at_any_angle() -> None:
    a = torch.tensor([1.0, 2, 3])
    for b in (torch.tensor([-3.0, 1, 0]), a, 2 * a, -a, torch.zeros(3), a + 1e-5):
        assert torch.allclose(slerp(a, b, 0.0), a, atol=1e-6)
        assert torch.allclose(slerp(a, b, 1.0), b, atol=1e-6)
        assert slerp(a, b, 0.3).isfinite().all()


def test_slerp_refuses_vectors_of_different_sizes() -> None:
    with pytest.raises(InputError, match=r"b must be \[..., 3\], got \[4\]"):
        slerp(torch.zeros(3), torch.zeros(4), 0.5)


@pytest.mark.parametrize("space", ["w", "z"])
@pytest.mark.parametrize("easing", ["smooth", "linear"])
def test_frames_at_a_seed_are_samples_of_it(tiny: Generator, space: str, easing: str) -> None:
    frames = list(interpolate(tiny, [3, 1, 4], space=space, easing=easing, truncation_psi=0.6, truncation_cutoff=4))
    samples = tiny.sample(seeds=[3, 1, 4], truncation_psi=0.6, truncation_cutoff=4)
    for frame, sample in zip(frames[::4], samples, strict=True):
        assert abs(pixels(frame) - pixels(sample)).max() <= 1


@pytest.mark.parametrize("space", ["w", "z"])
@pytest.mark.parametrize("easing", ["smooth", "linear", "constant"])
def test_the_frame_after_the_last_is_the_first(tiny: Generator, space: str, easing: str) -> None:
    walk = interpolate(
        tiny,
        [3, 1, 4],
        space=space,
        easing=easing,
        noise="smooth",
        noise_turns=3,
        breathe_to=0.2,
        breaths=2,
        layers="coarse",
        base_seeds=[5, 6],
    )
    assert abs(pixels(walk.at(1)) - pixels(walk.at(0))).max() <= 1
    assert abs(pixels(walk.at(0.5)) - pixels(walk.at(0))).max() > 20


def test_a_loop_has_no_seam(tiny: Generator) -> None:
    frames = np.array([pixels(frame) for frame in interpolate(tiny, [3, 1, 4], num_frames=60, noise="smooth")])
    steps = abs(frames - np.roll(frames, -1, axis=0)).mean(axis=(1, 2, 3))
    assert steps[-1] < 1.5 * steps[:-1].max()
    assert steps.max() < abs(frames[0] - frames[20]).mean() / 3


@pytest.mark.parametrize("num_frames", [1, 2, 5])
def test_an_open_walk_ends_at_the_last_seed(tiny: Generator, num_frames: int) -> None:
    frames = list(interpolate(tiny, [3, 4], num_frames=num_frames, loop=False))
    samples = tiny.sample(seeds=[3, 4])
    assert len(frames) == num_frames
    assert abs(pixels(frames[0]) - pixels(samples[0])).max() <= 1
    assert num_frames == 1 or abs(pixels(frames[-1]) - pixels(samples[1])).max() <= 1


def test_w_walks_are_straight_and_z_walks_are_great_circles(tiny: Generator) -> None:
    t = torch.tensor([0.25], dtype=torch.float64)
    z, w = tiny.z([3, 4]), tiny.mapping(tiny.z([3, 4]))
    straight = animation.seed_walk(tiny, [3, 4], loop=False, easing="linear")(t)
    assert torch.allclose(straight[0], torch.lerp(w[0], w[1], 0.25).expand(tiny.num_ws, -1), atol=1e-6)
    circle = animation.seed_walk(tiny, [3, 4], space="z", loop=False, easing="linear")(t)
    assert torch.allclose(circle[0, 0], tiny.mapping(slerp(z[:1], z[1:], 0.25))[0], atol=1e-6)


def test_easing_is_constant_linear_or_slow_at_the_seeds(tiny: Generator) -> None:
    times = torch.arange(3001, dtype=torch.float64) / 3000

    def speeds(easing: Any) -> Any:
        w = animation.seed_walk(tiny, [3, 1, 4], easing=easing)(times)[:, 0]
        return (w[1:] - w[:-1]).norm(dim=-1).reshape(3, 1000)  # of each stretch, if their times are equal

    constant, linear, smooth = map(speeds, ("constant", "linear", "smooth"))
    assert torch.allclose(constant.median(), constant, rtol=0.02) or constant.std() < 0.02 * constant.mean()
    assert (linear.std(dim=1) < 0.01 * linear.mean(dim=1)).all()
    assert linear.mean(dim=1).std() > 0.02 * linear.mean()
    assert (smooth[:, 0] < 0.02 * smooth[:, 500]).all()
    assert (smooth[:, -1] < 0.02 * smooth[:, 500]).all()


def test_seeds_that_repeat_are_passed_at_every_easing(tiny: Generator) -> None:
    for easing in ("smooth", "linear", "constant"):
        for seeds in ([3, 3], [3, 3, 4]):
            walk = animation.seed_walk(tiny, seeds, easing=easing)
            assert walk(torch.tensor([0.0, 0.4, 1.0], dtype=torch.float64)).isfinite().all()


def test_only_the_given_layers_walk(tiny: Generator) -> None:
    frames = list(interpolate(tiny, [3, 4], num_frames=4, layers=[0, 1], easing="linear"))
    a, b = tiny.ws([3]), tiny.ws([4])
    expected = tiny.render(tiny.mix_styles(a, b, [0, 1]))[0]
    assert abs(pixels(frames[2]) - pixels(expected)).max() <= 1


def test_other_layers_follow_the_base_seeds(tiny: Generator) -> None:
    frames = list(interpolate(tiny, [3, 4], num_frames=4, layers=[0, 1], base_seeds=[5, 6]))
    expected = tiny.render(tiny.mix_styles(tiny.ws([5, 6]), tiny.ws([3, 4]), [0, 1]))
    for frame, image in zip(frames[::2], expected, strict=True):
        assert abs(pixels(frame) - pixels(image)).max() <= 1


def test_truncation_breathes_between_its_two_values(tiny: Generator) -> None:
    walk = interpolate(tiny, [3], truncation_psi=0.9, breathe_to=-0.2, breaths=2)
    for time, psi in ((0, 0.9), (0.25, -0.2), (0.5, 0.9), (0.125, 0.35)):
        assert abs(pixels(walk.at(time)) - pixels(tiny.sample(seeds=[3], truncation_psi=psi)[0])).max() <= 1


def test_noise_does_not_flicker_unless_asked(tiny: Generator) -> None:
    still = [pixels(frame) for frame in interpolate(tiny, [3])]
    assert all((frame == still[0]).all() for frame in still)
    assert (still[0] == pixels(tiny.sample(seeds=[3])[0])).all()


def test_no_noise(tiny: Generator) -> None:
    frame = next(iter(interpolate(tiny, [3], noise="none")))
    assert abs(pixels(frame) - pixels(tiny.sample(seeds=[3], noise_mode="none")[0])).max() <= 1


def test_smooth_noise_is_normal_noise_at_every_time_and_closes(tiny: Generator) -> None:
    path = noise_loop(tiny, 7, turns=2)
    times = torch.arange(400, dtype=torch.float64) / 400
    for i, maps in enumerate(path(times)):
        assert maps.shape == (400, 1, *tiny.synthesis.noise_shapes[i])
        assert torch.allclose(maps.square().mean(), torch.tensor(1.0), atol=0.5)
        # Two rounds in 400 steps: each step is 2 pi / 200 of the circle, everywhere and across the seam.
        steps = (maps - maps.roll(-1, 0)).square().mean(dim=(1, 2, 3)).sqrt()
        assert steps.max() < 0.06
    assert torch.allclose(path(times[:1])[-1], tiny.noise(7)[-1])
    assert torch.allclose(path(torch.ones(1, dtype=torch.float64))[-1], tiny.noise(7)[-1], atol=1e-5)


def test_smooth_noise_starts_at_the_draw_of_its_seed(tiny: Generator) -> None:
    frame = interpolate(tiny, [3], noise="smooth", noise_seed=5).at(0)
    sample = tiny.sample(seeds=[3], noise_mode="random", noise_seed=5)[0]
    assert abs(pixels(frame) - pixels(sample)).max() <= 1


@pytest.mark.parametrize("batch_size", [2, 8])  # Fewer than walks, and two frames of walks together.
def test_a_grid_shows_each_walk_in_its_cell(tiny: Generator, batch_size: int) -> None:
    seeds = [[3, 4], [5], [6, 7, 8]]
    grid = list(interpolate(tiny, seeds, columns=2, noise="smooth", batch_size=batch_size))
    for i, some in enumerate(seeds):
        x, y = 18 * (i % 2), 18 * (i // 2)
        for frame, alone in zip(grid, interpolate(tiny, some, noise="smooth"), strict=True):
            assert abs(pixels(frame)[y : y + 16, x : x + 16] - pixels(alone)).max() <= 1


def test_frames_do_not_depend_on_the_batch_size(tiny: Generator) -> None:
    expected = list(interpolate(tiny, [3, 4], noise="smooth", batch_size=12))
    for batch_size in (1, 5):
        for a, b in zip(interpolate(tiny, [3, 4], noise="smooth", batch_size=batch_size), expected, strict=True):
            assert abs(pixels(a) - pixels(b)).max() <= 1


def test_animations_run_again_and_remember_their_settings(tiny: Generator) -> None:
    walk = interpolate(tiny, [3, 4], layers="coarse", breathe_to=0.1)
    assert len(walk) == 12
    first, again = next(iter(walk)), next(iter(walk))
    assert (pixels(first) == pixels(again)).all()
    assert first.info["seeds"] == "[3, 4]"
    assert first.info["layers"] == "coarse"
    assert {"Software", "model"} <= first.info.keys()


def test_a_day_of_frames_starts_at_once(tiny: Generator) -> None:
    assert next(iter(interpolate(tiny, [3, 4], num_frames=10**12))).size == (16, 16)


def test_labels_of_conditional_models() -> None:
    G = tiny_generator(label_dim=3)
    for space in ("w", "z"):
        frames = list(interpolate(G, [3, 4], labels=[1, 2], num_frames=2, space=space))
        for frame, sample in zip(frames, G.sample(seeds=[3, 4], labels=[1, 2]), strict=True):
            assert abs(pixels(frame) - pixels(sample)).max() <= 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seeds": []}, "at least one seed"),
        ({"seeds": [[3], []]}, "at least one seed"),
        ({"space": "x"}, "space must be one of 'w', 'z'"),
        ({"easing": "fast"}, "easing must be one of"),
        ({"noise": "random"}, "noise must be one of"),
        ({"num_frames": 0}, "a walk and a frame"),
        ({"base_seeds": [1]}, "give layers"),
        ({"layers": 77}, "crossover"),
        ({"size": 17}, "whole multiple"),
        ({"breathe_to": float("nan")}, "finite"),
        ({"labels": 1}, "unconditional"),
        ({"breaths": 0.5}, "breaths"),
        ({"noise_turns": 0.5}, "noise_turns"),
    ],
)
def test_settings_that_do_not_fit_are_errors(tiny: Generator, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        list(interpolate(tiny, **{"seeds": [3, 4]} | options))
