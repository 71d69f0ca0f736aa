"""The Space in a browser: it opens with a face of the default model, and makes another."""

import pytest

from .demo_page import source
from .window import Browser

pytestmark = [pytest.mark.browser, pytest.mark.flaky(reruns=1)]


# The browser is listened to before the Space ends: the one asked for last is put away first.
def test_the_space_opens_with_a_face_and_makes_another(space_address: str, browser: Browser) -> None:
    browser.open(space_address)
    first = browser.wait("first face", lambda: source(browser))
    browser.click("#new-face")
    browser.wait("another face", lambda: source(browser) not in (None, first))
