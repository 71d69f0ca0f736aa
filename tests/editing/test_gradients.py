"""Directions from gradients: against a plain solution of their equations, and doing what they promise."""

from typing import Any

import numpy as np
import pytest
import torch

from stylegan import Generator
from stylegan.editing import COLOURS, gradient_directions
from stylegan.errors import InputError
from stylegan.latents.samples import sample_w

from ..conftest import tiny_generator

RED = {"red": COLOURS["red"]}


def test_they_solve_the_least_squares_problem(tiny: Generator) -> None:
    """By finite differences of the scores, and numpy."""
    functions = {"red": COLOURS["red"], "green": COLOURS["green"]}
    found = gradient_directions(tiny, functions, samples=50, progress=False)[0]
    synthesis = tiny_generator().synthesis.double()
    ws = tiny.truncate(tiny.broadcast(sample_w(tiny, 50)), 0.7).double()
    step = 1e-4 * torch.eye(tiny.w_dim, dtype=torch.float64)
    matrix, mean = np.zeros((24, 24)), np.zeros(24)
    for score in functions.values():
        with torch.no_grad():
            rows = [
                (score(synthesis(row + step[:, None])) - score(synthesis(row - step[:, None]))) / 2e-4 for row in ws
            ]
            g = (torch.stack(rows) / score(synthesis(ws)).std())[:40].numpy()
        matrix += g.T @ g / 40
        mean = mean if mean.any() else g.mean(0)
    matrix += 0.01 * np.linalg.inv(np.cov(sample_w(tiny).double().numpy().T))
    expected = np.linalg.solve(matrix, mean)
    assert found.vector.numpy() == pytest.approx(expected / np.linalg.norm(expected), abs=1e-3)


def test_each_raises_its_own_score_and_the_others_little(tiny: Generator) -> None:
    red, green = gradient_directions(tiny, {n: COLOURS[n] for n in ("red", "green")}, samples=200, progress=False)
    ws = tiny.ws(range(1000, 1040))
    for i, direction in enumerate((red, green)):
        ends = (tiny.synthesis(tiny.edit(ws, direction, s)).mean((2, 3)) for s in (-0.2, 0.2))
        less, more = (end.detach() for end in ends)
        assert (more[:, i] > less[:, i]).all()
        assert (more - less)[:, 1 - i].abs().mean() < 0.2 * (more - less)[:, i].mean()
        assert direction.facts["rises"] == 1
    assert (red.name, red.method, red.facts["against"]) == ("red", "gradient", ["green"])


def test_what_is_held_changes_less(tiny: Generator) -> None:
    free = gradient_directions(tiny, RED, samples=100, progress=False)
    held = gradient_directions(tiny, RED, hold={"blue": COLOURS["blue"]}, samples=100, progress=False)
    assert [d.name for d in held] == ["red"]
    ws = tiny.ws(range(1000, 1020))
    change = []
    for (direction,) in (free, held):
        less, more = (tiny.synthesis(tiny.edit(ws, direction, s)).detach().mean((2, 3)) for s in (-0.2, 0.2))
        change.append(((more - less)[:, 2].abs().mean() / (more - less)[:, 0].mean()).item())
    assert change[1] < 0.7 * change[0]


def test_caution_leads_to_where_w_goes_by_itself(tiny: Generator) -> None:
    """Without bounds to the covariance of w and score, as red is nearly linear in w; with little, red rises alone."""
    w = sample_w(tiny)
    red = COLOURS["red"](tiny.synthesis(tiny.truncate(tiny.broadcast(w[:2000]), 0.7)).detach())
    covariance = (red - red.mean()) @ (w[:2000] - w[:2000].mean(dim=0))
    others = {"light": lambda img: img.mean(dim=(1, 2, 3))}
    alike = [
        torch.cosine_similarity(covariance, found.vector, dim=0).item()
        for caution in (1e-4, 1e4)
        for found in gradient_directions(tiny, RED, hold=others, samples=100, caution=caution, progress=False)
    ]
    assert alike[0] < 0.95
    assert alike[1] > 0.98


def test_the_range_moves_the_score_by_a_deviation_and_a_half(tiny: Generator) -> None:
    (red,) = gradient_directions(tiny, RED, samples=200, layers=slice(4, 6), progress=False)
    ws = tiny.truncate(tiny.broadcast(sample_w(tiny, 200)), 0.7)
    spread = COLOURS["red"](tiny.synthesis(ws)).std().item()
    part = 0.1  # Further out the score is no plane.
    ends = [COLOURS["red"](tiny.synthesis(tiny.edit(ws, red, part * s))).mean().item() for s in red.strengths]
    assert (ends[1] - ends[0]) / spread == pytest.approx(part * 3, rel=0.1)
    assert red.layers == (4, 6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"classifiers": {"rank": lambda img: img.detach().mean((1, 2, 3))}}, "use attribute_directions"),
        ({"classifiers": {"wide": lambda img: img.mean((2, 3))}}, r"must be \[N\]"),
        ({"classifiers": {"flat": lambda img: img.sum((1, 2, 3)) * 0}}, "finite and differ"),
        # Means are normalized away between the layers, so the first ones do not reach them.
        ({"layers": "0-3"}, r"the layers 0:4 hardly change 'red'"),
        ({"samples": 49}, "50 or more"),
        ({"caution": 0.0}, "caution must be above 0"),
        ({"hold": COLOURS}, "red: both wanted and held"),
    ],
)
def test_what_gives_no_direction_is_refused(tiny: Generator, arguments: dict[str, Any], message: str) -> None:
    settings: dict[str, Any] = {"classifiers": RED, "samples": 50, "progress": False} | arguments
    with pytest.raises(InputError, match=message):
        gradient_directions(tiny, **settings)
