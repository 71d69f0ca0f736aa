"""`stylegan dataset`: labels, splits, and what the command takes and says."""

import json
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from stylegan.cli import main
from stylegan.data import selection
from stylegan.data.dataset import ImageDataset
from stylegan.data.prepare import prepare
from stylegan.data.selection import ffhq_order
from stylegan.errors import DatasetError, InputError

from .pictures import encoded, images_of, labels_of, make_zip, noise, nothing_left, rows

# Labels


def test_labels_from_folders(tmp_path: Path, out: Path) -> None:
    files = {f"pets/{kind}/{i}/x.png": encoded(noise(seed=i)) for kind in ("dog", "cat") for i in range(2)}
    source = make_zip(tmp_path / "a.zip", files)
    assert prepare(source, out, labels="folders").label_dim == 2
    assert labels_of(out) == {
        "labels": {"00000000.png": 0, "00000001.png": 0, "00000002.png": 1, "00000003.png": 1},
        "classes": ["cat", "dog"],
    }
    ds = ImageDataset(out)
    assert ds.classes == ["cat", "dog"]
    assert rows(ds.labels([1, 2])) == [[1, 0], [0, 1]]


def test_classes_do_not_depend_on_how_many_pictures_are_used(tmp_path: Path, out: Path) -> None:
    source = make_zip(tmp_path / "a.zip", {f"{kind}/x.png": encoded(noise()) for kind in ("a", "b", "c")})
    prepare(source, out, labels="folders", max_images=1)
    assert ImageDataset(out).label_dim == 3


def test_labels_from_folders_need_folders(pictures: Path, out: Path) -> None:
    with pytest.raises(DatasetError, match=r"0.png is not in a sub-folder"):
        prepare(pictures, out, labels="folders")


def test_labels_of_the_source_follow_their_pictures(pictures: Path, out: Path) -> None:
    (pictures / "labels.json").write_text(json.dumps({"labels": {"0.png": 1, "3.png": 0, "4.png": None}}))
    (pictures / "1.png").write_bytes(b"")
    report = prepare(pictures, out, skip_bad=True)
    assert (report.label_dim, report.others) == (2, [])
    assert labels_of(out) == {
        "labels": {"00000000.png": 1, "00000001.png": None, "00000002.png": 0, "00000003.png": None},
        "classes": ["0", "1"],
    }
    prepare(pictures, out, skip_bad=True, labels="none", overwrite=True)
    assert "labels.json" not in zipfile.ZipFile(out).namelist()


def test_label_vectors_are_carried_over(pictures: Path, out: Path) -> None:
    (pictures / "labels.json").write_text(json.dumps({"labels": {f"{i}.png": [i, 0.5] for i in range(5)}}))
    prepare(pictures, out)
    assert rows(ImageDataset(out).labels([4])) == [[4, 0.5]]


def test_foreign_labels_warn_and_a_field_of_them_can_be_used(pictures: Path, out: Path) -> None:
    records = {f"{i}.png": {"age": 20 + i, "gender": i % 2} for i in range(5)}
    (pictures / "labels.json").write_text(json.dumps(records))
    with pytest.warns(UserWarning, match="ignored.*'age', 'gender'"):
        assert prepare(pictures, out).label_dim == 0
    assert prepare(pictures, out, label_field="gender", overwrite=True).label_dim == 2
    assert rows(ImageDataset(out).labels([3])) == [[0, 1]]


# FFHQ


@pytest.mark.parametrize("pattern", ["{folder:05d}/{i:05d}.png", "{i:05d}.png", "thumbnails128x128/{i:05d}.png"])
def test_ffhq_is_recognised(pattern: str) -> None:
    names = [pattern.format(folder=i // 1000 * 1000, i=i) for i in range(70_000)]
    assert ffhq_order(sorted(names, reverse=True)) == names


def test_other_pictures_are_not_ffhq() -> None:
    names = [f"{i:05d}.png" for i in range(70_000)]
    assert ffhq_order(names[:-1]) is None
    assert ffhq_order([*names[:-1], "a.png"]) is None
    assert ffhq_order([*names[:-1], "sub/00000.png"]) is None
    assert ffhq_order(["01000/00000.png", *names[1:]]) is None


def test_ffhq_split(pictures: Path, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for file in list(pictures.iterdir()):
        file.rename(file.with_name(f"0000{file.name}"))
    monkeypatch.setattr(selection, "FFHQ_IMAGES", 5)
    monkeypatch.setattr(selection, "FFHQ_TRAIN", 3)
    parts: list[tuple[Any, Sequence[int]]] = [("train", [0, 1, 2]), ("test", [3, 4]), ("all", range(5))]
    for split, expected in parts:
        report = prepare(pictures, out, split=split, overwrite=True)
        assert report.is_ffhq
        wanted = [np.asarray(noise(seed=i)).tolist() for i in expected]
        assert [np.asarray(image).tolist() for image in images_of(out)] == wanted
    with pytest.raises(InputError, match="not classes"):
        prepare(pictures, out, labels="folders", overwrite=True)


def test_split_of_other_pictures_says_what_it_needs(pictures: Path, out: Path) -> None:
    with pytest.raises(InputError, match=r"test_every, except for the 70,000 .* holds 5, the first of which is 0.png"):
        prepare(pictures, out, split="test")


def test_every_nth_picture_is_a_test_picture(pictures: Path, out: Path) -> None:
    for split, expected in (("train", [0, 2, 4]), ("test", [1, 3])):
        arguments = ["dataset", str(pictures), str(out), "--split", split, "--test-every", "2", "--force"]
        assert CliRunner().invoke(main, arguments).exit_code == 0
        wanted = [np.asarray(noise(seed=i)).tolist() for i in expected]
        assert [np.asarray(image).tolist() for image in images_of(out)] == wanted


# Options and the command


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"resolution": 100}, "power of two"),
        ({"resolution": 4}, "power of two"),
        ({"crop": (0, 0, 0, 5)}, "crop"),
        ({"crop": (-1, 0, 5, 5)}, "crop"),
        ({"format": "gif"}, "png or jpeg"),
        ({"channels": 5}, "channels must be 1"),
        ({"channels": 4, "format": "jpeg"}, "jpeg has no alpha"),
        ({"fit": "cover"}, "crop, pad or stretch"),
        ({"bit_depth": 8}, "from 9 to 16"),
        ({"labels": "folders", "label_field": "age"}, "label_field is for"),
        ({"max_images": 0}, "1 or more"),
        ({"max_bad": 1.5}, "fraction"),
        ({"labels": "maybe"}, "file, folders or none"),
        ({"labels": "none", "label_field": "age"}, "label_field"),
        ({"label_field": "age"}, "no labels.json"),
        ({"split": "half"}, "all, train or test"),
        ({"animated": "last"}, "reject or first"),
        ({"test_every": 2}, "test_every must be 2 or more, and split train or test"),
        ({"test_every": 1, "split": "train"}, "test_every must be 2 or more"),
        ({"test_every": 9, "split": "test"}, "no image is left"),
    ],
    ids=str,
)
def test_options_that_do_not_fit_are_refused(pictures: Path, out: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        prepare(pictures, out, **options)
    assert nothing_left(out)


def test_output_must_be_a_zip(pictures: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"ends in \.zip"):
        prepare(pictures, tmp_path / "out.tar")


def test_command_tells_what_it_did(pictures: Path, out: Path) -> None:
    Image.new("L", (16, 16)).save(pictures / "grey.png")
    (pictures / "bad.png").write_bytes(b"")
    (pictures / "notes.txt").write_text("notes")
    (pictures / "labels.json").write_text("{}")
    result = CliRunner().invoke(main, ["dataset", str(pictures), str(out), "--skip-bad", "--resolution", "8"])
    assert result.exit_code == 0, result.output
    assert "wrote 6 images of 8x8 to" in result.output
    assert "converted: 1 grey" in result.output
    assert "bad.png: an empty file" in result.output
    assert "notes.txt" in result.output
    assert "warning: " in result.output
    assert ImageDataset(out).resolution == 8


def test_command_passes_its_options_on(pictures: Path, out: Path) -> None:
    arguments = ["--crop", "2,2,9,9", "--format", "jpeg", "--channels", "1", "--max-images", "3", "--threads", "1"]
    result = CliRunner().invoke(main, ["dataset", str(pictures), str(out), *arguments])
    assert result.exit_code == 0, result.output
    images = images_of(out)
    assert [(image.format, image.mode, image.size) for image in images] == [("JPEG", "L", (8, 8))] * 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--crop", "1,2,3"], "x,y,w,h"),
        (["--split", "train"], "70,000"),
        (["--resolution", "9"], "power of two"),
        (["--resolution", "32"], "allow-upscale"),
    ],
    ids=str,
)
def test_command_shows_errors_without_a_traceback(
    pictures: Path, out: Path, arguments: list[str], message: str
) -> None:
    result = CliRunner().invoke(main, ["dataset", str(pictures), str(out), *arguments])
    assert result.exit_code in (1, 2)
    assert isinstance(result.exception, SystemExit)
    assert message in result.output


def test_the_command_lists_bad_files_one_to_a_line(pictures: Path, out: Path) -> None:
    for name in ("bad1.png", "bad2.png"):
        (pictures / name).write_bytes(b"no picture")
    result = CliRunner().invoke(main, ["dataset", str(pictures), str(out), "--resolution", "8"])
    assert result.exit_code == 1
    assert [line.split(":")[0] for line in result.stderr.splitlines()[1:]] == ["  bad1.png", "  bad2.png"]
