"""The web server of the demo: bound to this computer, with only the routes that the page needs."""

import asyncio
import contextlib
import logging
import os
import shutil
import signal
import socket
import sys
import tempfile
import threading
from collections.abc import Awaitable, Callable, Mapping, Set
from pathlib import Path
from types import FrameType
from typing import Any

from ..errors import InputError
from .studio import Studio

# All that the page requests; the rest of what Gradio serves (files, proxies, monitoring...) is refused.
PATHS = ("/", "/config", "/theme.css", "/favicon.ico", "/manifest.json", "/robots.txt", "/assets/*", "/static/*")
API = ("info", "config", "theme.css", "startup-events", "app_id", "queue/join", "queue/data", "heartbeat/*", "cancel")
CALLS = ("reset", "run/predict", "call/*", "file=*")
ALLOWED = (*PATHS, *(f"/gradio_api/{path}" for path in (*API, *CALLS)))

MAX_BODY = 65_536
# For the path on which the page sends photos; it shrinks larger ones.
PHOTO_PATH, MAX_PHOTO_BODY = "/gradio_api/run/predict", 4 * 2**20
BODY_SECONDS = 10.0  # Time limit for a whole body.

# Seconds for open responses when the demo ends, and until it must have ended.
GRACE = 1
LONGEST = 4.0

# The browser itself keeps the page from contacting any other computer, whatever a version of Gradio may try.
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; worker-src 'self' blob:; object-src 'none'; base-uri 'self'"
)

LOOPBACK = frozenset({"127.0.0.1", "localhost", "[::1]"})

Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]


def serve(studio: Studio, *, host: str = "127.0.0.1", port: int = 7860, ready: Callable[[str], None]) -> None:
    """Show the demo until it is interrupted.

    host: the address to listen on; "127.0.0.1" = this computer only, "0.0.0.0" = everyone who can reach it. port: 0 =
    any free one. ready: called with the page's address as soon as it answers.

    Raises InputError if the port is taken, or without the packages of `pip install "stylegan[demo]"`.
    """
    os.environ |= {"GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_DISABLE_TELEMETRY": "1"}
    with tempfile.TemporaryDirectory(prefix="stylegan-demo-") as folder, _End(Path(folder)) as end:
        os.environ["GRADIO_TEMP_DIR"] = folder  # Read when Gradio is imported; deleted with the folder.
        _require_gradio()
        import uvicorn

        listener = _listen(host, port)
        with listener:
            app = _application(studio, Path(folder), host)
            config = uvicorn.Config(
                app, log_level="warning", server_header=False, ws="none", timeout_graceful_shutdown=GRACE
            )
            server = end.server = uvicorn.Server(config)
            # Signals are ours: uvicorn's would wait for what is open, and die before the folder is deleted.
            server.capture_signals = contextlib.nullcontext  # type: ignore
            logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
            shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
            ready(f"http://{shown}:{listener.getsockname()[1]}")
            server.run(sockets=[listener])


class _End:
    """The first signal ends the server within seconds, whatever is open or computed; a second one at once.

    Either way the folder is deleted, and the exit status is 128 plus the signal's number.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self.server: Any = None
        self.number = 0
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "_End":
        if threading.current_thread() is threading.main_thread():  # No other may have handlers.
            names = ("SIGINT", "SIGTERM", "SIGHUP")
            numbers = [int(getattr(signal, name)) for name in names if hasattr(signal, name)]
            self._before = {number: signal.signal(number, self._handle) for number in numbers}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        if self.number:
            self.at_once()  # The server would wait for an image that is being computed.

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.number:
            self.at_once()
        self.number = number
        timer = threading.Timer(LONGEST, self.at_once)
        timer.daemon = True
        timer.start()
        if self.server is None:
            sys.exit(128 + number)
        self.server.should_exit = True

    def at_once(self) -> None:
        """Leave, without waiting for threads."""
        shutil.rmtree(self.folder, ignore_errors=True)
        sys.stdout.flush()
        os._exit(128 + self.number)


def _require_gradio() -> None:
    try:
        import gradio  # noqa: F401
    except ImportError as error:
        raise InputError(f'the demo needs Gradio ({error}): pip install "stylegan[demo]"') from error


def _listen(host: str, port: int) -> socket.socket:
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise InputError(f"cannot listen on {host} port {port} ({error}); choose another with --port") from error


def _application(studio: Studio, folder: Path, host: str) -> Any:
    """The page behind its guard."""
    import fastapi
    import gradio as gr

    from .page import build_page, css, script, theme

    app = fastapi.FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    blocks = build_page(studio, folder)
    gr.mount_gradio_app(
        app,
        blocks,
        path="/",
        theme=theme(),
        css=css(),
        js=script(),
        footer_links=[],
        show_error=False,
        ssr_mode=False,
        pwa=False,
        mcp_server=False,
        enable_monitoring=False,
    )
    return Guard(app, hosts=LOOPBACK if host in {"127.0.0.1", "localhost", "::1"} else None)


class Guard:
    """Passes on requests that the page makes; answers 403 to other paths and hosts, and to long bodies.

    hosts: valid names in Host headers; another one is a stranger's page that points its name at this computer.
    None = any.
    """

    def __init__(self, app: Callable[..., Awaitable[None]], *, hosts: Set[str] | None):
        self.app, self.hosts = app, hosts

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        """Pass the request on, or answer 403."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http" or not self._is_allowed(scope):
            await _refuse(send)
            return

        async def send_with_policy(message: Mapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                more = [(b"content-security-policy", POLICY.encode()), (b"x-content-type-options", b"nosniff")]
                message = {**message, "headers": [*message.get("headers", []), *more]}
            await send(message)

        await self.app(scope, _limited(receive, _most(scope["path"])), send_with_policy)

    def _is_allowed(self, scope: Mapping[str, Any]) -> bool:
        path, headers = scope["path"], dict(scope["headers"])
        known = any(path.startswith(p[:-1]) if p.endswith("*") else path.rstrip("/") == p.rstrip("/") for p in ALLOWED)
        # `file=` redirects to addresses of other computers.
        if not known or "file=http" in path:
            return False
        if self.hosts is not None and _name(headers.get(b"host", b"").decode("latin-1")) not in self.hosts:
            return False
        if b"transfer-encoding" in headers:  # The length is not announced.
            return False
        length = headers.get(b"content-length", b"0" if scope["method"] in ("GET", "HEAD") else b"")
        return length.isdigit() and int(length) <= _most(path)


def _name(host: str) -> str:
    """The name in a Host header, without the port."""
    return host.rsplit(":", 1)[0] if host.rpartition(":")[2].isdigit() else host


def _most(path: str) -> int:
    """The most bytes of a body on a path."""
    return MAX_PHOTO_BODY if path.rstrip("/") == PHOTO_PATH else MAX_BODY


def _limited(receive: Receive, most: int) -> Receive:
    """The messages of a request; the client counts as gone if its body is too long or too slow."""
    received, is_whole = 0, False

    async def limited() -> Mapping[str, Any]:
        nonlocal received, is_whole
        if is_whole:  # Only a disconnect can follow.
            return await receive()
        try:
            message = await asyncio.wait_for(receive(), BODY_SECONDS)
        except TimeoutError:
            return {"type": "http.disconnect"}
        received += len(message.get("body", b""))
        is_whole = not message.get("more_body", False)
        return message if received <= most else {"type": "http.disconnect"}

    return limited


async def _refuse(send: Send) -> None:
    headers = [(b"content-type", b"text/plain"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": 403, "headers": headers})
    await send({"type": "http.response.body", "body": b"not part of the demo\n"})
