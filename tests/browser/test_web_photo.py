"""A photo on the static page (examples/web): encoded in the browser as by the library, and sent nowhere."""

import io
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from stylegan import Encoder, Generator
from stylegan.editing import bundled_directions
from stylegan.images import from_uint8
from stylegan.latents.files import Latents
from stylegan.projection import to_square

from .static_page import check_same, ready
from .window import Browser, check_in_view, pixels

pytestmark = [pytest.mark.browser, pytest.mark.flaky(reruns=1)]  # A rerun is told of in pytest's last line.


def wait_for_encoder(browser: Browser) -> None:
    ready(browser)
    browser.wait("encoder", lambda: browser.run("return !document.querySelector('#photo-file').disabled"))


@pytest.fixture
def page(browser: Browser, web_address: str) -> Browser:
    browser.open(web_address)
    wait_for_encoder(browser)
    return browser


@pytest.fixture(scope="module")
def face(default: Generator) -> Image.Image:
    """A photo, larger than the model's pictures, with a face in its centre."""
    photo = Image.new("RGB", (300, 200), "steelblue")
    photo.paste(default.sample(seeds=[3])[0].resize((200, 200), Image.Resampling.BICUBIC), (50, 0))
    return photo


def bytes_of(photo: Image.Image, form: str = "PNG", **options: object) -> bytes:
    file = io.BytesIO()
    photo.save(file, form, **options)
    return file.getvalue()


def choose(page: Browser, data: bytes, folder: Path) -> str:
    """Choose a file, and what the page says of it."""
    (folder / "photo").write_bytes(data)
    page.run("document.body.dataset.state = 'old'")
    page.driver.find_element("css selector", "#photo-file").send_keys(str(folder / "photo"))
    ready(page)
    return note(page)


def note(page: Browser) -> str:
    return str(page.run("return document.querySelector('#photo-note').innerText"))


def ws_of(square: Image.Image | np.ndarray, G: Generator) -> torch.Tensor:
    """What the library's encoder makes of a crop."""
    img = torch.from_numpy(np.array(square)).permute(2, 0, 1)[None]
    return Encoder.of(G).encode(from_uint8(img), G)


def check_nearly_same(shown: np.ndarray, expected: np.ndarray) -> None:
    """The crop may differ by 1 of 255, which three looks carry on."""
    difference = np.abs(shown.astype(int) - expected)
    assert shown.shape == expected.shape
    assert difference.max() <= 3
    assert difference.mean() < 0.05


def test_a_photo_is_made_by_the_library_s_ws(
    page: Browser, default: Generator, face: Image.Image, tmp_path: Path
) -> None:
    page.listen()
    requests = len(page.requests)
    assert choose(page, bytes_of(face), tmp_path).startswith("Found in ")
    square = to_square(face, 128)
    check_same(pixels(page, "#photo-crop"), np.asarray(square))
    ws = ws_of(square, default)
    made = default.render(ws, output_type="np")[0]
    for selector in ("#photo-made", "#picture", "#picture-a"):
        check_nearly_same(pixels(page, selector), made)
    page.screenshot("web-photo")

    page.click("#layers label:nth-child(9)")
    page.put("[id='direction-0']", 2)  # The first in the order of the alphabet.
    ready(page)
    directions = bundled_directions(default)
    name = min(directions)
    changed = default.mix_styles(
        default.edit(ws, directions[name], 2), default.edit(default.ws([9]), directions[name], 2), [8]
    )
    check_nearly_same(pixels(page, "#picture"), default.render(changed, output_type="np")[0])
    check_nearly_same(pixels(page, "#photo-made"), made)
    page.put("#psi", 0)  # Of the seed alone.
    ready(page)
    check_nearly_same(
        pixels(page, "#picture-a"), default.render(default.edit(ws, directions[name], 2), output_type="np")[0]
    )
    page.listen()
    assert [url for url in page.requests[requests:] if not url.startswith("blob:")] == []


def test_picture_and_latents_are_saved(page: Browser, default: Generator, face: Image.Image, tmp_path: Path) -> None:
    choose(page, bytes_of(face), tmp_path)
    page.click("#layers label:nth-child(2)")
    ready(page)
    page.driver.execute_cdp_cmd("Page.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(tmp_path)})
    for button, name in (("#save", "photo-mix9.png"), ("#save-latents", "photo-mix9-latents.safetensors")):
        page.click(button)
        page.wait("download", (tmp_path / name).exists)
    saved = Latents.load(tmp_path / "photo-mix9-latents.safetensors", default)
    expected = default.mix_styles(ws_of(pixels(page, "#photo-crop"), default), default.ws([9]), [1])
    assert torch.allclose(saved.ws, expected, atol=1e-3)
    with Image.open(tmp_path / "photo-mix9.png") as picture:
        check_same(np.asarray(picture)[..., :3], default.render(saved.ws, output_type="np")[0])


def test_the_crop_is_zoomed_and_moved(page: Browser, default: Generator, face: Image.Image, tmp_path: Path) -> None:
    choose(page, bytes_of(face), tmp_path)
    page.run("document.body.dataset.state = 'old'")
    page.put("#zoom", 2)
    ready(page)
    # At once, as the image of an earlier place may be finished between two calls.
    page.run(
        """document.body.dataset.state = 'old';
        const crop = document.querySelector('#photo-crop');
        for (const key of ['ArrowLeft', 'ArrowDown'])
          for (let i = 0; i < 40; i++) crop.dispatchEvent(new KeyboardEvent('keydown', {key}));"""
    )
    ready(page)
    square = to_square(face, 128, crop=(0, 100, 100, 100))
    check_same(pixels(page, "#photo-crop"), np.asarray(square))
    made = default.render(ws_of(square, default), output_type="np")[0]
    check_nearly_same(pixels(page, "#photo-made"), made)
    page.run("document.body.dataset.state = 'old'")
    drag = {"x": 0, "y": 0, "button": "left", "clickCount": 1}
    x, y, width = page.run(
        """const crop = document.querySelector('#photo-crop');
        crop.scrollIntoView({block: 'center', behavior: 'instant'});
        const r = crop.getBoundingClientRect();
        return [r.left + r.width / 2, r.top + r.height / 2, r.width]"""
    )
    for kind, dx in (("mousePressed", 0), ("mouseMoved", -width / 4), ("mouseReleased", -width / 4)):
        page.driver.execute_cdp_cmd("Input.dispatchMouseEvent", drag | {"type": kind, "x": x + dx, "y": y})
    ready(page)
    check_same(pixels(page, "#photo-crop"), np.asarray(to_square(face, 128, crop=(25, 100, 100, 100))))


def test_without_its_photo_the_seed_is_back(page: Browser, face: Image.Image, tmp_path: Path) -> None:
    seed = pixels(page, "#picture-a")
    page.click('[data-band="none"]')
    choose(page, bytes_of(face), tmp_path)
    assert np.abs(pixels(page, "#picture-a").astype(int) - seed).mean() > 5
    page.click("#no-photo")
    ready(page)
    assert (pixels(page, "#picture") == seed).all()
    assert not page.run("return document.querySelector('#photo-pair').checkVisibility()")
    assert page.run("return document.querySelector('#seed-a').disabled") is False


def test_the_camera_gives_a_photo(page: Browser) -> None:
    page.click("#camera")
    button = "return document.querySelector('#camera').innerText"
    page.wait("camera", lambda: page.run(button) == "Take the photo")
    page.run("document.body.dataset.state = 'old'")
    page.click("#camera")
    ready(page)
    assert note(page).startswith("Found in ")
    assert pixels(page, "#photo-crop").std() > 10
    assert page.run("return document.querySelector('#video').srcObject") is None
    assert page.run(button) == "Camera"


def test_a_dropped_photo_is_taken(page: Browser, face: Image.Image) -> None:
    page.run("document.body.dataset.state = 'old'")
    page.run(
        """const dropped = new DataTransfer();
        dropped.items.add(new File([new Uint8Array(arguments[0])], 'photo.png'));
        const options = {dataTransfer: dropped, bubbles: true, cancelable: true};
        document.body.dispatchEvent(new DragEvent('drop', options));""",
        list(bytes_of(face)),
    )
    ready(page)
    check_same(pixels(page, "#photo-crop"), np.asarray(to_square(face, 128)))


def test_odd_photos_are_taken_as_by_the_library(page: Browser, face: Image.Image, tmp_path: Path) -> None:
    turned = Image.Exif()
    turned[0x0112] = 6
    clear = face.convert("RGBA")
    clear.putalpha(Image.linear_gradient("L").resize(face.size))
    white = Image.alpha_composite(Image.new("RGBA", face.size, "white"), clear).convert("RGB")
    grey = face.convert("L").convert("RGB")
    smooth = face.resize((8000, 6000))
    odd: list[tuple[Image.Image, dict[str, Any], Image.Image]] = [
        (face.transpose(Image.Transpose.ROTATE_90), {"form": "JPEG", "exif": turned, "quality": 95}, face),
        (clear, {}, white),
        (face.convert("L"), {}, grey),
        (face.resize((32, 32)), {}, face.resize((32, 32))),
        (smooth, {"form": "JPEG", "quality": 95}, smooth),
    ]
    for photo, options, expected in odd:
        assert choose(page, bytes_of(photo, **options), tmp_path).startswith("Found in ")
        shown = pixels(page, "#photo-crop")
        difference = np.abs(shown.astype(int) - np.asarray(to_square(expected, 128)))
        assert difference.mean() < 1.5, (photo, options)


def test_what_is_no_photo_is_one_message(page: Browser, face: Image.Image, tmp_path: Path) -> None:
    choose(page, bytes_of(face), tmp_path)
    before = pixels(page, "#picture")
    png, jpeg = bytes_of(face), bytes_of(face, "JPEG")
    huge = bytearray(png)
    huge[16:24] = (20000).to_bytes(4, "big") * 2  # As its header says.
    huge[29:33] = zlib.crc32(huge[12:29]).to_bytes(4, "big")
    wrong = {
        "text": (b"no picture", "this photo cannot be read: it is damaged, or of a format"),
        "empty": (b"", "this photo cannot be read"),
        "cut off": (png[: len(png) // 2], "this photo cannot be read"),
        "cut off JPEG": (jpeg[: len(jpeg) // 2], "this photo cannot be read"),
        "tiny": (bytes_of(face.resize((31, 31))), "this photo of 31x31 is too small for pictures of 128x128: choose"),
        "thin": (bytes_of(face.resize((20, 3000))), "this photo of 20x3000 is too small"),
        "huge": (bytes(huge), "this photo of 20000x20000 is too large: make it smaller than 89 megapixels"),
    }
    for what, (data, message) in wrong.items():
        said = choose(page, data, tmp_path)
        assert said.startswith(message), what
        assert page.run("return document.querySelector('#photo-note').className") == "wrong"
        assert (pixels(page, "#picture") == before).all(), what
    assert choose(page, png, tmp_path).startswith("Found in ")
    assert page.run("return document.querySelector('#photo-note').className") == ""


def test_memory_does_not_grow_with_photos(page: Browser, face: Image.Image, tmp_path: Path) -> None:
    def used() -> float:
        page.driver.execute_cdp_cmd("HeapProfiler.collectGarbage", {})
        return float(page.run("return performance.memory.usedJSHeapSize")) / 2**20

    def take(count: int) -> float:
        for i in range(count):
            choose(page, bytes_of(face.resize((1500 + i, 1000)), "JPEG"), tmp_path)
        return used()

    first = take(2)
    assert take(6) < first + 4  # MiB; a photo of these is 6.


def test_a_model_without_an_encoder_has_no_photos(browser: Browser, web_address: str) -> None:
    browser.open(f"{web_address}/?model=small")
    ready(browser)
    for selector in ("#photo", "#edit"):
        assert not browser.run("return document.querySelector(arguments[0]).checkVisibility()", selector)


def test_a_phone_shows_the_photo_in_its_width(
    phone: Browser, web_address: str, face: Image.Image, tmp_path: Path
) -> None:
    phone.open(web_address)
    wait_for_encoder(phone)
    choose(phone, bytes_of(face), tmp_path)
    assert phone.run("return document.documentElement.scrollWidth") <= 390
    for control in ("#camera", "#no-photo", "#zoom", "#direction-0"):
        check_in_view(phone, "#picture", control)
    phone.run("document.querySelector('#photo-pair').scrollIntoView({block: 'end', behavior: 'instant'})")
    phone.screenshot("web-photo-phone", top=False)
