"""The fast paths compute what the plain modules define, whatever the options, the threads and the order of calls."""

import pytest
import torch

from stylegan import Generator
from stylegan.fast import renderer
from stylegan.runtime.choices import RenderPath

from ..conftest import in_threads
from .tiny import OPTIONS, assert_same, generator, is_prepared, on, renderer_of


@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.usefixtures("small_bands")
def test_a_fast_path_equals_the_plain_one(path: RenderPath, name: str) -> None:
    G = generator(**OPTIONS[name])
    ws = G.ws(range(5), truncation_psi=1)
    assert_same(on(G, path, ws), on(G, "plain", ws))


@pytest.mark.parametrize("lod", [0.25, 1, 1.5, 3])
@pytest.mark.usefixtures("small_bands")
def test_levels_of_detail(path: RenderPath, lod: float) -> None:
    G = generator()
    ws = G.ws([1, 2])
    assert_same(on(G, path, ws, lod=lod), on(G, "plain", ws, lod=lod))
    small = [on(G, p, ws, lod=lod, enlarge=False) for p in (path, "plain")]
    assert_same(small[0], small[1])
    assert small[0].shape[-1] == 32 >> int(lod)


@pytest.mark.usefixtures("small_bands")
def test_noise(path: RenderPath) -> None:
    G = generator()
    ws = G.ws(range(5))
    for settings in (
        {"noise_mode": "none"},
        {"noise": G.noise(7)},
        {"noise": G.noise(range(5))},
        {"noise": [None, *G.noise(range(5))[1:]]},
    ):
        assert_same(on(G, path, ws, **settings), on(G, "plain", ws, **settings))
    drawn = [on(G, p, ws, noise_mode="random", generator=torch.Generator().manual_seed(3)) for p in (path, "plain")]
    assert_same(drawn[0], drawn[1])


def test_a_new_network_is_exact_with_its_flat_constant(path: RenderPath) -> None:
    G = Generator(img_resolution=16, synthesis={"fmap_max": 32}).eval()
    with torch.no_grad():
        ws = G.ws([1])
        for _ in range(2):
            # Divided by sqrt(epsilon), the rounding of the plain path's means alone is up to 1e-3 of a channel.
            assert_same(on(G, path, ws), on(G, "plain", ws), limit=1e-3)
            for layer in G.synthesis.layers:
                layer.get_parameter("noise_strength").fill_(1e-3)


@pytest.mark.usefixtures("small_bands")
def test_an_image_is_the_same_in_any_batch(path: RenderPath) -> None:
    G = generator()
    ws = G.ws(range(7))
    together = on(G, path, ws)
    for i in range(7):
        torch.testing.assert_close(together[i : i + 1], G.synthesis(ws[i : i + 1]), rtol=0, atol=1e-5)


def test_no_images_are_no_images(path: RenderPath) -> None:
    G = generator()
    assert on(G, path, G.ws([1])[:0]).shape == (0, 3, 32, 32)


def test_the_same_call_gives_the_same_bits(path: RenderPath) -> None:
    G = generator()
    ws = G.ws(range(3))
    assert torch.equal(on(G, path, ws), G.synthesis(ws))


def test_inference_mode_leaves_nothing_unusable_behind(path: RenderPath) -> None:
    G = generator()
    G.path = path
    with torch.inference_mode():
        inside = G.synthesis(G.ws([1]), noise=G.noise(1))
    assert torch.equal(G.synthesis(G.ws([1]), noise=G.noise(1)), inside)


def test_an_image_is_the_callers_own(path: RenderPath) -> None:
    G = generator()
    img = on(G, path, G.ws([1]))
    kept = img.clone()
    G.synthesis(G.ws([2]))
    assert torch.equal(img, kept)
    img.zero_()
    assert torch.equal(G.synthesis(G.ws([1])), kept)


@pytest.mark.usefixtures("small_bands")
def test_threads_get_their_own_images(path: RenderPath) -> None:
    G = generator()
    ws = [G.ws([seed]) for seed in range(4)]
    G.path = path
    expected = [G.synthesis(w) for w in ws]
    G.release_memory()
    wrong = []

    def render(i: int) -> None:
        for _ in range(10):
            if not torch.equal(G.synthesis(ws[i]), expected[i]):
                wrong.append(i)

    in_threads(render, 4)
    assert not wrong


def buffer_bytes(G: Generator) -> int:
    spaces = renderer_of(G)._workspaces._free
    return sum(flat.numel() * flat.element_size() for space in spaces for flat in space._flat.values())


def test_memory_does_not_grow_with_the_batch_and_is_given_back(
    path: RenderPath, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(renderer, "GROUP_PIXELS", 32**2)
    G = generator()
    on(G, path, G.ws([0]))
    one = buffer_bytes(G)
    on(G, path, G.ws(range(8)))
    assert buffer_bytes(G) == one > 0
    G.release_memory()
    assert buffer_bytes(G) == 0
    assert not is_prepared(G)


def test_the_number_of_threads_changes_no_bit(path: RenderPath) -> None:
    G = generator()
    ws = G.ws([1, 2])
    before = torch.get_num_threads()
    try:
        images = [torch.set_num_threads(n) or on(G, path, ws) for n in (1, 2)]
    finally:
        torch.set_num_threads(before)
    torch.testing.assert_close(*images, rtol=0, atol=1e-5)
