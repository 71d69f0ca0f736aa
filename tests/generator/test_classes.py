"""Classes of conditional models in commands: one for all images, or one for each, by index or by name."""

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image, ImageSequence

from stylegan import Generator, cli
from stylegan.animation import interpolate
from stylegan.images.convert import to_numpy
from stylegan.images.grids import resize
from stylegan.images.settings import recall
from stylegan.latents.samples import sample_w
from stylegan.projection.start import average_start
from stylegan.runtime.choices import Space

from ..conftest import ok, tiny_generator


@pytest.fixture
def animals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator:
    """A model of cats, dogs and foxes, in the file a.safetensors."""
    monkeypatch.chdir(tmp_path)
    G = tiny_generator(label_dim=3)
    G.metadata["classes"] = ["cat", "dog", "fox"]
    G.save("a.safetensors")
    return Generator.from_pretrained("a.safetensors")


def run(command: str) -> Result:
    return CliRunner().invoke(cli.main, [*command.split(), "--model", "a.safetensors"])


def cells(path: str, columns: int) -> list[np.ndarray]:
    picture = np.asarray(Image.open(path))
    return np.split(picture, columns, axis=1)


@pytest.mark.parametrize("label", ["0,2,1", "cat,fox,dog", "cat,2,dog"])
def test_a_grid_has_the_class_of_each_seed(animals: Generator, label: str) -> None:
    ok(run(f"sample --seeds 5,5,6 --label {label} --columns 3 --out a.png"))
    expected = animals.sample(seeds=[5, 5, 6], labels=[0, 2, 1], output_type="np")
    for cell, image in zip(cells("a.png", 3), expected, strict=True):
        assert abs(cell.astype(int) - image).max() <= 1
    assert recall("a.png")["label"] == "[1.0, 0.0, 0.0],[0.0, 0.0, 1.0],[0.0, 1.0, 0.0]"


def test_one_class_is_that_of_all_seeds(animals: Generator) -> None:
    ok(run("sample --seeds 5,6 --label dog --out a.png"))
    for cell, image in zip(cells("a.png", 2), animals.sample(seeds=[5, 6], labels=1, output_type="np"), strict=True):
        assert abs(cell.astype(int) - image).max() <= 1


def test_a_folder_has_the_class_of_each_seed_and_is_resumed(animals: Generator) -> None:
    ok(run("sample --seeds 3-6 --label cat,dog,cat,fox --out faces --shard 1/2"))
    assert "wrote 2 images" in ok(run("sample --seeds 3-6 --label cat,dog,cat,fox --out faces --resume"))
    told = [recall(f"faces/seed000{seed}.png")["label"].index("1") // 5 for seed in range(3, 7)]
    assert told == [0, 1, 0, 2]
    assert "seed 3 appears twice" in run("sample --seeds 3,3 --label cat,dog --out faces").output
    assert "tar makes images of one class" in run("sample --seeds 3,4 --label 0,1 --out t --format tar").output


@pytest.mark.parametrize("seeds", ["3,4,5", "4,4,4"])
@pytest.mark.parametrize("space", ["w", "z"])
def test_a_video_walks_from_class_to_class(animals: Generator, seeds: str, space: Space) -> None:
    command = f"video --seeds {seeds} --label cat,2,dog --seconds 1 --fps 6 --space {space} --size 64 --out a.webp"
    ok(run(command))
    numbers = [int(seed) for seed in seeds.split(",")]
    walk = list(interpolate(animals, numbers, labels=[0, 2, 1], num_frames=6, space=space, size=64))
    with Image.open("a.webp") as video:
        frames = [np.asarray(frame.convert("RGB")).astype(int) for frame in ImageSequence.Iterator(video)]
    for frame, expected in zip(frames, walk, strict=True):
        assert abs(frame - np.asarray(expected)).mean() < 8
    for shown, key in zip(walk[::2], animals.sample(seeds=numbers, labels=[0, 2, 1]), strict=True):
        assert abs(np.asarray(shown).astype(int) - np.asarray(resize(key, 64))).max() <= 2
    assert (np.asarray(walk[1]) != np.asarray(walk[0])).any()
    assert recall("a.webp")["labels"] == "['cat', 2, 'dog']"


@pytest.mark.parametrize(
    "command",
    [
        "sample --seeds 1-2 --out a.png",
        "sample --seeds 1-2 --out faces",
        "video --seeds 1,2 --out a.webp",
        "truncate --seeds 1,2 --out a.png",
        "edit --seeds 1,2 --out a.png",
        "figure uncurated --seeds 1,2 --out a.png",
    ],
)
def test_what_is_wrong_with_classes_is_one_clear_error(animals: Generator, command: str) -> None:
    for label, message in (
        ("", "choose one of its 3 classes by labels=0 (in commands, --label 0)"),
        ("--label 0,1,2", "got 3 classes for 2 images; give one class for all of them, or one for each"),
        ("--label 0,7", "a label"),
        ("--label cat,bird", "no class 'bird'; it has cat, dog, fox"),
        ("--label 0,,1", "'0,,1' is not a class such as 2 or cat, or a list"),
    ):
        result = run(f"{command} {label}")
        assert result.exit_code
        assert message in " ".join(result.output.split()), label
        assert not result.exception or isinstance(result.exception, SystemExit)


@pytest.mark.parametrize("command", ["truncate", "edit --direction sefa:0 --strengths 0,1"])
def test_faces_of_several_classes_are_compared(animals: Generator, command: str) -> None:
    ok(run(f"{command} --seeds 1,1 --label cat,fox --out a.png"))
    first, second = np.split(np.asarray(Image.open("a.png"))[-2 * 16 :, -16:].astype(int), 2)
    assert abs(first - second).max() > 5


def test_mix_takes_one_class_for_all(animals: Generator) -> None:
    ok(run("mix --columns 1,2 --rows 3 --label dog --out a.png"))
    assert "classes for" in run("mix --columns 1,2 --rows 3 --label cat,dog --out a.png").output


def test_a_projection_starts_from_the_average_of_its_class(animals: Generator) -> None:
    start = average_start(animals, 2, label="fox")
    assert start.shape == (2, animals.w_dim)
    torch_mean = animals.ws(range(1000), labels=2, truncation_psi=1.0)[:, 0].mean(dim=0)
    assert abs(start - torch_mean).max() < 1e-5
    assert abs(average_start(animals, 1) - animals.w_avg).max() == 0
    assert abs(sample_w(animals, 6) - sample_w(animals, 6, label=0)).max() > 1e-3


def test_a_command_projects_into_a_class(animals: Generator) -> None:
    pixels = to_numpy(animals.synthesis(animals.ws([4], labels=2)))[0]
    Image.fromarray(pixels).save("fox.png")
    arguments = "project fox.png --no-detect --steps 2 --space w --no-noise --extractor random-conv"
    ok(run(f"{arguments} --label fox --out run"))
    assert recall("run/fox.png")["label"] == "fox"
    assert "no class 'bird'" in run(f"{arguments} --label bird --out run").output
    assert "one class for all photos" in run(f"{arguments} --label cat,fox --out run").output
