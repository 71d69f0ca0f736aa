"""Headless Chromium, and servers of the two pages."""

import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from stylegan.weights.manifest import DEFAULT_MODEL

from ..conftest import ROOT
from .demo_page import changed, source
from .static_page import build
from .window import DESKTOP, PHONE, Browser


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
        # A camera that shows a clock, and needs nobody's consent.
        options.add_argument("--use-fake-device-for-media-stream")
        options.add_argument("--use-fake-ui-for-media-stream")
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

    def faults(self) -> list[str]:
        """The lines of `errors`, but those on photos that an untrained encoder knows nothing of."""
        return [line for line in self.errors.read_text().splitlines() if "the encoder was trained on" not in line]


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
    for model in (DEFAULT_MODEL, "avatars-128", folder / "small.safetensors"):
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


@pytest.fixture
def page(browser: Browser, demo_address: str) -> Browser:
    """The demo in a window, with its first picture and faces to pick."""
    browser.open(demo_address)
    changed(browser, None)
    browser.wait("faces to pick", lambda: source(browser, "#gallery .gallery-item:nth-child(12) img"))
    return browser


@pytest.fixture(scope="session")
def web_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the static page, built once for all workers and shown by a plain file server."""
    folder = tmp_path_factory.getbasetemp()
    folder = (folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder) / "web"
    with FileLock(f"{folder}.lock"):
        if not (folder / "dist").exists():
            build(folder)

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *arguments: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder / "dist"))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
