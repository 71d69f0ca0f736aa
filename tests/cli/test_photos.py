"""Photos in the place of seeds: the same as `stylegan project --fast` and --latents, and mistakes with them."""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result
from PIL import Image

from stylegan import Generator, cli, images
from stylegan.cli.neighbours import our_arguments
from stylegan.encoder import new_encoder

from ..conftest import ok, tiny_generator

Run = Callable[..., Result]

TINY = ("--model", "tiny.safetensors")
ENCODED = (*TINY, "--encoder", "e.safetensors")


@pytest.fixture
def here(run: Run) -> Run:
    """A tiny model, an encoder for it, and photos."""
    G = tiny_generator()
    G.metadata = {"name": "tiny", "license": "CC0"}
    G.save("tiny.safetensors")
    new_encoder(G).save("e.safetensors")
    for i, picture in enumerate(G.sample(seeds=[1, 2])):
        picture.resize((40, 30)).save(f"{'ab'[i]}.jpg")
    return run


def pixels(path: str) -> np.ndarray:
    return np.asarray(Image.open(path)).astype(int)


@pytest.mark.parametrize(
    ("command", "shown"),
    [
        (["edit", "--strengths", "-1,0,1"], "strip.png"),
        (["truncate", "--truncation-psi", "1,0"], "truncate.png"),
        (["mix", "--columns", "1,2"], "mix.png"),
        (["video", "--seconds", "0.2", "--fps", "10"], "video.webp"),
    ],
)
def test_photos_give_what_their_latents_give(here: Run, command: list[str], shown: str) -> None:
    name, *options = command
    text = ok(here(name, "a.jpg", "b.jpg", *ENCODED, *options))
    assert "a.jpg: the largest square in its centre\nb.jpg: the largest square in its centre\n" in text
    by_photos = pixels(shown)
    ok(here("project", "a.jpg", "b.jpg", *ENCODED, "--fast", "--out", "run"))
    ok(here(name, *TINY, *options, "--latents", "run/latents.safetensors"))
    assert abs(pixels(shown) - by_photos).max() <= 1
    assert by_photos.std() > 1
    assert (pixels("run/a.png") != pixels("run/b.png")).any()


def test_photos_are_mixed_with_each_other(here: Run) -> None:
    ok(here("mix", "a.jpg", "b.jpg", *ENCODED))
    assert (images.recall("mix.png")["rows"], images.recall("mix.png")["columns"]) == ("['a', 'b']",) * 2
    ok(here("project", "a.jpg", "b.jpg", *ENCODED, "--fast", "--out", "run"))
    latents = "run/latents.safetensors"
    ok(here("mix", *TINY, "--latents", latents, "--column-latents", latents, "--out", "again.png"))
    assert abs(pixels("mix.png") - pixels("again.png")).max() <= 1
    ok(here("mix", "a.jpg", *ENCODED))
    assert images.recall("mix.png")["columns"] == "1-6"


@pytest.mark.parametrize(
    "command",
    [
        ["edit", "a.jpg", "--strengths", "-1,1", "--out", "first.png"],
        ["truncate", "a.jpg", "b.jpg", "--out", "first.png"],
        ["mix", "a.jpg", "b.jpg", "--out", "first.png"],
        ["mix", "a.jpg", "--columns", "3", "--out", "first.png"],
        ["video", "a.jpg", "b.jpg", "--seconds", "0.2", "--fps", "10", "--out", "first.webp"],
    ],
)
def test_pictures_of_photos_are_made_again(here: Run, command: list[str]) -> None:
    ok(here(*command, *ENCODED))
    picture = command[-1]
    assert "bit for bit" in ok(here("remake", picture)).splitlines()[-1]
    assert "/" not in images.recall(picture)["arguments"]
    assert len(images.recall(picture)["encoder_sha256"]) == 64
    Path("a.jpg").rename("renamed.jpg")
    missing = here("remake", picture)
    assert missing.exit_code == 1
    assert f"{picture} was made from a.jpg, sha256" in missing.output
    assert "name it with --file" in missing.output
    assert "bit for bit" in ok(here("remake", picture, "--file", "renamed.jpg")).splitlines()[-1]
    Path("e.safetensors").unlink()
    assert "was made from e.safetensors, sha256" in here("remake", picture, "--file", "renamed.jpg").output


def test_photos_may_have_one_name_and_odd_names(here: Run) -> None:
    Path("other").mkdir()
    Path("b.jpg").rename("other/a.jpg")
    ok(here("truncate", "a.jpg", "other/a.jpg", *ENCODED, "--out", "first.png"))
    assert "bit for bit" in ok(here("remake", "first.png", "--file", "other/a.jpg")).splitlines()[-1]
    Path("a.jpg").rename("-x=1.jpg")
    ok(here("truncate", *ENCODED, "--out", "first.png", "--", "-x=1.jpg"))
    assert "bit for bit" in ok(here("remake", "first.png")).splitlines()[-1]


def test_photos_of_any_mode_are_read(here: Run) -> None:
    photo = Image.open("a.jpg")
    photo.convert("RGBA").save("alpha.png")
    photo.convert("L").save("grey.png")
    exif = Image.Exif()
    exif[0x0112] = 6  # To be turned by 90 degrees.
    photo.transpose(Image.Transpose.ROTATE_90).save("turned.png", exif=exif)
    photo.save("upright.png")
    photo.resize((4000, 3000)).save("huge.jpg")
    names = ["alpha.png", "turned.png", "upright.png", "grey.png", "huge.jpg"]
    text = ok(here("truncate", *names, *ENCODED, "--truncation-psi", "1"))
    assert text.count("the largest square in its centre") == 5
    rows = np.split(pixels("truncate.png")[-5 * 16 - 8 :, -16:], [16 * i + 2 * i for i in range(1, 5)])
    alpha, turned, upright, grey, huge = (row[-16:] if len(row) == 16 else row[:16] for row in rows)
    assert (alpha == upright).all()
    assert (turned == upright).all()
    assert (grey != upright).any()
    assert abs(huge - upright).mean() < abs(grey - upright).mean()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["edit", "gone.jpg"], "gone.jpg: no such photo"),
        (["edit", "3"], "3: no such photo; seeds are given by --seeds"),
        (["edit", "torn.jpg"], "torn.jpg: damaged: the file is cut off"),
        (["edit", "small.png"], "small.png: the square to project is 3 pixels wide, too small"),
        (["edit", "."], ".: no file; expected a photo"),
        (["edit", "a.jpg", "--latents", "x.safetensors"], "photos and --latents both choose the faces"),
        (["edit", "a.jpg", "--seeds", "1"], "--seeds and photos both choose the faces"),
        (["mix", "a.jpg", "--rows", "1"], "--rows and photos both choose the faces"),
        (["mix", "a.jpg", "--seeds", "1,2,3"], "--seeds and photos both choose the sources"),
        (["video", "a.jpg", "--seeds", "1"], "--seeds and photos both choose the faces"),
        (["video", "a.jpg", "--label", "1"], "--label 1 applies to seeds only, not to photos"),
        (["edit", "a.jpg", "--out", "a.jpg"], "--out a.jpg is one of the photos"),
        (["edit", "--seeds", "1"], "--encoder is for photos, and none is given"),
        (["edit", "a.jpg", "--model", "faces-64"], "the encoder belongs to another model"),
        (["edit", "a.jpg", "--encoder", "gone.safetensors"], "neither a file nor the name of a model"),
        (["edit", "a.jpg", "--encoder", "ffhq-1024"], "ffhq-1024 comes without an encoder"),
        (["edit", "a.jpg", "--encoder", "tiny.safetensors"], "holds a Generator"),
    ],
)
def test_mistakes_with_photos_are_told_in_a_line(here: Run, arguments: list[str], message: str) -> None:
    Path("torn.jpg").write_bytes(Path("a.jpg").read_bytes()[:300])
    Image.new("RGB", (3, 3)).save("small.png")
    before = sorted(os.listdir())
    name, *rest = arguments
    result = here(name, *ENCODED, *rest)
    assert result.exit_code in (1, 2)
    assert "Traceback" not in result.output
    assert message in result.output.strip().splitlines()[-1]
    assert sorted(os.listdir()) == before


def test_a_model_without_an_encoder_says_so(here: Run) -> None:
    result = here("edit", "a.jpg", *TINY)
    assert result.exit_code == 1
    assert "tiny has no encoder; train one with `stylegan encoder train`" in result.output


def test_photos_without_faces_name_the_way_to_go(run: Run) -> None:
    pytest.importorskip("skimage")
    G = Generator.from_pretrained("faces-64")
    new_encoder(G).save("e.safetensors")
    Image.new("RGB", (80, 80), "tan").save("flat.png")
    result = run("edit", "flat.png", "--model", "faces-64", "--encoder", "e.safetensors")
    assert result.exit_code == 1
    assert (
        "flat.png: no frontal face of 16 pixels or more found; project this photo with `stylegan project --crop`"
        in result.output
    )


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ("edit --seeds 1 2 3", "edit --seeds 1,2,3"),
        ("mix --columns 1 2 a.jpg 2.jpg", "mix --columns 1,2 a.jpg 2.jpg"),
        ("mix --layers coarse 1.jpg 2024-01-01.png", "mix --layers coarse 1.jpg 2024-01-01.png"),
        ("truncate a.jpg --truncation-psi 1 0.5 -1", "truncate a.jpg --truncation-psi 1,0.5,-1"),
        ("edit --strengths -2 0 .5 photos/1.jpg", "edit --strengths -2,0,.5 photos/1.jpg"),
    ],
)
def test_photos_are_told_from_lists_of_several_words(given: str, read: str) -> None:
    name, *arguments = given.split()
    assert [name, *our_arguments(cli.main.commands[name], arguments)] == read.split()
