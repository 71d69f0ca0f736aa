"""`stylegan dataset`: pictures become a zip of squares, whole or not at all; labels, splits and options."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from stylegan.cli import main
from stylegan.data import prepare as prepare_module
from stylegan.data import selection
from stylegan.data.dataset import ImageDataset
from stylegan.data.prepare import prepare
from stylegan.data.selection import ffhq_order
from stylegan.errors import DatasetError, InputError
from stylegan.images.decoding import OutputFormat, decode
from stylegan.images.encoding import encode

from .pictures import BLUE, GREEN, RED, encoded, images_of, labels_of, make_zip, noise, nothing_left, rows

# What is written


def test_output_is_a_stored_zip_of_squares(pictures: Path, out: Path) -> None:
    noise(24, 16).save(pictures / "wide.png")
    report = prepare(pictures, out)
    assert (report.images, report.resolution, report.bad) == (6, 16, [])
    with zipfile.ZipFile(out) as archive:
        assert archive.namelist() == [f"{i:08d}.png" for i in range(6)]
        assert {info.compress_type for info in archive.infolist()} == {zipfile.ZIP_STORED}
        assert {info.date_time for info in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
    ds = ImageDataset(out)
    assert (len(ds), ds.resolution, ds.img_channels, ds.label_dim) == (6, 16, 3, 0)
    np.testing.assert_array_equal(ds.batch([3])[0][0].permute(1, 2, 0).numpy(), np.asarray(noise(seed=3)))


def test_same_source_gives_the_same_bytes(pictures: Path, tmp_path: Path) -> None:
    digests = set()
    for i, threads in enumerate((1, 4, 4)):
        path = tmp_path / f"{i}.zip"
        prepare(pictures, path, resolution=8, threads=threads)
        digests.add(hashlib.sha256(path.read_bytes()).hexdigest())
        for file in pictures.iterdir():
            os.utime(file, (i, i))
    archive = make_zip(tmp_path / "reversed.zip", {f"{i}.png": encoded(noise(seed=i)) for i in (4, 2, 3, 0, 1)})
    prepare(archive, tmp_path / "last.zip", resolution=8)
    digests.add(hashlib.sha256((tmp_path / "last.zip").read_bytes()).hexdigest())
    assert len(digests) == 1


def test_order_is_kept_when_early_pictures_take_longest(
    pictures: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow(data: bytes, **options: Any) -> object:
        time.sleep(0.05 if data == (pictures / "0.png").read_bytes() else 0)
        return decode(data, **options)

    monkeypatch.setattr(prepare_module, "decode", slow)
    prepare(pictures, out, threads=3)
    assert [np.asarray(i).tolist() for i in images_of(out)] == [np.asarray(noise(seed=i)).tolist() for i in range(5)]


def test_sub_folders_are_read_but_no_hidden_or_other_files(pictures: Path, out: Path) -> None:
    (pictures / "deep" / "er").mkdir(parents=True)
    noise().save(pictures / "deep" / "er" / "X.PNG")
    (pictures / ".hidden.png").write_bytes(b"")
    (pictures / "__MACOSX").mkdir()
    (pictures / "__MACOSX" / "0.png").write_bytes(b"")
    (pictures / "notes.txt").write_text("notes")
    report = prepare(pictures, out)
    assert report.images == 6
    assert report.others == ["notes.txt"]


def test_resize_is_lanczos(pictures: Path, out: Path) -> None:
    prepare(pictures, out, resolution=8)
    expected = noise(seed=0).resize((8, 8), Image.Resampling.LANCZOS)
    np.testing.assert_array_equal(np.asarray(images_of(out)[0]), np.asarray(expected))


def test_center_crop_takes_the_middle(tmp_path: Path, out: Path) -> None:
    image = Image.new("RGB", (32, 16), RED)
    image.paste(GREEN, (8, 0, 24, 16))
    make_zip(tmp_path / "a.zip", {"a.png": encoded(image)})
    prepare(tmp_path / "a.zip", out)
    assert images_of(out)[0].getcolors() == [(256, GREEN)]


def test_given_crop_is_used_and_its_middle_if_it_is_no_square(tmp_path: Path, out: Path) -> None:
    image = Image.new("RGB", (40, 40), RED)
    image.paste(BLUE, (3, 5, 3 + 8, 5 + 8))
    make_zip(tmp_path / "a.zip", {"a.png": encoded(image)})
    report = prepare(tmp_path / "a.zip", out, crop=(3, 5, 8, 8))
    assert report.resolution == 8
    assert images_of(out)[0].getcolors() == [(64, BLUE)]
    prepare(tmp_path / "a.zip", out, crop=(3, 1, 8, 16), overwrite=True)
    assert images_of(out)[0].getcolors() == [(64, BLUE)]


def test_crop_outside_a_picture_makes_it_bad(pictures: Path, out: Path) -> None:
    noise(32, 32).save(pictures / "large.png")
    with pytest.raises(DatasetError, match=r"5 of 6(.|\n)*0.png: 16x16 is too small for the crop 8,8,16,16"):
        prepare(pictures, out, resolution=16, crop=(8, 8, 16, 16))


def test_default_resolution_is_that_of_the_smallest_picture(tmp_path: Path, out: Path) -> None:
    folder = tmp_path / "p"
    folder.mkdir()
    noise(64, 64).save(folder / "a.png")
    noise(100, 40).save(folder / "b.png")
    report = prepare(folder, out)
    assert (report.resolution, report.smallest) == (32, "b.png")
    noise(30, 7).save(folder / "c.png")
    with pytest.raises(DatasetError, match=r"c.png .* 7 pixels"):
        prepare(folder, out, overwrite=True)


def test_too_small_pictures_are_bad_unless_they_may_be_enlarged(pictures: Path, out: Path) -> None:
    noise(64, 64).save(pictures / "large.png")
    with pytest.raises(DatasetError, match=r"5 of 6(.|\n)*allow-upscale(.|\n)*square of 16 is too small for 32"):
        prepare(pictures, out, resolution=32)
    assert nothing_left(out)
    report = prepare(pictures, out, resolution=32, allow_upscale=True)
    assert report.images == 6
    assert report.conversions == {"enlarged": 5}


def test_jpeg_output(pictures: Path, out: Path) -> None:
    prepare(pictures, out, format="jpeg")
    assert {image.format for image in images_of(out)} == {"JPEG"}
    assert zipfile.ZipFile(out).namelist()[0] == "00000000.jpg"
    assert ImageDataset(out).img_channels == 3


def test_grey_output_has_one_channel(pictures: Path, out: Path) -> None:
    prepare(pictures, out, channels=1)
    assert {image.mode for image in images_of(out)} == {"L"}
    assert ImageDataset(out).img_channels == 1


def test_max_images_takes_the_first(pictures: Path, out: Path) -> None:
    assert prepare(pictures, out, max_images=2).images == 2
    np.testing.assert_array_equal(np.asarray(images_of(out)[1]), np.asarray(noise(seed=1)))


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
    with pytest.raises(DatasetError, match=r"0.png is in no sub-folder"):
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
    with pytest.raises(InputError, match=r"test_every, unless .* 70,000 .* holds 5, the first of which is 0.png"):
        prepare(pictures, out, split="test")


def test_every_nth_picture_is_a_test_picture(pictures: Path, out: Path) -> None:
    for split, expected in (("train", [0, 2, 4]), ("test", [1, 3])):
        arguments = ["dataset", str(pictures), str(out), "--split", split, "--test-every", "2", "--force"]
        assert CliRunner().invoke(main, arguments).exit_code == 0
        wanted = [np.asarray(noise(seed=i)).tolist() for i in expected]
        assert [np.asarray(image).tolist() for image in images_of(out)] == wanted


# OUT is complete or not there


def test_existing_output_is_kept_unless_forced(pictures: Path, out: Path) -> None:
    out.parent.mkdir()
    out.write_text("precious")
    with pytest.raises(InputError, match="--force"):
        prepare(pictures, out)
    (pictures / "bad.png").write_bytes(b"")
    with pytest.raises(DatasetError):
        prepare(pictures, out, overwrite=True)
    assert out.read_text() == "precious"
    assert [file.name for file in out.parent.iterdir()] == ["set.zip"]


def test_source_is_never_overwritten(tmp_path: Path) -> None:
    source = make_zip(tmp_path / "a.zip", {"a.png": encoded(noise())})
    with pytest.raises(InputError, match="which is SOURCE"):
        prepare(source, source, overwrite=True)


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError("No space left on device")])
def test_interrupted_run_leaves_nothing(
    pictures: Path, out: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException | type[BaseException]
) -> None:
    calls = []

    def fail(image: Image.Image, format: OutputFormat) -> bytes:
        calls.append(1)
        if len(calls) == 3:
            raise error
        return encode(image, format)

    monkeypatch.setattr(prepare_module, "encode", fail)
    with pytest.raises(error if isinstance(error, type) else type(error)):
        prepare(pictures, out, threads=1)
    assert nothing_left(out)


SLOW = """
import signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)  # Shells have jobs in the background ignore it.
from stylegan.training import prepare as module
real = module.decode
def slow(data, **options):
    print("begun", flush=True)
    time.sleep(0.3)
    return real(data, **options)
module.decode = slow
module.prepare(sys.argv[1], sys.argv[2], resolution=8, threads=1)
"""


@pytest.mark.skipif(os.name != "posix", reason="needs POSIX signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_killed_run_leaves_no_output_and_the_next_run_cleans_up(pictures: Path, out: Path, number: int) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", SLOW, str(pictures), str(out)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
    )
    assert child.stdout is not None
    child.stdout.readline()
    child.send_signal(number)
    assert child.wait(10) != 0
    child.stdout.close()
    assert not out.exists()
    left = list(out.parent.iterdir())
    assert len(left) == (1 if number == signal.SIGKILL else 0)
    prepare(pictures, out)
    assert [file.name for file in out.parent.iterdir()] == ["set.zip"]


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
        ({"channels": 4, "format": "jpeg"}, "jpeg holds no alpha"),
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
        ({"test_every": 9, "split": "test"}, "no picture is left"),
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
