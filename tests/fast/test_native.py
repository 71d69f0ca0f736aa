"""The compiled kernels: every variant of their instructions, and what limits them."""

from typing import Any

import pytest
import torch

from stylegan.fast.convolution import Convolution
from stylegan.fast.library import _capability
from stylegan.fast.native import NativeKernels, is_own, native_kernels
from stylegan.fast.prepared import prepare
from stylegan.fast.torch_kernels import TorchKernels
from stylegan.fast.workspace import Workspace
from stylegan.networks import ops
from stylegan.networks.synthesis import SynthesisNetwork

from .tiny import assert_same, generator, on


# Odd numbers of rows and columns leave half tiles; direct.c, below 16x16, takes whole images alone.
@pytest.mark.parametrize(("resolution", "rows", "width"), [(32, 3, 7), (8, 8, 8), (4, 4, 4)])
@pytest.mark.parametrize("up", [False, True])
@pytest.mark.parametrize(("in_channels", "out_channels"), [(32, 32), (48, 80), (16, 64)])
@pytest.mark.skipif(native_kernels() is None, reason="needs the compiled kernels")
def test_own_convolutions_equal_the_definition(
    resolution: int, rows: int, width: int, up: bool, in_channels: int, out_channels: int
) -> None:
    generator = torch.Generator().manual_seed(0)
    kernel = torch.randn(out_channels, in_channels, 3, 3, generator=generator)
    convolution = Convolution(kernel, 0.1, resolution, torch.float32, up)
    assert is_own(convolution)
    # Rows of x beyond the border are zero, as the renderer's are; 7 images of 4x4 are more than direct.c does at once.
    x = torch.randn(7, rows + 2, width, in_channels, generator=generator)
    x[:, 0] = x[:, -1] = 0
    kernels = native_kernels()
    assert kernels
    given = NativeKernels.convolve(kernels, convolution, x, Workspace())
    img = x[:, 1:-1].permute(0, 3, 1, 2).double()
    kernel = kernel.double() * convolution.gain
    if up:
        blocks = given.view(7, rows + 1, width + 1, 2, 2, out_channels).permute(0, 5, 1, 3, 2, 4)
        given = blocks.reshape(7, out_channels, 2 * rows + 2, 2 * width + 2)[..., 1:-1, 1:-1]
        expected = ops.conv2d(ops.upscale(img), kernel)
    else:
        given, expected = given.permute(0, 3, 1, 2), ops.conv2d(img, kernel)
    torch.testing.assert_close(given.double(), expected, rtol=0, atol=1e-5 * expected.std().item())


# A band of 7 x 9 pixels, which tiles of 4 x 4 do not fill; and a whole image for direct.c.
@pytest.mark.parametrize(("index", "rows", "width"), [(5, 7, 9), (3, 8, 8)])
@pytest.mark.skipif(native_kernels() is None, reason="needs the compiled kernels")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("maps", [0, 1, 3])
def test_own_convolutions_activate_and_sum_as_torch_does(
    index: int, rows: int, width: int, maps: int, dtype: torch.dtype
) -> None:
    network = SynthesisNetwork(img_resolution=16, fmap_base=512, fmap_max=32).requires_grad_(False)
    random = torch.Generator().manual_seed(0)
    for name in ("bias", "noise_strength"):
        network.layers[index].get_parameter(name).normal_(generator=random)
    layer = prepare(network, torch.float32).layers[index]
    assert layer.convolution
    assert is_own(layer.convolution)
    # Of images that lie apart.
    x = torch.randn(3, rows + 2, width, 32, generator=random)
    x[:, 0] = x[:, -1] = 0
    noise = torch.randn(maps, rows, width, generator=random) if maps else None
    out, plain = torch.zeros(2, 3, 16, width, 32, dtype=dtype)[:, :, 2 : rows + 2]
    kernels = native_kernels()
    assert kernels
    given = kernels.convolve_and_activate(layer, x, noise, out, Workspace())
    expected = TorchKernels().convolve_and_activate(layer, x, noise, plain, Workspace())
    torch.testing.assert_close(out, plain, rtol=1e-2 if dtype == torch.bfloat16 else 1e-4, atol=1e-5)
    torch.testing.assert_close(given.float(), expected.float(), rtol=1e-4, atol=1e-4)


@pytest.mark.skipif(native_kernels() is None, reason="needs the compiled kernels")
@pytest.mark.parametrize("options", [{}, {"use_styles": False}, {"use_instance_norm": False}])
@pytest.mark.parametrize("w_dim", [16, 77])
def test_normalization_and_style_equal_torch(capability: str, options: dict[str, Any], w_dim: int) -> None:
    network = SynthesisNetwork(w_dim=w_dim, img_resolution=16, fmap_base=256, fmap_max=13, **options)
    layer = prepare(network.requires_grad_(False), torch.float32).layers[3]
    random = torch.Generator().manual_seed(0)
    sums = torch.rand(2, 3, 13, dtype=torch.float64, generator=random) + torch.tensor([[[0.0]], [[2.0]]])
    sums[:, 0, 0] = torch.tensor([1.0, -1e-9])  # A variance that rounding made negative counts as 0.
    sums[:, 1, 1] = torch.nan
    # Not every row of what is given need follow the one before it.
    w = torch.randn(3, 2 * w_dim, generator=random)[:, :w_dim]
    kernels = native_kernels()
    assert kernels
    given, expected = kernels.normalization(layer, sums, w), TorchKernels().normalization(layer, sums, w)
    torch.testing.assert_close(given, expected, rtol=1e-5, atol=1e-6, equal_nan=True)


@pytest.mark.skipif(native_kernels() is None, reason="needs the compiled kernels")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("fmap_max", [16, 13])
def test_every_variant_of_the_kernels_computes_the_same(capability: str, dtype: torch.dtype, fmap_max: int) -> None:
    G = generator(fmap_max=fmap_max)
    ws = G.ws(range(3), truncation_psi=1)
    expected = on(G, "plain", ws)
    G.synthesis.to(dtype)
    assert_same(on(G, "native", ws), expected, limit=1e-5 if dtype == torch.float32 else 0.1)


def test_the_environment_limits_the_instructions_of_the_kernels(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv("STYLEGAN_CPU_CAPABILITY", raising=False)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX2")
    assert _capability() == 1
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "SVE256")
    assert _capability() == 0
    for name, level in {"avx512": 2, "AVX2": 1, "default": 0}.items():
        monkeypatch.setenv("STYLEGAN_CPU_CAPABILITY", name)
        assert _capability() == level
    monkeypatch.setenv("STYLEGAN_CPU_CAPABILITY", "mmx")
    assert _capability() == 0
    assert "expected one of default, avx2, avx512" in caplog.text
