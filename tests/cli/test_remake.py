"""stylegan remake: every kind of picture that a command writes is made again from its text, bit for bit."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import Result
from PIL import Image

from stylegan import Generator, grid, images
from stylegan.cli.demo import _move
from stylegan.demo.studio import Look, Studio
from stylegan.editing import bundled_directions, sefa
from stylegan.latents.directions import save_directions
from stylegan.latents.files import Latents
from stylegan.training.snapshot import save_fakes

from ..conftest import ok, tiny_generator

Run = Callable[..., Result]


@pytest.fixture
def here(run: Run) -> Run:
    """Two models in the folder of the test, one with classes; latents of the first, and directions."""
    G = tiny_generator()
    G.metadata = {"name": "tiny", "license": "CC0"}
    G.save("tiny.safetensors")
    conditional = tiny_generator(label_dim=3)
    conditional.metadata = {"name": "classes", "classes": ["cat", "dog", "fox"]}
    conditional.save("classes.safetensors")
    Latents.of(G, G.ws([3, 4]), noise=G.noise([7, 8]), names=["ann", "bob"]).save("people.safetensors")
    Latents.of(G, G.ws([5])).save("plain.safetensors")
    save_directions("ways.safetensors", sefa(G, n=2))
    return run


TINY = ("--model", "tiny.safetensors")
MANY = ("--seeds", "1,2,3", "--layers", "2,4")
COMMANDS = {
    "sample grid": ["sample", *TINY, "--seeds", "0-4", "--columns", "3"],
    "sample one": ["sample", *TINY, "--seeds", "7"],
    "sample, the same seed twice": ["sample", *TINY, "--seeds", "7,7,8"],
    "sample options": ["sample", *TINY, "--seeds", "1,9", "--truncation-psi", "-0.5", "--truncation-cutoff", "2"],
    "sample, larger": ["sample", *TINY, "--seeds", "1,2", "--size", "64", "--batch-size", "1"],
    "sample, random noise": ["sample", *TINY, "--seeds", "0-2", "--noise-mode", "random"],
    "sample, random noise of a seed": ["sample", *TINY, "--seeds", "3", "--noise-mode", "random", "--noise-seed", "4"],
    "sample, no noise": ["sample", *TINY, "--seeds", "0-2", "--noise-mode", "none", "--path", "plain"],
    "sample in bfloat16": ["sample", *TINY, "--seeds", "0-2", "--dtype", "bfloat16"],
    "sample of a class": ["sample", "--model", "classes.safetensors", "--seeds", "0-2", "--label", "dog"],
    "sample of classes": ["sample", "--model", "classes.safetensors", "--seeds", "5,5,5", "--label", "cat,fox,cat"],
    "sample of latents": ["sample", *TINY, "--latents", "people.safetensors"],
    "sample of latents without noise": ["sample", *TINY, "--latents", "plain.safetensors", "--truncation-psi", "0.5"],
    "mix": ["mix", *TINY, "--columns", "1-3", "--rows", "4"],
    "mix one layer": ["mix", *TINY, "--columns", "1", "--rows", "4,5", "--layers", "2,"],
    "mix a range": ["mix", *TINY, "--columns", "1", "--rows", "4,5", "--layers", "1:3", "--truncation-cutoff", "3"],
    "mix latents": ["mix", *TINY, "--latents", "people.safetensors", "--column-latents", "plain.safetensors"],
    "mix classes": ["mix", "--model", "classes.safetensors", "--columns", "1,2", "--rows", "3", "--label", "fox"],
    "mix two into one": ["mix", *TINY, "--seeds", "1,2", "--layers", "1"],
    "mix three into one": ["mix", *TINY, "--seeds", "1,2,3", "--layers", "0-1,2-3,4-5"],
    "mix three into one, twice": ["mix", *TINY, "--seeds", "1-3", "--seeds", "4-6", "--layers", "coarse,2-3,4:"],
    "mix classes into one": ["mix", "--model", "classes.safetensors", *MANY, "--label", "fox,cat,dog"],
    "truncate": ["truncate", *TINY, "--seeds", "1,2", "--truncation-psi", "1,0,-1"],
    "truncate latents": ["truncate", *TINY, "--latents", "people.safetensors", "--truncation-psi", "0.5"],
    "edit": ["edit", *TINY, "--seed", "1", "--direction", "sefa:0", "--direction", "pca:1", "--strengths", "-2:2:3"],
    "edit by a file": ["edit", *TINY, "--seed", "1", "--directions", "ways.safetensors", "--layers", "fine"],
    "edit latents": ["edit", *TINY, "--latents", "plain.safetensors", "--strengths", "-1,1"],
    "figure style-mixing": ["figure", "style-mixing", *TINY, "--sources-a", "1,2", "--coarse", "3", "--fine", ""],
    "figure noise": ["figure", "noise", *TINY, "--seeds", "5", "--realizations", "4"],
    "figure noise-layers": ["figure", "noise-layers", *TINY, "--seeds", "5"],
    "figure truncation": ["figure", "truncation", *TINY, "--seeds", "1", "--truncation-psi", "1,-1"],
    "figure uncurated": ["figure", "uncurated", *TINY, "--seeds", "0-3", "--columns", "2", "--size", "32"],
}


def remade(run: Run, picture: str, *options: object) -> str:
    """What is said of a picture that is made again, for which nothing but what is in this folder is needed."""
    return ok(run("remake", picture, *options)).splitlines()[-1]


@pytest.mark.parametrize("name", COMMANDS)
def test_every_commands_pictures_are_made_again_to_the_bit(here: Run, name: str) -> None:
    ok(here(*COMMANDS[name], "--out", "first.png"))
    assert "the same pixels, bit for bit" in remade(here, "first.png") or "the same file" in remade(here, "first.png")
    first, again = (np.asarray(Image.open(f"{stem}.png")) for stem in ("first", "first-remade"))
    assert np.array_equal(first, again)
    # What was made again tells as much.
    shutil.copy("first-remade.png", "second.png")
    assert "bit for bit" in remade(here, "second.png")


@pytest.mark.parametrize("model", ["faces-128", "faces-64"])
def test_pictures_of_bundled_models_need_no_batch_size(run: Run, model: str) -> None:
    """Whatever number of images their resolution has computed together; the last batch is a part of one."""
    ok(run("sample", "--model", model, "--seeds", "1-9", "--out", "grid.png"))
    ok(run("sample", "--model", model, "--seeds", "1-3", "--out", "faces/"))
    shown = Studio({model: model}).faces([4, 5, 6, 7, 8], Look(model, 0.7))
    for i in (0, 4):
        images.save(shown[i], f"shown{i}.png")
    for picture in ("grid.png", "faces/seed0002.png", "faces/seed0003.png", "shown0.png", "shown4.png"):
        assert "bit for bit" in remade(run, picture), picture


@pytest.mark.parametrize("suffix", [".jpg", ".webp"])
@pytest.mark.parametrize("name", ["sample grid", "mix", "mix three into one", "figure truncation", "edit"])
def test_jpeg_and_webp_carry_the_text_too(here: Run, name: str, suffix: str) -> None:
    ok(here(*COMMANDS[name], "--out", f"first{suffix}"))
    assert "bit for bit" in remade(here, f"first{suffix}")


@pytest.mark.parametrize("out", ["walk.webp", "walk.gif"])
def test_videos_are_made_again(here: Run, out: str) -> None:
    arguments = ["--seeds", "1,5", "--seeds", "2,6", "--seconds", "0.4", "--fps", "10", "--layers", "2,3", "--no-loop"]
    ok(here("video", *TINY, *arguments, "--noise", "smooth", "--out", out))
    assert "the same file, bit for bit" in remade(here, out)


def test_pictures_in_folders_and_tars(here: Run) -> None:
    ok(here("sample", *TINY, "--seeds", "0-8", "--out", "faces/"))
    ok(here("sample", *TINY, "--latents", "people.safetensors", "--out", "people/"))
    for picture in ("faces/seed0000.png", "faces/seed0008.png", "people/bob.png"):
        assert "bit for bit" in remade(here, picture), picture
    options = ["--noise-mode", "random", "--noise-seed", "5", "--size", "8", "--image-format", "jpg"]
    ok(here("sample", *TINY, "--seeds", "0-3", "--out", "tars/", "--format", "tar", *options))
    shutil.unpack_archive("tars/samples-000000.tar", "unpacked")
    pictures = sorted(Path("unpacked").glob("*.jpg"))
    assert len(pictures) == 4
    for path in pictures:
        assert "bit for bit" in remade(here, str(path))


def test_pictures_of_a_call_and_their_grids(here: Run) -> None:
    G = Generator.from_pretrained("classes.safetensors")
    labels = torch.tensor([[1.0, 0.0, 0.0], [0.25, 0.5, 0.25]])
    faces = G.sample(seeds=[1, 2], labels=labels, truncation_psi=[0.5] * G.num_ws, noise_mode="random")
    images.save(faces[1], "one.png")
    images.save(grid(faces, columns=1), "grid.png")
    for picture in ("one.png", "grid.png"):
        assert "bit for bit" in remade(here, picture), picture


def test_pictures_of_the_demo(here: Run) -> None:
    G = Generator.from_pretrained("faces-64")
    directions = bundled_directions(G)
    studio = Studio(
        {"faces-64": "faces-64"},
        directions={"faces-64": {"age": lambda ws, strength: _move(directions["age"], ws, strength)}},
    )
    look = Look("faces-64", 0.7, strengths=(("age", 2.0),), noise_mode="random", noise_seed=3)
    images.save(studio.faces([4], look)[0], "face.png")
    for i, image in enumerate([*studio.mix([1, 2], [0, 1], look), *studio.between([1, 2], 0.25, look)]):
        images.save(image, f"two{i}.png")
    for picture in ("face.png", *(f"two{i}.png" for i in range(6))):
        assert "bit for bit" in remade(here, picture), picture


def test_pictures_of_projections_need_the_latents_and_no_more(here: Run) -> None:
    options = ["--steps", "2", "--extractor", "random-conv", "--no-detect", "--out", "run"]
    Generator.from_pretrained("tiny.safetensors").sample(seeds=[1])[0].resize((32, 32)).save("photo.png")
    ok(here("project", "photo.png", *TINY, *options))
    assert "wrote" in remade(here, "run/photo.png")
    assert "from steps and photos that its text does not hold" in here("remake", "run/way.png").output
    for picture in ("run/crop.png", "run/photo-target.png"):
        assert "does not say how it was made" in here("remake", picture).output


def test_the_grid_of_a_training_run_names_weights_in_no_file(here: Run) -> None:
    G = Generator.from_pretrained("tiny.safetensors")
    save_fakes(G, Path("fakes.png"), n=4, lod=0.0, labels=None)
    assert "bit for bit" in remade(here, "fakes.png")
    G.w_avg += 1
    save_fakes(G, Path("fakes.png"), n=4, lod=0.0, labels=None)
    assert "was made with weights of sha256" in here("remake", "fakes.png").output


def test_files_are_found_by_their_content(here: Run) -> None:
    ok(here(*COMMANDS["mix latents"], "--out", "first.png"))
    Path("elsewhere").mkdir()
    for name in ("people", "plain", "tiny"):
        shutil.move(f"{name}.safetensors", f"elsewhere/{name[0]}.safetensors")
    missing = here("remake", "first.png").output
    assert "made by tiny (tiny.safetensors), with weights of sha256" in missing
    assert "name it with --model" in missing
    model = ["--model", "elsewhere/t.safetensors"]
    missing = here("remake", "first.png", *model).output
    assert "was made from plain.safetensors, sha256" in missing
    assert "name it with --file" in missing
    Path("people.safetensors").write_bytes(b"another file of that name")
    files = ["--file", "elsewhere/people.safetensors", "--file", "elsewhere/p.safetensors"]
    assert "from people.safetensors" in here("remake", "first.png", *model, *files).output
