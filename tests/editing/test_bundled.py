"""The directions that come with the bundled models: of those models, and doing what their names say."""

from typing import Any

import pytest
import torch
from click.testing import CliRunner

from benchmarks.editing import answers, changes, main, monotonic_share, offsets_to_others
from stylegan import Generator
from stylegan.editing import bundled_directions, find_direction, pca, sefa
from stylegan.extractors import load_classifier, load_extractor

ATTRIBUTES = ["age", "gender"]


@pytest.fixture(scope="module", params=["faces-128", "faces-64"])
def faces(request: pytest.FixtureRequest) -> Generator:
    """Each of the bundled models that has directions."""
    return Generator.from_pretrained(request.param)


@pytest.fixture(scope="module")
def classifiers() -> dict[str, Any]:
    return {name: load_classifier(name) for name in ATTRIBUTES}


@pytest.fixture(scope="module")
def ws(faces: Generator) -> torch.Tensor:
    """Faces that the directions were not found with."""
    return faces.ws(range(60_000, 60_030))


def test_a_blend_has_them_only_with_the_same_average(faces: Generator) -> None:
    other = Generator.from_pretrained(faces.name)
    other.metadata = {"name": "child", "start_from": faces.name}
    other.w_avg += 1
    assert set(bundled_directions(faces.blend(other))) == set(bundled_directions(faces))
    assert not bundled_directions(faces.blend(other, mapping="other"))


def test_they_are_those_of_the_model(faces: Generator) -> None:
    bundled = bundled_directions(faces)
    assert set(bundled) >= {"sefa:0", "sefa:1", "sefa:2", "pca:0", "pca:1", "pca:2", *ATTRIBUTES}
    assert {d.model for d in bundled.values()} == {faces.name}
    for fresh in (*sefa(faces, n=3), *pca(faces, n=3)):
        kept = find_direction(faces, fresh.name)
        assert torch.allclose(kept.vector, fresh.vector, atol=1e-4)
        assert kept.std == pytest.approx(fresh.std, rel=1e-4)


@pytest.mark.parametrize("name", ATTRIBUTES)
def test_nine_faces_of_ten_score_more_at_every_step(
    faces: Generator, classifiers: dict[str, Any], ws: torch.Tensor, name: str
) -> None:
    """Over the whole range of the direction; the numbers of 200 faces are in docs/measured-editing.md."""
    direction = find_direction(faces, name)
    assert monotonic_share(faces, classifiers[name], ws, direction, direction.strengths[1]) >= 0.9


@pytest.mark.parametrize(("name", "other"), [ATTRIBUTES, ATTRIBUTES[::-1]])
def test_other_attributes_change_less_than_in_random_directions(
    faces: Generator, classifiers: dict[str, Any], ws: torch.Tensor, name: str, other: str
) -> None:
    network = load_extractor("random-conv")
    direction = find_direction(faces, name)
    spread = {key: value.std().item() for key, value in answers(faces, classifiers, ws)[0].items()}
    offset = offsets_to_others(faces, ws, direction)
    ends = faces.edit(ws, direction, -1), faces.edit(ws, direction, 1)
    along = changes(faces, classifiers, network, ends, spread)
    random = changes(faces, classifiers, network, (ws - offset, ws + offset), spread)
    assert along[f"{other}, size"] < 0.8 * random[f"{other}, size"]
    assert along[name] > random[f"{name}, size"]
    assert abs(along[other]) < 0.25 * along[name]


def colour_at(img: torch.Tensor, x: float, y: float) -> torch.Tensor:
    """The mean colour of images around a place, in parts of their size: [N, 3]."""
    column, line = (round(place * img.shape[3]) for place in (x, y))
    return img[:, :, line - 2 : line + 3, column - 2 : column + 3].mean(dim=(2, 3))


@pytest.mark.parametrize(
    ("name", "place", "channels"),
    [
        ("light-hair", (0.5, 0.25), (0.3, 0.59, 0.11)),  # Above the forehead.
        ("light-skin", (0.5, 0.6), (0.3, 0.59, 0.11)),  # The nose.
        ("warm-background", (0.08, 0.08), (1.0, 0.0, -1.0)),
    ],
)
def test_colours_of_heads_change_where_they_belong(
    name: str, place: tuple[float, float], channels: tuple[float, ...]
) -> None:
    """On nine of ten heads, from end to end; no classifier is asked."""
    heads = Generator.from_pretrained("avatars-128")
    direction = find_direction(heads, name)
    ends = (
        heads.render(heads.edit(heads.ws(range(60_000, 60_030)), direction, strength), output_type="pt")
        for strength in direction.strengths
    )
    low, high = (colour_at(img, *place) @ torch.tensor(channels) for img in ends)
    assert (high - low > 0.1).float().mean() >= 0.9


def test_heads_have_directions_of_their_own() -> None:
    heads = Generator.from_pretrained("avatars-128")
    assert {"light-hair", "warm-hair", "light-skin", "warm-background"} <= set(bundled_directions(heads))
    for fresh in (*sefa(heads, n=3), *pca(heads, n=3)):
        assert torch.allclose(find_direction(heads, fresh.name).vector, fresh.vector, atol=1e-4)


def test_the_benchmark_has_rows_for_direction_and_random() -> None:
    options = ["--samples", "2", "--attributes", "age", "--extractor", "random-conv"]
    result = CliRunner().invoke(main, options)
    assert result.exit_code == 0, result.output
    for row in ("age, whole range", "age, whole range: as far in random components"):
        assert f"| {row} | " in result.output
