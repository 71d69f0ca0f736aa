"""Perceptual path length: generators whose paths are known exactly, and the details of the definition."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from stylegan.errors import InputError
from stylegan.latents.seeds import z_from_seeds
from stylegan.metrics.images import Images
from stylegan.metrics.path_length import Path, average, path_lengths, positions, slerp, view

from ..conftest import tiny_generator
from ..references import import_reference


class Linear:
    """w is a direction times a matrix; the image is w, in three channels of one row."""

    z_dim, label_dim, num_ws, dtype, device = 12, 0, 1, torch.float32, torch.device("cpu")

    def __init__(self, matrix: Tensor):
        self.matrix = matrix

    def z(self, seeds: Any) -> Any:
        return z_from_seeds(seeds, self.z_dim)

    def mapping(self, z: Any, labels: Any = None) -> Any:
        return torch.nn.functional.normalize(z, dim=1) @ self.matrix

    def broadcast(self, w: Any) -> Any:
        return w[:, None]

    def noise(self, seeds: Any, noise_mode: Any) -> Any:
        return []

    def synthesis(self, ws: Any, noise: Any) -> Any:
        return ws[:, 0].reshape(len(ws), 3, 1, 4)


def squared(a: Tensor, b: Tensor) -> Tensor:
    return (a.double() - b.double()).square().sum(dim=(1, 2, 3))


def lengths(G: Any, path: Path, numbers: Any = range(64), **options: Any) -> Tensor:
    return path_lengths(Images(G, seed=5, **options), squared, path, numbers)


@pytest.mark.parametrize("ends", [False, True])
def test_in_w_a_linear_generator_is_as_long_as_its_path_squared(ends: bool) -> None:
    G = Linear(torch.randn(12, 12, generator=torch.Generator().manual_seed(0)))
    w = G.mapping(z_from_seeds(range(5, 5 + 128), 12))
    expected = (w[1::2] - w[0::2]).square().sum(dim=1).double()
    got = lengths(G, Path("w", ends, epsilon=1e-2, face_crop=False))
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=0)


@pytest.mark.parametrize("ends", [False, True])
def test_in_z_the_length_on_the_sphere_is_the_angle_squared(ends: bool) -> None:
    G = Linear(torch.eye(12))
    directions = G.mapping(z_from_seeds(range(5, 5 + 128), 12)).double()
    angle = (directions[0::2] * directions[1::2]).sum(dim=1).acos()
    epsilon = 1e-2
    expected = (2 * (angle * epsilon / 2).sin() / epsilon) ** 2  # The chord of the step.
    got = lengths(G, Path("z", ends, epsilon=epsilon, face_crop=False))
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=0)


def test_epsilon_is_the_papers_and_small_enough_not_to_matter() -> None:
    G = Linear(torch.eye(12))
    torch.testing.assert_close(
        lengths(G, Path("z", True, face_crop=False)),
        lengths(G, Path("z", True, epsilon=1e-2, face_crop=False)),
        rtol=5e-3,
        atol=0,
    )
    assert Path("z", True).epsilon == 1e-4


def test_ends_are_the_beginnings_of_paths() -> None:
    seen = []

    class Recorder(Linear):
        def mapping(self, z: Any, labels: Any = None) -> Any:
            seen.append(z)
            return super().mapping(z)

    G = Recorder(torch.eye(12))
    lengths(G, Path("z", True, face_crop=False), range(4))
    starts = torch.nn.functional.normalize(z_from_seeds([5, 7, 9, 11], 12), dim=1)
    torch.testing.assert_close(seen[0], starts, rtol=0, atol=1e-6)
    t = positions(0, range(2000))
    assert 0 <= t.min() < 0.01
    assert 0.99 < t.max() < 1
    assert t.mean().item() == pytest.approx(0.5, abs=0.03)


def test_slerp_is_that_of_torchmetrics() -> None:
    module = import_reference("torchmetrics.functional.image.perceptual_path_length")
    a, b = torch.randn(2, 50, 16, generator=torch.Generator().manual_seed(0)).double()
    for t in (0.0, 0.3, 0.9999, 1.0):
        unit = [torch.nn.functional.normalize(x, dim=1) for x in (a, b)]
        expected = module._interpolate(*unit, t, "slerp_unit")
        torch.testing.assert_close(
            slerp(a, b, torch.full((50, 1), t, dtype=torch.float64)), expected, rtol=1e-6, atol=1e-9
        )


def test_slerp_goes_at_even_speed_along_the_shorter_arc() -> None:
    a, b = torch.tensor([[2.0, 0, 0]]), torch.tensor([[0.0, 5, 0]])
    for t in (0, 0.25, 0.5, 1):
        expected = [math.cos(t * math.pi / 2), math.sin(t * math.pi / 2), 0]
        assert slerp(a, b, torch.tensor([[t]]))[0].tolist() == pytest.approx(expected, abs=1e-12)


def test_slerp_of_equal_directions_stays_there() -> None:
    a = torch.tensor([[1.0, 2, 3]])
    assert slerp(a, 2 * a, torch.tensor([[0.5]]))[0].tolist() == pytest.approx((a / a.norm())[0].tolist())


def test_a_path_depends_on_its_number_alone() -> None:
    G = tiny_generator()
    for noise_mode in ("random", "const"):
        all_at_once = lengths(G, Path("w", False), range(8), noise_mode=noise_mode)
        alone = torch.cat([lengths(G, Path("w", False), [i], noise_mode=noise_mode) for i in range(8)])
        torch.testing.assert_close(alone, all_at_once, rtol=1e-2, atol=0)


def test_both_ends_of_a_step_have_the_same_noise() -> None:
    """With noise of its own for each end, the difference would not shrink with the step."""
    G = tiny_generator()
    coarse, fine = (lengths(G, Path("w", True, epsilon=e), range(8)).mean().item() for e in (1e-2, 1e-3))
    assert fine == pytest.approx(coarse, rel=0.2)


def test_outliers_beyond_the_percentiles_are_dropped() -> None:
    values = torch.arange(1000.0)
    assert average(values) == pytest.approx(np.mean(np.arange(9, 991)))
    values[0], values[-1] = -1e9, 1e9
    assert average(values) == pytest.approx(np.mean(np.arange(9, 991)))


def test_the_face_is_the_lower_middle_of_an_aligned_picture() -> None:
    img = torch.arange(64.0 * 64).view(1, 1, 64, 64)
    assert torch.equal(view(img, True), img[:, :, 24:56, 16:48])
    assert torch.equal(view(img, False), img)


def test_large_images_are_averaged_down_for_the_distance() -> None:
    img = torch.randn(1, 3, 1024, 1024, generator=torch.Generator().manual_seed(0))
    assert view(img, False).shape[-1] == 256
    expected = img[:, :, 384:896, 256:768].reshape(1, 3, 256, 2, 256, 2).mean(dim=(3, 5))
    torch.testing.assert_close(view(img, True), expected)


def test_half_precision_is_refused() -> None:
    G = tiny_generator()
    G.synthesis.to(torch.bfloat16)
    with pytest.raises(InputError, match="float32"):
        lengths(G, Path("w", False))
