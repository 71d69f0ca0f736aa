"""`stylegan dataset`: pictures of any kind become a zip of squares; what is damaged or unsafe is refused and listed."""

import hashlib
import io
import json
import os
import signal
import stat
import struct
import subprocess
import sys
import time
import warnings
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from stylegan.cli import main
from stylegan.errors import DatasetError, InputError
from stylegan.pictures import decode
from stylegan.training import prepare as prepare_module
from stylegan.training import sources
from stylegan.training.dataset import ImageDataset
from stylegan.training.prepare import ffhq_order, prepare

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


def noise(width: int = 16, height: int = 16, seed: int = 0) -> Image.Image:
    return Image.fromarray(np.random.RandomState(seed).randint(0, 256, (height, width, 3)).astype(np.uint8))


def encoded(image: Image.Image, format: str = "PNG", **options: object) -> bytes:
    data = io.BytesIO()
    image.save(data, format=format, **options)
    return data.getvalue()


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A folder with five good 16x16 PNGs; tests add theirs."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for i in range(5):
        noise(seed=i).save(folder / f"{i}.png")
    return folder


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out" / "set.zip"


def images_of(path: Path) -> list[Image.Image]:
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if name != "labels.json"]
        return [Image.open(io.BytesIO(archive.read(name))) for name in names]


def labels_of(path: Path) -> dict:
    with zipfile.ZipFile(path) as archive:
        return json.loads(archive.read("labels.json"))


def make_zip(path: Path, files: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def nothing_left(out: Path) -> bool:
    return not out.parent.exists() or not list(out.parent.iterdir())


# What is written


def test_output_is_a_stored_zip_of_squares_that_the_data_set_reads(pictures: Path, out: Path) -> None:
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
    real = prepare_module.decode

    def slow(data: bytes, **options: object) -> object:
        time.sleep(0.05 if data == (pictures / "0.png").read_bytes() else 0)
        return real(data, **options)

    monkeypatch.setattr(prepare_module, "decode", slow)
    prepare(pictures, out, threads=3)
    assert [np.asarray(i).tolist() for i in images_of(out)] == [np.asarray(noise(seed=i)).tolist() for i in range(5)]


def test_sub_folders_are_read_and_hidden_and_other_files_left_out(pictures: Path, out: Path) -> None:
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


# D1: every mode


def test_every_mode_is_converted_and_counted(tmp_path: Path, out: Path) -> None:
    folder = tmp_path / "modes"
    folder.mkdir()
    size = (16, 16)
    expected = {}

    def add(name: str, image: Image.Image, color: tuple[int, int, int], **options: object) -> None:
        image.save(folder / name, **options)
        expected[name] = color

    add("a-L.png", Image.new("L", size, 100), (100, 100, 100))
    add("b-LA.png", Image.new("LA", size, (0, 0)), (255, 255, 255))
    palette = Image.new("P", size, 1)
    palette.putpalette([0, 0, 0, 10, 200, 30])
    add("c-P.png", palette, (10, 200, 30))
    add("d-P-transparent.png", palette, (255, 255, 255), transparency=1)
    add("e-RGBA.png", Image.new("RGBA", size, (255, 0, 0, 51)), (255, 204, 204))
    add("f-1.png", Image.new("1", size, 1), (255, 255, 255))
    add("g-16.png", Image.fromarray(np.full((16, 16), 200 * 257 + 100, np.uint16)), (200, 200, 200))
    add("h-16.tif", Image.fromarray(np.full((16, 16), 200 * 257 - 100, np.uint16)), (200, 200, 200))
    add("i-CMYK.jpg", Image.new("CMYK", size, (0, 0, 0, 55)), (200, 200, 200))
    add("j-CMYK.tif", Image.new("CMYK", size, (0, 255, 255, 0)), RED)
    add("k-YCbCr.tif", Image.new("YCbCr", size, (76, 85, 255)), (254, 0, 0), compression="tiff_lzw")
    add("l-YCbCr.jpg", Image.new("RGB", size, (200, 100, 50)), (200, 100, 50))
    add("m-RGB-transparent.png", Image.new("RGB", size, BLUE), (255, 255, 255), transparency=BLUE)
    add("n.bmp", Image.new("RGB", size, GREEN), GREEN)
    add("o.webp", Image.new("RGBA", size, (0, 0, 255, 255)), BLUE, lossless=True)
    add("p.gif", Image.new("RGB", size, GREEN), GREEN)

    report = prepare(folder, out)
    assert report.bad == []
    for (name, color), image in zip(sorted(expected.items()), images_of(out), strict=True):
        assert image.mode == "RGB", name
        assert np.abs(np.asarray(image).astype(int) - color).max() <= 2, name
    assert report.conversions == {
        "grey": 1,
        "transparent LA": 1,
        "mode P": 2,
        "transparent P": 1,
        "transparent RGBA": 1,
        "transparent RGB": 1,
        "mode 1": 1,
        "16-bit": 2,
        "mode CMYK": 2,
    }


def test_16_bit_is_scaled_and_rounded() -> None:
    pixels = np.array([0, 128, 129, 32767, 32768, 65406, 65407, 65535] * 8, np.uint16).reshape(8, 8)
    expected = np.rint(pixels / 257)
    for format in ("PNG", "TIFF"):
        data = encoded(Image.fromarray(pixels), format)
        np.testing.assert_array_equal(np.asarray(decode(data, channels=1).image), expected)


def test_pixels_without_a_known_range_are_bad(pictures: Path, out: Path) -> None:
    Image.new("F", (16, 16), 0.5).save(pictures / "float.tif")
    Image.fromarray(np.full((16, 16), 70_000, np.int32)).save(pictures / "int.tif")
    with pytest.raises(DatasetError, match=r"float.tif: mode F.*0.5(.|\n)*int.tif: mode I.*70000"):
        prepare(pictures, out)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(orientation: int) -> None:
    upright = Image.new("RGB", (32, 16), RED)
    upright.paste(GREEN, (0, 0, 16, 8))
    upright.paste(BLUE, (16, 0, 32, 8))
    # How a camera in that position stores it: the inverse of each transposition.
    inverse = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = upright.transpose(inverse[orientation]) if orientation > 1 else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture = decode(encoded(stored, "JPEG", exif=exif, quality=95, subsampling=0))
    assert picture.image.size == (32, 16)
    assert np.abs(np.asarray(picture.image).astype(int) - np.asarray(upright)).max() < 60
    assert picture.conversions == (("rotated by EXIF",) if orientation > 1 else ())


def test_crop_is_measured_in_the_upright_picture(tmp_path: Path, out: Path) -> None:
    upright = Image.new("RGB", (16, 48), RED)
    upright.paste(GREEN, (0, 24, 16, 40))
    exif = Image.Exif()
    exif[0x0112] = 6
    stored = upright.transpose(Image.Transpose.ROTATE_90)
    make_zip(tmp_path / "a.zip", {"a.png": encoded(stored, exif=exif)})
    report = prepare(tmp_path / "a.zip", out, crop=(0, 24, 16, 16))
    assert report.conversions == {"rotated by EXIF": 1}
    assert report.resolution == 16
    assert images_of(out)[0].getcolors() == [(256, GREEN)]


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
@pytest.mark.parametrize("exif", [b"Exif\0\0II*\0\xff\xff\xff\xff junk", b"Exif\0\0no TIFF header"])
@pytest.mark.parametrize("format", ["JPEG", "PNG"])
def test_damaged_exif_does_not_lose_the_picture(exif: bytes, format: str) -> None:
    picture = decode(encoded(Image.new("RGB", (16, 16), RED), format, exif=exif))
    assert picture.image.size == (16, 16)


def test_animations_are_bad_or_give_their_first_frame(pictures: Path, out: Path) -> None:
    frames = [Image.new("RGB", (16, 16), color) for color in (RED, GREEN, BLUE)]
    frames[0].save(pictures / "z1.gif", save_all=True, append_images=frames[1:])
    frames[0].save(pictures / "z2.webp", save_all=True, append_images=frames[1:], lossless=True)
    frames[0].save(pictures / "z3.png", save_all=True, append_images=frames[1:])
    frames[0].save(pictures / "z4.tif", save_all=True, append_images=frames[1:])
    with pytest.raises(DatasetError, match=r"4 of 9(.|\n)*animated first(.|\n)*z1.gif: animated"):
        prepare(pictures, out)
    report = prepare(pictures, out, animated="first")
    assert report.conversions["first frame of an animation"] == 4
    assert [image.getpixel((0, 0)) for image in images_of(out)[5:]] == [RED] * 4


def test_second_view_of_a_camera_is_no_animation() -> None:
    data = encoded(Image.new("RGB", (16, 16), RED), "MPO", save_all=True, append_images=[Image.new("RGB", (16, 16))])
    assert decode(data).conversions == ()


# D2: damaged files


def png_of_size(width: int, height: int) -> bytes:
    """A PNG whose header claims a size, with a right checksum."""
    data = bytearray(encoded(noise()))
    data[16:24] = struct.pack(">II", width, height)
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    return bytes(data)


def flipped_crc() -> bytes:
    data = bytearray(encoded(noise()))
    start = data.index(b"IDAT")
    data[start + 4 + struct.unpack(">I", data[start - 4 : start])[0]] ^= 1
    return bytes(data)


BAD = {
    "truncated.png": encoded(noise())[:-200],
    "truncated.jpg": encoded(noise(64, 64), "JPEG")[:-500],
    "crc.png": flipped_crc(),
    "html.jpg": b"<!doctype html><title>404</title>",
    "empty.png": b"",
    "zero.png": png_of_size(0, 0),
    "bomb.png": png_of_size(20_000, 20_000),
    "large.png": png_of_size(10_000, 10_000),
    "not-in-the-list.png": encoded(noise(), "PPM"),
    "postscript.png": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 16 16\n",
    "small.png": encoded(noise(4, 4)),
}
WHY = {
    "zero.png": "no intact|empty",
    "bomb.png": "pixels",
    "large.png": "pixels",
    "html.jpg": "no intact",
    "not-in-the-list.png": "no intact",
    "postscript.png": "no intact",
    "small.png": "too small",
    "crc.png": "damaged|no intact",
    "truncated.jpg": "damaged",
}


@pytest.mark.parametrize("name", BAD)
def test_bad_file_is_named_with_its_reason(pictures: Path, out: Path, name: str) -> None:
    (pictures / name).write_bytes(BAD[name])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(DatasetError, match=rf"1 of 6 (.|\n)*skip-bad(.|\n)*{name}: .*({WHY.get(name, '')})"):
            prepare(pictures, out, resolution=16)
    assert nothing_left(out)


def test_all_bad_files_are_listed_and_left_out_below_the_ceiling(pictures: Path, out: Path) -> None:
    for name, data in BAD.items():
        (pictures / name).write_bytes(data)
    with pytest.raises(DatasetError) as error:
        prepare(pictures, out, resolution=16)
    assert all(f"\n  {name}: " in str(error.value) for name in BAD)
    report = prepare(pictures, out, resolution=16, skip_bad=True, max_bad=11 / 16)
    assert report.images == 5
    assert {name for name, _ in report.bad} == set(BAD)
    assert zipfile.ZipFile(out).namelist() == [f"{i:08d}.png" for i in range(5)]


def test_more_bad_files_than_the_ceiling_fail(pictures: Path, out: Path) -> None:
    (pictures / "a.png").write_bytes(b"")
    (pictures / "b.png").write_bytes(b"")
    with pytest.raises(DatasetError, match=r"2 of 7 .* at most 1 may be left out"):
        prepare(pictures, out, skip_bad=True)
    assert nothing_left(out)
    (pictures / "b.png").unlink()
    assert prepare(pictures, out, skip_bad=True).images == 5
    with pytest.raises(DatasetError, match="at most 0"):
        prepare(pictures, out, skip_bad=True, max_bad=0, overwrite=True)


def test_long_lists_are_cut(pictures: Path, out: Path) -> None:
    for i in range(50):
        (pictures / f"bad{i:02d}.png").write_bytes(b"")
    with pytest.raises(DatasetError, match=r"50 of 55(.|\n)*bad19.png(.|\n)*and 30 more"):
        prepare(pictures, out)


def test_random_damage_never_raises_anything_else() -> None:
    rng = np.random.RandomState(0)
    exif = Image.Exif()
    exif[0x0112] = 6
    kinds = [("PNG", {}), ("JPEG", {"exif": exif}), ("WEBP", {}), ("GIF", {}), ("TIFF", {}), ("BMP", {})]
    seeds = [bytearray(encoded(noise(), kind, **options)) for kind, options in kinds]
    outcomes = set()
    for case in range(1200):
        data = bytearray(seeds[case % len(seeds)])
        for _ in range(rng.randint(1, 6)):
            data[rng.randint(len(data))] = rng.randint(256)
        if rng.rand() < 0.3:
            del data[rng.randint(len(data)) :]
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                decode(bytes(data), animated="first")
            outcomes.add("decoded")
        except DatasetError:
            outcomes.add("refused")
    assert outcomes == {"decoded", "refused"}


def test_names_cannot_command_the_terminal(pictures: Path, out: Path) -> None:
    (pictures / "\x1b[2Jevil.png").write_bytes(b"")
    with pytest.raises(DatasetError) as error:
        prepare(pictures, out)
    assert "\x1b" not in str(error.value)
    assert "evil.png" in str(error.value)


# D3: unsafe zips


def patched(data: bytes, old: bytes, new: bytes) -> bytes:
    assert len(old) == len(new)
    assert old in data
    return data.replace(old, new)


def hostile_zips() -> dict[str, bytes]:
    """Zips with one good picture and one hostile entry, by the reason to refuse them."""
    good, bad = encoded(noise()), encoded(noise(seed=1))

    def build(*entries: tuple[str | zipfile.ZipInfo, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
        data = io.BytesIO()
        with warnings.catch_warnings(), zipfile.ZipFile(data, "w", method) as archive:
            warnings.simplefilter("ignore")
            archive.writestr("good.png", good, zipfile.ZIP_STORED)
            for name, content in entries:
                archive.writestr(name, content)
        return data.getvalue()

    link = zipfile.ZipInfo("link.png")
    link.create_system = 3
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    fifo = zipfile.ZipInfo("fifo.png")
    fifo.create_system = 3
    fifo.external_attr = (stat.S_IFIFO | 0o666) << 16
    # The flags stand at offset 8 of the central header, the sizes at 20 and 24.
    encrypted = bytearray(build(("secret.png", bad)))
    second = encrypted.index(b"PK\x01\x02", encrypted.index(b"PK\x01\x02") + 4)
    encrypted[second + 8] |= 1
    huge = bytearray(build(("huge.png", bad)))
    second = huge.index(b"PK\x01\x02", huge.index(b"PK\x01\x02") + 4)
    huge[second + 24 : second + 28] = struct.pack("<I", 2**32 - 2)
    overlap = bytearray(build(("same.png", bad)))
    second = overlap.index(b"PK\x01\x02", overlap.index(b"PK\x01\x02") + 4)
    overlap[second + 20 : second + 28] = struct.pack("<II", 100_000, 100_000)
    return {
        "a path that leads outside": build(("../evil.png", bad)),
        "a path that leads outside ": build(("/tmp/evil.png", bad)),
        "a path that leads outside  ": build(("a/../../evil.png", bad)),
        "a path that leads outside   ": patched(build(("a/../evil.png", bad)), b"a/../evil", rb"a\..\evil"),
        "a path that leads outside    ": build(("C:evil.png", bad)),
        "a name with NUL": patched(build(("evil.pngX.txt", bad)), b"evil.pngX", b"evil.png\0"),
        "a link or a special file": build((link, b"/etc/passwd")),
        "a link or a special file ": build((fifo, b"")),
        "encrypted": bytes(encrypted),
        "a duplicate name": build(("same.png", bad), ("same.png", good)),
        "a duplicate name ": build(("same.png", bad), ("./same.png", good)),
        "compressed more than 200:1": build(("zeros.bmp", bytes(4_000_000)), method=zipfile.ZIP_DEFLATED),
        "neither stored nor deflated": build(("bz2.png", bad), method=zipfile.ZIP_BZIP2),
        "claims 4,294,967,294 bytes": bytes(huge),
        "its files overlap": bytes(overlap),
    }


@pytest.mark.parametrize("reason", hostile_zips())
def test_hostile_zip_is_refused_from_its_headers(
    tmp_path: Path, out: Path, reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "hostile.zip"
    path.write_bytes(hostile_zips()[reason])

    def read(*_: object, **__: object) -> None:
        raise AssertionError("nothing may be read")

    monkeypatch.setattr(zipfile.ZipFile, "open", read)
    with pytest.raises(DatasetError, match=f"unsafe(.|\n)*{reason.strip()}"):
        prepare(path, out, skip_bad=True, max_bad=0.9)
    with pytest.raises(DatasetError, match="unsafe"):
        ImageDataset(path)
    assert nothing_left(out)
    assert {file.name for file in tmp_path.iterdir()} <= {"hostile.zip", "out"}


def test_honest_zips_are_read_in_place(tmp_path: Path, out: Path) -> None:
    files = {f"sub/{i}.png": encoded(noise(seed=i)) for i in range(3)}
    # Folders have entries of their own, and small or well compressed files are no bombs.
    path = make_zip(tmp_path / "a.zip", {"sub/": b"", **files, "sub/zeros.txt": bytes(500_000)}, zipfile.ZIP_DEFLATED)
    assert prepare(path, out).images == 3
    assert {file.name for file in tmp_path.iterdir()} == {"a.zip", "out"}
    assert [file.name for file in out.parent.iterdir()] == ["set.zip"]


def test_bad_checksum_in_a_zip_makes_a_bad_file(tmp_path: Path, out: Path) -> None:
    good = encoded(noise())
    path = make_zip(tmp_path / "a.zip", {"a.png": good, "b.png": encoded(noise(seed=1))})
    data = bytearray(path.read_bytes())
    data[data.index(good) + 60] ^= 255
    path.write_bytes(data)
    with pytest.raises(DatasetError, match=r"1 of 2 (.|\n)*a.png: cannot be read: Bad CRC-32"):
        prepare(path, out)


def test_file_longer_than_its_header_says_is_not_unpacked(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "a.zip", {"a.bmp": bytes(50_000_000)}, zipfile.ZIP_DEFLATED)
    data = bytearray(path.read_bytes())
    central = data.index(b"PK\x01\x02")
    data[central + 24 : central + 28] = struct.pack("<I", 1000)
    path.write_bytes(data)
    with sources.Source(path) as source, pytest.raises(DatasetError, match="Bad CRC-32"):
        source.read("a.bmp")


def test_random_damage_to_a_zip_never_raises_anything_else(tmp_path: Path) -> None:
    rng = np.random.RandomState(0)
    path = make_zip(
        tmp_path / "a.zip", {f"{i}/\u00e9.png": encoded(noise(8, 8)) for i in range(3)}, zipfile.ZIP_DEFLATED
    )
    good, outcomes = path.read_bytes(), set()
    for case in range(1000):
        data = bytearray(good)
        start = 0 if case % 3 else good.index(b"PK\x01\x02")
        for _ in range(rng.randint(1, 4)):
            data[rng.randint(start, len(data))] = rng.choice([0, 255, rng.randint(256)])
        path.write_bytes(data)
        try:
            with sources.Source(path) as source:
                for name in source.names:
                    source.read(name)
            outcomes.add("read")
        except DatasetError:
            outcomes.add("refused")
    assert outcomes == {"read", "refused"}


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04 nothing", b"<html></html>"])
def test_file_that_is_no_zip_is_refused(tmp_path: Path, out: Path, data: bytes) -> None:
    (tmp_path / "a.zip").write_bytes(data)
    with pytest.raises(DatasetError, match="no zip"):
        prepare(tmp_path / "a.zip", out)


def test_linked_folder_is_not_entered(pictures: Path, tmp_path: Path, out: Path) -> None:
    (pictures / "loop").symlink_to(pictures, target_is_directory=True)
    assert prepare(pictures, out).images == 5


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_pipe_does_not_hang(pictures: Path, out: Path) -> None:
    os.mkfifo(pictures / "pipe.png")
    assert prepare(pictures, out).images == 5


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
    assert ds.labels([1, 2]).tolist() == [[1, 0], [0, 1]]


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
    assert ImageDataset(out).labels([4]).tolist() == [[4, 0.5]]


def test_foreign_labels_warn_and_a_field_of_them_can_be_used(pictures: Path, out: Path) -> None:
    records = {f"{i}.png": {"age": 20 + i, "gender": i % 2} for i in range(5)}
    (pictures / "labels.json").write_text(json.dumps(records))
    with pytest.warns(UserWarning, match="ignored.*'age', 'gender'"):
        assert prepare(pictures, out).label_dim == 0
    assert prepare(pictures, out, label_field="gender", overwrite=True).label_dim == 2
    assert ImageDataset(out).labels([3]).tolist() == [[0, 1]]


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
    monkeypatch.setattr(prepare_module, "FFHQ_IMAGES", 5)
    monkeypatch.setattr(prepare_module, "FFHQ_TRAIN", 3)
    for split, expected in (("train", [0, 1, 2]), ("test", [3, 4]), ("all", range(5))):
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
    real, calls = prepare_module.encode, []

    def encode(image: Image.Image, format: str) -> bytes:
        calls.append(1)
        if len(calls) == 3:
            raise error
        return real(image, format)

    monkeypatch.setattr(prepare_module, "encode", encode)
    with pytest.raises(error if isinstance(error, type) else type(error)):
        prepare(pictures, out, threads=1)
    assert nothing_left(out)


SLOW = """
import sys, time
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
        ({"channels": 4}, "1 or 3"),
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
def test_options_that_do_not_fit_are_refused(pictures: Path, out: Path, options: dict, message: str) -> None:
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
    assert "bad.png: no intact PNG" in result.output
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
