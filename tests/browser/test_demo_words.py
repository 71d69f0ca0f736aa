"""`stylegan demo` in a browser: what is seen beside the picture, on a desktop and on a phone, and its words."""

from functools import partial

import pytest

from stylegan import Generator
from stylegan.editing import bundled_directions

from .conftest import RunningDemo
from .demo_page import PICTURE, changed, choose_model, exists, open_edits, source, text, toasts
from .window import PHONE, Browser, check_in_view

pytestmark = [pytest.mark.browser, pytest.mark.flaky(reruns=1)]  # A rerun is told of in pytest's last line.


def test_the_picture_stays_in_view_while_sliders_move(page: Browser) -> None:
    check_every_control_beside_the_picture(page)


def test_the_picture_stays_in_view_on_a_phone(phone: Browser, demo_address: str) -> None:
    phone.open(demo_address)
    changed(phone, None)
    phone.settle()
    check_every_control_beside_the_picture(phone)


def check_every_control_beside_the_picture(browser: Browser) -> None:
    edits = [f"[id='edit-{name}']" for name in open_edits(browser)]
    assert len(edits) == 8
    check_in_view(browser, PICTURE, "#noise label:nth-child(3)")
    for selector in ("#psi", "#cutoff", *edits):
        check_in_view(browser, PICTURE, f"{selector} input[type=range]")
    before, where = source(browser), browser.run("return scrollY")
    browser.put(f"{edits[-1]} input[type=range]", 2)
    changed(browser, before)
    assert browser.run("return scrollY") == where > 0
    if browser.run("return innerWidth") == PHONE[0]:
        browser.screenshot("demo-phone", top=False)
    for tab, controls in ((2, ["#band-fine", "#layers label:last-child"]), (3, ["#position input[type=range]"])):
        browser.click(f"button[role=tab]:nth-child({tab})")
        for selector in controls:
            browser.wait(selector, partial(exists, browser, selector))
            check_in_view(browser, PICTURE, selector)


def test_edit_opens_filled_or_says_why_not(page: Browser, default: Generator) -> None:
    names = sorted(bundled_directions(default))
    choose_model(page, 3)
    assert open_edits(page) == []
    assert "small.safetensors comes without editing directions" in text(page, "#edit")
    choose_model(page, 1)
    page.wait("sliders", lambda: exists(page, "#edit-age input[type=range]"))
    assert "without editing directions" not in text(page, "#edit")
    page.click("#edit button")
    page.wait("closed", lambda: not exists(page, "#edit-age input[type=range]"))
    assert open_edits(page) == names


def test_the_words_fit_the_model(page: Browser) -> None:
    assert text(page, "#title p") == "Faces of adults, 128x128, made on this computer"
    choose_model(page, 2)
    assert text(page, "#title p") == "Cartoon heads, 128x128, made on this computer"
    choose_model(page, 3)
    assert text(page, "#title p") == "Pictures of 16x16, made on this computer"


@pytest.mark.parametrize("typed", ["1.5", "", "-1", "4294967296", "1e99", "-", "99999999999999999999"])
def test_odd_seeds_are_one_message_in_place_of_the_settings(page: Browser, demo: RunningDemo, typed: str) -> None:
    page.clear("#seed input")
    page.type("#seed input", typed)
    page.wait("message", lambda: "seed" in text(page, "#caption .wrong"))
    page.settle()
    wanted = (
        "a seed is missing: enter an integer" if typed in ("", "-") else "a seed must be an integer from 0 to 42949"
    )
    assert text(page, "#caption .wrong").startswith(wanted)
    assert page.run("return document.querySelectorAll('#caption span').length") == 1
    assert toasts(page) == 0
    before = source(page)
    page.clear("#seed input")
    page.type("#seed input", 8)
    changed(page, before)
    page.wait("settings", lambda: "Seed 8" in text(page, "#caption"))
    assert demo.faults() == []


@pytest.mark.parametrize(("slider", "typed"), [("psi", "99"), ("psi", ""), ("cutoff", "2.5"), ("cutoff", "-3")])
def test_odd_numbers_beside_sliders_are_no_heap_of_messages(
    page: Browser, demo: RunningDemo, slider: str, typed: str
) -> None:
    page.clear(f"#{slider} input[type=number]")
    page.type(f"#{slider} input[type=number]", typed)
    page.click("#title")
    page.settle()
    assert toasts(page) == 0
    assert demo.faults() == []


def test_the_caption_has_the_words_of_the_controls(page: Browser) -> None:
    page.click("#noise label:nth-child(2)")
    page.put("#cutoff input[type=range]", 4)
    open_edits(page)
    page.put("#edit-age input[type=range]", 1)
    for tab, more in (
        (1, {"Seed"}),
        (2, {"Seed A", "Seed B", "Layers from B"}),
        (3, {"Seed A", "Seed B", "From A to B"}),
    ):
        page.click(f"button[role=tab]:nth-child({tab})")
        words = {"Model", "Truncation psi", "Truncated layers", "Noise", "Noise seed", "age"} | more

        def told() -> dict[str, str]:
            pair = "[e.firstChild.data.trim(), e.children[0].innerText]"
            return dict(page.run(f"return [...document.querySelectorAll('#caption span')].map((e) => {pair})"))

        page.wait("words", partial(lambda words: set(told()) == words, words))
        assert told()["Noise"] == "random"
        labels = "[...document.querySelectorAll('#right [data-testid=block-info], #right label, #right legend')]"
        shown = page.run(f"return {labels}.filter((e) => e.checkVisibility()).map((e) => e.innerText.trim())")
        hidden = {"Model", "Layers from B"}  # The one box at the top, and the boxes of the layers.
        assert words - hidden <= {line for label in shown for line in label.splitlines()}


def test_a_phone_shows_everything_in_its_width(phone: Browser, demo_address: str) -> None:
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
