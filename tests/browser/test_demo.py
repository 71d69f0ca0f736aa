"""`stylegan demo` in a browser: it opens with a face, and every control changes the picture."""

import json
import urllib.error
import urllib.request

import numpy as np
import pytest
from PIL import Image

from stylegan import Generator
from stylegan.editing import bundled_directions

from .conftest import Browser, pixels

pytestmark = pytest.mark.browser

PICTURE = "#picture img"


def source(browser: Browser, selector: str = PICTURE) -> str | None:
    """The address of a picture that has been loaded."""
    return browser.run(
        "const i = document.querySelector(arguments[0]); return i?.complete && i.naturalWidth ? i.src : null", selector
    )


def changed(browser: Browser, before: str | None, selector: str = PICTURE) -> np.ndarray:
    """The pixels of the picture that takes the place of another."""
    browser.wait("new picture", lambda: source(browser, selector) not in (None, before))
    return pixels(browser, selector)


@pytest.fixture
def page(browser: Browser, demo_address: str) -> Browser:
    browser.open(demo_address)
    changed(browser, None)
    browser.wait("faces to pick", lambda: source(browser, "#gallery .gallery-item:nth-child(12) img"))
    return browser


def check_same(shown: np.ndarray, expected: np.ndarray) -> None:
    """Batches of another size may round otherwise: at most 1 of 255 apart."""
    assert shown.shape == expected.shape
    assert np.abs(shown.astype(int) - expected).max() <= 1


def test_it_opens_with_a_face(page: Browser, faces: Generator):
    seed = int(page.run("return document.querySelector('#seed input').value"))
    check_same(pixels(page, PICTURE), faces.sample(seeds=[seed], output_type="np")[0])
    page.screenshot("demo")


def test_a_click_makes_a_new_face_whose_png_holds_its_settings(page: Browser, faces: Generator, tmp_path):
    before = source(page)
    page.click("#new-face")
    shown = changed(page, before)
    seed = int(page.run("return document.querySelector('#seed input').value"))
    check_same(shown, faces.sample(seeds=[seed], output_type="np")[0])

    folder = {"behavior": "allow", "downloadPath": str(tmp_path)}
    page.driver.execute_cdp_cmd("Page.setDownloadBehavior", folder)
    page.click("#save")
    file = tmp_path / f"seed{seed}.png"
    page.wait("download", file.exists)
    with Image.open(file) as saved:
        text = saved.text
    assert (text["seed"], text["truncation_psi"], text["model"]) == (str(seed), "0.7", "faces-64")
    assert text["license"] == faces.metadata["license"]


def test_settings_reach_the_picture(page: Browser, faces: Generator):
    page.put("#seed input", "")  # As while a number is typed: a word below the picture, and no error in the way.
    page.wait("word", lambda: "a seed is missing" in page.run("return document.querySelector('#caption').innerText"))
    for selector, value in (("#seed input", 8), ("#psi input[type=range]", -0.5), ("#cutoff input[type=range]", 4)):
        before = source(page)
        page.put(selector, value)
        changed(page, before)
    before = source(page)
    page.click("#noise label:nth-child(2)")
    settings = {"truncation_psi": -0.5, "truncation_cutoff": 4, "noise_mode": "random", "noise_seed": 0}
    check_same(changed(page, before), faces.sample(seeds=[8], output_type="np", **settings)[0])
    assert page.run("return document.querySelectorAll('.toast-body').length") == 0


def test_an_editing_slider_moves_the_face(page: Browser, faces: Generator):
    before = source(page)
    page.click("#edit button")
    slider = "#edit-age input[type=range]"
    page.wait("sliders", lambda: page.run("return document.querySelector(arguments[0]) !== null", slider))
    page.put(slider, 2)
    ws = faces.edit(faces.ws([5]), bundled_directions(faces)["age"], 2)
    check_same(changed(page, before), faces.render(ws, output_type="np")[0])


def test_the_mixing_board_mixes(page: Browser, faces: Generator):
    before = source(page)
    page.click("button[role=tab]:nth-child(2)")
    mixed = changed(page, before)
    a, b = (int(page.run(f"return document.querySelector('#mix-seed-{side} input').value")) for side in "ab")
    first, second = faces.ws([a]), faces.ws([b])

    def expected(layers: list[int]) -> np.ndarray:
        return faces.render(faces.mix_styles(first, second, layers), output_type="np")[0]

    check_same(mixed, expected([0, 1, 2, 3]))
    check_same(pixels(page, "#mix-a img"), expected([]))
    check_same(pixels(page, "#mix-b img"), expected(list(range(10))))
    page.screenshot("demo-mix")
    before = source(page)
    page.click("#band-middle")
    check_same(changed(page, before), expected([4, 5, 6, 7]))
    before = source(page)
    page.click("#layers label:nth-child(10)")
    check_same(changed(page, before), expected([4, 5, 6, 7, 9]))


def test_the_slider_goes_from_one_face_to_another(page: Browser, faces: Generator):
    before = source(page)
    page.click("button[role=tab]:nth-child(3)")
    changed(page, before)
    before = source(page)
    page.put("#position input[type=range]", 0.25)
    shown = changed(page, before)
    a, b = (int(page.run(f"return document.querySelector('#between-seed-{side} input').value")) for side in "ab")
    ws = faces.ws([a, b])
    check_same(shown, faces.render(ws[:1].lerp(ws[1:], 0.25), output_type="np")[0])


def test_a_face_can_be_picked(page: Browser):
    before = source(page)
    thumbnail = pixels(page, "#gallery .gallery-item:nth-child(3) img")
    page.click("#gallery .gallery-item:nth-child(3) button")
    check_same(changed(page, before), thumbnail)


def test_another_model_brings_its_own_controls(page: Browser):
    before = source(page)
    page.click("#model input")
    page.click("[role=option]:nth-child(2)")
    assert changed(page, before).shape == (16, 16, 3)
    assert page.run("return document.querySelector('#cutoff input[type=range]').max") == "6"
    assert "<b>none</b>" in page.run("return document.querySelector('#licence').innerText")  # Shown, not obeyed.
    before = source(page)
    page.put("#label input[type=range]", 2)
    changed(page, before)


def test_a_phone_shows_everything_in_its_width(phone: Browser, demo_address: str):
    phone.open(demo_address)
    changed(phone, None)
    assert phone.run("return document.documentElement.scrollWidth") <= 390
    wide = phone.run(
        """return [...document.querySelectorAll('button, input, img')].filter((e) => e.checkVisibility())
        .map((e) => e.getBoundingClientRect()).filter((r) => r.width && (r.left < 0 || r.right > 391)).length"""
    )
    assert wide == 0
    before = source(phone)
    phone.click("#new-face")
    changed(phone, before)
    phone.screenshot("demo-phone")


def ask(address: str, data: list) -> str:
    """What the demo answers a program that gives it values."""
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{address}/gradio_api/call/picture", json.dumps({"data": data}).encode(), headers)
    with urllib.request.urlopen(request) as response:
        event = json.load(response)["event_id"]
    with urllib.request.urlopen(f"{address}/gradio_api/call/picture/{event}", timeout=60) as response:
        return response.read().decode()


def test_values_of_programs_are_checked(demo_address: str, faces: Generator):
    strengths = [0] * len(bundled_directions(faces))
    good = ["face", 5, 2, 9, [0, 1], 6, 21, 0.5, "faces-64", 0.7, 10, "const", 0, 0, *strengths]
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
def test_no_other_file_or_service_is_given_away(demo_address: str, path: str):
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(demo_address + path, data=b"x" if path.endswith("upload") else None)
    assert refused.value.code in (403, 404)


def test_another_host_name_and_long_bodies_are_refused(demo_address: str):
    strange = urllib.request.Request(demo_address, headers={"Host": "evil.example"})
    long = urllib.request.Request(f"{demo_address}/gradio_api/queue/join", data=b"x" * 100_000)
    for request in (strange, long):
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(request)
        assert refused.value.code == 403
