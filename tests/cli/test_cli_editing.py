"""The commands directions, edit and project, and --latents of the others."""

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import Result
from PIL import Image
from PIL.PngImagePlugin import PngImageFile

from stylegan import Generator, images
from stylegan.editing import bundled_directions, find_direction
from stylegan.latents.directions import load_directions
from stylegan.latents.files import Latents
from stylegan.projection import align
from stylegan.weights import manifest
from stylegan.weights.manifest import DEFAULT_MODEL

from ..conftest import GOLDEN, ok

SIDE = manifest.find(DEFAULT_MODEL).resolution


def same(cell: np.ndarray, image: np.ndarray) -> bool:
    return bool(abs(cell.astype(int) - image).max() <= 1)


@pytest.fixture(scope="module")
def latents(default: Generator, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two faces with noise of their own."""
    path = tmp_path_factory.mktemp("latents") / "two.safetensors"
    Latents.of(default, default.ws([20, 21]), noise=default.noise([5, 6]), names=["anna", "../bert"]).save(path)
    return path


@pytest.fixture(scope="module")
def two(default: Generator) -> np.ndarray:
    """Their images."""
    images: np.ndarray = default.render(default.ws([20, 21]), noise=default.noise([5, 6]), output_type="np")
    return images.astype(int)


def test_directions_writes_the_named_directions(run: Callable[..., Result], default: Generator) -> None:
    text = ok(
        run(
            "directions", "--method", "pca", "--method", "sefa", "-n", 2, "--layers", "coarse", "--out", "d.safetensors"
        )
    )
    assert "pca:1" in text
    assert "explained_variance" in text
    assert list(load_directions("d.safetensors")) == ["pca:0", "pca:1", "sefa:0", "sefa:1"]
    assert load_directions("d.safetensors")["sefa:1"].layers == (0, 4)


def test_edit_writes_a_strip_of_the_direction(run: Callable[..., Result], default: Generator) -> None:
    ok(run("edit", "--seed", 3, "--direction", "sefa:2", "--strengths", "-3:3:7", "--out", "strip.png"))
    strip = np.asarray(Image.open("strip.png"))
    direction = find_direction(default, "sefa:2")
    ends = default.edit(default.ws([3, 3]), direction, [0, 3])
    middle, last = default.render(ends, output_type="np").astype(int)
    assert same(strip[-SIDE:, -SIDE:], last)
    assert same(strip[-SIDE:, -SIDE * 4 - 6 : -SIDE * 3 - 6], middle)
    settings = PngImageFile("strip.png").text
    assert settings["strengths"] == "[-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0]"
    assert settings["directions"] == "['sefa:2']"


def test_directions_of_attributes_come_from_gradients(run: Callable[..., Result]) -> None:
    result = run("directions", "--method", "gradient", "--samples", 60, "--attribute", "age", "--out", "g.safetensors")
    ok(result)
    (age,) = load_directions("g.safetensors").values()
    assert (age.name, age.method, age.facts["against"]) == ("age", "gradient", ["red", "green", "blue"])
    free = ["--attribute", "age", "--no-hold-colours", "--samples", 60, "--out", "free.safetensors"]
    ok(run("directions", "--method", "gradient", *free))
    assert load_directions("free.safetensors")["age"].facts["against"] == []


def test_edit_takes_files_of_directions_and_layers(run: Callable[..., Result], default: Generator) -> None:
    ok(run("directions", "--method", "sefa", "-n", 1, "--layers", "4:8", "--out", "middle.safetensors"))
    edit = ["edit", "--seeds", "3,4", "--directions", "middle.safetensors", "--strengths", "-2,2"]
    ok(run(*edit, "--out", "own.png"))
    ok(run(*edit, "--layers", 8, "--out", "fine.png"))
    direction = load_directions("middle.safetensors")["sefa:0"]
    for file, layers in (("own.png", None), ("fine.png", slice(8, None))):
        expected = default.render(default.edit(default.ws([4]), direction, 2, layers), output_type="np")[0]
        assert same(np.asarray(Image.open(file))[-SIDE:, -SIDE:], expected.astype(int))


def test_sample_shows_latents_with_their_noise_as_they_are(
    run: Callable[..., Result], two: np.ndarray, latents: Path
) -> None:
    ok(run("sample", "--latents", latents, "--out", "a.png"))
    assert same(np.asarray(Image.open("a.png")), np.concatenate(list(two), axis=1))
    ok(run("sample", "--latents", latents, "--out", "faces/", "--batch-size", 1))
    assert sorted(os.listdir("faces")) == ["___bert.png", "anna.png"]
    assert same(np.asarray(Image.open("faces/___bert.png")), two[1])


def test_truncation_of_latents_is_asked_for(run: Callable[..., Result], default: Generator, latents: Path) -> None:
    ok(run("sample", "--latents", latents, "--truncation-psi", 0, "--noise-mode", "none", "--out", "a.png"))
    average = default.render(default.broadcast(default.w_avg[None]), noise_mode="none", output_type="np")[0]
    assert same(np.asarray(Image.open("a.png"))[:, :SIDE], average.astype(int))


def test_truncate_and_edit_keep_the_noise_of_latents(
    run: Callable[..., Result], two: np.ndarray, latents: Path
) -> None:
    ok(run("truncate", "--latents", latents, "--truncation-psi", "0,1", "--out", "t.png"))
    assert same(np.asarray(Image.open("t.png"))[-SIDE:, -SIDE:], two[1])
    ok(run("edit", "--latents", latents, "--direction", "pca:0", "--direction", "sefa:0", "--strengths", "1,0"))
    assert same(np.asarray(Image.open("strip.png"))[-SIDE:, -SIDE:], two[1])


def test_mix_takes_latents_for_rows_and_columns(
    run: Callable[..., Result], default: Generator, two: np.ndarray, latents: Path
) -> None:
    ok(run("mix", "--columns", 1, "--latents", latents, "--layers", "coarse"))
    grid = np.asarray(Image.open("mix.png"))
    left = grid.shape[1] - 2 * SIDE - SIDE // 32  # Beside it is its name.
    assert same(grid[-SIDE:, left : left + SIDE], two[1])
    mixed = default.render(default.mix_styles(default.ws([1]), default.ws([21]), "coarse"), output_type="np")[0]
    assert same(grid[-SIDE:, -SIDE:], mixed.astype(int))
    ok(run("mix", "--column-latents", latents, "--rows", 1, "--layers", "coarse"))
    mixed = default.mix_styles(default.ws([21]), default.ws([1]), "coarse")
    noise = [own[1:] for own in default.noise([5, 6])]
    expected = default.render(mixed, noise=noise, output_type="np")[0]
    assert same(np.asarray(Image.open("mix.png"))[-SIDE:, -SIDE:], expected.astype(int))


@pytest.fixture
def photo(tmp_path: Path, default: Generator) -> Path:
    path = tmp_path / "my photo.jpg"
    default.sample(seeds=[40])[0].resize((200, 200)).crop((0, 0, 200, 180)).save(path, quality=95)
    return path


QUICK = ["--extractor", "random-conv", "--steps", 3]


def test_project_writes_latents_that_make_its_picture(
    run: Callable[..., Result], default: Generator, photo: Path
) -> None:
    text = ok(run("project", photo, "--out", "run", *QUICK))
    names = ["crop.png", "latents.safetensors", "my_photo-target.png", "my_photo.png", "results.json", "way.png"]
    assert sorted(os.listdir("run")) == names
    facts = json.loads(Path("run/results.json").read_text())
    assert f"my_photo: distance {facts['distances'][0]:.4f}\n" in text
    assert (facts["names"], facts["settings"]["extractor"]) == (["my_photo"], "random-conv")
    ok(run("sample", "--latents", "run/latents.safetensors", "--out", "again.png"))
    assert same(np.asarray(Image.open("again.png")), np.asarray(Image.open("run/my_photo.png")).astype(int))


def test_project_takes_many_photos_and_a_crop(run: Callable[..., Result], photo: Path) -> None:
    Image.open(photo).transpose(Image.Transpose.FLIP_LEFT_RIGHT).save("other.png")
    options = ["--crop", "10,20,100,100", "--space", "w", "--no-noise", "--candidates", 2]
    ok(run("project", photo, "other.png", "other.png", "--out", "run", *options, *QUICK))
    loaded = Latents.load("run/latents.safetensors", Generator.from_pretrained())
    assert loaded.names == ["my_photo", "other-1", "other-2"]
    assert loaded.noise is None
    cropped = Image.open(photo).resize((SIDE, SIDE), Image.Resampling.LANCZOS, box=(10, 20, 110, 120))
    assert same(np.asarray(Image.open("run/my_photo-target.png")), np.asarray(cropped).astype(int))


def test_project_aligns_by_five_points(run: Callable[..., Result], photo: Path) -> None:
    points = "58,57,141,57,100,107,70,137,132,137"
    ok(run("project", photo, "--out", "run", "--points", points, *QUICK))
    aligned = np.asarray(Image.open("run/my_photo-target.png")).astype(int)
    whole = np.asarray(Image.open(photo).resize((SIDE, round(SIDE * 0.9)))).astype(int)
    assert abs(aligned[: SIDE * 7 // 8] - whole[: SIDE * 7 // 8]).mean() < 5


@contextmanager
def interrupted(worker: Any) -> Iterator[None]:
    """Ctrl-C comes in the third step of a class's `advance`."""
    advance = worker.advance

    def interrupt(self: Any) -> float:
        if self.step == 2:
            raise KeyboardInterrupt
        return float(advance(self))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(worker, "advance", interrupt)
        yield


def test_an_interrupted_projection_is_resumed_when_asked_to(
    run: Callable[..., Result], photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from stylegan.projection.projector import Projector

    monkeypatch.setattr("stylegan.projection.steps.SAVE_SECONDS", -1.0)  # After every step.
    options = ["--model", "faces-64", "--no-detect", "--extractor", "random-conv", "--steps", 4]
    options += ["--space", "w", "--no-noise", "--out"]
    ok(run("project", photo, *options, "whole"))
    with interrupted(Projector):
        assert run("project", photo, *options, "run").exit_code == 1
    assert sorted(os.listdir("run")) == ["checkpoint.safetensors", "crop.png"]
    refused = run("project", photo, *options, "run")
    assert refused.exit_code == 1
    assert "--resume continues it" in refused.output
    ok(run("project", photo, *options, "run", "--resume"))
    G = Generator.from_pretrained("faces-64")
    whole, resumed = (Latents.load(f"{name}/latents.safetensors", G).ws for name in ("whole", "run"))
    assert torch.equal(whole, resumed)


def test_project_tunes_the_model_and_is_resumed(
    run: Callable[..., Result], photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from stylegan.projection.tuning import Tuner

    monkeypatch.setattr("stylegan.projection.steps.SAVE_SECONDS", -1.0)  # After every step.
    options = ["--model", "faces-64", "--no-detect", *QUICK, "--tune", 3, "--out", "run"]
    with interrupted(Tuner):
        assert "--resume continues from run/checkpoint-tuning.safetensors" in run("project", photo, *options).output
    assert sorted(os.listdir("run")) == ["checkpoint-tuning.safetensors", "checkpoint.safetensors", "crop.png"]
    assert "--resume continues it" in run("project", photo, *options).output
    assert "tuned.safetensors; give it to --model" in ok(run("project", photo, *options, "--resume"))
    assert not list(Path("run").glob("checkpoint*"))
    facts = json.loads(Path("run/results.json").read_text())
    assert (facts["model"], facts["tuning"]["steps"]) == ("faces-64-tuned", 3)
    assert facts["tuning"]["distances"][0] < facts["distances"][0]
    ok(run("sample", "--model", "run/tuned.safetensors", "--latents", "run/latents.safetensors", "--out", "again.png"))
    assert same(np.asarray(Image.open("again.png")), np.asarray(Image.open("run/my_photo.png")).astype(int))
    assert "values differ, by 1" in (text := ok(run("remake", "run/my_photo.png"))) or "bit for bit" in text
    ok(run("edit", "--model", "run/tuned.safetensors", "--seeds", 1, "--direction", "age", "--strengths", 1))
    again = run("project", photo, *options, "--model", "run/tuned.safetensors", "--resume")
    assert "faces-64-tuned is tuned already" in again.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["edit", "--direction", "agee"], f"no direction 'agee' for {DEFAULT_MODEL}"),
        (["edit", "--direction", "age", "--directions", "gone.safetensors"], "gone.safetensors: no such file"),
        (["edit", "--directions", "page.html"], "page.html: a web page (HTML), not weights"),
        (["edit", "--strengths", "1", "--latents", "page.html"], "page.html: a web page (HTML), not weights"),
        (["edit", "--model", "faces-64", "--layers", "12"], "crossover must be from 0 to 10"),
        (["directions", "--out", "d.png"], "must end in .safetensors"),
        (["directions", "-n", "257"], "n must be an integer from 0 to 256"),
        (["directions", "--method", "boundary", "--attribute", "hat"], "unknown classifier 'hat'"),
        (["directions", "--method", "boundary", "--method", "gradient"], "both name directions by attributes"),
        (["sample", "--latents", "gone.safetensors"], "gone.safetensors: no such file"),
        (["sample", "--latents", "page.html", "--seeds", "1"], "--seeds and a file of latents"),
        (["sample", "--latents", "page.html", "--label", "1"], "--label 1 applies to seeds"),
        (["mix", "--latents", "page.html", "--rows", "1"], "--rows and a file of latents"),
        (["project", "page.html", "--out", "run"], "page.html: not an intact PNG"),
        (["project", "gone.jpg", "--out", "run"], "gone.jpg: cannot be read"),
        (["project", "tiny.png", "--out", "run"], "tiny.png: the square to project is 9 pixels wide, too small"),
        (["project", "flat.png", "--crop", "0,0,99,99", "--out", "run"], "flat.png: 80x80 is too small for the crop"),
        (["project", "flat.png", "--points", "0,0,0,0,0,0,0,0,0,0", "--out", "run"], "flat.png: the square to project"),
        (["project", "flat.png", "tiny.png", "--points", "1,2,3,4,5,6,7,8,9,0", "--out", "run"], "one photo, got 2"),
        (["project", "flat.png", "--points", "1,2,3,4,5,6,7,8,9,0", "--detect", "--out", "run"], "give one of them"),
        (["project", "flat.png", "--extractor", "hmm", "--out", "run"], "unknown extractor 'hmm'"),
        (["project", "flat.png", "--pixel-weight", "-1", "--out", "run"], "pixel_weight must be"),
        (["project", "flat.png", "--label", "1", "--out", "run"], "unconditional"),
    ],
)
def test_user_errors_are_one_line_and_exit_1(run: Callable[..., Result], arguments: list[str], message: str) -> None:
    Path("page.html").write_text("<html>")
    Image.new("RGB", (9, 9)).save("tiny.png")
    Image.new("RGB", (80, 80), "tan").save("flat.png")
    result = run(*arguments)
    assert result.exit_code == 1
    assert "Traceback" not in result.output
    assert message in result.output.strip().splitlines()[-1]
    assert sorted(os.listdir()) == ["flat.png", "page.html", "tiny.png"]


def test_a_photo_without_a_face_is_refused(run: Callable[..., Result]) -> None:
    pytest.importorskip("skimage")
    Image.new("RGB", (80, 80), "tan").save("flat.png")
    result = run("project", "flat.png", "--detect", "--out", "run")
    assert result.exit_code == 1
    assert (
        "flat.png: no frontal face of 32 pixels or more found; give --crop or --points, or --no-detect" in result.output
    )


def test_faces_are_cropped_by_themselves_and_turned_upright(run: Callable[..., Result]) -> None:
    data = pytest.importorskip("skimage.data")
    Image.fromarray(data.astronaut()).rotate(30, expand=True).save("turned.png")
    text = ok(run("project", "turned.png", "--model", "faces-64", "--out", "run", *QUICK))
    assert re.search(r"turned\.png: the face of \d+x\d+ at \d+,\d+, rotated by -\d+ degrees; see run", text)
    assert "is unlike anything" not in text
    crop = np.asarray(Image.open("run/crop.png")).astype(int)
    # The face of the photo before it was turned: her eyes, nose and mouth.
    upright = [(202, 101), (248, 102), (226, 122), (208, 143), (242, 143)]
    assert abs(crop - np.asarray(align(Image.fromarray(data.astronaut()), upright, 64))).mean() < 30
    settings = images.recall("run/turned.png")
    assert (settings["command"], settings["model"], settings["steps"]) == ("project", "faces-64", "3")


def test_what_the_model_does_not_know_is_said_to_be_far_off(run: Callable[..., Result]) -> None:
    noise = np.random.RandomState(0).randint(0, 2, (90, 70, 3), dtype=np.uint8) * 255
    Image.fromarray(noise).save("noise.png")
    result = run("project", "noise.png", "--model", "faces-64", "--no-detect", "--out", "run", *QUICK)
    assert result.exit_code == 0, result.output
    assert "noise.png: the largest square in its centre; see run" in result.output
    assert "note: noise is unlike anything that faces-64 makes" in result.output
    facts = json.loads(Path("run/results.json").read_text())
    assert facts["nearest_samples"][0] > 1.1 * facts["between_samples"]


def test_without_a_detector_the_centre_is_taken_with_a_note(
    run: Callable[..., Result], photo: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stylegan.projection.faces.has_detector", lambda: False)
    result = run("project", photo, "--model", "faces-64", "--out", "run", *QUICK)
    assert result.exit_code == 0, result.output
    assert "my photo.jpg: no face detector is installed, so the centre is used" in result.output
    assert "the largest square in its centre" in result.output


def test_pictures_of_the_models_size_are_taken_as_they_are(run: Callable[..., Result], faces: Generator) -> None:
    """What a model made itself, above all: a crop would lose the very w."""
    faces.sample(seeds=[40])[0].save("made.png")
    text = ok(run("project", "made.png", "--model", "faces-64", "--out", "run", *QUICK))
    assert "made.png: as it is" in text
    assert (np.asarray(Image.open("run/made-target.png")) == np.asarray(Image.open("made.png"))).all()


def test_commands_read_latents_and_boundaries_of_other_tools(run: Callable[..., Result], faces: Generator) -> None:
    np.savez("projected_w.npz", w=faces.ws([4], truncation_psi=1).numpy())
    np.save("smile.npy", np.eye(1, faces.w_dim, dtype=np.float32))
    ok(run("sample", "--model", "faces-64", "--latents", "projected_w.npz", "--out", "a.png"))
    expected = faces.sample(seeds=[4], truncation_psi=1, output_type="np")[0].astype(int)
    assert same(np.asarray(Image.open("a.png")), expected)
    edit = ["edit", "--model", "faces-64", "--latents", "projected_w.npz", "--strengths", "-1,1"]
    ok(run(*edit, "--directions", "smile.npy", "--out", "strip.jpg"))
    settings = images.recall("strip.jpg")
    assert (settings["command"], settings["directions"], settings["latents"]) == (
        "edit",
        "['smile']",
        "projected_w.npz",
    )
    assert settings["latents_sha256"] == hashlib.sha256(Path("projected_w.npz").read_bytes()).hexdigest()


def test_latents_and_directions_of_another_model_are_refused(run: Callable[..., Result], latents: Path) -> None:
    other = GOLDEN / "T" / "network_nosrc.pkl"
    ok(run("directions", "-n", 1, "--out", "d.safetensors"))
    for arguments in (["sample", "--latents", latents], ["edit", "--latents", latents]):
        result = run(*arguments, "--model", other)
        assert result.exit_code == 1
        assert "belongs to another model" in result.output
    result = run("edit", "--directions", "d.safetensors", "--model", other)
    assert f"'sefa:0' of {DEFAULT_MODEL} belongs to another model" in result.output


def test_a_direction_is_one_line_and_says_which_way_it_leads(default: Generator) -> None:
    directions = bundled_directions(default)
    for name, way in (("age", "older"), ("gender", "female")):
        assert repr(directions[name]).startswith(f"Direction('{name}' of faces-128: gradient, layers 0-11 of ws")
        assert f"+ is {way}" in repr(directions[name])
        assert "\n" not in repr(directions[name])
