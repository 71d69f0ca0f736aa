"""The demo's real server: what it refuses, what it keeps, and how it ends, whatever is open."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from stylegan import images
from stylegan.demo import server
from stylegan.demo.kept import KeptImages
from stylegan.demo.server import MAX_BODY, _limited

from ..conftest import ROOT, tiny_generator

ENV = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


class Demo:
    """`stylegan demo` in another process."""

    def __init__(self, folder: Path):
        self.temporary = folder / "tmp"
        self.temporary.mkdir(parents=True)
        tiny_generator().save(folder / "tiny.safetensors")
        command = [sys.executable, "-m", "stylegan", "demo", "--port", "0", "--model", str(folder / "tiny.safetensors")]
        self.errors = folder / "errors.txt"
        with self.errors.open("w") as errors:
            self.process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=errors, text=True, env=ENV | {"TMPDIR": str(self.temporary)}
            )
        assert self.process.stdout
        line = self.process.stdout.readline()
        assert "http://" in line, self.errors.read_text()
        self.url = line.split()[4]
        self.config = json.loads(urllib.request.urlopen(f"{self.url}/config", timeout=30).read())
        self.call = next(d for d in self.config["dependencies"] if d["api_name"] == "picture")
        known = {c["id"]: c["props"] for c in self.config["components"]}
        self.names = [known[i].get("elem_id") or known[i].get("label") for i in self.call["inputs"]]
        self.values = [known[i].get("value") for i in self.call["inputs"]]

    def connect(self, data: str) -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", int(self.url.rpartition(":")[2])), timeout=10)
        connection.sendall(data.encode())
        return connection

    def picture(self, session: str, **changes: Any) -> dict[str, Any]:
        """What the page gets for these values of its controls."""
        values = [changes.get(name.replace("-", "_"), v) for name, v in zip(self.names, self.values, strict=True)]
        body = {"data": values, "fn_index": self.call["id"], "session_hash": session}
        request = urllib.request.Request(
            f"{self.url}/gradio_api/queue/join", json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        urllib.request.urlopen(request, timeout=30).close()
        with urllib.request.urlopen(f"{self.url}/gradio_api/queue/data?session_hash={session}", timeout=30) as events:
            for line in events:
                message = json.loads(line[5:]) if line.startswith(b"data:") else {}
                if message.get("msg") == "process_completed":
                    return dict(message["output"])
        raise AssertionError("no answer")

    def files(self) -> set[str]:
        return {path.name for path in self.temporary.rglob("*") if path.is_file()}

    def memory(self) -> int:
        """MB that the process has had at most."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmHWM:")[1].split()[0]) // 1024


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    pytest.importorskip("gradio", reason="needs the extra demo")
    demo = Demo(tmp_path_factory.mktemp("demo"))
    yield demo
    demo.process.kill()
    demo.process.wait()


@pytest.mark.parametrize("value", [1.5, float("nan"), float("inf"), -1, 2**32, 2**40, "x", [1], {}, True])
def test_odd_seeds_are_one_message(demo: Demo, value: Any) -> None:
    assert "a seed must be an integer from 0 to 4294967295" in demo.picture("odd", seed=value)["error"]
    assert demo.errors.read_text() == ""


def test_an_empty_seed_is_a_word_in_place_of_the_caption(demo: Demo) -> None:
    for changes in ({"seed": None}, {"what": "mix", "mix_seed_b": None}, {"noise": "random", "noise_seed": None}):
        assert "a seed is missing: enter an integer" in demo.picture("empty", **changes)["data"][1]


@pytest.mark.parametrize(
    "changes",
    [
        {"what": "mix", "layers": [0] * 100},
        {"what": "mix", "layers": [0, 1, 2, 3, 4, 5] * 100},
        {"what": "mix", "layers": "0"},
        {"what": "mix", "layers": [{}]},
        {"what": ["face"]},
        {"what": "between", "position": float("nan")},
        {"psi": "1"},
        {"psi": float("nan")},
        {"psi": -9},
        {"cutoff": 99},
        {"cutoff": 1.5},
        {"noise": "loud"},
        {"noise": "random", "noise_seed": -1},
        {"model": "/etc/passwd"},
        {"model": [1]},
    ],
)
def test_odd_values_are_one_message(demo: Demo, changes: dict[str, Any]) -> None:
    assert demo.picture("odd", **changes)["error"]
    assert demo.errors.read_text() == ""


def test_fields_that_are_not_in_use_may_be_empty(demo: Demo) -> None:
    assert "data" in demo.picture("empty", mix_seed_a=None, between_seed_b=None, noise_seed=None)


@pytest.mark.parametrize("length", ["", "Content-Length: 10\r\n"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_bodies_in_chunks_fill_no_memory(demo: Demo, method: str, length: str) -> None:
    before = demo.memory()
    head = f"{method} /gradio_api/queue/join HTTP/1.1\r\nHost: 127.0.0.1\r\n{length}Transfer-Encoding: chunked\r\n\r\n"
    with demo.connect(head) as connection:
        try:
            for _ in range(100):
                connection.sendall(b"100000\r\n" + bytes(2**20) + b"\r\n")
            refused = False
        except OSError:
            refused = True
    assert refused
    assert demo.memory() < before + 20


def test_pictures_go_with_the_session_that_saw_them(demo: Demo) -> None:
    beats = [demo.connect(f"GET /gradio_api/heartbeat/{s} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n") for s in ("one", "two")]
    assert all(beat.recv(15) == b"HTTP/1.1 200 OK" for beat in beats)
    demo.picture("one", seed=41)
    demo.picture("one", seed=42)
    demo.picture("two", seed=42)
    assert {"seed41.png", "seed42.png"} <= demo.files()
    beats[0].close()
    assert eventually(lambda: "seed41.png" not in demo.files())
    assert "seed42.png" in demo.files()
    beats[1].close()
    assert eventually(lambda: "seed42.png" not in demo.files())


def test_it_ends_whatever_is_open_and_leaves_nothing(demo: Demo) -> None:
    """The last test of this server."""
    host = "HTTP/1.1\r\nHost: 127.0.0.1\r\n"
    requests = [
        f"GET /gradio_api/heartbeat/last {host}\r\n",
        f"GET /gradio_api/queue/data?session_hash=last {host}\r\n",
        f"POST /gradio_api/queue/join {host}Content-Length: 100\r\n\r\n{{",
        "GET / HT",
    ]
    connections = [demo.connect(request) for request in requests]
    assert connections[0].recv(15) == b"HTTP/1.1 200 OK"
    demo.process.send_signal(signal.SIGTERM)
    assert demo.process.wait(5) == 128 + signal.SIGTERM
    assert list(demo.temporary.iterdir()) == []
    assert "Traceback" not in demo.errors.read_text()


ENDLESS = """
import sys, time, types
from pathlib import Path
sys.modules["stylegan.demo.studio"] = types.SimpleNamespace(Look=None, Studio=None)  # They would load torch.
from stylegan.demo import server
server.LONGEST = float(sys.argv[2])
with server._End(Path(sys.argv[1])) as end:
    if sys.argv[3] == "serving":
        end.server = types.SimpleNamespace()
    print("ready", flush=True)
    while True:
        time.sleep(0.01)
"""


@pytest.mark.parametrize(
    ("longest", "state", "signals"),
    [
        (60, "serving", [signal.SIGINT, signal.SIGINT]),
        (60, "serving", [signal.SIGTERM, signal.SIGINT]),
        (60, "serving", [signal.SIGTERM, signal.SIGTERM]),
        (60, "serving", [signal.SIGHUP, signal.SIGHUP]),
        (0.1, "serving", [signal.SIGTERM]),
        (60, "starting", [signal.SIGTERM]),
    ],
)
def test_a_second_signal_or_some_seconds_end_it_at_once(
    tmp_path: Path, longest: float, state: str, signals: list[int]
) -> None:
    (tmp_path / "folder").mkdir()
    command = [sys.executable, "-c", ENDLESS, str(tmp_path / "folder"), str(longest), state]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, env=ENV)
    assert process.stdout
    assert process.stdout.readline() == b"ready\n"
    for number in signals:
        process.send_signal(number)
        time.sleep(0.1)
    assert process.wait(20) == 128 + signals[0]
    assert not (tmp_path / "folder").exists()


def eventually(condition: Any) -> bool:
    """Whether it becomes true within some seconds."""
    for _ in range(200):
        if condition():
            return True
        time.sleep(0.05)
    return False


# Without a server.


def messages(*parts: tuple[int, bool]) -> list[dict[str, Any]]:
    return [{"type": "http.request", "body": bytes(size), "more_body": more} for size, more in parts]


def all_of(queue: list[dict[str, Any]], count: int) -> list[str]:
    async def receive() -> dict[str, Any]:
        if not queue:
            await asyncio.sleep(60)
        return queue.pop(0)

    async def run() -> list[str]:
        limited = _limited(receive, MAX_BODY)
        return [(await limited())["type"] for _ in range(count)]

    return asyncio.run(run())


def test_a_body_that_is_too_long_or_too_slow_counts_as_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "BODY_SECONDS", 0.05)
    assert all_of(messages((MAX_BODY // 2, True), (MAX_BODY // 2, False)), 2) == ["http.request", "http.request"]
    assert all_of(messages((MAX_BODY, True), (1, True)), 2) == ["http.request", "http.disconnect"]
    assert all_of(messages((1, True)), 2) == ["http.request", "http.disconnect"]


def test_kept_pictures_have_a_limit_and_the_longest_unseen_go(tmp_path: Path) -> None:
    kept = KeptImages(tmp_path, limit=3)

    def keep(seed: int, session: str = "a") -> Path:
        picture = images.remember(Image.new("RGB", (4, 4)), {"seed": seed})
        return Path(kept.keep(session, [picture])[0])

    one, two, three = keep(1), keep(2), keep(3)
    assert keep(1) == one
    four = keep(4)
    assert [path.exists() for path in (one, two, three, four)] == [True, False, True, True]
    keep(4, "b")
    kept.forget("a")
    assert [path.exists() for path in (one, three, four)] == [False, False, True]
    assert [path.name for path in tmp_path.iterdir()] == [four.parent.name]
    for i in range(2000):
        keep(4, f"{i}" * 100)
    assert len(kept.seen_by[four]) <= 1000
