"""Fixed convolutions with ReLU: the compiled kernels give torch's values and gradients; other calls are torch's."""

import copy
import itertools
import pickle
from typing import Any

import pytest
import torch
from click.testing import CliRunner
from torch import Tensor, nn

from benchmarks import perceptual
from stylegan.fast import frozen
from stylegan.fast.frozen import RectifiedConvs
from stylegan.fast.native import native_kernels

kernels = native_kernels()
pytestmark = pytest.mark.skipif(
    kernels is None or not kernels.has_convolutions, reason="no compiled convolutions for this processor"
)


def make(*widths: int) -> RectifiedConvs:
    torch.manual_seed(0)
    convs = [nn.Conv2d(a, b, 3, padding=1) for a, b in itertools.pairwise(widths)]
    return RectifiedConvs(*convs).requires_grad_(False)


def image(*shape: int) -> Tensor:
    torch.manual_seed(1)
    return torch.randn(shape, requires_grad=True)


def by_torch(convs: RectifiedConvs, x: Tensor) -> Tensor:
    for conv in convs.convs:
        x = torch.relu(conv(x))
    return x


def with_gradient(run: RectifiedConvs | None, convs: RectifiedConvs, x: Tensor) -> tuple[Tensor, Tensor]:
    y = by_torch(convs, x) if run is None else run(x)
    (gradient,) = torch.autograd.grad((y * y.detach().cos()).sum(), x)
    return y.detach(), gradient


@pytest.fixture
def used(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many convolutions each call of the compiled kernels made."""
    calls, apply = [], frozen._Rectified.apply

    class Counted:
        @staticmethod
        def apply(*args: Any) -> Tensor:
            calls.append(len(args[1]))
            return apply(*args)

    monkeypatch.setattr(frozen, "_Rectified", Counted)
    return calls


@pytest.mark.parametrize("widths", [(3, 64), (3, 16, 32), (48, 48, 16, 64), (64, 128)])
@pytest.mark.parametrize("shape", [(1, 3, 3), (2, 5, 9), (3, 16, 16), (2, 33, 21)])
def test_values_and_gradients_are_torchs(capability: str, widths: tuple[int, ...], shape: tuple[int, int, int]) -> None:
    convs, (n, height, width) = make(*widths), shape
    x = image(n, widths[0], height, width)
    (ours, gradient), (theirs, expected) = with_gradient(convs, convs, x), with_gradient(None, convs, x)
    torch.testing.assert_close(ours, theirs, atol=2e-5, rtol=1e-5)
    torch.testing.assert_close(gradient, expected, atol=2e-5, rtol=1e-5)


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_layouts_and_slices_are_read_right(used: list[int], memory_format: torch.memory_format) -> None:
    convs = make(16, 16)
    x = image(4, 32, 18, 20).detach().contiguous(memory_format=memory_format)[::2, :16, 1:-1]
    torch.testing.assert_close(convs(x), by_torch(convs, x), atol=1e-5, rtol=1e-5)
    assert used == [1]


def test_changed_weights_are_noticed(used: list[int]) -> None:
    convs, x = make(3, 32, 32), image(1, 3, 20, 20)
    before = convs(x)
    (_, bias), (weight, _) = (tuple(conv.parameters()) for conv in convs.convs)
    weight.mul_(2)
    assert not torch.allclose(convs(x), before)
    bias.data.add_(1)
    torch.testing.assert_close(convs(x), by_torch(convs, x), atol=1e-4, rtol=1e-5)
    assert used == [2, 2, 2]


def test_a_second_call_does_not_change_the_first(used: list[int]) -> None:
    convs, x = make(3, 16, 16), image(1, 3, 20, 20)
    first, kept = convs(x), convs(x).detach().clone()
    second = convs(x * 2)
    (gradient,) = torch.autograd.grad(first.sum(), x)
    assert torch.equal(first, kept)
    assert torch.equal(gradient, torch.autograd.grad(convs(x).sum(), x)[0])
    second.sum().backward()
    assert len(used) == 4


@pytest.mark.parametrize("why", ["trained", "double", "no pixels", "channels"])
def test_other_calls_are_torchs(used: list[int], why: str) -> None:
    convs, x = make(3, 20 if why == "channels" else 16), image(2, 3, 8, 8)
    if why == "trained":
        convs.requires_grad_(True)
    elif why == "double":
        convs, x = convs.double(), x.detach().double()
    elif why == "no pixels":
        x = x[:0]
    assert torch.equal(convs(x), by_torch(convs, x))
    assert not used


def test_transforms_and_compilers_see_torch(used: list[int]) -> None:
    convs, x = make(3, 16), image(2, 3, 8, 8).detach()
    torch.testing.assert_close(torch.func.vmap(convs)(x[:, None])[:, 0], by_torch(convs, x))
    torch.testing.assert_close(torch.export.export(convs, (x,)).module()(x), by_torch(convs, x))
    assert not used


def test_copies_prepare_their_own(used: list[int]) -> None:
    convs, x = make(3, 16), image(1, 3, 8, 8)
    expected, size = convs(x), len(pickle.dumps(make(3, 16)))
    assert len(pickle.dumps(convs)) == size
    for copied in (copy.deepcopy(convs), pickle.loads(pickle.dumps(convs))):
        assert torch.equal(copied(x), expected)
        assert copied._own is not convs._own
    assert len(used) == 3


def test_the_benchmark_has_a_row_for_each_case() -> None:
    result = CliRunner().invoke(perceptual.main, ["--extractor", "random-conv", "--sizes", "16", "--rounds", "1"])
    assert result.exit_code == 0, result.output
    assert len([line for line in result.output.splitlines() if line.startswith("| 16x16 | ")]) == 4
