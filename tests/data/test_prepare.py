"""`stylegan dataset`: pictures become a zip of squares, whole or not at all."""

import hashlib
import os
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from stylegan.data import prepare as prepare_module
from stylegan.data.dataset import ImageDataset
from stylegan.data.prepare import prepare
from stylegan.errors import DatasetError, InputError
from stylegan.images.decoding import OutputFormat, decode
from stylegan.images.encoding import encode

from .pictures import BLUE, GREEN, RED, encoded, images_of, make_zip, noise, nothing_left

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
    with pytest.raises(DatasetError, match=r"5 of 6(.|\n)*allow-upscale(.|\n)*square of 16 pixels is too small for 32"):
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
