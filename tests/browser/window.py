"""A window of a headless Chromium, which tells of every request and every message."""

import base64
import io
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from PIL import Image

# Width and height of what the page is given.
DESKTOP, PHONE = (1280, 800), (390, 844)


class Browser:
    """One window of Chromium."""

    def __init__(self, driver: Any):
        self.driver = driver
        driver.set_script_timeout(120)  # A busy machine may take its time.
        self.requests: list[str] = []
        self.messages: list[str] = []

    def open(self, address: str) -> None:
        self.driver.get(address)

    def run(self, script: str, *arguments: Any) -> Any:
        """The value of a script's `return`."""
        return self.driver.execute_script(script, *arguments)

    def wait(self, what: str, condition: Callable[[], Any], seconds: float = 60) -> Any:
        """The first true value of a condition."""
        deadline = time.monotonic() + seconds
        while not (value := condition()):
            if time.monotonic() > deadline:
                self.listen()
                pytest.fail(f"no {what} within {seconds} s; messages: {self.messages[-5:]}")
            time.sleep(0.05)
        return value

    def click(self, selector: str) -> None:
        """Click what a person sees: scrolled to, and not covered."""
        from selenium.webdriver.common.by import By

        element = self.driver.find_element(By.CSS_SELECTOR, selector)
        self.run("arguments[0].scrollIntoView({block: 'center'})", element)
        element.click()

    def type(self, selector: str, text: object) -> None:
        from selenium.webdriver.common.by import By
        from selenium.webdriver.common.keys import Keys

        element = self.driver.find_element(By.CSS_SELECTOR, selector)
        self.run("arguments[0].scrollIntoView({block: 'center'})", element)
        element.send_keys(Keys.CONTROL + "a")
        element.send_keys(str(text))

    def put(self, selector: str, value: float | str) -> None:
        """Give a slider or a field its whole value at once, on a still page.

        Soon after Gradio has first shown a control, it resets it, on a busy machine also later; then it is put again.
        """
        for _ in range(3):
            self.settle()
            was_reset = self.driver.execute_async_script(
                """const [field, value, done] = arguments, before = field.value;
                Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, 'value').set.call(field, value);
                const put = field.value;
                field.dispatchEvent(new Event('input', {bubbles: true}));
                field.dispatchEvent(new Event('change', {bubbles: true}));
                setTimeout(() => done(put !== before && field.value === before), 100);""",
                self.driver.find_element("css selector", selector),
                str(value),
            )
            if not was_reset:
                return

    def clear(self, selector: str) -> None:
        """Empty a field as a person does."""
        from selenium.webdriver.common.by import By
        from selenium.webdriver.common.keys import Keys

        self.driver.find_element(By.CSS_SELECTOR, selector).send_keys(Keys.CONTROL + "a", Keys.DELETE)

    def settle(self) -> None:
        """Wait until the server has answered all, and nothing on the page changes."""
        self.driver.execute_async_script(
            """const done = arguments[0];
            let last = setTimeout(finish, 500);
            const watch = new MutationObserver(() => { clearTimeout(last); last = setTimeout(finish, 500); });
            function finish() { watch.disconnect(); done(); }
            watch.observe(document.body, {subtree: true, childList: true, characterData: true, attributes: true});"""
        )

    def screenshot(self, name: str, *, top: bool = True) -> None:
        """Keep a picture of the window, from its top or as it is, in the folder SCREENSHOTS, if that is set."""
        if folder := os.environ.get("SCREENSHOTS"):
            if top:
                self.run("window.scrollTo({top: 0, behavior: 'instant'})")
            data = self.driver.execute_cdp_cmd("Page.captureScreenshot", {"format": "png"})["data"]
            with Image.open(io.BytesIO(base64.b64decode(data))) as shown:
                shown.convert("RGB").save(Path(folder) / f"{name}.webp", quality=85, method=6)

    def listen(self) -> None:
        """Collect what was asked for and what was said since the last time."""
        for entry in self.driver.get_log("performance"):
            event = json.loads(entry["message"])["message"]
            if event["method"] == "Network.requestWillBeSent":
                self.requests.append(event["params"]["request"]["url"])
            if event["method"] == "Network.webSocketCreated":
                self.requests.append(event["params"]["url"])
        self.messages += [e["message"] for e in self.driver.get_log("browser") if e["level"] == "SEVERE"]

    def check_quiet(self) -> None:
        """Every request stayed on this computer, and no error was reported."""
        self.listen()
        assert len(self.requests) > 5
        strangers = [url for url in self.requests if urlsplit(url).hostname != "127.0.0.1" and not is_local(url)]
        assert strangers == []
        assert self.messages == []


def is_local(url: str) -> bool:
    """Whether an address is part of the page itself."""
    return urlsplit(url).scheme in ("data", "blob")


def check_in_view(browser: Browser, selector: str, control: str) -> None:
    """With a control scrolled to the lower edge of the window, nothing covers it or the picture."""
    covered = browser.run(
        """const [picture, control] = [...arguments].map((selector) => document.querySelector(selector));
        control.scrollIntoView({block: 'end', behavior: 'instant'});
        const hidden = (element, x, y) => {
            const r = element.getBoundingClientRect();
            const top = document.elementFromPoint(r.left + x * r.width, r.top + y * r.height);
            return !top || !(element === top || element.contains(top) || top.contains(element));
        };
        const places = [0.1, 0.5, 0.9];
        return hidden(control, 0.5, 0.5) || places.some((x) => places.some((y) => hidden(picture, x, y)));""",
        selector,
        control,
    )
    assert not covered, control


def pixels(browser: Browser, selector: str) -> np.ndarray:
    """The pixels of a canvas or an image, [H, W, 3] of uint8."""
    size, flat = browser.run(
        """const shown = document.querySelector(arguments[0]);
        const canvas = document.createElement('canvas');
        canvas.width = shown.naturalWidth ?? shown.width;
        canvas.height = shown.naturalHeight ?? shown.height;
        const context = canvas.getContext('2d');
        context.drawImage(shown, 0, 0);
        const data = context.getImageData(0, 0, canvas.width, canvas.height).data;
        return [[canvas.height, canvas.width], btoa(String.fromCharCode(...data))];""",
        selector,
    )
    return np.frombuffer(base64.b64decode(flat), np.uint8).reshape(*size, 4)[..., :3]
