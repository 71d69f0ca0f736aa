"""A headless Chromium that tells of every request and every message; servers of the two pages."""

import base64
import io
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from PIL import Image

from stylegan.weights.manifest import DEFAULT_MODEL

from ..conftest import ROOT

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

        For about 30 ms after Gradio has first shown a control, it resets it.
        """
        self.settle()
        self.run(
            """const [field, value] = arguments;
            Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, 'value').set.call(field, value);
            field.dispatchEvent(new Event('input', {bubbles: true}));
            field.dispatchEvent(new Event('change', {bubbles: true}));""",
            self.run("return document.querySelector(arguments[0])", selector),
            str(value),
        )

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


@pytest.fixture(scope="session")
def start_chromium() -> Callable[..., Any]:
    """A function that starts Chromium; tests that need it are skipped where it is not installed."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="needs selenium")
    from selenium.common.exceptions import SessionNotCreatedException

    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    if not chromium or not driver:
        pytest.skip("needs Chromium and its driver: apt-get install chromium chromium-driver")

    def start(width: int, height: int, *, phone: bool = False) -> Any:
        options = webdriver.ChromeOptions()
        options.binary_location = chromium
        for argument in (
            "--headless=new",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            f"--window-size={width},{height}",
        ):
            options.add_argument(argument)
        # What Chromium itself asks the world for would hide what the page asks for.
        for argument in ("--disable-background-networking", "--disable-component-update", "--no-first-run"):
            options.add_argument(argument)
        if os.getuid() == 0:
            options.add_argument("--no-sandbox")
        if phone:
            metrics = {"width": width, "height": height, "pixelRatio": 2, "touch": True}
            options.add_experimental_option("mobileEmulation", {"deviceMetrics": metrics})
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        for _ in range(2):  # The driver waits a minute, which a busy machine may need for other things.
            with suppress(SessionNotCreatedException):
                return webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
        return webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))

    return start


@pytest.fixture(scope="session")
def _desktop(start_chromium: Callable[..., Any]) -> Iterator[Any]:
    driver = start_chromium(*DESKTOP)
    metrics = {"width": DESKTOP[0], "height": DESKTOP[1], "deviceScaleFactor": 1, "mobile": False}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)  # Of the page, without the window's frame.
    yield driver
    driver.quit()


@pytest.fixture
def browser(_desktop: Any) -> Iterator[Browser]:
    """A window of a desktop computer. Whatever a test does, it must leave no request elsewhere and no error."""
    window = Browser(_desktop)
    window.listen()  # What was said before.
    window.requests.clear()
    window.messages.clear()
    yield window
    window.check_quiet()
    window.open("about:blank")


@pytest.fixture
def phone(start_chromium: Callable[..., Any]) -> Iterator[Browser]:
    """A window of a phone."""
    driver = start_chromium(*PHONE, phone=True)
    window = Browser(driver)
    yield window
    window.check_quiet()
    driver.quit()


@dataclass
class RunningDemo:
    """`stylegan demo` in another process."""

    address: str
    folder: Path  # Where it runs.
    errors: Path  # What it says in the terminal beside its address.


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningDemo]:
    """A demo of the default model, of one that has no directions, and of one with classes and an encoder."""
    pytest.importorskip("gradio", reason="needs the extra demo")
    from stylegan.encoder import new_encoder

    from ..conftest import tiny_generator

    folder = tmp_path_factory.mktemp("demo")
    small = tiny_generator(label_dim=3)
    small.metadata = {"name": "small", "license": "<b>none</b>"}
    small.save(folder / "small.safetensors")
    new_encoder(small).save(folder / "encoder.safetensors")
    command = [sys.executable, "-m", "stylegan", "demo", "--port", "0", "--encoder", "encoder.safetensors"]
    for model in (DEFAULT_MODEL, "avatars-64", folder / "small.safetensors"):
        command += ["--model", str(model)]
    errors = folder / "errors.txt"
    # No proxy can be used, and no name be looked up: a server that asked elsewhere would fail.
    with errors.open("w") as stderr:
        server = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            cwd=folder,
            env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"},
        )
    assert server.stdout is not None
    line = server.stdout.readline()
    found = re.search(r"http://127\.0\.0\.1:\d+", line)
    assert found, line
    yield RunningDemo(found[0], folder, errors)
    server.terminate()
    server.wait(20)


@pytest.fixture
def demo_address(demo: RunningDemo) -> str:
    """The address of the demo."""
    return demo.address


@pytest.fixture(scope="session")
def web_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the static page, built as its guide says and shown by a plain file server."""
    npm = shutil.which("npm")
    if not npm:
        pytest.skip("needs npm")
    for package in ("onnx", "onnxruntime", "onnxscript"):
        pytest.importorskip(package, reason="needs the extra onnx")
    folder = tmp_path_factory.mktemp("web") / "web"
    ignored = shutil.ignore_patterns("node_modules", "dist", "model")
    shutil.copytree(ROOT / "examples" / "web", folder, ignore=ignored)
    install = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline"]
    installed = subprocess.run(install, cwd=folder, capture_output=True, text=True)
    if installed.returncode:
        pytest.skip(f"npm cannot install onnxruntime-web: {installed.stderr.strip().splitlines()[-1]}")
    env = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    models = [DEFAULT_MODEL, "avatars-64"]
    for model in models:
        export = [sys.executable, "-m", "stylegan", "export", model, "--noise", "input", "--out", model]
        subprocess.run(export, cwd=folder, env=env, check=True, capture_output=True)
    subprocess.run([npm, "run", "--silent", "build", *models], cwd=folder, check=True, capture_output=True)

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *arguments: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder / "dist"))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


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
