"""The page of `stylegan demo`: its pictures, words and controls."""

import numpy as np

from .window import Browser, pixels

PICTURE = "#picture img"


def source(browser: Browser, selector: str = PICTURE) -> str | None:
    """The address of a picture that has been loaded."""
    address: str | None = browser.run(
        "const i = document.querySelector(arguments[0]); return i?.complete && i.naturalWidth ? i.src : null", selector
    )
    return address


def changed(browser: Browser, before: str | None, selector: str = PICTURE) -> np.ndarray:
    """The pixels of the picture that takes the place of another."""
    browser.wait("new picture", lambda: source(browser, selector) not in (None, before))
    return pixels(browser, selector)


def check_same(shown: np.ndarray, expected: np.ndarray) -> None:
    """Batches of another size may round otherwise: at most 1 of 255 apart."""
    assert shown.shape == expected.shape
    assert np.abs(shown.astype(int) - expected).max() <= 1


def text(browser: Browser, selector: str) -> str:
    """What can be read in a part of the page; nothing if it is not shown."""
    return str(browser.run("return document.querySelector(arguments[0])?.innerText ?? ''", selector))


def exists(browser: Browser, selector: str) -> bool:
    return bool(browser.run("return document.querySelector(arguments[0])?.checkVisibility() ?? false", selector))


def toasts(browser: Browser) -> int:
    return int(browser.run("return document.querySelectorAll('.toast-body').length"))


def open_edits(browser: Browser) -> list[str]:
    """Open "Edit", and the names of its sliders."""
    browser.click("#edit button")
    browser.wait("something", lambda: exists(browser, "#edit input[type=range]") or exists(browser, "#no-edits"))
    sliders = "return [...document.querySelectorAll('#edit input[type=range]')]"
    names = browser.run(
        f"{sliders}.filter((e) => e.checkVisibility()).map((e) => e.closest('[id^=edit-]').id.slice(5))"
    )
    return list(names)


def choose_model(browser: Browser, number: int) -> None:
    before = source(browser)
    browser.click("#model input")
    browser.click(f"[role=option]:nth-child({number})")
    changed(browser, before)
