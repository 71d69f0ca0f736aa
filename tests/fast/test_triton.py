"""Triton's kernels compute what torch's do: on a GPU where there is one, else in Triton's interpreter."""

import os
import subprocess
import sys
from typing import Any

import pytest
import torch
from torch import Tensor

from stylegan.fast import bands, choice
from stylegan.fast.prepared import PreparedLayer
from stylegan.fast.torch_kernels import TorchKernels

from ..conftest import GOLDEN, load_golden
from .tiny import generator, is_prepared

pytest.importorskip("triton", reason="Triton is not installed: torch brings it along where it has CUDA")
from stylegan.fast.triton_kernels import TritonKernels

from ..conftest import ROOT

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
TYPES = [torch.float32, torch.bfloat16, torch.float16]
# Of rows, in features of that type: rounding alone differs.
TOLERANCE: dict[torch.dtype, dict[str, Any]] = {
    torch.float32: {"rtol": 1e-5, "atol": 1e-5},
    torch.bfloat16: {"rtol": 1e-2, "atol": 1e-5},
    torch.float16: {"rtol": 2e-3, "atol": 1e-5},
}


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(DEVICE)


def layer(channels: int, *, blur: bool = False, slope: float = 0.2, dtype: torch.dtype = torch.float32) -> Any:
    taps = torch.tensor([0.2, 0.5, 0.3])
    return PreparedLayer(
        resolution=8,
        channels=channels,
        dtype=dtype,
        input=None,
        convolution=None,
        blur_kernel=torch.outer(taps, taps).to(DEVICE) if blur else None,
        blur_taps=tuple(taps.tolist()) if blur else None,
        factor=1.0,
        noise_strength=normal(channels, seed=8),
        noise=None,
        bias=normal(channels, seed=9),
        negative_slope=slope,
        epsilon=1e-8,
        style_weight=None,
        style_bias=None,
    )


def both(name: str, *args: Any, out: Tensor, **settings: Any) -> None:
    """A step by both kernels, into two copies of out; all that they write must agree, and nothing else be touched."""
    results = []
    for kernels in (TritonKernels(), TorchKernels()):
        whole = torch.full((len(out), out.shape[1] + 2, *out.shape[2:]), 7.0, device=DEVICE).to(out.dtype)
        copies = [a.clone() if isinstance(a, Tensor) else a for a in args]
        sums = getattr(kernels, name)(*copies, whole[:, 1:-1], **settings)
        results.append((whole, sums))
    (given, sums), (expected, expected_sums) = results
    torch.testing.assert_close(given, expected, **TOLERANCE[out.dtype])
    if sums is not None:
        torch.testing.assert_close(sums.double(), expected_sums.double(), rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("channels", [1, 3, 16, 130])
@pytest.mark.parametrize("n", [1, 3])
def test_normalize(n: int, channels: int, dtype: torch.dtype) -> None:
    x = normal(n, 6, 5, channels)[:, 1:].to(dtype)
    vectors = [normal(n, channels, seed=i) for i in range(3)]
    both("normalize", x, *vectors, out=torch.empty(n, 5, 5, channels, dtype=dtype))


NOISE = {"none": 0, "shared": 1, "for each": 3}


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("noise", NOISE)
@pytest.mark.parametrize(("channels", "slope"), [(1, 0.2), (16, 0.0), (130, 0.2)])
def test_epilogue(channels: int, slope: float, noise: str, dtype: torch.dtype) -> None:
    maps = normal(NOISE[noise], 5, 7, seed=4) if NOISE[noise] else None
    x = normal(3, 5, 7, channels).to(dtype)
    own = layer(channels, slope=slope)
    both("activate", own, x, maps, out=torch.empty(3, 5, 7, channels, dtype=dtype))


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("blur", [True, False])
@pytest.mark.parametrize("channels", [3, 130])
@pytest.mark.parametrize(
    ("first", "last", "noise"),
    [
        (True, True, "none"),
        (True, True, "shared"),
        (False, True, "for each"),
        (True, False, "for each"),
        (False, False, "for each"),
    ],
)
def test_up_epilogue(channels: int, noise: str, blur: bool, first: bool, last: bool, dtype: torch.dtype) -> None:
    maps = normal(NOISE[noise], 4, 6, seed=4) if NOISE[noise] else None
    windows = normal(3, 3, 4, 4 * channels).to(dtype)
    out = torch.empty(3, 4, 6, channels, dtype=dtype)
    both("activate_windows", layer(channels, blur=blur), windows, maps, out=out, first=first, last=last)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize(("channels", "colours"), [(16, 3), (5, 1), (600, 4)])
def test_to_rgb(channels: int, colours: int, dtype: torch.dtype) -> None:
    x = normal(2, 6, 7, channels)[:, 1:].to(dtype)
    weight, bias = normal(2, colours, channels, seed=1), normal(2, colours, seed=2)
    images = [torch.full((2, colours, 7, 7), 7.0, device=DEVICE) for _ in range(2)]
    # torch's own convolution may round its factors to TF32.
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        for img, kernels in zip(images, (TritonKernels(), TorchKernels()), strict=True):
            kernels.to_rgb(x, weight, bias, img[:, :, 1:-1])
    torch.testing.assert_close(*images, rtol=1e-5, atol=1e-4)


def test_more_pixels_than_a_tile() -> None:
    both("activate", layer(16), normal(2, 40, 33, 16), None, out=torch.empty(2, 40, 33, 16))


def test_the_sums_of_an_image_do_not_depend_on_the_batch() -> None:
    x, own = normal(3, 40, 33, 16), layer(16)
    together = TritonKernels().activate(own, x.clone(), None, torch.empty_like(x))
    alone = TritonKernels().activate(own, x[1:2].clone(), None, torch.empty_like(x[1:2]))
    assert torch.equal(together[:, 1:2], alone)


@pytest.fixture
def by_triton(monkeypatch: pytest.MonkeyPatch) -> None:
    """Path "native" is Triton's, on whole images as on a GPU."""
    monkeypatch.setattr(choice, "native_kernels", TritonKernels)
    monkeypatch.setattr(choice, "compiled_kernels", lambda device: TritonKernels())
    monkeypatch.setattr(bands, "BAND_BYTES", 2**40)


@pytest.mark.parametrize("options", [{}, {"blur_filter": None}, {"use_noise": False}, {"use_instance_norm": False}])
@pytest.mark.usefixtures("by_triton")
def test_a_whole_network_equals_the_modules(options: dict[str, Any]) -> None:
    G = generator(**options).to(DEVICE)
    ws = G.ws(range(3), truncation_psi=1)
    G.path = "native"
    given = G.synthesis(ws)
    assert is_prepared(G)
    G.path = "plain"
    expected = G.synthesis(ws)
    assert (given - expected).square().mean().sqrt() <= 1e-5 * expected.std()


@pytest.mark.usefixtures("by_triton")
def test_the_official_outputs() -> None:
    golden = load_golden(GOLDEN / "T")
    G = golden.Gs.to(DEVICE)
    G.path = "native"
    labels = None if golden.labels is None else golden.labels.to(DEVICE)
    ws = G.truncate(G.broadcast(G.mapping(golden["z"].to(DEVICE), labels)), 0.7, 8)
    expected = golden["img_psi07_cut8"]
    error = G.synthesis(ws[: len(expected)]).cpu() - expected
    assert is_prepared(G)
    assert error.abs().max() <= 1e-4


COMPILE = """
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from stylegan.fast import triton_kernels

FEATURES, FLOATS = ("x", "windows"), ("noise", "strength", "bias", "sums", "mean", "scale", "shift", "weight")
SCALARS = {"slope": "fp32", "tap0": "fp32", "tap1": "fp32", "tap2": "fp32"}
CONSTANTS = dict(FIRST=True, LAST=True, HAS_BLUR=True, HAS_NOISE=True, COLOURS=3, PIXELS=128, CHANNELS=16)
for name in ("_normalize", "_epilogue", "_up_epilogue", "_to_rgb"):
    kernel = getattr(triton_kernels, name)
    types = {p: SCALARS.get(p, "i32") for p in kernel.arg_names}
    types |= {p: "*fp32" for p in FLOATS if p in types} | {p: "constexpr" for p in CONSTANTS if p in types}
    types |= {p: "*bf16" for p in FEATURES if p in types}
    types["out"] = "*fp32" if name == "_to_rgb" else "*bf16"
    source = ASTSource(kernel, types, {p: v for p, v in CONSTANTS.items() if p in types})
    assert "cubin" in triton.compile(source, target=GPUTarget("cuda", 80, 32)).asm
"""


def test_the_kernels_compile_for_a_gpu() -> None:
    """The interpreter takes more than the compiler does, which needs no GPU."""
    env = {k: v for k, v in os.environ.items() if k != "TRITON_INTERPRET"}
    result = subprocess.run([sys.executable, "-c", COMPILE], env=env, cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
