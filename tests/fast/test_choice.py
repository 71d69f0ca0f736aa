"""Which path is taken: what another one cannot do or has failed in, the modules compute."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn.modules.module import register_module_forward_hook

from stylegan import Generator
from stylegan.errors import InputError, RenderError
from stylegan.fast import bands
from stylegan.fast.library import load_library
from stylegan.fast.native import native_kernels
from stylegan.networks.synthesis import SynthesisNetwork
from stylegan.runtime.choices import RenderPath

from ..conftest import FAST_PATHS
from .tiny import assert_same, generator, is_prepared, on

PLAIN_ONLY: dict[str, dict[str, Any]] = {
    "pixel norm": {"use_pixel_norm": True},
    "bias before blur": {"bias_before_blur": True},
    "activation before blur": {"quirks": {"activate_before_blur": True}},
    "bilinear": {"bilinear_upscale": True},
    "long filter": {"blur_filter": [1, 3, 3, 1]},
}


class GreyRenderer:
    """Serves images at full resolution, and no others."""

    path: RenderPath = "auto"

    def __init__(self) -> None:
        self.released = 0

    def __call__(self, network: Any, ws: Any, noise: Any, resolutions: Any) -> Any:
        shape = (len(ws), network.img_channels, network.img_resolution, network.img_resolution)
        return [torch.full(shape, 0.25)] if resolutions == [network.img_resolution] else None

    def release(self) -> None:
        self.released += 1


def test_the_network_asks_the_renderer_that_it_is_given() -> None:
    G = generator()
    ws = G.ws([1, 2])
    G.synthesis.renderer = GreyRenderer()
    assert (G.synthesis(ws) == 0.25).all()
    coarse = G.synthesis(ws, lod=1)
    G.release_memory()
    assert G.synthesis.renderer.released == 1

    # None is the modules.
    G.synthesis.renderer = None
    assert G.path == "plain"
    assert torch.equal(G.synthesis(ws, lod=1), coarse)
    expected = G.synthesis(ws)
    assert torch.equal(G.synthesis.images(ws, [layer.noise_const for layer in G.synthesis.layers], [32])[0], expected)
    G.release_memory()
    G.path = "fast"
    assert_same(G.synthesis(ws), expected)
    assert is_prepared(G)


def test_a_network_of_its_own_has_no_renderer() -> None:
    assert SynthesisNetwork(img_resolution=8, fmap_max=8).renderer is None


@pytest.mark.parametrize("name", PLAIN_ONLY)
def test_other_options_take_the_plain_path(path: RenderPath, name: str) -> None:
    G = generator(**PLAIN_ONLY[name])
    ws = G.ws([1, 2])
    expected = on(G, "plain", ws)
    G.path = path
    assert torch.equal(G.synthesis(ws), expected)
    assert not is_prepared(G)


def test_gradients_and_training_take_the_plain_path(path: RenderPath) -> None:
    G = generator()
    G.path = path
    ws = G.ws([1]).requires_grad_()
    G.synthesis(ws).sum().backward()
    assert ws.grad is not None
    G.synthesis.layers[0].bias.requires_grad_()
    assert G.synthesis(ws.detach()).requires_grad
    G.requires_grad_(False).train()
    G.synthesis(ws.detach())
    assert not is_prepared(G)
    with torch.no_grad():
        G.eval().synthesis(ws)
    assert is_prepared(G)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16])
def test_other_types_take_the_plain_path(path: RenderPath, dtype: torch.dtype) -> None:
    G = generator()
    G.synthesis.to(dtype)
    G.path = path
    img = G.synthesis(G.ws([1]))
    assert not is_prepared(G)
    torch.testing.assert_close(img, on(G, "plain", G.ws([1])), rtol=0, atol=0)


def test_other_devices_take_the_plain_path(path: RenderPath) -> None:
    G = generator().to("meta")
    G.path = path
    assert G.synthesis(torch.empty(2, G.num_ws, G.w_dim, device="meta")).shape == (2, 3, 32, 32)
    assert not is_prepared(G)


def test_those_who_look_inside_see_the_plain_path(path: RenderPath) -> None:
    G = generator()
    G.path = path
    ws, tangent = G.ws([1]), torch.randn(1, G.num_ws, G.w_dim)
    change = torch.func.jvp(G.synthesis, (ws,), (tangent,))[1]
    numerical = (G.synthesis(ws + tangent * 1e-3) - G.synthesis(ws - tangent * 1e-3)) / 2e-3
    assert (change - numerical).abs().mean() < 0.1 * change.abs().mean()
    G.release_memory()
    torch.func.vmap(lambda w: G.synthesis(w[None]))(ws)
    seen = []
    handle = G.synthesis.layers[2].register_forward_hook(lambda *args: seen.append(args[-1].shape))
    G.synthesis(ws)
    handle.remove()
    assert seen == [(1, 16, 8, 8)]
    handle = register_module_forward_hook(lambda *args: seen.append(args[-1].shape))
    G.synthesis(ws)
    handle.remove()
    assert len(seen) > G.num_ws
    assert not is_prepared(G)


def test_an_unknown_path_is_refused() -> None:
    with pytest.raises(InputError, match="'auto', 'plain', 'fast', 'native'; got 'quick'"):
        Generator.from_pretrained(path="quick")  # type: ignore[arg-type]


def test_a_path_that_fails_is_left_with_one_line(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*args: Any) -> None:
        raise RuntimeError("no such instruction")

    G = generator()
    ws = G.ws([1, 2])
    expected = on(G, "plain", ws)
    monkeypatch.setattr(bands.Call, "render", fail)
    G.path = "auto"
    for _ in range(2):
        assert torch.equal(G.synthesis(ws), expected)
    told = [record.message for record in caplog.records]
    assert told == [
        f"{name} are not used for this network on cpu: RuntimeError: no such instruction"
        for name in ("NativeKernels", "TorchKernels")[-len(FAST_PATHS) :]
    ]
    G.path = "fast"
    with pytest.raises(RenderError, match="no such instruction; use path 'auto' or 'plain'"):
        G.synthesis(ws)


def test_a_lack_of_memory_is_no_fault_of_a_path(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: Any) -> None:
        raise RuntimeError("[enforce fail at alloc_cpu.cpp:118] DefaultCPUAllocator: can't allocate memory")

    G = generator()
    ws = G.ws([1])
    with monkeypatch.context() as patch:
        patch.setattr(bands.Call, "render", fail)
        with pytest.raises(RuntimeError, match="allocate"):
            G.synthesis(ws)
    assert on(G, "fast", ws).isfinite().all()


def test_without_compiled_kernels_the_path_is_fast_and_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    damaged = tmp_path / "_kernels.so"
    damaged.write_bytes(b"no library")
    for path, message in ((tmp_path / "absent.so", "no compiled kernels"), (damaged, "cannot be loaded")):
        monkeypatch.setattr("stylegan.fast.library.LIBRARY", path)
        load_library.cache_clear()
        native_kernels.cache_clear()
        caplog.clear()
        with caplog.at_level("INFO"):
            G = generator()
            G.path = "auto"
            img = G.synthesis(G.ws([1]))
            G.synthesis(G.ws([1]))
        assert [message in record.message for record in caplog.records] == [True]
        assert torch.equal(img, on(G, "fast", G.ws([1])))
        with pytest.raises(InputError, match="C compiler"):
            G.path = "native"
    monkeypatch.undo()
    load_library.cache_clear()
    native_kernels.cache_clear()
