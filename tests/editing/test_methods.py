"""SeFa, principal components and boundaries against their definitions."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from stylegan import Generator
from stylegan.editing import (
    attribute_directions,
    boundary,
    bundled_directions,
    find_direction,
    orthogonalize,
    pca,
    sefa,
)
from stylegan.errors import InputError
from stylegan.latents.samples import sample_w

from ..conftest import tiny_generator


def styles_as_they_act(G: Generator, layers: slice) -> np.ndarray:
    """A, measured from outside: what a unit step of each component of w adds to the styles."""
    units = torch.eye(G.w_dim, dtype=torch.float64)
    rows = []
    for layer in list(G.synthesis.layers)[layers]:
        assert layer.style is not None
        style = layer.style.double()
        rows.append((style(units) - style(torch.zeros_like(units))).T)
        layer.style.float()
    return torch.cat(rows).detach().numpy()


@pytest.mark.parametrize("layers", [slice(0, 6), slice(2, 4)], ids=["all", "2:4"])
def test_sefa_is_the_eigendecomposition_in_float64(layers: slice) -> None:
    G = tiny_generator(seed=4)
    a = styles_as_they_act(G, layers)
    values, vectors = np.linalg.eigh(a.T @ a)
    found = sefa(G, n=24, layers=layers)
    for i, direction in enumerate(found):
        expected = vectors[:, -1 - i]
        expected = expected * np.sign(expected[np.abs(expected).argmax()])
        assert np.abs(direction.vector.numpy() - expected).max() < 1e-6
        assert direction.facts["share"] == pytest.approx(values[-1 - i] / values.sum(), abs=1e-9)
        assert direction.layers == (layers.start, layers.stop)


def test_sefa_of_the_bundled_model_is_that_in_float64(faces: Generator) -> None:
    a = styles_as_they_act(faces, slice(0, faces.num_ws))
    # By the singular values of A, which is another way to the same vectors.
    _, _, vectors = np.linalg.svd(a, full_matrices=False)
    for i, direction in enumerate(sefa(faces, n=5)):
        assert abs(abs(direction.vector.double().numpy() @ vectors[i]) - 1) < 1e-6


def test_sefa_needs_styles() -> None:
    plain = tiny_generator(synthesis={"use_styles": False, "const_input": False})
    with pytest.raises(InputError, match="no styles"):
        sefa(plain)


def test_pca_finds_the_components_of_w(tiny: Generator) -> None:
    w = np.concatenate([tiny.ws([seed], truncation_psi=1)[:, 0].numpy() for seed in range(300)]).astype(np.float64)
    _, singular, vectors = np.linalg.svd(w - w.mean(0), full_matrices=False)
    for i, direction in enumerate(pca(tiny, n=5, samples=300)):
        assert abs(abs(direction.vector.numpy() @ vectors[i]) - 1) < 1e-5
        assert direction.std == pytest.approx(singular[i] / 299**0.5, rel=1e-5)
        share = (singular[i] ** 2 / (singular**2).sum()).item()
        assert direction.facts["explained_variance"] == pytest.approx(share, rel=1e-5)


def test_conditional_models_take_their_classes_in_turn() -> None:
    G = tiny_generator(label_dim=3)
    assert sample_w(G, 5)[4].allclose(G.ws([4], labels=1, truncation_psi=1)[0, 0], atol=1e-5)


@pytest.mark.parametrize("method", [sefa, pca])
@pytest.mark.parametrize("n", [0, 25, True])
def test_there_are_as_many_directions_as_w_has_components(
    tiny: Generator, method: Callable[..., Any], n: int | bool
) -> None:
    with pytest.raises(InputError, match=r"n must be|for n"):
        method(tiny, n=n)


def test_directions_move_layers_in_a_row(tiny: Generator) -> None:
    with pytest.raises(InputError, match="consecutive"):
        sefa(tiny, layers=[0, 2])
    with pytest.raises(InputError, match="consecutive"):
        sefa(tiny, layers=[])


@pytest.fixture(scope="module")
def labelled(tiny: Generator) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Samples of w, and two scores that are linear in w, with normals at an angle of about 45 degrees."""
    pytest.importorskip("sklearn")
    w = sample_w(tiny, 2000)
    centred = (w - w.mean(0)) / w.std()
    return w, centred[:, 0], centred[:, 0] + centred[:, 1]


def test_a_boundary_points_where_the_score_rises(
    tiny: Generator, labelled: tuple[torch.Tensor, torch.Tensor, torch.Tensor]
) -> None:
    w, _, both = labelled
    found = boundary(tiny, "both", w, both)
    assert found.facts["accuracy"] > 0.95
    assert torch.corrcoef(torch.stack([w @ found.vector, both]))[0, 1] > 0.8
    moved = tiny.edit(tiny.broadcast(w), found, 1.0)[:, 0]
    assert (moved[:, :2].sum(1) > w[:, :2].sum(1)).all()


def test_a_boundary_does_not_depend_on_the_scale_of_scores(
    tiny: Generator, labelled: tuple[torch.Tensor, torch.Tensor, torch.Tensor]
) -> None:
    w, first, _ = labelled
    assert boundary(tiny, "a", w, first).vector.equal(boundary(tiny, "a", w, first.exp()).vector)


def test_an_orthogonal_direction_leaves_the_other_score_alone(
    tiny: Generator, labelled: tuple[torch.Tensor, torch.Tensor, torch.Tensor]
) -> None:
    w, first, both = labelled
    a, b = (boundary(tiny, name, w, scores, fraction=0.5) for name, scores in (("first", first), ("both", both)))
    assert abs(a.vector @ b.vector) > 0.5
    left = orthogonalize(tiny, b, [a])
    assert abs(left.vector @ a.vector) < 1e-6
    assert left.vector @ b.vector > 0.5
    assert left.facts["at_right_angles_to"] == ["first"]
    spread = (w.double() @ left.vector.double()).std().item()
    assert left.std == pytest.approx(spread, rel=0.05)  # Of other samples.
    with pytest.raises(InputError, match="nothing of the direction 'both'"):
        orthogonalize(tiny, b, [b])


def test_scores_that_part_nothing_are_refused(
    tiny: Generator, labelled: tuple[torch.Tensor, torch.Tensor, torch.Tensor]
) -> None:
    w, first, _ = labelled
    for scores, message in (
        (first * 0, "differ"),
        (first[:5], r"scores must be \[2000\], got \[5\]"),
        (first * float("nan"), "finite"),
    ):
        with pytest.raises(InputError, match=message):
            boundary(tiny, "a", w, scores)
    with pytest.raises(InputError, match="leave 5 of each side"):
        boundary(tiny, "a", w[:20], first[:20])


def test_attribute_directions_raise_their_scores_in_images(tiny: Generator) -> None:
    pytest.importorskip("sklearn")
    classifiers = {"red": lambda img: img[:, 0].mean((1, 2)), "green": lambda img: img[:, 1].mean((1, 2))}
    red, green = attribute_directions(tiny, classifiers, samples=400, progress=False)
    assert (red.name, green.name) == ("red", "green")
    ws = tiny.ws(range(1000, 1020))
    less, more = (tiny.render(tiny.edit(ws, red, s), output_type="pt") for s in (-2, 2))
    change = (more - less).mean((0, 2, 3))
    assert change[0] > 3 * change[1].abs()


def test_directions_are_computed_where_no_file_has_them(tiny: Generator) -> None:
    assert find_direction(tiny, "pca:7").vector.equal(pca(tiny, n=8)[7].vector)
    assert bundled_directions(tiny) == {}
    for name in ("age", "sefa:24", "sefa:x", "pca:-1"):
        with pytest.raises(InputError, match=r"no direction .* for unnamed; there are none in the package, and sefa:N"):
            find_direction(tiny, name)
