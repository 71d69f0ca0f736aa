"""The fast paths compute what the plain modules define, whatever the options, the threads and the order of calls."""

import copy
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.modules.module import register_module_forward_hook

from stylegan import Generator
from stylegan.errors import InputError, RenderError
from stylegan.fast import bands, convolution, renderer
from stylegan.fast.convolution import Convolution
from stylegan.fast.library import CAPABILITIES, _capability, load_library
from stylegan.fast.native import NativeKernels, native_kernels, pays_by_winograd
from stylegan.fast.workspace import Workspace
from stylegan.networks import ops
from stylegan.networks.layers import initialize
from stylegan.networks.synthesis import SynthesisNetwork
from stylegan.runtime.choices import RenderPath
from stylegan.training import TrainingConfig, run

from ..conftest import FAST_PATHS, in_threads, tiny_generator

OPTIONS: dict[str, dict[str, Any]] = {
    "official": {},
    "relu": {"nonlinearity": "relu"},
    "no filter": {"blur_filter": None},
    "a filter that is not symmetric": {"blur_filter": [1, 2, 5]},
    "no noise": {"use_noise": False},
    "dense input": {"const_input": False},
    "no styles": {"use_styles": False},
    "no instance norm": {"use_instance_norm": False},
    "an epsilon of its own": {"instance_norm_epsilon": 1e-2},
    "no equalized learning rate": {"equalized_lr": False},
    "one RGB layer": {"progressive": False},
    "greyscale": {"img_channels": 1},
}
PLAIN_ONLY: dict[str, dict[str, Any]] = {
    "pixel norm": {"use_pixel_norm": True},
    "bias before blur": {"bias_before_blur": True},
    "activation before blur": {"quirks": {"activate_before_blur": True}},
    "bilinear": {"bilinear_upscale": True},
    "long filter": {"blur_filter": [1, 3, 3, 1]},
}


@pytest.fixture(params=FAST_PATHS)
def path(request: pytest.FixtureRequest) -> RenderPath:
    path: RenderPath = request.param
    return path


@pytest.fixture
def small_bands(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several bands for each layer, and groups of three images, even in tiny networks."""
    monkeypatch.setattr(bands, "BAND_BYTES", 2**12)
    monkeypatch.setattr(renderer, "GROUP_PIXELS", 3 * 32**2)


def generator(**options: Any) -> Generator:
    channels = {"img_channels": options.pop("img_channels", 3)}
    G = tiny_generator(img_resolution=32, synthesis={"fmap_base": 256, "fmap_max": 16} | options, **channels)
    # A constant of no variance is a case of its own, below.
    if hasattr(G.synthesis.layers[0].source, "const"):
        G.synthesis.layers[0].source.get_parameter("const").normal_(generator=torch.Generator().manual_seed(2))
    return G


def on(G: Generator, path: RenderPath, ws: Tensor, **settings: Any) -> Tensor:
    """The images of a path; a fast one must have been taken."""
    G.release_memory()
    G.path = path
    img = G.synthesis(ws, **settings)
    assert is_prepared(G) == (path != "plain")
    return img


def renderer_of(G: Generator) -> renderer.Renderer:
    assert isinstance(G.synthesis.renderer, renderer.Renderer)
    return G.synthesis.renderer


def is_prepared(G: Generator) -> bool:
    return renderer_of(G)._prepared is not None


def assert_same(given: Tensor, expected: Tensor, limit: float = 1e-5) -> None:
    """But for rounding: random networks enlarge it up to a hundred times."""
    assert (given - expected).square().mean().sqrt() <= limit * expected.std()


@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.usefixtures("small_bands")
def test_a_fast_path_equals_the_plain_one(path: RenderPath, name: str) -> None:
    G = generator(**OPTIONS[name])
    ws = G.ws(range(5), truncation_psi=1)
    assert_same(on(G, path, ws), on(G, "plain", ws))


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


def test_copies_keep_the_path_and_prepare_their_own(path: RenderPath) -> None:
    G = generator()
    on(G, path, G.ws([1]))
    for own in (copy.deepcopy(G), pickle.loads(pickle.dumps(G))):
        assert own.path == path
        assert own.synthesis.renderer is not G.synthesis.renderer
        assert not is_prepared(own)


@pytest.mark.parametrize("name", PLAIN_ONLY)
def test_other_options_take_the_plain_path(path: RenderPath, name: str) -> None:
    G = generator(**PLAIN_ONLY[name])
    ws = G.ws([1, 2])
    expected = on(G, "plain", ws)
    G.path = path
    assert torch.equal(G.synthesis(ws), expected)
    assert not is_prepared(G)


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


def test_copies_share_nothing(path: RenderPath) -> None:
    G = generator()
    on(G, path, G.ws([1]))
    again = copy.deepcopy(G)
    assert again.path == path
    assert not is_prepared(again)
    initialize(again, 5)
    again.synthesis(G.ws([1]))
    assert_same(G.synthesis(G.ws([1])), on(G, "plain", G.ws([1])))


def test_an_unknown_path_is_refused() -> None:
    with pytest.raises(InputError, match="'auto', 'plain', 'fast', 'native'; got 'quick'"):
        Generator.from_pretrained(path="quick")  # type: ignore[arg-type]


@pytest.mark.parametrize("up", [False, True])
@pytest.mark.parametrize(("in_channels", "out_channels"), [(32, 32), (48, 80)])
@pytest.mark.skipif(native_kernels() is None, reason="needs the compiled kernels")
def test_winograd_equals_the_definition(up: bool, in_channels: int, out_channels: int) -> None:
    generator = torch.Generator().manual_seed(0)
    kernel = torch.randn(out_channels, in_channels, 3, 3, generator=generator)
    convolution = Convolution(kernel, 0.1, 32, torch.float32, up)
    assert pays_by_winograd(convolution)
    # Odd numbers of rows and columns leave half tiles; rows of x beyond the border are zero, as the renderer's are.
    x = torch.randn(2, 5, 7, in_channels, generator=generator)
    x[:, 0] = x[:, -1] = 0
    kernels = native_kernels()
    assert kernels
    given = NativeKernels.convolve(kernels, convolution, x, Workspace())
    img = x[:, 1:-1].permute(0, 3, 1, 2).double()
    kernel = kernel.double() * convolution.gain
    if up:
        blocks = given.view(2, 4, 8, 2, 2, out_channels).permute(0, 5, 1, 3, 2, 4).reshape(2, out_channels, 8, 16)
        given, expected = blocks[..., 1:-1, 1:-1], ops.conv2d(ops.upscale(img), kernel)
    else:
        given, expected = given.permute(0, 3, 1, 2), ops.conv2d(img, kernel)
    torch.testing.assert_close(given.double(), expected, rtol=0, atol=3e-6 * expected.std().item())


@pytest.fixture(params=CAPABILITIES)
def capability(request: pytest.FixtureRequest) -> Iterator[str]:
    """Each variant of the compiled kernels that this processor can run."""
    library = load_library()
    assert library
    most = library.stylegan_use_capability(CAPABILITIES["avx512"])
    if CAPABILITIES[request.param] > most:
        pytest.skip("this processor has no such instructions")
    library.stylegan_use_capability(CAPABILITIES[request.param])
    yield request.param
    library.stylegan_use_capability(_capability())


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


def test_the_number_of_threads_changes_no_bit(path: RenderPath) -> None:
    G = generator()
    ws = G.ws([1, 2])
    before = torch.get_num_threads()
    try:
        images = [torch.set_num_threads(n) or on(G, path, ws) for n in (1, 2)]
    finally:
        torch.set_num_threads(before)
    torch.testing.assert_close(*images, rtol=0, atol=1e-5)


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
