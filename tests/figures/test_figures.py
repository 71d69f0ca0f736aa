"""The paper's figures: which image stands where, and what their numbers are."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image
from PIL.PngImagePlugin import PngImageFile

from stylegan import Generator, cli, figures
from stylegan.errors import InputError
from stylegan.figures import noise_deviation
from stylegan.figures.layout import text

from ..conftest import tiny_generator

SMALL: dict[str, Any] = {"size": 16}
ALL = {
    "style-mixing": lambda G, **options: figures.style_mixing(G, sources_a=[1, 2], coarse=[7], **options),
    "noise": lambda G, **options: figures.noise_examples(G, realizations=6, **options),
    "noise-layers": lambda G, **options: figures.noise_layers(G, **options),
    "truncation": lambda G, **options: figures.truncation(G, **options),
    "uncurated": lambda G, **options: figures.uncurated(G, **options),
}


def find(figure: Image.Image, tile: Image.Image) -> tuple[int, int]:
    """Where a tile stands in a figure, (x, y), though a frame may be drawn into it."""
    page, part = np.asarray(figure).astype(int), np.asarray(tile.convert("RGB")).astype(int)
    rows, columns = (side - own + 1 for side, own in zip(page.shape[:2], part.shape[:2], strict=True))
    votes = np.zeros((rows, columns), int)
    for i, j in np.random.RandomState(0).randint(0, part.shape[:2], size=(40, 2)):
        votes += (abs(page[i : i + rows, j : j + columns] - part[i, j]) <= 1).all(axis=-1)
    y, x = map(int, np.unravel_index(votes.argmax(), votes.shape))
    window = page[y : y + part.shape[0], x : x + part.shape[1]]
    assert (abs(window - part) <= 1).all(axis=-1).mean() > 0.6, "the image is not in the figure"
    return x, y


def test_style_mixing_takes_one_band_from_the_left(tiny: Generator) -> None:
    sources: dict[str, Any] = {"coarse": [7, 8], "middle": [9], "fine": [10]}
    figure = figures.style_mixing(tiny, sources_a=[1, 2], **sources, **SMALL)
    layers = {"coarse": [0, 1], "middle": [2, 3], "fine": [4, 5]}  # 4x4, 8x8 and 16x16
    a = tiny.ws([1, 2], truncation_psi=1)
    above = [find(figure, image) for image in tiny.render(a)]
    for name, seeds in sources.items():
        for seed in seeds:
            b = tiny.ws([seed], truncation_psi=1)
            _, y = find(figure, tiny.render(b)[0])
            mixed = tiny.render(tiny.mix_styles(a, b, layers[name]))
            assert [find(figure, image) for image in mixed] == [(x, y) for x, _ in above]


def test_noise_deviation_is_that_of_the_images_in_any_batch(tiny: Generator) -> None:
    ws = tiny.ws([3], truncation_psi=1)
    draws = tiny.render(ws.repeat(12, 1, 1), noise_mode="random", noise_seed=list(range(5, 17)), output_type="pt")
    expected = (draws.double().clamp(-1, 1).mean(dim=1) * 127.5).numpy().std(axis=0)
    for batch_size in (1, 5, 12):
        measured = noise_deviation(tiny, ws, noise_seeds=range(5, 17), batch_size=batch_size)
        np.testing.assert_allclose(measured, expected, atol=1e-3)
    assert expected.max() > 5


def test_noise_examples_show_the_first_draws_and_the_deviation(tiny: Generator) -> None:
    figure = figures.noise_examples(tiny, seeds=[3, 4], noise_seed=5, realizations=8, **SMALL)
    ws = tiny.ws([3, 4], truncation_psi=1)
    deviations = np.array([noise_deviation(tiny, one, noise_seeds=range(5, 13)) for one in ws.split(1)])
    white = max(1, round(np.percentile(deviations, 99.5)))
    images = tiny.render(ws, noise_mode="random", noise_seed=5)
    levels = [Image.fromarray((d * 255 / white).clip(0, 255).astype(np.uint8)) for d in deviations]
    for image, level in zip(images, levels, strict=True):
        (x, y), (x_level, y_level) = find(figure, image), find(figure, level)
        assert (y, x < x_level) == (y_level, True)


def test_the_noise_map_is_bright_on_hair_and_dark_on_skin(faces: Generator) -> None:
    deviation = noise_deviation(faces, faces.ws([45], truncation_psi=1), noise_seeds=range(40))  # Long dark hair.
    cheeks_and_forehead = np.concatenate([deviation[8:16, 24:40].ravel(), deviation[34:42, 14:22].ravel()])
    beside_the_face = np.concatenate([deviation[40:, :6].ravel(), deviation[40:, -6:].ravel()])
    assert np.median(beside_the_face) > 3 * np.median(cheeks_and_forehead)


@pytest.mark.parametrize("seed", [5, 6])
def test_the_noise_map_is_bright_at_edges_and_dark_where_flat(faces: Generator, seed: int) -> None:
    ws = faces.ws([seed], truncation_psi=1)
    deviation = noise_deviation(faces, ws, noise_seeds=range(40))
    slope = np.hypot(*np.gradient(faces.render(ws, output_type="np")[0].mean(axis=-1)))
    steep, flat = slope > np.quantile(slope, 0.8), slope < np.quantile(slope, 0.2)
    assert deviation[steep].mean() > 2 * deviation[flat].mean()


def test_noise_layers_are_all_fine_coarse_none_left_to_right(tiny: Generator) -> None:
    figure = figures.noise_layers(tiny, seeds=[3], noise_seed=2, **SMALL)
    ws, maps = tiny.ws([3], truncation_psi=1), tiny.noise(2)
    fine = [None] * 4 + maps[4:]
    coarse = maps[:4] + [None] * 2
    images = [
        Image.fromarray(np.asarray(image))
        for noise in (maps, fine, coarse, [None] * 6)
        for image in _pil(tiny, ws, noise)
    ]
    places = [find(figure, image) for image in images]
    assert places == sorted(places)
    assert len({x for x, _ in places}) == 4
    assert len({y for _, y in places}) == 1
    # Below the details stands what the noise adds: of all layers most, and of none nothing but grey.
    y = places[-1][1]
    size, gap = images[0].width, places[1][0] - places[0][0] - images[0].width
    below = y + 2 * (size + gap)
    effects = [np.asarray(figure)[below : below + size, x : x + size].astype(int) for x, _ in places]
    assert (effects[-1] == 128).all()
    assert all(abs(effect - 128).mean() > 2 for effect in effects[:-1])


def _pil(G: Generator, ws: torch.Tensor, noise: list[Any]) -> list[Image.Image]:
    from stylegan import images

    return images.to_pil(G.synthesis(ws, noise=noise))


def test_truncation_goes_through_the_average_to_the_opposite(tiny: Generator) -> None:
    psis = [1.0, 0.5, 0.0, -1.0]
    figure = figures.truncation(tiny, seeds=[3, 5], truncation_psi=psis, **SMALL)
    for seed in (3, 5):
        rows = [find(figure, tiny.sample(seeds=[seed], truncation_psi=psi)[0]) for psi in (1.0, 0.5, -1.0)]
        assert [x for x, _ in rows] == sorted({x for x, _ in rows})
    x, y = find(figure, tiny.sample(seeds=[3], truncation_psi=1)[0])
    x_average, y_average = find(figure, tiny.render(tiny.broadcast(tiny.w_avg[None]))[0])
    gap = 2
    assert (x_average, y_average) == (x + 2 * (16 + gap), y)


def test_uncurated_truncates_coarse_layers_and_skips_no_seed(faces: Generator) -> None:
    figure = figures.uncurated(faces, seeds=range(4, 9), columns=3, size=64)
    images = faces.sample(seeds=range(4, 9), truncation_psi=0.7, truncation_cutoff=8)
    places = [find(figure, image) for image in images]
    assert [(x - places[0][0], y - places[0][1]) for x, y in places] == [(0, 0), (66, 0), (132, 0), (0, 66), (66, 66)]


@pytest.mark.parametrize("name", ALL)
def test_figures_are_deterministic_and_keep_their_settings(tiny: Generator, name: str, tmp_path: Path) -> None:
    first, again = ALL[name](tiny, **SMALL), ALL[name](tiny, **SMALL)
    assert first.tobytes() == again.tobytes()
    first.save(tmp_path / "figure.png")
    text = PngImageFile(tmp_path / "figure.png").text
    assert text["figure"] == name
    assert {"model", "Software"} <= text.keys()


@pytest.mark.parametrize("name", ALL)
def test_figures_are_wider_at_larger_sizes(tiny: Generator, name: str) -> None:
    small, large = ALL[name](tiny, size=8), ALL[name](tiny, size=128)
    assert large.width > 3 * small.width


@pytest.mark.parametrize("name", ALL)
def test_figures_of_conditional_models(name: str) -> None:
    G = tiny_generator(label_dim=3)
    assert ALL[name](G, labels=1, **SMALL).tobytes() != ALL[name](G, labels=2, **SMALL).tobytes()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda G: figures.uncurated(G, size=40), "whole multiple of 16"),
        (lambda G: figures.uncurated(G, columns=0), "columns"),
        (lambda G: figures.style_mixing(G, sources_a=[]), "at least one seed"),
        (lambda G: figures.truncation(G, truncation_psi=[]), "at least one seed"),
        (lambda G: figures.noise_examples(G, realizations=3), "4 to 100,000 realizations"),
        (lambda G: figures.noise_layers(G, seeds=[]), "at least one seed"),
        (lambda G: figures.noise_examples(tiny_generator(synthesis={"use_noise": False})), "no noise inputs"),
        (lambda G: figures.style_mixing(tiny_generator(synthesis={"use_styles": False})), "no styles"),
        (lambda G: figures.style_mixing(tiny_generator(img_resolution=8)), "no middle band"),
    ],
)
def test_what_cannot_be_drawn_is_an_error(tiny: Generator, make: Callable[..., Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        make(tiny)


def test_text_is_broken_into_lines_that_fit() -> None:
    words = "a caption of several words that need more than one line"
    wide, narrow = text(words, size=14), text(words, size=14, width=120)
    assert narrow.width == 120
    assert narrow.height >= 3 * wide.height
    # Nothing is drawn outside: the margin on the right remains.
    assert np.asarray(text(words, size=14, width=120, align="left"))[:, -1].min() == 255


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (
            ["style-mixing", "--sources-a", "1,2", "--coarse", "7", "--middle", "", "--fine", "8"],
            lambda G: figures.style_mixing(G, sources_a=[1, 2], coarse=[7], middle=[], fine=[8]),
        ),
        (
            ["noise", "--seeds", "3", "--realizations", "5", "--noise-seed", "2", "--truncation-psi", "0.5"],
            lambda G: figures.noise_examples(G, seeds=[3], realizations=5, noise_seed=2, truncation_psi=0.5),
        ),
        (["noise-layers", "--seeds", "4", "--size", "32"], lambda G: figures.noise_layers(G, seeds=[4], size=32)),
        (
            ["truncation", "--seeds", "4", "--truncation-psi", "1,-1", "--truncation-cutoff", "2"],
            lambda G: figures.truncation(G, seeds=[4], truncation_psi=[1, -1], truncation_cutoff=2),
        ),
        (
            ["uncurated", "--seeds", "0-5", "--columns", "2", "--size", "8"],
            lambda G: figures.uncurated(G, seeds=range(6), columns=2, size=8),
        ),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_commands_draw_the_same_figures(
    tiny: Generator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], expected: Callable[..., Any]
) -> None:
    monkeypatch.chdir(tmp_path)
    tiny.save("tiny.safetensors")
    result = CliRunner().invoke(cli.main, ["figure", *arguments, "--model", "tiny.safetensors"])
    assert result.exit_code == 0, result.output
    written = tmp_path / f"{arguments[0]}.png"
    assert str(written) in result.output
    assert Image.open(written).tobytes() == expected(Generator.from_pretrained(Path("tiny.safetensors"))).tobytes()
