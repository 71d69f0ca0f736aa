"""Noise modes: each that is named is made; maps may have a channel for each feature."""

from typing import get_args

import pytest
import torch

from stylegan.fast import native_kernels
from stylegan.networks.noise import NOISE_MODES
from stylegan.runtime.choices import DRAWN_NOISE, NoiseMode

from ..conftest import tiny_generator


def test_every_mode_that_is_named_is_made() -> None:
    assert set(NOISE_MODES) == set(get_args(NoiseMode)) >= set(DRAWN_NOISE)


def test_maps_of_many_channels_are_added_by_every_path() -> None:
    G = tiny_generator()
    for name, parameter in G.named_parameters():
        if name.endswith("noise_strength"):
            parameter.data.fill_(0.5)
    draws = torch.Generator().manual_seed(1)
    maps = [
        torch.randn(2, layer.bias.numel(), *size, generator=draws)
        for layer, size in zip(G.synthesis.layers, G.synthesis.noise_shapes, strict=True)
    ]
    ws = G.ws([1, 2])
    expected = G.synthesis(ws, noise=maps)
    assert not torch.equal(expected, G.synthesis(ws, noise=[own[:, :1] for own in maps]))
    torch.testing.assert_close(G.render(ws, noise=maps, output_type="pt"), expected, rtol=0, atol=1e-5)
    kernels = native_kernels()
    if kernels is None:
        pytest.skip("needs the compiled kernels")
    G.synthesis.kernels = kernels
    G.path = "plain"
    torch.testing.assert_close(G.synthesis(ws, noise=maps), expected, rtol=0, atol=1e-4)
