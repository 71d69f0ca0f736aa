"""A fast path notices whatever has changed in its network."""

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn

from stylegan import Generator
from stylegan.networks.layers import initialize
from stylegan.runtime.choices import RenderPath

from .tiny import assert_same, generator, is_prepared, on


def scale_in_place(G: Generator) -> None:
    with torch.no_grad():
        G.synthesis.layers[3].source.get_parameter("weight").mul_(-2)


def write_into_data(G: Generator) -> None:
    G.synthesis.layers[3].source.get_parameter("weight").data.mul_(-2)


def load_state(G: Generator) -> None:
    G.load_state_dict(generator(img_channels=3).state_dict() | {"synthesis.layers.3.bias": torch.ones(16)})


def replace_parameter(G: Generator) -> None:
    G.synthesis.layers[3].bias = nn.Parameter(torch.ones(16), requires_grad=False)


def replace_noise(G: Generator) -> None:
    G.synthesis.layers[3].noise_const = torch.ones(1, 1, 8, 8)


def change_type(G: Generator) -> None:
    G.synthesis.bfloat16().float()


def write_into_data_in_another_memory_format(G: Generator) -> None:
    weight = G.synthesis.layers[3].source.get_parameter("weight")
    weight.data = weight.data.contiguous(memory_format=torch.channels_last)
    G.synthesis(G.ws([1]))
    weight.data.mul_(-2)


@pytest.mark.parametrize(
    "change",
    [
        scale_in_place,
        write_into_data,
        write_into_data_in_another_memory_format,
        load_state,
        replace_parameter,
        replace_noise,
        change_type,
    ],
)
def test_changed_parameters_are_noticed(path: RenderPath, change: Callable[..., Any]) -> None:
    G = generator()
    ws = G.ws([1])
    before = on(G, path, ws)
    change(G)
    after = G.synthesis(ws)
    assert not torch.equal(after, before)
    assert_same(after, on(G, "plain", ws))


def test_new_initial_weights_are_noticed(path: RenderPath) -> None:
    G = generator()
    before = on(G, path, G.ws([1]))
    initialize(G, 5)
    assert not torch.equal(G.synthesis(G.ws([1])), before)


def test_copies_keep_the_path_and_prepare_their_own(path: RenderPath) -> None:
    G = generator()
    on(G, path, G.ws([1]))
    for own in (copy.deepcopy(G), pickle.loads(pickle.dumps(G))):
        assert own.path == path
        assert own.synthesis.renderer is not G.synthesis.renderer
        assert not is_prepared(own)


def test_copies_share_nothing(path: RenderPath) -> None:
    G = generator()
    on(G, path, G.ws([1]))
    again = copy.deepcopy(G)
    assert again.path == path
    assert not is_prepared(again)
    initialize(again, 5)
    again.synthesis(G.ws([1]))
    assert_same(G.synthesis(G.ws([1])), on(G, "plain", G.ws([1])))
