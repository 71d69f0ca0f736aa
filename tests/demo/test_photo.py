"""Photos in the demo: read, cropped, made by the model, mixed, edited and saved; and what is no photo."""

import base64
import io
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

import stylegan
from stylegan import Generator, cli
from stylegan.demo import Look, Studio
from stylegan.demo.kept import KeptImages
from stylegan.demo.photo import Photos, encode_photo, read_data_url, read_photo
from stylegan.encoder import Encoder, new_encoder
from stylegan.errors import InputError
from stylegan.latents.files import Latents
from stylegan.projection import Face, faces
from stylegan.projection.faces import crop_photo

from ..conftest import tiny_generator

LOOK = Look("tiny", truncation_psi=0.5)


def encoded(photo: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    file = io.BytesIO()
    photo.save(file, kind, **options)
    return file.getvalue()


def as_url(data: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(data).decode()


def same(a: Image.Image, b: Image.Image) -> bool:
    return np.array_equal(np.asarray(a), np.asarray(b))


def nearly(a: Image.Image, b: Image.Image) -> bool:
    """Batches of another size may round otherwise: at most 1 of 255 apart."""
    return bool(np.abs(np.asarray(a).astype(int) - np.asarray(b)).max() <= 1)


def halves(size: tuple[int, int], mode: str = "RGB") -> Image.Image:
    """A picture whose upper half is white, and the lower one black."""
    photo = Image.new(mode, size, "black")
    photo.paste("white", (0, 0, size[0], size[1] // 2))
    return photo


@pytest.fixture(scope="module")
def G() -> Generator:
    G = tiny_generator()
    G.metadata["name"] = "faces-tiny"
    return G


@pytest.fixture(scope="module")
def encoder(G: Generator) -> Encoder:
    return new_encoder(G).eval().requires_grad_(False)


@pytest.fixture(scope="module")
def studio(G: Generator, encoder: Encoder, tmp_path_factory: pytest.TempPathFactory) -> Studio:
    path = tmp_path_factory.mktemp("studio") / "tiny.safetensors"
    G.save(path)
    push = torch.full((G.w_dim,), 0.3)
    moves = {"tiny": {"smile": lambda ws, strength: ws + strength * push}}
    return Studio({"tiny": str(path)}, encoders=[encoder], directions=moves)


def turned() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6  # To be turned clockwise by 90 degrees.
    return encoded(halves((40, 40)).transpose(Image.Transpose.ROTATE_90), "JPEG", quality=95, exif=exif)


@pytest.mark.parametrize(
    "make",
    [
        lambda: encoded(halves((40, 40))),
        lambda: encoded(halves((40, 40), "L")),
        lambda: encoded(halves((40, 40), "RGBA")),
        lambda: encoded(halves((8000, 6000)), "JPEG"),
        lambda: encoded(halves((64, 64)), "WEBP"),
        turned,
    ],
    ids=["rgb", "grey", "rgba", "48-megapixels", "webp", "exif"],
)
def test_photos_of_all_kinds_are_upright_squares(G: Generator, make: Callable[[], bytes]) -> None:
    photo = read_photo(make(), G)
    assert min(photo.size) < 2048
    square = np.asarray(crop_photo(photo, G)[0])
    assert square.shape == (16, 16, 3)
    assert square[:7].min() > 240
    assert square[9:].max() < 15


def test_a_photo_loses_what_its_file_says(G: Generator) -> None:
    assert read_photo(turned(), G).info == {}


def test_transparent_parts_are_white(G: Generator) -> None:
    photo = read_photo(encoded(Image.new("RGBA", (40, 40), (0, 0, 0, 0))), G)
    assert np.asarray(photo).min() == 255


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "this photo cannot be read: an empty file"),
        (b"GIF89a is not all of it", "this photo cannot be read"),
        (encoded(halves((64, 64)))[:100], "this photo cannot be read: damaged"),
        (encoded(halves((64, 64)), "JPEG")[:300], "this photo cannot be read: damaged"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "this photo cannot be read: not an intact PNG"),
        (encoded(halves((3, 3))), "3 pixels wide, too small"),
    ],
)
def test_what_is_no_photo_is_one_message(G: Generator, encoder: Encoder, data: bytes, message: str) -> None:
    with pytest.raises(InputError, match=message):
        encode_photo(data, G, encoder, model="tiny")


@pytest.mark.parametrize("url", [None, "", 3, "data:image/png,abc", "data:;base64,é", "http://a.example/x;base64,AA=="])
def test_only_data_urls_are_read(url: Any) -> None:
    with pytest.raises(InputError, match="this photo cannot be read: it is damaged, too large"):
        read_data_url(url)
    assert read_data_url("data:;base64,QUI=") == b"AB"


def test_the_crop_is_the_face_or_says_why_not(
    G: Generator, encoder: Encoder, tiny: Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    photo, has = halves((80, 60)), True
    centre = photo.resize((16, 16), Image.Resampling.LANCZOS, box=(10, 0, 70, 60))
    monkeypatch.setattr(faces, "has_detector", lambda: has)

    def find(face: Face | None) -> None:
        def detect(_: Image.Image) -> Face:
            if face is None:
                raise InputError("no frontal face found")
            return face

        monkeypatch.setattr(faces, "detect_face", detect)

    def note() -> str:
        return encode_photo(encoded(photo), G, encoder, model="tiny").note

    find(Face(0, 0, 32, 0))
    square, place, lacks = crop_photo(photo, G)
    assert (place, lacks) == ("the face of 32x32 at 0,0", "")
    assert note().startswith("The model knows nothing like this photo")  # The encoder is not trained.
    assert np.asarray(square)[:13].min() > 200  # Of the upper half nearly all.
    for face in (None, Face(0, 0, 2, 0)):  # None at all, and one that is too small.
        find(face)
        assert crop_photo(photo, G) == (centre, "the largest square in its centre", "face")
        assert note().startswith("No frontal face of a usable size was found, so the centre")
    find(Face(0, 0, 60, 0))
    square, place, lacks = crop_photo(halves((60, 60)), G)
    assert (place, lacks) == ("all of it, which is a face", "")
    assert same(square, halves((60, 60)).resize((16, 16), Image.Resampling.LANCZOS))
    has = False
    assert crop_photo(photo, G) == (centre, "the largest square in its centre", "detector")
    assert note().startswith("No face detector is installed, so the centre is used")
    assert crop_photo(halves((16, 16)), G) == (halves((16, 16)), "as it is", "")
    assert crop_photo(photo, tiny) == (centre, "the largest square in its centre", "")  # No model of faces.


def test_a_face_that_the_encoder_knows_needs_no_note(default: Generator) -> None:
    photo = default.sample(seeds=[3])[0]
    assert encode_photo(encoded(photo), default, Encoder.of(default), model="faces").note == ""
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (128, 128, 3), np.uint8))
    assert encode_photo(encoded(noise), default, Encoder.of(default), model="faces").note.startswith("The model knows")


def test_a_photo_is_made_as_projection_makes_it(G: Generator, encoder: Encoder) -> None:
    square = G.sample(seeds=[3])[0]
    photo = encode_photo(encoded(square), G, encoder, model="tiny")
    found = stylegan.project(square, G, method="encoder", encoder=encoder)
    assert torch.equal(photo.latents.ws, found.latents.ws)
    assert same(photo.square, square)
    assert nearly(photo.made, G.render(found.latents.ws)[0])


def test_layers_of_a_seed_and_directions_change_a_photo(studio: Studio, G: Generator) -> None:
    ws = G.ws([8])
    kept, plain, beside = studio.with_photo(ws, 2, [], LOOK)
    assert torch.equal(kept, ws)
    assert nearly(plain, G.render(ws)[0])
    other = G.ws([2], truncation_psi=0.5)
    assert nearly(beside, G.render(other)[0])
    mixed, made, _ = studio.with_photo(ws, 2, [5, 0], LOOK)
    assert torch.equal(mixed, G.mix_styles(ws, other, [0, 5]))
    assert (made.info["seed"], made.info["layers"]) == ("2", "[0, 5]")
    moved, made, _ = studio.with_photo(ws, 2, [], Look("tiny", strengths=(("smile", 2.0),)))
    assert torch.allclose(moved, ws + 0.6)
    assert made.info["direction smile"] == "2.0"
    for seed, layers in ((-1, []), (2, [6]), (2, [0] * 100)):
        with pytest.raises(InputError):
            studio.with_photo(ws, seed, layers, LOOK)


def tab_of(studio: Studio, folder: Path) -> Any:
    gr = pytest.importorskip("gradio", reason="needs the extra demo")
    from stylegan.demo.photo_tab import PhotoTab

    with gr.Blocks():
        return PhotoTab(studio, KeptImages(folder, limit=100), "tiny", limit=3)


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_what_is_saved_makes_the_picture_again(studio: Studio, G: Generator, tmp_path: Path) -> None:
    tab = tab_of(studio, tmp_path)
    note, square, made = tab.take("one", as_url(encoded(G.sample(seeds=[3])[0])), "tiny")
    assert "hardly resembles it" in note
    assert same(Image.open(square), G.sample(seeds=[3])[0])
    photo = tab.photos.get("one", "tiny")
    look = Look("tiny", strengths=(("smile", 1.0),))
    (path, caption, file), (_, saved) = tab.show("one", photo, 2, [4], look)
    assert path == file
    assert "smile" in caption
    latents = Latents.load(saved, G)
    assert latents.names == ["photo"]
    assert latents.facts.items() >= {"method": "projection", "layers": "[4]", "direction smile": "1.0"}.items()
    shutil.copy(saved, Path(path).parent)
    again = CliRunner().invoke(
        cli.main, ["remake", path, "--model", studio.models["tiny"], "--out", f"{tmp_path}/a.png"]
    )
    assert "the same" in again.output
    assert nearly(Image.open(path), G.render(latents.ws)[0])
    assert not nearly(Image.open(path), Image.open(made))
    (path, *_), (_, saved) = tab.show("one", photo, 2, [], LOOK)
    assert nearly(Image.open(path), Image.open(made))


def test_nothing_is_kept_of_former_photos(studio: Studio, G: Generator, tmp_path: Path) -> None:
    tab = tab_of(studio, tmp_path)
    counts = set()
    for seed in range(8):
        tab.take("one", as_url(encoded(G.sample(seeds=[seed])[0])), "tiny")
        tab.show("one", tab.photos.get("one", "tiny"), 2, [4], LOOK)
        counts.add((len(tab.photos), len(files(tmp_path))))
    assert counts == {(1, 5)}  # The crop, the reconstruction, the picture, its latents, and the seed's picture.
    wrong = tab.take("one", "", "tiny")
    assert "cannot be read" in wrong[0]
    assert len(tab.photos) == 1  # The last good one stays.
    tab.chosen("one", "tiny")
    assert (len(tab.photos), files(tmp_path)) == (0, ["seed2.png"])


def test_sessions_have_their_own_photos_in_bounds(studio: Studio, encoder: Encoder, G: Generator) -> None:
    photo = encode_photo(encoded(halves((20, 20))), G, encoder, model="tiny")
    photos = Photos(limit=3)
    for session in "abcd":
        photos.put(session, photo)
    assert [photos.get(session, "tiny") for session in "abcd"] == [None, photo, photo, photo]
    assert photos.get("b", "other") is None
    photos.forget("b")
    assert photos.get("b", "tiny") is None


def test_an_encoder_is_used_for_its_model_alone(studio: Studio, encoder: Encoder, tmp_path: Path) -> None:
    assert studio.encoder("tiny") is encoder
    other = tiny_generator()
    other.w_avg.add_(1)
    other.save(tmp_path / "other.safetensors")
    strange = Studio({"tiny": str(tmp_path / "other.safetensors")}, encoders=[encoder])
    assert strange.encoder("tiny") is None
    tab = tab_of(strange, tmp_path)
    assert tab.no_encoder.visible
    assert not tab.controls.visible
    assert "stylegan demo --encoder FILE" in tab.no_encoder.value
    assert "tiny has no encoder" in tab.take("one", as_url(encoded(halves((20, 20)))), "tiny")[0]


def test_the_command_passes_encoders_on(
    G: Generator, encoder: Encoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[Studio] = []
    monkeypatch.setattr("stylegan.demo.serve", lambda studio, **_: shown.append(studio))
    G.save(tmp_path / "tiny.safetensors")
    encoder.save(tmp_path / "encoder.safetensors")
    command = ["demo", "--model", str(tmp_path / "tiny.safetensors"), "--encoder"]
    run = CliRunner().invoke(cli.main, [*command, str(tmp_path / "encoder.safetensors")], catch_exceptions=False)
    assert run.exit_code == 0
    assert shown[0].encoder(next(iter(shown[0].models))) is not None
    assert "Encoder" in CliRunner().invoke(cli.main, [*command, str(tmp_path / "tiny.safetensors")]).output
