"""Schedules and the regularization of noise, against their formulas."""

import pytest
import torch
import torch.nn.functional as F

from stylegan.projection.coordinates import principal_basis
from stylegan.projection.objective import (
    embed_images,
    exploration,
    learning_rate_factor,
    noise_regularization,
    normalize_noise,
    perceptual_distance,
)


def test_the_learning_rate_ramps_as_in_the_paper() -> None:
    """1,000 steps: up in a line for 50, down as a cosine over the last 250."""
    factors = [learning_rate_factor(step, 1000) for step in range(1001)]
    assert factors[0] == 0
    assert factors[25] == pytest.approx(0.5)
    assert factors[50:751] == pytest.approx([1.0] * 701)
    assert factors[875] == pytest.approx(0.5)
    assert factors[1000] == pytest.approx(0, abs=1e-12)


def test_exploration_falls_to_zero_in_three_quarters() -> None:
    assert exploration(0, 1000) == 0.15
    assert exploration(375, 1000) == pytest.approx(0.15 / 4)
    assert exploration(750, 1000) == exploration(900, 1000) == 0


def by_loops(noise: torch.Tensor) -> float:
    """The sum over the pyramid of one map, written with indices."""
    total = 0.0
    while True:
        r = len(noise)
        for dy, dx in ((0, 1), (1, 0)):
            mean = sum(noise[y, x] * noise[y - dy, x - dx] for y in range(r) for x in range(r)) / r**2
            total += float(mean) ** 2
        if r <= 8:
            return total
        noise = torch.stack(
            [
                torch.stack([noise[2 * y : 2 * y + 2, 2 * x : 2 * x + 2].mean() * 2 for x in range(r // 2)])
                for y in range(r // 2)
            ]
        )


def test_the_noise_regularization_is_that_of_the_formula() -> None:
    generator = torch.Generator().manual_seed(0)
    maps = [torch.randn(2, 1, r, r, generator=generator) for r in (4, 8, 16)]
    expected = [sum(by_loops(noise[i, 0].double()) for noise in maps) for i in range(2)]
    assert noise_regularization(maps).tolist() == pytest.approx(expected, rel=1e-4)


def test_a_picture_in_the_noise_costs_more_than_noise() -> None:
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(1, 1, 32, 32, generator=generator)
    stripes = torch.sin(torch.arange(32.0) / 3).expand(1, 1, 32, 32).clone()
    normalize_noise([noise, stripes])
    assert noise_regularization([stripes]) > 20 * noise_regularization([noise])


def test_normalized_noise_has_no_mean_and_unit_variance() -> None:
    maps = [torch.rand(3, 1, 8, 8, generator=torch.Generator().manual_seed(1)) * 5]
    normalize_noise(maps)
    assert maps[0].mean((1, 2, 3)).abs().max() < 1e-6
    assert maps[0].var((1, 2, 3), correction=0).tolist() == pytest.approx([1.0] * 3, abs=1e-5)


@pytest.mark.parametrize(
    ("channels", "resolution", "sizes"), [(1, 1024, [256, 128, 64, 32]), (3, 128, [128, 64, 32]), (3, 16, [16])]
)
def test_images_are_embedded_at_every_size_and_in_colour(channels: int, resolution: int, sizes: list[int]) -> None:
    seen = []
    embed_images(torch.zeros(2, channels, resolution, resolution), lambda img: seen.append(img.shape) or img.flatten(1))
    assert seen == [(2, 3, size, size) for size in sizes]


def test_the_perceptual_distance_is_the_mean_over_all_sizes() -> None:
    a, b = torch.randn(2, 3, 3, 128, 128, generator=torch.Generator().manual_seed(0))
    sums = [F.avg_pool2d(a - b, factor).square().sum((1, 2, 3)) for factor in (1, 2, 4)]
    expected = torch.stack(sums).mean(dim=0)
    distance = perceptual_distance(*(embed_images(img, lambda x: x.flatten(1)) for img in (a, b)))
    assert distance.tolist() == pytest.approx(expected.tolist(), rel=1e-4)


def test_in_principal_coordinates_w_varies_alike_along_all() -> None:
    generator = torch.Generator().manual_seed(0)
    mix = torch.randn(6, 6, generator=generator) * torch.tensor([5.0, 2.0, 1.0, 0.5, 0.1, 0.05])
    w = torch.randn(500, 6, generator=generator) @ mix.T
    basis = principal_basis(w)
    assert torch.cov(torch.linalg.solve(basis, w.T)).allclose(torch.eye(6), atol=1e-3)
    gram = basis.T @ basis  # The components are at right angles.
    assert gram.allclose(gram.diag().diag(), atol=1e-4)


def test_components_that_w_has_not_have_finite_coordinates() -> None:
    w = torch.randn(500, 4, generator=torch.Generator().manual_seed(0)) * torch.tensor([3.0, 1.0, 1.0, 0.0])
    assert torch.linalg.solve(principal_basis(w), torch.ones(4)).abs().max() < 1e3
