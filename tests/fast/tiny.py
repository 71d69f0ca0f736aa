"""Tiny networks of every kind that the fast paths take, and what a path must not change."""

from typing import Any

import torch
from torch import Tensor

from stylegan import Generator
from stylegan.fast import renderer
from stylegan.runtime.choices import RenderPath

from ..conftest import tiny_generator

OPTIONS: dict[str, dict[str, Any]] = {
    "official": {},
    "relu": {"nonlinearity": "relu"},
    "no filter": {"blur_filter": None},
    "a filter that is not symmetric": {"blur_filter": [1, 2, 5]},
    "no noise": {"use_noise": False},
    "dense input": {"const_input": False},
    "no styles": {"use_styles": False},
    "no instance norm": {"use_instance_norm": False},
    "an epsilon of its own": {"instance_norm_epsilon": 1e-2},
    "no equalized learning rate": {"equalized_lr": False},
    "one RGB layer": {"progressive": False},
    "greyscale": {"img_channels": 1},
}


def generator(**options: Any) -> Generator:
    channels = {"img_channels": options.pop("img_channels", 3)}
    G = tiny_generator(img_resolution=32, synthesis={"fmap_base": 256, "fmap_max": 16} | options, **channels)
    # A constant of no variance is a case of its own.
    if hasattr(G.synthesis.layers[0].source, "const"):
        G.synthesis.layers[0].source.get_parameter("const").normal_(generator=torch.Generator().manual_seed(2))
    return G


def on(G: Generator, path: RenderPath, ws: Tensor, **settings: Any) -> Tensor:
    """The images of a path; a fast one must have been taken."""
    G.release_memory()
    G.path = path
    img = G.synthesis(ws, **settings)
    assert is_prepared(G) == (path != "plain")
    return img


def renderer_of(G: Generator) -> renderer.Renderer:
    assert isinstance(G.synthesis.renderer, renderer.Renderer)
    return G.synthesis.renderer


def is_prepared(G: Generator) -> bool:
    return renderer_of(G)._prepared is not None


def assert_same(given: Tensor, expected: Tensor, limit: float = 1e-5) -> None:
    """But for rounding: random networks enlarge it up to a hundred times."""
    assert (given - expected).square().mean().sqrt() <= limit * expected.std()


def known_graphs(G: Generator) -> dict[Any, Any]:
    prepared = renderer_of(G)._prepared
    assert prepared
    assert prepared.graphs
    return prepared.graphs._cache._known
