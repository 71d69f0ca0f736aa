"""Photos: upright, cropped, aligned, and refused with a reason."""

import io
import os
from math import cos, sin
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from stylegan import Generator
from stylegan.errors import InputError
from stylegan.projection import TEMPLATES, Face, align, cut_face, detect_face, load_photo, template_of, to_square
from stylegan.projection.alignment import similarity
from stylegan.projection.faces import fills


def gradient(width: int, height: int) -> Image.Image:
    """Red grows to the right, green downwards."""
    x, y = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
    return Image.fromarray(np.stack([x, y, x * 0], axis=2).round().astype(np.uint8))


def test_photos_are_turned_as_their_exif_says(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # The camera was turned: the top of the scene is on the left of what is stored.
    gradient(80, 40).save(tmp_path / "turned.png", exif=exif)
    photo = load_photo(tmp_path / "turned.png")
    assert photo.size == (40, 80)
    assert np.asarray(photo)[79, 0, 0] > 250


def test_transparent_and_grey_photos_become_rgb(tmp_path: Path) -> None:
    Image.new("RGBA", (20, 20), (0, 0, 0, 0)).save(tmp_path / "clear.png")
    Image.new("L", (20, 20), 7).save(tmp_path / "grey.png")
    assert load_photo(tmp_path / "clear.png").getpixel((3, 3)) == (255, 255, 255)
    assert load_photo(tmp_path / "grey.png").getpixel((3, 3)) == (7, 7, 7)


def test_what_is_no_picture_is_refused_by_name(tmp_path: Path) -> None:
    page = tmp_path / "photo.jpg"
    page.write_text("<html>not found</html>")
    with pytest.raises(InputError, match=r"photo\.jpg: not an intact PNG"):
        load_photo(page)
    picture = io.BytesIO()
    gradient(64, 64).save(picture, "PNG")
    page.write_bytes(picture.getvalue()[: len(picture.getvalue()) // 2])
    with pytest.raises(InputError, match=r"photo\.jpg: damaged: the file is cut off"):
        load_photo(page)
    with pytest.raises(InputError, match=r"gone\.jpg: cannot be read: No such file"):
        load_photo(tmp_path / "gone.jpg")


def test_what_has_no_end_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    for path in (tmp_path / "pipe.png", tmp_path, "/dev/zero"):
        with pytest.raises(InputError, match="no file; expected a photo"):
            load_photo(path)


def test_the_square_is_centred_in_the_photo_or_in_its_crop() -> None:
    photo = gradient(300, 100)
    centre = np.asarray(to_square(photo, 50))
    assert abs(centre[:, :, 0].mean() - 127.5) < 1
    assert centre[:, :, 0].min() > 80  # The middle third.
    left = np.asarray(to_square(photo, 50, crop=(0, 0, 60, 60)))
    assert left[:, :, 0].max() < 60
    assert left[:, :, 1].max() < 160


@pytest.mark.parametrize(
    ("crop", "message"),
    [
        ((250, 0, 60, 60), "300x100 is too small for the crop"),
        ((-1, 0, 60, 60), "inside the photo"),
        ((0, 0, 0, 60), "inside the photo"),
        ((), r"crop must be \(an integer, an integer, an integer, an integer\) or None, got \(\)"),
        ((1, 2, 3), r"an integer\) or None, got \(1, 2, 3\)"),
        ((0, 0, 15, 60), "15 pixels wide, too small for a model of 64x64; give a photo or crop of 16 or more"),
    ],
)
def test_crops_outside_the_photo_and_tiny_ones_are_refused(crop: tuple[Any, ...], message: str) -> None:
    with pytest.raises(InputError, match=message):
        to_square(gradient(300, 100), 64, crop=crop)


def test_tiny_photos_are_refused() -> None:
    with pytest.raises(InputError, match="10 pixels wide, too small"):
        to_square(gradient(10, 200), 64)


def face(template: str, side: float, turn: float, x: float, y: float) -> list[tuple[float, float]]:
    """Five points as in a template, turned and moved."""
    a, b = side * cos(turn), side * sin(turn)
    return [(a * u - b * v + x, b * u + a * v + y) for u, v in TEMPLATES[template]]


def test_the_similarity_is_the_least_squares_solution() -> None:
    rng = np.random.RandomState(0)
    source, target = rng.randn(5, 2), rng.randn(5, 2)
    rows = [[u, -v, 1, 0] for u, v in source] + [[v, u, 0, 1] for u, v in source]
    expected, *_ = np.linalg.lstsq(np.array(rows), np.concatenate([target[:, 0], target[:, 1]]), rcond=None)
    assert similarity(source, target) == pytest.approx(tuple(expected), abs=1e-12)


@pytest.mark.parametrize("template", TEMPLATES)
@pytest.mark.parametrize("side", [64, 300], ids=["same size", "smaller"])
def test_alignment_puts_the_points_where_the_template_has_them(template: str, side: int) -> None:
    points = face(template, side, 0.4, 200, 150)
    photo = Image.new("RGB", (640, 640))
    draw = ImageDraw.Draw(photo)
    radius = side / 40
    for i, (x, y) in enumerate(points):
        colour = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0), (255, 0, 255)][i]
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)
    aligned = np.asarray(align(photo, points, 64, template=template)).astype(float)
    assert aligned.shape == (64, 64, 3)
    ys, xs = np.mgrid[:64, :64] + 0.5
    red, green, blue = np.moveaxis(aligned, 2, 0)
    for i, channel in enumerate([red - green - blue, green - red]):
        weight = channel.clip(0)
        centre = (xs * weight).sum() / weight.sum(), (ys * weight).sum() / weight.sum()
        assert centre == pytest.approx(tuple(64 * np.array(TEMPLATES[template][i])), abs=0.7)


def test_alignment_beyond_the_border_mirrors_the_photo() -> None:
    photo = gradient(100, 100)
    points = face("utkface", 80, 0.0, -20, 10)
    row = np.asarray(align(photo, points, 80))[40, :, 0].astype(int)
    assert abs(row[:20][::-1] - row[20:40]).max() <= 6
    assert row[60] > row[40] > row[20]


@pytest.mark.parametrize(
    ("points", "message"),
    [
        ([(1, 2)] * 4, "five points"),
        ([(float("nan"), 0)] * 5, "five points"),
        ([(50, 50)] * 5, "0 pixels wide, too small"),
        (face("utkface", 80, 3.1, 90, 90), "upside down"),
        (face("utkface", 80, 0, 5000, 0), "outside the photo"),
    ],
)
def test_points_that_are_no_face_are_refused(points: list[Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        align(gradient(100, 100), points, 64)


def test_unknown_templates_are_refused() -> None:
    with pytest.raises(InputError, match="unknown template 'lfw'; expected one of utkface, ffhq"):
        align(gradient(100, 100), face("ffhq", 80, 0, 0, 0), 64, template="lfw")


def test_the_template_follows_the_models_data(tiny: Generator, faces: Generator) -> None:
    assert (template_of(tiny), template_of(faces)) == ("utkface", "utkface")
    tiny.metadata["dataset"] = "Flickr-Faces-HQ (FFHQ)"
    assert template_of(tiny) == "ffhq"
    del tiny.metadata["dataset"]


def test_the_detector_finds_the_face_and_refuses_photos_without() -> None:
    skimage_data = pytest.importorskip("skimage.data")
    photo = Image.fromarray(skimage_data.astronaut())
    found = np.asarray(cut_face(photo, 64)).astype(float)
    # Her eyes are at 202,101 and 248,102, her mouth at 222,145 of the photo.
    expected = align(photo, [(202, 101), (248, 102), (226, 122), (208, 143), (242, 143)], 64)
    assert np.abs(found - np.asarray(expected)).mean() < 30
    for empty in (gradient(300, 300), photo.crop((0, 250, 200, 450)), gradient(16, 16)):
        with pytest.raises(InputError, match=r"no frontal face found; align .* \(`to_square`\)"):
            cut_face(empty, 64)


def test_a_photo_that_uses_few_of_its_16_bits_is_warned_of(tmp_path: Path) -> None:
    Image.fromarray(np.full((16, 16), 4000, np.uint16)).save(tmp_path / "a.png")
    with pytest.warns(UserWarning, match=r"a.png is dark: .* make it 8-bit first"):
        load_photo(tmp_path / "a.png")


@pytest.mark.parametrize("turn", [15, -45, 90, 180])
def test_turned_heads_are_found_and_cut_out_upright(turn: int) -> None:
    skimage_data = pytest.importorskip("skimage.data")
    photo = Image.fromarray(skimage_data.astronaut()).crop((60, 0, 360, 300))
    turned = photo.rotate(turn, expand=True)  # Counterclockwise.
    face = detect_face(turned)
    assert (face.angle + turn + 180) % 360 - 180 == pytest.approx(0, abs=8)
    found = np.asarray(cut_face(turned, 64, face=face)).astype(float)
    expected = align(photo, [(142, 101), (188, 102), (166, 122), (148, 143), (182, 143)], 64)
    assert np.abs(found - np.asarray(expected)).mean() < 40  # Other pieces of the photo are 56 off and more.


@pytest.mark.parametrize("name", ["chelsea", "coins", "immunohistochemistry", "text"])
def test_pictures_without_a_face_are_refused(name: str) -> None:
    """In each of them the detector alone sees a face at some angle."""
    skimage_data = pytest.importorskip("skimage.data")
    picture = Image.fromarray(getattr(skimage_data, name)()).convert("RGB")
    picture.thumbnail((256, 256))
    with pytest.raises(InputError, match="no frontal face found"):
        detect_face(picture)


def test_pictures_that_are_cropped_to_their_face_are_known() -> None:
    whole = Image.new("RGB", (200, 200))
    assert fills(Face(5, -10, 190, 3), whole)
    assert not fills(Face(40, 40, 120, 0), whole)
    assert not fills(Face(0, 0, 200, 20), whole)
    assert not fills(Face(0, 0, 200, 0), Image.new("RGB", (200, 300)))
