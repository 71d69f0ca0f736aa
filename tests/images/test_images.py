"""uint8 conversion, PIL, grids and saving."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from PIL.PngImagePlugin import PngImageFile

from stylegan import Generator, grid, images
from stylegan.errors import InputError

from ..conftest import GOLDEN


@pytest.fixture(scope="module")
def misc() -> dict[str, torch.Tensor]:
    with np.load(GOLDEN / "misc" / "io.npz") as arrays:
        return {key: torch.from_numpy(arrays[key]) for key in arrays.files}


def test_uint8_conversion_is_the_official_one(misc: dict[str, torch.Tensor]) -> None:
    assert torch.equal(images.to_uint8(misc["ramp"]), misc["ramp_to_uint8"])
    assert torch.equal(images.to_uint8(misc["shrink_in"], shrink=2), misc["shrink2_uint8"])


def test_from_uint8_is_the_official_input_of_training(misc: dict[str, torch.Tensor]) -> None:
    assert torch.equal(images.from_uint8(misc["reals_u8_16"]), misc["process_reals_16_lod0"])


def test_uint8_round_trip() -> None:
    every = torch.arange(256, dtype=torch.uint8)
    assert torch.equal(images.to_uint8(images.from_uint8(every)), every)


def test_to_pil_refuses_what_pil_cannot_show() -> None:
    for shape in ((3, 8, 8), (1, 5, 8, 8)):
        with pytest.raises(InputError):
            images.to_pil(torch.zeros(shape))


def tile(color: str, size: tuple[int, int] = (16, 16)) -> Image.Image:
    return Image.new("RGB", size, color)


def test_grid_places_images_row_by_row() -> None:
    picture = grid([tile(c) for c in ("red", "green", "blue")], columns=2, padding=4)
    assert picture.size == (36, 36)
    assert picture.getpixel((8, 8)) == (255, 0, 0)
    assert picture.getpixel((28, 8)) == (0, 128, 0)
    assert picture.getpixel((8, 28)) == (0, 0, 255)
    assert picture.getpixel((28, 28)) == picture.getpixel((17, 8)) == (255, 255, 255)


def test_grid_without_columns_is_about_square() -> None:
    assert grid([tile("red")] * 9).size == (48, 48)
    assert grid([tile("red")]).size == (16, 16)


def test_headings_stand_beside_their_rows_and_columns() -> None:
    picture = grid(
        [tile("red")] * 6,
        row_headings=[tile("blue")] * 2,
        column_headings=["a long heading", "b", "c"],
    )
    assert picture.getpixel((8, picture.height - 8)) == (0, 0, 255)
    heading = np.asarray(picture)[: picture.height - 32]
    assert (heading == 0).all(axis=2).any()  # Black letters above the images,
    assert (np.asarray(picture)[:, -1] != 0).all(axis=1).any()  # none of them cut off at the right.
    assert picture.width > 64  # The columns are as wide as the longest heading.


def test_a_grid_remembers_the_settings_of_its_images(tmp_path: Path) -> None:
    tiles = [images.remember(tile("red"), {"seed": seed, "model": "m"}) for seed in (3, 5)]
    tiles[0].info["dpi"] = (72, 72)  # Pillow's own, no setting of ours.
    images.remember(grid(tiles), {"rows": [1]}).save(tmp_path / "grid.png")
    assert PngImageFile(tmp_path / "grid.png").text == {"seed": "3,5", "model": "m", "columns": "2", "rows": "[1]"}


def test_grid_refuses_what_does_not_fit() -> None:
    calls: list[Callable[[], object]] = [
        lambda: grid([]),
        lambda: grid([tile("red"), tile("red", (8, 8))]),
        lambda: grid([tile("red")], columns=0),
        lambda: grid([tile("red")] * 4, columns=2, row_headings=["one"]),
        lambda: grid([tile("red")] * 4, columns=2, column_headings=["one", "two", "three"]),
    ]
    for call in calls:
        with pytest.raises(InputError):
            call()


def test_save_writes_the_format_of_the_suffix_or_nothing(tmp_path: Path) -> None:
    for suffix in (".png", ".jpg", ".webp"):
        images.save(images.remember(tile("red"), {"seed": 3}), tmp_path / f"new/a{suffix}")
        with Image.open(tmp_path / f"new/a{suffix}") as image:
            assert image.size == (16, 16)
    assert PngImageFile(tmp_path / "new/a.png").text == {"seed": "3"}
    with pytest.raises(InputError, match="txt"):
        images.save(tile("red"), tmp_path / "a.txt")
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["a.jpg", "a.png", "a.webp", "new"]


@pytest.mark.parametrize(("suffix", "format"), [(".png", "PNG"), (".PNG", "PNG"), (".jpg", "JPEG"), (".webp", "WEBP")])
def test_encoded_pictures_are_what_their_suffix_says(tiny: Generator, suffix: str, format: str) -> None:
    image = tiny.sample()[0]
    data = images.encode(image, suffix)
    assert images.encode(image, suffix) == data
    with Image.open(io.BytesIO(data)) as read:
        assert read.format == format
        assert read.size == image.size
        assert (np.asarray(read) == np.asarray(image)).all() == (format == "PNG")


def test_a_picture_of_unknown_kind_is_refused(tiny: Generator, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"unknown kind of image '\.txt'"):
        images.save(tiny.sample()[0], tmp_path / "face.txt")
    assert not list(tmp_path.iterdir())


def test_pictures_save_themselves_as_the_library_does(tiny: Generator, tmp_path: Path) -> None:
    image = tiny.sample()[0]
    image.save(tmp_path / "own.png")
    assert (tmp_path / "own.png").read_bytes() == images.encode(image, ".png")


def test_smooth_pngs_are_no_larger_than_by_the_default_of_zlib() -> None:
    ramp = np.linspace(0, 200, 128)[:, None, None] + np.random.RandomState(0).randint(0, 4, (128, 128, 3))
    image = Image.fromarray(ramp.astype(np.uint8))
    default = io.BytesIO()
    image.save(default, format="PNG")
    assert len(images.encode(image, ".png")) < 1.02 * len(default.getvalue())


@pytest.mark.parametrize("size", [8, 16, 48])
def test_resized_images_have_the_size_and_keep_their_settings(size: int, tmp_path: Path) -> None:
    image = images.remember(tile("red"), {"seed": 5})
    resized = images.resize(image, images.display_size(16, size))
    assert resized.size == (size, size)
    assert resized.getcolors() == [(size * size, (255, 0, 0))]
    resized.save(tmp_path / "a.png")
    assert PngImageFile(tmp_path / "a.png").text["seed"] == "5"


def test_images_are_shown_at_256_or_more_by_whole_factors() -> None:
    assert [images.display_size(resolution) for resolution in (8, 64, 256, 1024)] == [256, 256, 256, 1024]
    for size, message in ((0, "integer from 1"), (24, "whole multiple"), (100, "whole multiple")):
        with pytest.raises(InputError, match=message):
            images.display_size(16, size)
