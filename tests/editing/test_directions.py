"""Directions: moving along them, and their files."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch

from stylegan import Generator
from stylegan.editing import Direction, load_directions, pca, save_directions, sefa
from stylegan.errors import InputError

from ..conftest import tiny_generator


@pytest.fixture(scope="module")
def direction(tiny: Generator) -> Direction:
    return sefa(tiny, n=1, layers="coarse")[0]


def test_strength_one_moves_w_by_one_standard_deviation(tiny: Generator, direction: Direction) -> None:
    ws = tiny.ws([1, 2])
    moved = tiny.edit(ws, direction, 1.0) - ws
    coarse = 2  # Of six layers, the first two are coarse.
    assert direction.layers == (0, coarse)
    assert torch.allclose(moved[:, :coarse] @ direction.vector, torch.full((2, coarse), direction.std), atol=1e-5)
    assert (moved[:, coarse:] == 0).all()


def test_strength_zero_changes_nothing(tiny: Generator, direction: Direction) -> None:
    ws = tiny.ws([1])
    assert tiny.edit(ws, direction, 0).equal(ws)


def test_every_row_can_have_its_own_strength(tiny: Generator, direction: Direction) -> None:
    ws = tiny.ws([1, 2])
    both = tiny.edit(ws, direction, [0.5, -2])
    assert both[0].equal(tiny.edit(ws[:1], direction, 0.5)[0])
    assert both[1].equal(tiny.edit(ws[1:], direction, -2)[0])


def test_layers_go_before_those_of_the_direction(tiny: Generator, direction: Direction) -> None:
    ws = tiny.ws([1])
    changed = (tiny.edit(ws, direction, 1, layers=[5]) - ws).abs().sum(dim=2)[0] > 0
    assert changed.tolist() == [False] * 5 + [True]


def test_the_unit_of_strength_is_the_spread_of_w(tiny: Generator) -> None:
    direction = pca(tiny, n=1, samples=500)[0]
    spread = torch.cat([tiny.ws([seed], truncation_psi=1)[:, 0] for seed in range(500)]) @ direction.vector
    assert direction.std == pytest.approx(spread.std().item(), rel=1e-4)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ws": torch.zeros(1, 6, 23)}, r"ws must be \[N, 6, 24\]"),
        ({"ws": torch.zeros(2, 24)}, r"use G.broadcast\(w\)"),
        ({"strength": float("nan")}, "finite number"),
        ({"strength": [1.0, 2.0, 3.0]}, "one for each of 2 rows"),
        ({"strength": "much"}, "strength must be a finite number"),
        ({"layers": [7]}, "layers 0 to 5"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(
    tiny: Generator, direction: Direction, change: dict[str, Any], message: str
) -> None:
    arguments: dict[str, Any] = {
        "ws": tiny.ws([1, 2]),
        "direction": direction,
        "strength": 1.0,
        "layers": None,
    } | change
    with pytest.raises(InputError, match=message):
        tiny.edit(**arguments)


def test_a_direction_of_another_model_is_refused(direction: Direction) -> None:
    other = tiny_generator(seed=5)
    other.w_avg += 1
    ws = other.ws([1])
    with pytest.raises(InputError, match="'sefa:0' of unnamed belongs to another model"):
        other.edit(ws, direction, 1.0)
    wide = tiny_generator(w_dim=32)
    ws = wide.ws([1])
    with pytest.raises(InputError, match="its w has 24 numbers, not 32"):
        wide.edit(ws, direction, 1.0)


def test_a_copy_in_half_precision_is_the_same_model(tiny: Generator, direction: Direction, tmp_path: Path) -> None:
    tiny.save(tmp_path / "half.safetensors", dtype=torch.float16)
    half = Generator.from_pretrained(tmp_path / "half.safetensors")
    half.edit(half.ws([1]), direction, 1.0)


def test_files_give_back_what_was_saved(tiny: Generator, tmp_path: Path) -> None:
    saved = sefa(tiny, n=2, layers=slice(1, 3)) + pca(tiny, n=1, samples=50)
    save_directions(tmp_path / "d.safetensors", saved)
    loaded = load_directions(tmp_path / "d.safetensors")
    assert list(loaded) == ["sefa:0", "sefa:1", "pca:0"]
    for a, b in zip(saved, loaded.values(), strict=True):
        for field in dataclasses.fields(Direction):
            x, y = getattr(a, field.name), getattr(b, field.name)
            assert x.equal(y) if isinstance(x, torch.Tensor) else x == y, field.name


def test_a_file_holds_named_directions_of_one_model(tiny: Generator, direction: Direction, tmp_path: Path) -> None:
    other = sefa(tiny_generator(seed=5), n=2)[1]
    other = dataclasses.replace(other, w_avg=other.w_avg + 1)
    for given in ([], [direction, direction], [direction, other]):
        with pytest.raises(InputError, match=r"different names|one model"):
            save_directions(tmp_path / "d.safetensors", given)
    with pytest.raises(InputError, match=r"must end in \.safetensors"):
        save_directions(tmp_path / "d.npz", [direction])
    assert not list(tmp_path.iterdir())


def test_files_that_hold_no_directions_are_refused(tiny: Generator, direction: Direction, tmp_path: Path) -> None:
    path = tmp_path / "d.safetensors"
    with pytest.raises(InputError, match="no such file"):
        load_directions(path)
    tiny.save(path)
    with pytest.raises(InputError, match="holds no directions"):
        load_directions(path)
    save_directions(path, [direction])
    data = path.read_bytes()
    for damaged in (data[:-8], data.replace(b"layers", b"leyars"), data.replace(b'_version":"1"', b'_version":"7"')):
        assert damaged != data
        path.write_bytes(damaged)
        with pytest.raises(InputError, match=r"damaged|format"):
            load_directions(path)


@pytest.mark.parametrize(
    "change",
    [{"vector": torch.ones(24)}, {"vector": torch.ones(1)}, {"std": 0.0}, {"std": float("nan")}, {"layers": (3, 3)}],
)
def test_a_direction_whose_parts_do_not_fit_is_refused(direction: Direction, change: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="direction 'sefa:0'"):
        dataclasses.replace(direction, **change)


def test_no_size_of_the_header_looks_like_a_pickle(direction: Direction, tmp_path: Path) -> None:
    begun, path = set(), tmp_path / "d.safetensors"
    for n in range(1, 258, 8):
        save_directions(path, [dataclasses.replace(direction, name=n * "x")])
        assert list(load_directions(path)) == [n * "x"]
        begun.add(path.read_bytes()[0])
    assert 0x80 in begun
