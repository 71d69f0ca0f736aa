"""`stylegan demo` in a browser: it opens with a face, and every control changes the picture."""

import json
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from PIL.PngImagePlugin import PngImageFile

from stylegan import Generator
from stylegan.editing import bundled_directions
from stylegan.latents.files import Latents
from stylegan.projection import project, to_square
from stylegan.projection.faces import crop_photo

from .conftest import RunningDemo
from .demo_page import PICTURE, changed, check_same, choose_model, exists, open_edits, source, text, toasts
from .window import Browser, pixels

pytestmark = [pytest.mark.browser, pytest.mark.flaky(reruns=1)]  # A rerun is told of in pytest's last line.


def test_it_opens_with_a_face(page: Browser, default: Generator) -> None:
    seed = int(page.run("return document.querySelector('#seed input').value"))
    check_same(pixels(page, PICTURE), default.sample(seeds=[seed], output_type="np")[0])
    page.screenshot("demo")


def test_a_click_makes_a_new_face_whose_png_holds_its_settings(
    page: Browser, default: Generator, tmp_path: Path
) -> None:
    before = source(page)
    page.click("#new-face")
    shown = changed(page, before)
    seed = int(page.run("return document.querySelector('#seed input').value"))
    check_same(shown, default.sample(seeds=[seed], output_type="np")[0])

    folder = {"behavior": "allow", "downloadPath": str(tmp_path)}
    page.driver.execute_cdp_cmd("Page.setDownloadBehavior", folder)
    page.click("#save")
    file = tmp_path / f"seed{seed}.png"
    page.wait("download", file.exists)
    text = PngImageFile(file).text
    assert (text["seed"], text["truncation_psi"], text["model"]) == (str(seed), "0.7", "faces-128")
    assert text["license"] == default.metadata["license"]


def test_settings_reach_the_picture(page: Browser, default: Generator) -> None:
    page.put("#seed input", "")  # As while a number is typed: a word below the picture, and no error in the way.
    page.wait("word", lambda: "a seed is missing" in page.run("return document.querySelector('#caption').innerText"))
    for selector, value in (("#seed input", 8), ("#psi input[type=range]", -0.5), ("#cutoff input[type=range]", 4)):
        before = source(page)
        page.put(selector, value)
        changed(page, before)
    before = source(page)
    page.click("#noise label:nth-child(2)")
    settings: dict[str, Any] = {"truncation_psi": -0.5, "truncation_cutoff": 4, "noise_mode": "random", "noise_seed": 0}
    check_same(changed(page, before), default.sample(seeds=[8], output_type="np", **settings)[0])
    assert page.run("return document.querySelectorAll('.toast-body').length") == 0


def test_an_editing_slider_moves_the_face(page: Browser, default: Generator) -> None:
    before = source(page)
    open_edits(page)
    page.put("#edit-age input[type=range]", 2)
    ws = default.edit(default.ws([5]), bundled_directions(default)["age"], 2)
    check_same(changed(page, before), default.render(ws, output_type="np")[0])


def test_the_mixing_board_mixes(page: Browser, default: Generator) -> None:
    before = source(page)
    page.click("button[role=tab]:nth-child(2)")
    mixed = changed(page, before)
    a, b = (int(page.run(f"return document.querySelector('#mix-seed-{side} input').value")) for side in "ab")
    first, second = default.ws([a]), default.ws([b])

    def expected(layers: list[int]) -> np.ndarray:
        img: np.ndarray = default.render(default.mix_styles(first, second, layers), output_type="np")[0]
        return img

    check_same(mixed, expected([0, 1, 2, 3]))
    check_same(pixels(page, "#mix-a img"), expected([]))
    check_same(pixels(page, "#mix-b img"), expected(list(range(12))))
    page.screenshot("demo-mix")
    before = source(page)
    page.click("#band-middle")
    check_same(changed(page, before), expected([4, 5, 6, 7]))
    before = source(page)
    page.click("#layers label:nth-child(10)")
    check_same(changed(page, before), expected([4, 5, 6, 7, 9]))


def test_the_slider_goes_from_one_face_to_another(page: Browser, default: Generator) -> None:
    before = source(page)
    page.click("button[role=tab]:nth-child(3)")
    changed(page, before)
    before = source(page)
    page.put("#position input[type=range]", 0.25)
    shown = changed(page, before)
    a, b = (int(page.run(f"return document.querySelector('#between-seed-{side} input').value")) for side in "ab")
    ws = default.ws([a, b])
    check_same(shown, default.render(ws[:1].lerp(ws[1:], 0.25), output_type="np")[0])


def choose_photo(browser: Browser, photo: Image.Image | bytes, path: Path) -> None:
    if isinstance(photo, bytes):
        path.write_bytes(photo)
    else:
        photo.save(path)
    browser.settle()
    browser.driver.find_element("css selector", "#photo-file").send_keys(str(path))


def test_a_photo_of_a_person_is_found_and_edited(page: Browser, default: Generator, tmp_path: Path) -> None:
    page.click("button[role=tab]:nth-child(4)")
    page.wait("button", lambda: exists(page, "#photo-choose"))
    skimage = pytest.importorskip("skimage.data", reason="needs scikit-image")
    photo = Image.fromarray(skimage.astronaut())  # Eileen Collins, by NASA.
    square = crop_photo(photo, default).picture
    before = source(page)
    choose_photo(page, photo, tmp_path / "photo.png")
    check_same(changed(page, None, "#photo-square img"), np.asarray(square))
    found = project(square, default, method="encoder").latents.ws
    check_same(changed(page, None, "#photo-made img"), default.render(found, output_type="np")[0])
    changed(page, before)
    before = source(page)
    page.settle()
    page.put(f"[id='edit-{open_edits(page)[0]}'] input[type=range]", 1.5)
    changed(page, before)
    page.screenshot("demo-photo")


def test_a_photo_is_made_mixed_and_saved(page: Browser, demo: RunningDemo, tmp_path: Path) -> None:
    G = Generator.from_pretrained(demo.folder / "small.safetensors")
    page.click("button[role=tab]:nth-child(4)")
    choose_model(page, 2)
    page.wait("word", lambda: "avatars-128 has no encoder" in text(page, "#no-encoder"))
    assert not exists(page, "#photo-choose")
    choose_model(page, 3)
    page.wait("button", lambda: exists(page, "#photo-choose") and not exists(page, "#no-encoder"))
    photo = G.sample(seeds=[3], labels=0)[0].resize((60, 60))
    before = source(page)
    choose_photo(page, photo, tmp_path / "photo.png")
    check_same(changed(page, None, "#photo-square img"), np.asarray(to_square(photo, 16)))
    found = project(photo, G, method="encoder", encoder=demo.folder / "encoder.safetensors").latents
    made = G.render(found.ws, output_type="np")[0]
    check_same(changed(page, None, "#photo-made img"), made)
    check_same(changed(page, before), made)

    page.put("#photo-seed input", 4)
    before = source(page)
    page.settle()
    page.click("#photo-layers label:nth-child(2)")
    shown = changed(page, before)
    mixed = G.mix_styles(found.ws, G.ws([4], labels=0, truncation_psi=0.7), [1])
    check_same(shown, G.render(mixed, output_type="np")[0])
    page.settle()
    page.driver.execute_cdp_cmd("Page.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(tmp_path)})
    page.click("#photo-save")
    file = tmp_path / "photo-latents.safetensors"
    page.wait("download", file.exists)
    assert torch.allclose(Latents.load(file, G).ws, mixed, atol=1e-4)

    before = source(page, "#photo-square img")
    choose_photo(page, b"no picture", tmp_path / "text.png")
    page.wait("message", lambda: "this photo cannot be read" in text(page, "#photo-note .wrong"))
    assert source(page, "#photo-square img") == before
    noise = np.random.default_rng(0).integers(0, 256, (1500, 2000, 3), np.uint8)  # Of more than may be sent.
    choose_photo(page, Image.fromarray(noise), tmp_path / "large.png")
    assert changed(page, before, "#photo-square img").std() < 10
    page.wait("note", lambda: text(page, "#photo-note").startswith("The model knows nothing like this photo"))
    assert not exists(page, "#photo-note .wrong")
    assert toasts(page) == 0
    assert demo.faults() == []


def test_a_face_can_be_picked(page: Browser) -> None:
    before = source(page)
    thumbnail = pixels(page, "#gallery .gallery-item:nth-child(3) img")
    page.click("#gallery .gallery-item:nth-child(3) button")
    check_same(changed(page, before), thumbnail)


def test_another_model_brings_its_own_controls(page: Browser) -> None:
    before = source(page)
    page.click("#model input")
    page.click("[role=option]:nth-child(3)")
    assert changed(page, before).shape == (16, 16, 3)
    assert page.run("return document.querySelector('#cutoff input[type=range]').max") == "6"
    assert "<b>none</b>" in page.run("return document.querySelector('#licence').innerText")  # Shown, not obeyed.
    before = source(page)
    page.put("#label input[type=range]", 2)
    changed(page, before)


def ask(address: str, data: list[Any]) -> str:
    """What the demo answers a program that gives it values."""
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{address}/gradio_api/call/picture", json.dumps({"data": data}).encode(), headers)
    with urllib.request.urlopen(request) as response:
        event = json.load(response)["event_id"]
    with urllib.request.urlopen(f"{address}/gradio_api/call/picture/{event}", timeout=60) as response:
        return str(response.read().decode())


def test_values_of_programs_are_checked(demo_address: str, default: Generator) -> None:
    """With a strength for each direction that any of the demo's models has."""
    heads = Generator.from_pretrained("avatars-128")
    strengths = [0] * len(bundled_directions(default) | bundled_directions(heads))
    good = ["face", 5, 2, 9, [0, 1], 6, 21, 0.5, "faces-128", 0.7, 12, "const", 0, 0, *strengths]
    assert "event: complete" in ask(demo_address, good)
    wrong = {0: "other", 1: -1, 4: [99], 7: 7, 8: "/etc/passwd", 9: 1e30, 10: 999, 11: "loud", 12: 2**40, 14: 99}
    for i, value in wrong.items():
        what = {4: "mix", 7: "between"}.get(i, "face")
        given = [what, *good[1:]]
        given[i] = value
        answer = ask(demo_address, given)
        assert "event: error" in answer, (i, value, answer)
        assert "Traceback" not in answer


@pytest.mark.parametrize(
    "path",
    [
        "/gradio_api/file=/etc/passwd",
        "/gradio_api/file=../../etc/passwd",
        "/gradio_api/file=http://127.0.0.1:1/",
        "/gradio_api/proxy=http://127.0.0.1:1/",
        "/gradio_api/upload",
        "/monitoring",
        "/docs",
    ],
)
def test_no_other_file_or_service_is_given_away(demo_address: str, path: str) -> None:
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(demo_address + path, data=b"x" if path.endswith("upload") else None)
    assert refused.value.code in (403, 404)


def test_another_host_name_and_long_bodies_are_refused(demo_address: str) -> None:
    strange = urllib.request.Request(demo_address, headers={"Host": "evil.example"})
    long = urllib.request.Request(f"{demo_address}/gradio_api/queue/join", data=b"x" * 100_000)
    for request in (strange, long):
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(request)
        assert refused.value.code == 403
