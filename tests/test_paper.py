"""examples/paper.py: its pictures are of the network itself, but for what they say they change."""

import runpy
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner
from PIL import Image

from stylegan import Generator

from .conftest import ROOT, tiny_generator

PAPER: dict[str, Any] = runpy.run_path(str(ROOT / "examples/paper.py"))
Epilogue, render = PAPER["Epilogue"], PAPER["render"]


@pytest.fixture(scope="module")
def G() -> Generator:
    """A small network of random weights, whose noise is visible."""
    G = tiny_generator(img_resolution=32)
    for layer in G.synthesis.layers:
        assert layer.noise_strength is not None
        layer.noise_strength.detach().fill_(0.1)
    return G


def test_steps_without_a_change_are_the_network_s_own(G: Generator) -> None:
    ws, maps = G.ws([1, 2]), G.noise(3)
    with torch.no_grad():
        torch.testing.assert_close(render(G, ws, Epilogue(), noise=maps), G.synthesis(ws, noise=maps))


@pytest.mark.parametrize("change", [{"norm": "batch"}, {"norm": "none"}, {"noise_last": True}, {"spike": 9.0}])
def test_every_change_changes_the_image(G: Generator, change: dict[str, Any]) -> None:
    ws, maps = G.ws([1, 2]), G.noise(3)
    img = render(G, ws, Epilogue(**change), noise=maps)
    assert (img - render(G, ws, Epilogue(), noise=maps)).abs().mean() > 1e-3


@pytest.mark.parametrize(("norm", "depends"), [("instance", False), ("batch", True)])
def test_only_batch_norm_looks_at_other_images(G: Generator, norm: str, depends: bool) -> None:
    alone, pair = (render(G, G.ws(seeds), Epilogue(norm))[0] for seeds in ([1], [1, 2]))
    assert ((alone - pair).abs().max() > 1e-3) == depends


def test_the_network_is_as_before_afterwards(G: Generator) -> None:
    kept = G.synthesis.renderer, G.synthesis.kernels
    render(G, G.ws([1]), Epilogue("none"))
    assert (G.synthesis.renderer, G.synthesis.kernels) == kept


@pytest.mark.parametrize("kind", sorted(PAPER["KINDS"]))
def test_every_kind_is_a_picture(G: Generator, kind: str) -> None:
    picture = PAPER["KINDS"][kind](G)
    assert isinstance(picture, Image.Image)
    assert len(picture.convert("L").getcolors(256) or []) > 8


def test_shortening_z_changes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    PAPER["truncation_z"](Generator.from_pretrained("faces-64"))
    line = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("z times psi"))
    assert len(set(line.partition("w_avg ")[2].removesuffix(" of the mean").split(", "))) == 1


def test_the_page_shows_every_kind(tmp_path: Path) -> None:
    page = (ROOT / "docs/paper.md").read_text()
    for kind in PAPER["KINDS"]:
        assert f"`python examples/paper.py {kind} --out paper-{kind}.webp`" in page
    result = CliRunner().invoke(PAPER["main"], ["entanglement", "--out", str(tmp_path / "a.png")])
    assert result.exit_code == 0, result.output
    assert (tmp_path / "a.png").is_file()
