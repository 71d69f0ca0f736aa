"""Training with code that torch compiles gives what the modules give.

One small network is compiled, for the CPU. Elsewhere torch traces, differentiates and runs what it would compile, which
takes seconds for each size.
"""

import copy
import shutil
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
import torch

from stylegan import Discriminator, Generator
from stylegan.fast import CompiledKernels
from stylegan.fast import compiled as steps
from stylegan.training import new_state

from .test_fused import assert_same_penalty, generator, gradients
from .tiny import tiny_config


@pytest.fixture
def _traced(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="aot_eager"))
    steps._compiled.cache_clear()
    yield
    steps._compiled.cache_clear()


def compiled(G: Generator) -> Generator:
    """A copy, without gradients."""
    H = copy.deepcopy(G)
    H.zero_grad(set_to_none=True)
    H.synthesis.kernels = CompiledKernels()
    return H


def check_same(G: Generator, n: int, noise: str) -> None:
    """The same image and gradients by modules and compiled kernels."""
    expected = gradients(G, n, noise=noise)
    found = gradients(compiled(G), n, noise=noise)
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        if value is not None:
            assert (found[name] - value).norm() <= 1e-4 * value.norm() + 1e-6, name


@pytest.mark.skipif(shutil.which("c++") is None, reason="needs a C++ compiler")
def test_compiled_code_has_the_same_image_and_gradients() -> None:
    check_same(generator(img_resolution=8, blur_filter=[1, 3, 2]), 2, "own")


@pytest.mark.usefixtures("_traced")
@pytest.mark.parametrize(
    ("options", "n", "noise"),
    [
        ({}, 3, "own"),
        ({"blur_filter": [1, 3, 2]}, 2, "shared"),
        ({"nonlinearity": "relu", "blur_filter": None, "use_instance_norm": False}, 2, "none"),
        ({"use_styles": False, "const_input": False}, 2, "own"),
    ],
)
def test_the_synthesis_network_has_the_same_image_and_gradients(options: dict[str, Any], n: int, noise: str) -> None:
    check_same(generator(**options), n, noise)


@pytest.mark.usefixtures("_traced")
def test_bfloat16_is_rounded_less_than_by_the_modules() -> None:
    G = generator()
    exact = gradients(G, 3)

    def error(G: Generator) -> float:
        found = gradients(G, 3, dtype=torch.bfloat16)
        return sum((found[name] - exact[name]).square().sum().item() for name in exact)

    assert 0 < error(compiled(G)) < error(generator())


@pytest.mark.usefixtures("_traced")
def test_the_penalty_of_a_discriminator_has_the_same_gradients() -> None:
    D = Discriminator(img_resolution=16, fmap_base=64, fmap_max=8, blur_filter=[1, 3, 2])
    E = copy.deepcopy(D)
    E.kernels = CompiledKernels()
    assert_same_penalty(D, E)


def test_only_on_request_and_never_in_the_averaged_generator() -> None:
    state = new_state(tiny_config(compile=True))
    assert isinstance(state.G.synthesis.kernels, CompiledKernels)
    assert isinstance(state.D.kernels, CompiledKernels)
    assert not isinstance(state.Gs.synthesis.kernels, CompiledKernels)
    assert not isinstance(new_state(tiny_config()).G.synthesis.kernels, CompiledKernels)
