"""Every path on a GPU. These tests need one."""

import pytest
import torch
from torch import Tensor

from stylegan import Generator
from stylegan.runtime.choices import RenderPath

from ..conftest import in_threads
from .tiny import OPTIONS, assert_same, generator, known_graphs, on

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
CUDA_PATHS = ["plain", "fast", "native"]


@pytest.mark.parametrize("path", CUDA_PATHS)
@pytest.mark.parametrize("name", OPTIONS)
def test_cuda_gives_the_images_of_the_cpu_on_every_path(path: RenderPath, name: str) -> None:
    G = generator(**OPTIONS[name])
    ws = G.ws(range(5), truncation_psi=1)
    expected = on(G, "plain", ws)
    G.to("cuda")
    for _ in range(3):
        assert_same(on(G, path, ws.cuda()).cpu(), expected, 1e-4)


@pytest.mark.parametrize("path", CUDA_PATHS[1:])
@pytest.mark.parametrize(("dtype", "limit"), [("float32", 1e-4), ("float16", 0.01), ("bfloat16", 0.03)])
def test_cuda_replays_equal_the_first_call(faces: Generator, path: RenderPath, dtype: str, limit: float) -> None:
    G = Generator.from_pretrained("faces-64", device="cuda", dtype=dtype, path=path)
    ws = G.ws(range(4))
    images = [G.synthesis(ws) for _ in range(4)]
    assert all(known_graphs(G).values())
    for img in images[1:]:
        assert_same(img, images[0], 1e-6)
    torch.testing.assert_close(images[2], images[3], rtol=0, atol=0)
    assert_same(images[0].cpu(), faces.synthesis(ws.cpu()), limit)


@pytest.mark.parametrize("path", CUDA_PATHS[1:])
def test_cuda_threads_on_their_own_streams_get_their_own_images(path: RenderPath) -> None:
    G = generator().to("cuda")
    ws = [G.ws([seed]) for seed in range(4)]
    expected = [on(G, "plain", w).cpu() for w in ws]
    G.path = path
    torch.cuda.synchronize()
    wrong = []

    def render(i: int) -> None:
        with torch.cuda.stream(torch.cuda.Stream()):
            for _ in range(20):
                if (G.synthesis(ws[i]).cpu() - expected[i]).abs().max() > 1e-2:
                    wrong.append(i)

    in_threads(render, 4)
    assert not wrong


def captured(path: RenderPath) -> tuple[Generator, Tensor]:
    """A network on the GPU whose graphs have been captured for these ws."""
    G = generator().to("cuda")
    G.path = path
    ws = G.ws([1])
    for _ in range(3):
        G.synthesis(ws)
    return G, ws


@pytest.mark.parametrize("path", CUDA_PATHS[1:])
def test_cuda_notices_changed_weights_and_gives_memory_back(path: RenderPath) -> None:
    G, ws = captured(path)
    with torch.no_grad():
        G.synthesis.layers[3].source.get_parameter("weight").mul_(-2)
    after = [G.synthesis(ws) for _ in range(3)]
    held = torch.cuda.memory_allocated()
    G.release_memory()
    assert torch.cuda.memory_allocated() < held
    for img in after:
        assert_same(img, on(G, "plain", ws), 1e-4)


@pytest.mark.parametrize("path", CUDA_PATHS[1:])
def test_cuda_is_never_waited_for_within_a_call(path: RenderPath) -> None:
    G, ws = captured(path)
    torch.cuda.set_sync_debug_mode("error")
    try:
        G.synthesis(ws)
    finally:
        torch.cuda.set_sync_debug_mode("default")
