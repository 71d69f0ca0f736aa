"""The demo without a browser: the pictures behind the page, what strangers may ask for, and how it fails."""

import asyncio
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

from stylegan import Generator, cli
from stylegan.demo import Look, Studio
from stylegan.demo.server import MAX_BODY, Guard
from stylegan.demo.words import class_names
from stylegan.errors import InputError, NotFoundError
from stylegan.weights.manifest import DEFAULT_MODEL

from ..conftest import tiny_generator

LOOK = Look("tiny", truncation_psi=0.5)


def studio_of(G: Generator, folder: Any, **options: Any) -> Studio:
    G.save(folder / "tiny.safetensors")
    return Studio({"tiny": str(folder / "tiny.safetensors")}, **options)


@pytest.fixture(scope="module")
def studio(tiny: Generator, tmp_path_factory: pytest.TempPathFactory) -> Studio:
    return studio_of(tiny, tmp_path_factory.mktemp("studio"))


def arrays(pictures: list[Image.Image]) -> np.ndarray:
    return np.stack([np.asarray(picture) for picture in pictures])


def test_faces_are_those_of_sample_and_remember_as_much(studio: Studio, tiny: Generator) -> None:
    look = Look("tiny", truncation_psi=-0.5, truncation_cutoff=3, noise_mode="random", noise_seed=7)
    faces = studio.faces([3, 4], look)
    settings: dict[str, Any] = {"truncation_psi": -0.5, "truncation_cutoff": 3, "noise_mode": "random", "noise_seed": 7}
    expected = tiny.sample(seeds=[3, 4], **settings)
    assert (arrays(faces) == arrays(expected)).all()
    # The studio's network is another one's copy, from a file.
    assert [face.info | {"source": ""} for face in faces] == [image.info | {"source": ""} for image in expected]


def test_mixing_takes_the_layers_of_the_second_and_shows_both(studio: Studio, tiny: Generator) -> None:
    pictures = studio.mix([1, 2], [5, 0, 0], LOOK)
    a, b = tiny.ws([1, 2], truncation_psi=0.5).split(1)
    expected = tiny.render(torch.cat([tiny.mix_styles(a, b, [0, 5]), a, b]))
    assert (arrays(pictures) == arrays(expected)).all()
    assert (pictures[0].info["seeds"], pictures[0].info["layers"]) == ("[1, 2]", "[0, 5]")
    assert "layers" not in pictures[1].info


def test_the_way_between_two_faces_begins_and_ends_with_them(studio: Studio) -> None:
    for position, end in ((0, 1), (1, 2)):
        pictures = arrays(studio.between([1, 2], position, LOOK))
        assert (pictures[0] == pictures[end]).all()
    middle, a, b = arrays(studio.between([1, 2], 0.5, LOOK))
    assert (middle != a).any()
    assert (middle != b).any()


def test_directions_move_ws_by_their_strength(tiny: Generator, tmp_path: Path) -> None:
    push = torch.full((tiny.w_dim,), 0.3)
    studio = studio_of(tiny, tmp_path, directions={"tiny": {"smile": lambda ws, strength: ws + strength * push}})
    face = studio.faces([1], Look("tiny", strengths=(("smile", -2.0),)))[0]
    assert (np.asarray(face) == np.asarray(tiny.render(tiny.ws([1]) - 2 * push)[0])).all()
    assert face.info["direction smile"] == "-2.0"
    with pytest.raises(InputError, match="no direction 'frown'; it has smile"):
        studio.faces([1], Look("tiny", strengths=(("frown", 1.0),)))


def test_classes_of_conditional_models(tmp_path: Path) -> None:
    G = tiny_generator(label_dim=3)
    studio = studio_of(G, tmp_path)
    face = studio.faces([1], Look("tiny", label=2))[0]
    assert (np.asarray(face) == G.sample(seeds=[1], labels=2, output_type="np")[0]).all()
    with pytest.raises(InputError, match="a label must be an integer from 0 to 2"):
        studio.faces([1], Look("tiny", label=3))


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda s: s.faces([1], Look("/etc/passwd")), "unknown model '/etc/passwd'; expected one of tiny"),
        (lambda s: s.faces(["1"], LOOK), "a seed must be an integer"),
        (lambda s: s.faces([2**32], LOOK), "a seed must be an integer"),
        (lambda s: s.faces([1], Look("tiny", truncation_psi=float("nan"))), "psi must be a number from -2 to 2"),
        (lambda s: s.faces([1], Look("tiny", truncation_psi="1")), "psi must be a number"),  # type: ignore[arg-type]
        (lambda s: s.faces([1], Look("tiny", truncation_cutoff=7)), "the cutoff must be an integer from 0 to 6"),
        (lambda s: s.faces([1], Look("tiny", noise_mode="loud")), "noise_mode must be one of"),  # type: ignore[arg-type]
        (lambda s: s.faces([1], Look("tiny", noise_mode="random", noise_seed=-1)), "a seed must be an integer"),
        (lambda s: s.mix([1, 2], [6], LOOK), "a layer must be an integer from 0 to 5"),
        (lambda s: s.mix([1, 2], [0, 1, 2, 3, 4, 5] * 100, LOOK), "600 layers are more than the model has: it has 6"),
        (lambda s: s.mix([1], [0], LOOK), "expected two seeds"),
        (lambda s: s.between([1, 2], 1.5, LOOK), "the position must be a number from 0 to 1"),
        (lambda s: s.between([1, 2], True, LOOK), "the position must be a number from 0 to 1"),
    ],
)
def test_what_a_stranger_may_send_is_checked(studio: Studio, ask: Callable[..., Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        ask(studio)


def answer(method: str, path: str, headers: dict[str, str], hosts: set[str] | None) -> int:
    """The status with which the guard answers; 200 where it lets a request through."""
    sent: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def receive() -> dict[str, Any]:
        return {}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "headers": [(key.encode(), value.encode()) for key, value in headers.items()],
    }
    asyncio.run(Guard(app, hosts=hosts)(scope, receive, send))
    if sent[0]["status"] == 200:
        assert b"default-src 'self'" in dict(sent[0]["headers"])[b"content-security-policy"]
    return int(sent[0]["status"])


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("GET", "/", {"host": "127.0.0.1:7860"}, 200),
        ("GET", "/", {"host": "[::1]:7860"}, 200),
        ("GET", "/assets/index.js", {"host": "localhost"}, 200),
        ("POST", "/gradio_api/queue/join", {"host": "localhost", "content-length": str(MAX_BODY)}, 200),
        ("POST", "/gradio_api/queue/join", {"host": "localhost", "content-length": str(MAX_BODY + 1)}, 403),
        ("POST", "/gradio_api/queue/join", {"host": "localhost"}, 403),
        ("POST", "/gradio_api/queue/join", {"host": "localhost", "content-length": "-1"}, 403),
        (
            "POST",
            "/gradio_api/queue/join",
            {"host": "localhost", "content-length": "1", "transfer-encoding": "chunked"},
            403,
        ),
        ("GET", "/", {"host": "localhost", "transfer-encoding": "chunked"}, 403),
        ("POST", "/gradio_api/upload", {"host": "localhost", "content-length": "1"}, 403),
        ("GET", "/gradio_api/file=https://example.org", {"host": "localhost"}, 403),
        ("GET", "/", {"host": "evil.example:7860"}, 403),
        ("GET", "/", {}, 403),
    ],
)
def test_the_guard_lets_through_what_the_page_asks_for(
    method: str, path: str, headers: dict[str, Any], status: int
) -> None:
    assert answer(method, path, headers, {"127.0.0.1", "localhost", "[::1]"}) == status


def test_every_name_is_good_where_everyone_may_come() -> None:
    assert answer("GET", "/", {"host": "faces.example"}, None) == 200


def test_the_page_opens_with_the_default_model(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[Studio] = []
    monkeypatch.setattr("stylegan.demo.serve", lambda studio, **_: shown.append(studio))
    CliRunner().invoke(cli.main, ["demo"], catch_exceptions=False)
    assert next(iter(shown[0].models)) == DEFAULT_MODEL == "faces-128"
    assert "avatars-128" in shown[0].models


def test_without_gradio_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gradio", None)
    result = CliRunner().invoke(cli.main, ["demo"])
    assert result.exit_code == 1
    assert 'pip install "stylegan[demo]"' in result.output


def test_a_taken_port_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("gradio", reason="needs the extra demo")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        result = CliRunner().invoke(cli.main, ["demo", "--port", str(taken.getsockname()[1])])
    assert result.exit_code == 1
    assert "choose another with --port" in result.output.splitlines()[-1]


def test_a_model_that_is_not_there_is_named() -> None:
    with pytest.raises(NotFoundError, match=r"gone\.safetensors"):
        Studio({"gone": "gone.safetensors"}).faces([1], Look("gone"))


def test_the_numbers_of_classes_have_their_names() -> None:
    G = tiny_generator(label_dim=3)
    assert class_names(G) is None
    G.metadata = {"classes": ["cat", "dog", "fox"]}
    assert class_names(G) == "0 cat, 1 dog, 2 fox"
    assert class_names(tiny_generator()) is None
