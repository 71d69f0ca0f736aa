"""`stylegan dataset`, picture by picture: every mode, depth and orientation is read; alpha and fit."""

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from stylegan.cli import main
from stylegan.data.dataset import ImageDataset
from stylegan.data.prepare import prepare
from stylegan.errors import DatasetError
from stylegan.images.decoding import decode

from .pictures import BLUE, GREEN, RED, encoded, images_of, make_zip, noise

# D1: every mode


def test_every_mode_is_converted_and_counted(tmp_path: Path, out: Path) -> None:
    folder = tmp_path / "modes"
    folder.mkdir()
    size = (16, 16)
    expected = {}

    def add(name: str, image: Image.Image, color: tuple[int, int, int], **options: Any) -> None:
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


# Depth


def with_sbit(image: Image.Image, bits: int) -> bytes:
    """A PNG that says how many bits its values had."""
    data = encoded(image)
    chunk = b"sBIT" + bytes([bits])
    return data[:33] + struct.pack(">I", 1) + chunk + struct.pack(">I", zlib.crc32(chunk)) + data[33:]


TWELVE_BITS = (np.arange(256, dtype=np.uint16) * 16 + 15).reshape(16, 16)  # To 4095.


EIGHT_BITS = np.arange(256).reshape(16, 16)


def tiff_of_12_bits() -> bytes:
    """Two values in three bytes, as scanners write them, which Pillow does not: a TIFF of 8 bits, with other tags."""
    values = TWELVE_BITS.reshape(-1, 2).astype(int)
    first, second = values[:, 0], values[:, 1]
    packed = np.stack([first >> 4, (first & 15) << 4 | second >> 8, second & 255], axis=1).astype(np.uint8).tobytes()
    tags = [(256, 16), (257, 16), (258, 12), (259, 1), (262, 1), (273, 8 + 2 + 9 * 12 + 4), (277, 1), (278, 16)]
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in [*tags, (279, len(packed))])
    return b"II*\0" + struct.pack("<IH", 8, 9) + entries + struct.pack("<I", 0) + packed


@pytest.mark.parametrize(
    ("data", "options"),
    [
        (with_sbit(Image.fromarray(TWELVE_BITS), 12), {}),
        (tiff_of_12_bits(), {}),
        (encoded(Image.fromarray(TWELVE_BITS), "TIFF", tiffinfo={281: 4095}), {}),
        (encoded(Image.fromarray(TWELVE_BITS)), {"bit_depth": 12}),
        (encoded(Image.fromarray(TWELVE_BITS), "TIFF"), {"bit_depth": 12}),
        (encoded(Image.fromarray(TWELVE_BITS.astype(np.int32)), "TIFF"), {"bit_depth": 12}),
    ],
    ids=["sBIT", "12-bit TIFF", "MaxSampleValue", "PNG", "TIFF", "32-bit TIFF"],
)
def test_12_bits_fill_the_range_where_they_are_known(data: bytes, options: dict[str, Any]) -> None:
    picture = decode(data, channels=1, **options)
    assert np.abs(np.asarray(picture.image).astype(int) - EIGHT_BITS).max() <= 1
    assert picture.conversions == ("12-bit",)


def test_12_bits_that_nothing_tells_are_counted_as_dark(pictures: Path, out: Path) -> None:
    Image.fromarray(TWELVE_BITS).save(pictures / "x.png")
    Image.new("I;16", (16, 16), 0).save(pictures / "y-black.png")
    report = prepare(pictures, out)
    assert report.conversions == {"16-bit": 2, "dark 16-bit data": 1}
    result = CliRunner().invoke(main, ["dataset", str(pictures), str(out), "--force"])
    assert "warning: 1 16-bit images are dark" in result.output
    assert "--bit-depth 12" in result.output
    result = CliRunner().invoke(main, ["dataset", str(pictures), str(out), "--force", "--bit-depth", "12"])
    assert "warning" not in result.output
    assert images_of(out)[5].getextrema() == ((1, 255),) * 3


def test_a_dark_picture_over_all_16_bits_stays_dark() -> None:
    """PNG wants values of few bits spread over all of 16, the low bits repeating the high ones, or zero."""
    dark = np.arange(256, dtype=np.uint16).reshape(16, 16) // 2
    for values in (dark << 4 | dark >> 8, dark << 4):
        picture = decode(with_sbit(Image.fromarray(values), 12), channels=1)
        assert np.asarray(picture.image).max() == 8
    # The largest value of one picture is no range.
    picture = decode(encoded(Image.fromarray(TWELVE_BITS), "TIFF", tiffinfo={281: 4094}), channels=1)
    assert np.asarray(picture.image).max() == 16


def test_values_above_the_given_depth_are_bad() -> None:
    with pytest.raises(DatasetError, match="pixels from 15 to 4095, expected 0 to 1023"):
        decode(encoded(Image.fromarray(TWELVE_BITS)), bit_depth=10)


def png_of_16_bit_colours(pixels: np.ndarray) -> bytes:
    """A PNG as Pillow does not write it: uint16 [H, W, 3]."""
    height, width, _ = pixels.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    chunks = [(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)), (b"IDAT", zlib.compress(rows))]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in [*chunks, (b"IEND", b"")]
    )


def test_16_bit_colours_are_counted_and_dark_if_12_bits_used(pictures: Path) -> None:
    bright = np.stack([np.asarray(noise(seed=i))[:, :, 0] for i in range(3)], axis=2).astype(np.uint16) << 8
    assert decode(png_of_16_bit_colours(bright)).conversions == ("16-bit",)
    dark = decode(png_of_16_bit_colours(bright >> 4))
    assert dark.conversions == ("16-bit", "dark 16-bit data")
    with pytest.raises(DatasetError, match=r"12-bit colours stored in 16 bits, .* convert it to 8 bits"):
        decode(png_of_16_bit_colours(bright >> 4), bit_depth=12)
    (pictures / "x.png").write_bytes(png_of_16_bit_colours(bright))
    with pytest.raises(DatasetError, match=r"x.png: 16 bits per channel, expected 8"):
        ImageDataset(pictures)


# Alpha


def test_alpha_is_kept_where_it_is_asked_for(tmp_path: Path, out: Path) -> None:
    size = (16, 16)
    palette = Image.new("P", size, 1)
    palette.putpalette([0, 0, 0, 10, 200, 30])
    kinds: dict[str, tuple[Image.Image, tuple[int, ...], dict[str, Any]]] = {
        "a.png": (Image.new("RGBA", size, (255, 0, 0, 51)), (255, 0, 0, 51), {}),
        "b.png": (Image.new("LA", size, (100, 50)), (100, 100, 100, 50), {}),
        "c.png": (palette, (10, 200, 30, 0), {"transparency": 1}),
        "d.png": (Image.new("RGB", size, BLUE), (*BLUE, 0), {"transparency": BLUE}),
        "e.jpg": (Image.new("L", size, 100), (100, 100, 100, 255), {}),
        "f.tif": (Image.new("CMYK", size, (0, 255, 255, 0)), (*RED, 255), {}),
    }
    folder = tmp_path / "kinds"
    folder.mkdir()
    for name, (image, _, options) in kinds.items():
        image.save(folder / name, **options)
    report = prepare(folder, out, channels=4)
    assert report.conversions == {"grey": 1, "mode CMYK": 1, "opaque": 2}
    for image, (name, (_, color, _)) in zip(images_of(out), kinds.items(), strict=True):
        assert image.mode == "RGBA"
        # Colours count where they are seen.
        assert np.abs(np.asarray(image)[3, 3].astype(int) - color)[3 if color[3] == 0 else 0 :].max() <= 2, name
    ds = ImageDataset(out)
    assert ds.img_channels == 4
    assert ds.batch([0])[0][0, :, 0, 0].tolist() == [255, 0, 0, 51]
    prepare(folder, out, channels=2, overwrite=True)
    assert ImageDataset(out).img_channels == 2
    assert images_of(out)[1].getpixel((3, 3)) == (100, 50)


def test_scaling_takes_no_colour_from_where_nothing_is_seen(tmp_path: Path, out: Path) -> None:
    image = Image.new("RGBA", (32, 32), (0, 0, 0, 0))
    image.paste((255, 0, 0, 255), (0, 0, 17, 32))
    prepare(make_zip(tmp_path / "a.zip", {"a.png": encoded(image)}), out, channels=4, resolution=8)
    pixels = np.asarray(images_of(out)[0])
    assert {tuple(p) for p in pixels[pixels[:, :, 3] > 30][:, :3].tolist()} == {RED}


# Fit


def wide() -> Image.Image:
    image = Image.new("RGB", (32, 16), GREEN)
    image.paste(RED, (0, 0, 8, 16))
    image.paste(BLUE, (24, 0, 32, 16))
    return image


def test_pad_keeps_all_of_a_picture_between_black_bars(tmp_path: Path, out: Path) -> None:
    source = make_zip(
        tmp_path / "a.zip", {"a.png": encoded(wide()), "b.png": encoded(wide().transpose(Image.Transpose.ROTATE_90))}
    )
    report = prepare(source, out, fit="pad")
    assert (report.resolution, report.conversions, report.cropped) == (32, {"padded": 2}, 0)
    lying, standing = images_of(out)
    for image in (lying, standing.transpose(Image.Transpose.ROTATE_270)):
        assert image.crop((0, 8, 32, 24)).tobytes() == wide().tobytes()
        assert image.crop((0, 0, 32, 8)).getcolors() == image.crop((0, 24, 32, 32)).getcolors() == [(256, (0, 0, 0))]


def test_bars_are_transparent_where_there_is_alpha(tmp_path: Path, out: Path) -> None:
    source = make_zip(tmp_path / "a.zip", {"a.png": encoded(wide())})
    prepare(source, out, fit="pad", channels=4)
    assert images_of(out)[0].getpixel((0, 0)) == (0, 0, 0, 0)
    assert images_of(out)[0].getpixel((0, 16)) == (*RED, 255)


def test_stretch_keeps_all_of_a_picture_out_of_proportion(tmp_path: Path, out: Path) -> None:
    report = prepare(make_zip(tmp_path / "a.zip", {"a.png": encoded(wide())}), out, fit="stretch")
    assert (report.resolution, report.conversions) == (16, {"stretched": 1})
    image = images_of(out)[0]
    assert [image.getpixel((x, 8)) for x in (0, 8, 15)] == [RED, GREEN, BLUE]


def test_padding_needs_pixels_for_the_longer_side_only(pictures: Path, out: Path) -> None:
    noise(32, 16).save(pictures / "wide.png")
    with pytest.raises(DatasetError, match=r"6 of 6(.|\n)*square of 16 pixels is too small for 32"):
        prepare(pictures, out, resolution=32)
    with pytest.raises(DatasetError, match=r"5 of 6"):
        prepare(pictures, out, resolution=32, fit="pad")


def test_fit_is_of_the_crop_where_there_is_one(tmp_path: Path, out: Path) -> None:
    source = make_zip(tmp_path / "a.zip", {"a.png": encoded(wide())})
    report = prepare(source, out, fit="pad", crop=(8, 0, 16, 8))
    assert report.resolution == 16
    assert images_of(out)[0].crop((0, 4, 16, 12)).getcolors() == [(128, GREEN)]


def test_what_is_cropped_is_counted_and_said(pictures: Path, out: Path) -> None:
    noise(16, 20).save(pictures / "x.png")
    noise(32, 18).save(pictures / "y.png")
    report = prepare(pictures, out)
    assert (report.cropped, round(report.cropped_most, 4)) == (2, 0.4375)
    result = CliRunner().invoke(main, ["dataset", str(pictures), str(out), "--force"])
    assert "cropped: 2 to a square (up to 44% of a side); --fit pad keeps all of them" in result.output
    result = CliRunner().invoke(main, ["dataset", str(pictures), str(out), "--force", "--fit", "pad"])
    assert "cropped:" not in result.output
    assert "converted: 2 padded" in result.output
