"""Linear separability: entropies by hand and against scikit-learn, latents that can and cannot be separated."""

import math

import numpy as np
import pytest
import torch

from stylegan.errors import InputError
from stylegan.metrics import separability
from stylegan.metrics.linear_separability import conditional_entropy, most_confident, score, separability_of_all


@pytest.fixture(scope="module")
def latents() -> torch.Tensor:
    return torch.randn(4000, 8, generator=torch.Generator().manual_seed(0))


def test_conditional_entropy_by_hand() -> None:
    assert conditional_entropy(np.array([[7, 0], [0, 3]])) == 0
    assert conditional_entropy(np.array([[5, 5], [5, 5]])) == pytest.approx(1)  # In bits.
    assert conditional_entropy(np.array([[2, 0], [1, 1]])) == pytest.approx(0.5)
    assert conditional_entropy(np.array([[3, 1], [0, 0]])) == pytest.approx(0.811278, rel=1e-6)


def test_conditional_entropy_is_entropy_less_information() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    counts = np.random.RandomState(0).randint(1, 100, (2, 2))
    p = counts.sum(axis=0) / counts.sum()
    information = metrics.mutual_info_score(None, None, contingency=counts) / math.log(2)
    assert conditional_entropy(counts) == pytest.approx(-np.sum(p * np.log2(p)) - information, rel=1e-6)


def test_an_attribute_behind_a_plane_is_separable(latents: torch.Tensor) -> None:
    found = separability(latents, latents @ torch.arange(8.0) - 2.0)
    assert found.entropy < 0.03
    assert found.accuracy > 0.997
    assert found.kept == 4000
    assert score([found.entropy]) == pytest.approx(1, abs=0.03)


def test_an_attribute_of_two_opposite_corners_is_not(latents: torch.Tensor) -> None:
    """Exclusive or: no plane says anything, and one balanced attribute costs one bit."""
    found = separability(latents, latents[:, 0] * latents[:, 1])
    assert found.entropy > 0.98
    assert score([found.entropy]) == pytest.approx(math.e, rel=0.02)


def test_a_shell_is_separable_in_its_radius_alone(latents: torch.Tensor) -> None:
    """The same attribute in two spaces, as z and w are."""
    radius = latents.norm(dim=1)
    logits = radius - radius.median()
    in_w = torch.stack([radius, torch.zeros_like(radius)], dim=1)
    assert separability(in_w, logits).entropy < 0.05 < 0.9 < separability(latents, logits).entropy


def test_an_attribute_that_all_have_costs_nothing(latents: torch.Tensor) -> None:
    found = separability(latents, torch.ones(4000))
    assert (found.entropy, found.accuracy, found.positive) == (0, 1, 1)


def test_the_most_confident_are_kept_on_both_sides() -> None:
    logits = torch.tensor([0.1, -5, 3, -0.2, 3, 0])
    assert most_confident(logits, 3).tolist() == [1, 2, 4]
    assert most_confident(logits, 2).tolist() == [1, 2]


def test_every_attribute_keeps_its_own(latents: torch.Tensor) -> None:
    logits = torch.stack([latents[:, 0], latents[:, 0] * latents[:, 1]], dim=1)
    first, second = separability_of_all(latents, logits, keep=2000)
    assert (first.kept, second.kept) == (2000, 2000)
    assert first.entropy < 0.02
    assert second.entropy > 0.9


def test_the_score_is_the_exponential_of_the_sum() -> None:
    assert score([0.5, 1.5]) == pytest.approx(math.exp(2))


def test_without_scikit_learn_the_error_says_what_to_install(
    latents: torch.Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "sklearn.svm", None)
    with pytest.raises(InputError, match=r'pip install "stylegan\[metrics\]"'):
        separability(latents, latents[:, 0])


def test_shapes_that_do_not_fit_are_an_error(latents: torch.Tensor) -> None:
    with pytest.raises(InputError, match=r"logits must be \[4000\], got \[5\]"):
        separability(latents, torch.zeros(5))
