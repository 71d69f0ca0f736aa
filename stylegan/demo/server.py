"""The web server of the demo: bound to this computer, and with no more doors than the page needs."""

import os
import socket
import tempfile
from collections.abc import Awaitable, Callable, Mapping, Set
from pathlib import Path
from typing import Any

from ..errors import InputError
from .studio import Studio

# The page's browser asks for nothing else; what else Gradio serves (uploads, proxies, monitoring...) is refused.
PATHS = ("/", "/config", "/theme.css", "/favicon.ico", "/manifest.json", "/robots.txt", "/assets/*", "/static/*")
API = ("info", "config", "theme.css", "startup-events", "app_id", "queue/join", "queue/data", "heartbeat/*", "cancel")
CALLS = ("reset", "call/*", "file=*")
ALLOWED = (*PATHS, *(f"/gradio_api/{path}" for path in (*API, *CALLS)))

MAX_BODY = 65_536

# The browser itself keeps the page from asking any other computer, whatever a version of Gradio may try.
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; worker-src 'self' blob:; object-src 'none'; base-uri 'self'"
)

LOOPBACK = frozenset({"127.0.0.1", "localhost", "[::1]"})

Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]


def serve(studio: Studio, *, host: str = "127.0.0.1", port: int = 7860, ready: Callable[[str], None]) -> None:
    """Show the demo until it is interrupted.

    host: the address to listen on; "127.0.0.1" = this computer alone, "0.0.0.0" = whoever reaches it. port: 0 = any
    free one. ready: called with the page's address as soon as it answers.

    Raises InputError if the port is taken, or without the packages of `pip install "stylegan[demo]"`.
    """
    os.environ |= {"GRADIO_ANALYTICS_ENABLED": "False", "HF_HUB_DISABLE_TELEMETRY": "1"}
    with tempfile.TemporaryDirectory(prefix="stylegan-demo-") as folder:
        os.environ["GRADIO_TEMP_DIR"] = folder  # Read when Gradio is imported; all of it goes with the folder.
        _require_gradio()
        import uvicorn

        listener = _listen(host, port)
        with listener:
            app = _application(studio, Path(folder), host)
            server = uvicorn.Server(uvicorn.Config(app, log_level="warning", server_header=False, ws="none"))
            shown = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
            ready(f"http://{shown}:{listener.getsockname()[1]}")
            server.run(sockets=[listener])


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

    from .page import build_page, css, theme

    app = fastapi.FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    blocks = build_page(studio, folder)
    gr.mount_gradio_app(
        app,
        blocks,
        path="/",
        theme=theme(),
        css=css(),
        footer_links=[],
        show_error=False,
        ssr_mode=False,
        pwa=False,
        mcp_server=False,
        enable_monitoring=False,
    )
    return Guard(app, hosts=LOOPBACK if host in {"127.0.0.1", "localhost", "::1"} else None)


class Guard:
    """Lets requests through that the page makes; answers 403 to every other path, host and to long bodies.

    hosts: names under which the page may be asked for; another one is a stranger's page that points its name at this
    computer. None = any.
    """

    def __init__(self, app: Callable[..., Awaitable[None]], *, hosts: Set[str] | None):
        self.app, self.hosts = app, hosts

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
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

        await self.app(scope, receive, send_with_policy)

    def _is_allowed(self, scope: Mapping[str, Any]) -> bool:
        path, headers = scope["path"], dict(scope["headers"])
        known = any(path.startswith(p[:-1]) if p.endswith("*") else path.rstrip("/") == p.rstrip("/") for p in ALLOWED)
        # `file=` redirects to addresses of other computers.
        if not known or "file=http" in path:
            return False
        if self.hosts is not None and _name(headers.get(b"host", b"").decode("latin-1")) not in self.hosts:
            return False
        length = headers.get(b"content-length", b"0" if scope["method"] in ("GET", "HEAD") else b"")
        return length.isdigit() and int(length) <= MAX_BODY


def _name(host: str) -> str:
    """The name in a Host header, without the port."""
    return host.rsplit(":", 1)[0] if host.rpartition(":")[2].isdigit() else host


async def _refuse(send: Send) -> None:
    await send({"type": "http.response.start", "status": 403, "headers": [(b"content-type", b"text/plain")]})
    await send({"type": "http.response.body", "body": b"not part of the demo\n"})
