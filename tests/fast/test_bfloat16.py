"""Low precision on the fast paths, as the processor allows it."""

import copy
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from stylegan import Generator
from stylegan.fast import convolution
from stylegan.runtime.choices import RenderPath
from stylegan.training import TrainingConfig, run

from .tiny import assert_same, generator, on, renderer_of


@pytest.fixture
def without_bfloat16(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """oneDNN as on a processor without AVX-512, of which torch's own test says otherwise."""

    def refuse(weight: Tensor, size: list[int]) -> Tensor:
        if weight.dtype == torch.bfloat16:
            raise RuntimeError("mkldnn_reorder_conv2d_weight: bf16 path needs the cpu support avx512bw")
        return pack(weight, size)

    pack = convolution._pack
    monkeypatch.setattr(convolution, "_pack", refuse)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True)
    convolution.can_pack.cache_clear()
    yield
    convolution.can_pack.cache_clear()


@pytest.mark.usefixtures("without_bfloat16")
def test_bfloat16_is_stored_where_it_cannot_be_convolved(
    path: RenderPath, faces: Generator, caplog: pytest.LogCaptureFixture
) -> None:
    G = copy.deepcopy(faces)
    ws = G.ws(range(4))
    expected = on(G, "plain", ws)
    G.synthesis.bfloat16()
    with caplog.at_level("INFO"):
        error = (on(G, path, ws) - expected).square().mean().sqrt() / expected.std()
    assert 0.003 < error < 0.03
    assert [record.message for record in caplog.records if "packed weights" in record.message] == [
        "oneDNN takes no packed weights of torch.bfloat16 here: RuntimeError: mkldnn_reorder_conv2d_weight: bf16 path "
        "needs the cpu support avx512bw"
    ]
    prepared = renderer_of(G)._prepared
    assert prepared
    layer = prepared.network.layers[3]
    assert layer.convolution
    assert (layer.dtype, layer.convolution.dtype) == (torch.bfloat16, torch.float32)
    assert run.choose_dtype(TrainingConfig(dtype="auto"), torch.device("cpu")) == torch.float32


def test_without_packed_weights_torch_convolves(path: RenderPath, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(convolution, "can_pack", lambda dtype: False)
    G = generator()
    ws = G.ws([1, 2])
    for dtype, limit in ((torch.float32, 1e-5), (torch.bfloat16, 0.1)):
        expected = on(G.float(), "plain", ws)
        G.synthesis.to(dtype)
        assert_same(on(G, path, ws), expected, limit)


def test_bfloat16_stays_near_float32_on_a_trained_network(path: RenderPath, faces: Generator) -> None:
    """docs/speed.md publishes these errors: relative to the deviation of the images, 32 of them."""
    G = copy.deepcopy(faces)
    ws = G.ws(range(32))
    expected = on(G, "plain", ws)
    G.synthesis.bfloat16()
    error = (on(G, path, ws) - expected).square().mean().sqrt() / expected.std()
    assert 0.005 < error < 0.03


def test_statistics_are_float32_in_low_precision(path: RenderPath) -> None:
    """A mean that bfloat16 cannot tell from its neighbours is taken away all the same."""
    G = generator()
    for layer in G.synthesis.layers:
        layer.bias.add_(100)
    ws = G.ws([1])
    expected = on(G, "plain", ws)
    for module in [*G.synthesis.layers, *G.synthesis.to_rgb.values()]:
        module.bfloat16()
    error = (on(G, path, ws) - expected).square().mean().sqrt() / expected.std()
    assert error < 0.5
