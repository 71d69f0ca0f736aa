"""What surrounds the kernels on a GPU, shown on the CPU with a capture that stands in for CUDA graphs."""

import copy
import sys
from dataclasses import fields, is_dataclass, replace
from typing import Any

import pytest
import torch
from torch import Tensor

from stylegan import Generator
from stylegan.errors import InputError, RenderError
from stylegan.fast import bands, choice, convolution, renderer
from stylegan.fast.graphs import Graphs
from stylegan.fast.prepared import Fingerprint, prepare
from stylegan.fast.torch_kernels import TorchKernels
from stylegan.fast.workspace import Workspace
from stylegan.runtime.cuda_graphs import MAX_GRAPHS

from ..conftest import in_threads
from ..runtime.captures import Again
from .tiny import OPTIONS, assert_same, generator, is_prepared, known_graphs, on


class Compiled(TorchKernels):
    """Stands in for Triton's kernels."""


class Broken(Compiled):
    """Compiled wrongly: a few values of each band are off."""

    def activate(self, *args: Any) -> Tensor:
        sums = super().activate(*args)
        args[-1][:, :1] += 1
        return sums


class Failing(Compiled):
    """Cannot be launched."""

    def activate(self, *args: Any) -> Tensor:
        raise RuntimeError("no kernel image is available for execution on the device")


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Again:
    """The CPU passes for a GPU, with or without a C compiler: whole images, proofs and graphs."""
    capture = Again()
    monkeypatch.setattr(bands, "on_gpu", lambda x: True)
    monkeypatch.setattr(renderer, "_graphs_for", lambda network, device: Graphs(capture))
    monkeypatch.setattr(renderer, "GPU_GROUP_PIXELS", 3 * 32**2)
    monkeypatch.setattr(choice, "native_kernels", Compiled)
    monkeypatch.setattr(choice, "compiled_kernels", lambda device: Compiled())
    return capture


@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.usefixtures("gpu")
def test_groups_of_whole_images_equal_the_plain_path(name: str) -> None:
    G = generator(**OPTIONS[name])
    ws = G.ws(range(5), truncation_psi=1)
    assert_same(on(G, "fast", ws), on(G, "plain", ws))


def test_the_second_call_is_captured_and_later_ones_replayed(gpu: Again) -> None:
    G = generator()
    expected = [on(G, "plain", G.ws([seed])) for seed in range(4)]
    G.path = "auto"
    for seed, (captured, replayed) in enumerate([(0, 0), (1, 1), (1, 2), (1, 3)]):
        assert_same(G.synthesis(G.ws([seed])), expected[seed])
        assert (gpu.captured, gpu.replays) == (captured, replayed)
        assert gpu.orders == replayed  # Whatever streams the callers are on.


def test_a_batch_is_one_graph_used_for_each_group(gpu: Again) -> None:
    G = generator()
    ws, noise = G.ws(range(9)), G.noise(range(9))
    assert_same(on(G, "fast", ws, noise=noise), on(G, "plain", ws, noise=noise))
    assert (gpu.captured, gpu.replays) == (1, 2)


def test_given_noise_goes_into_a_graph_beside_the_networks_own(gpu: Again) -> None:
    G = generator()
    ws = G.ws([1])
    settings: list[dict[str, Any]] = [
        {},
        {"noise_mode": "none"},
        *({"noise": G.noise(seed)} for seed in range(3)),
        {"noise": [None, *G.noise(5)[1:]]},
        {"lod": 1},
    ]
    expected = [on(G, "plain", ws, **own) for own in settings]
    G.path = "fast"
    for _ in range(3):
        for own, img in zip(settings, expected, strict=True):
            assert_same(G.synthesis(ws, **own), img)
    assert gpu.captured == 5
    with torch.no_grad():
        G.synthesis.layers[5].get_buffer("noise_const").mul_(-1)
    given = [G.synthesis(ws) for _ in range(3)]
    for img in given:
        assert_same(img, on(G, "plain", ws))


def test_changed_weights_are_captured_anew(gpu: Again) -> None:
    G = generator()
    for scale in (1, -2, 3):
        with torch.no_grad():
            G.synthesis.layers[3].source.get_parameter("weight").mul_(scale)
        expected = on(G, "plain", G.ws([1]))
        G.path = "fast"
        for _ in range(3):
            assert_same(G.synthesis(G.ws([1])), expected)
    assert gpu.captured == 3


def test_a_later_call_never_writes_over_an_image(gpu: Again) -> None:
    G = generator()
    G.path = "fast"
    images = [G.synthesis(G.ws([seed])) for seed in range(4)]
    for seed, img in enumerate(images):
        assert_same(img, on(G, "plain", G.ws([seed])))


def test_threads_replay_one_after_the_other(gpu: Again) -> None:
    G = generator()
    ws = [G.ws([seed]) for seed in range(4)]
    expected = [on(G, "plain", w) for w in ws]
    G.path = "auto"
    wrong = []

    def render(i: int) -> None:
        for _ in range(10):
            if (G.synthesis(ws[i]) - expected[i]).abs().max() > 1e-3:
                wrong.append(i)

    in_threads(render, 4)
    assert not wrong
    assert gpu.captured == 1


def test_graphs_are_few_and_given_back(gpu: Again) -> None:
    G = generator()
    G.path = "fast"
    for _ in range(2):
        for lod in range(3):
            for n in (1, 2, 3, 1, 2, 3):
                G.synthesis(G.ws(range(n)), lod=lod)
    known = known_graphs(G)
    assert gpu.captured > len(known) == MAX_GRAPHS
    G.release_memory()
    assert not known
    assert not is_prepared(G)


@pytest.mark.usefixtures("gpu")
def test_what_cannot_be_captured_runs_as_it_is(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    capture = Again(RuntimeError("operation not permitted when stream is capturing"))
    monkeypatch.setattr(renderer, "_graphs_for", lambda network, device: Graphs(capture))
    G = generator()
    expected = on(G, "plain", G.ws([1]))
    G.path = "fast"
    for _ in range(4):
        assert_same(G.synthesis(G.ws([1])), expected)
    assert capture.captured == 1
    assert ["not captured" in record.message for record in caplog.records] == [True]


@pytest.mark.parametrize("kernels", [Broken, Failing])
@pytest.mark.usefixtures("gpu")
def test_kernels_that_do_not_work_here_are_found_out(
    kernels: type, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(choice, "compiled_kernels", lambda device: kernels())
    G = generator()
    ws = G.ws([1, 2])
    expected = on(G, "plain", ws)
    G.path = "auto"
    for _ in range(3):
        assert_same(G.synthesis(ws), expected)
    assert [kernels.__name__ in record.message for record in caplog.records] == [True]
    G.path = "native"
    with pytest.raises(RenderError, match="use path 'auto' or 'plain'"):
        G.synthesis(ws)
    G.path = "fast"
    assert_same(G.synthesis(ws), expected)


@pytest.mark.usefixtures("gpu")
def test_where_no_kernels_work_the_modules_serve(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(choice, "compiled_kernels", lambda device: Broken())
    monkeypatch.setattr(TorchKernels, "to_rgb", lambda *args: args[-1].zero_())
    G = generator()
    expected = on(G, "plain", G.ws([1]))
    G.path = "auto"
    assert torch.equal(G.synthesis(G.ws([1])), expected)
    assert len(caplog.records) == 2


@pytest.mark.usefixtures("gpu")
def test_a_lack_of_memory_is_not_taken_for_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: Any) -> None:
        raise torch.OutOfMemoryError("full")

    G = generator()
    G.path = "auto"
    with monkeypatch.context() as patch:
        patch.setattr(Compiled, "to_rgb", fail)
        with pytest.raises(torch.OutOfMemoryError):
            G.synthesis(G.ws([1]))
    G.path = "native"
    assert_same(G.synthesis(G.ws([1])), on(G, "plain", G.ws([1])))


@pytest.fixture
def half(monkeypatch: pytest.MonkeyPatch) -> None:
    """The CPU takes the fast path in float16 too, by the operations that every processor has."""
    monkeypatch.setitem(choice._TYPES, "cpu", (torch.float32, torch.bfloat16, torch.float16))
    monkeypatch.setattr(convolution, "can_pack", lambda dtype: False)


@pytest.mark.usefixtures("gpu", "half")
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_proven_against_float32(
    dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for kernels, faults in ((Compiled, 0), (Broken, 1)):
        monkeypatch.setattr(choice, "compiled_kernels", lambda device, kernels=kernels: kernels())
        G = generator()
        G.synthesis.to(dtype)
        on(G, "auto", G.ws([1, 2]))
        assert len(caplog.records) == faults


@pytest.mark.usefixtures("half")
@pytest.mark.parametrize(
    "options", [{}, {"use_noise": False}, {"use_instance_norm": False}, {"instance_norm_epsilon": 0.5}]
)
def test_float16_holds_features_of_any_size(options: dict[str, Any]) -> None:
    """What a convolution gives may be of any size, because it is normalized afterwards."""
    G = generator(**options)
    if not {"use_instance_norm", "instance_norm_epsilon"} & set(options):
        for i, factor in ((3, 2.0**15), (4, 2.0**-8)):
            layer: Any = G.synthesis.layers[i]
            layer.source.weight_gain *= factor
            for tensor in (layer.bias, layer.noise_strength):
                if tensor is not None:
                    tensor *= factor
    ws = G.ws(range(3), truncation_psi=1)
    expected = on(G, "plain", ws)
    G.synthesis.half()
    error = (on(G, "fast", ws) - expected).square().mean().sqrt() / expected.std()
    assert 1e-5 < error < 0.01


def on_meta(part: Any) -> Any:
    """A prepared network on the device "meta", whose tensors have no values."""
    if isinstance(part, Tensor):
        return part.to("meta")
    if isinstance(part, list | tuple):
        return type(part)(on_meta(p) for p in part)
    if isinstance(part, dict):
        return {key: on_meta(p) for key, p in part.items()}
    if is_dataclass(part) and not isinstance(part, type):
        return replace(part, **{f.name: on_meta(getattr(part, f.name)) for f in fields(part)})
    return part


@pytest.mark.usefixtures("gpu")
def test_nothing_in_the_loop_reads_values_or_sends_any(monkeypatch: pytest.MonkeyPatch) -> None:
    """Either would wait for the GPU."""
    G = generator()
    network = on_meta(prepare(G.synthesis, torch.float32))
    ws, img = G.ws([1, 2]).to("meta"), torch.empty(2, 3, 32, 32, device="meta")
    noise = [m.to("meta") for m in G.noise(1)]
    for name in ("tensor", "as_tensor", "from_numpy"):
        monkeypatch.setattr(torch, name, lambda *args, **settings: pytest.fail("sends values"))
    bands.Call(TorchKernels(), Workspace()).render(network, ws, noise, [img])


def test_without_triton_the_path_on_gpus_is_fast_and_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    monkeypatch.setitem(sys.modules, "stylegan.fast.triton_kernels", None)
    for spec, message in ((None, "no Triton here"), (object(), "cannot be imported")):
        monkeypatch.setattr("importlib.util.find_spec", lambda name, spec=spec: spec)
        choice.triton_kernels.cache_clear()
        caplog.clear()
        for _ in range(2):
            assert choice.resolve_path("auto", torch.device("cuda")) == "fast"
        assert [message in record.message for record in caplog.records] == [True]
    choice.triton_kernels.cache_clear()


def test_a_gpu_with_triton_is_native_without_a_c_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choice, "native_kernels", lambda: None)
    monkeypatch.setattr(choice, "triton_kernels", Compiled)
    if not torch.cuda.is_available():
        with pytest.raises(InputError, match="needs the compiled kernels"):
            choice.check_path("native")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert choice.check_path("native") == "native"


@pytest.mark.usefixtures("half")
def test_float16_stays_near_float32_on_a_trained_network(faces: Generator) -> None:
    """docs/speed.md publishes this error."""
    G = copy.deepcopy(faces)
    ws = G.ws(range(8))
    expected = on(G, "plain", ws)
    G.synthesis.half()
    error = (on(G, "fast", ws) - expected).square().mean().sqrt() / expected.std()
    assert 0.0005 < error < 0.003


def test_unchanged_parameters_are_told_without_reading_the_gpu() -> None:
    """Tensors of the device "meta" have no values."""
    tensors = [torch.empty(8, 4, device="meta"), torch.empty(3, device="meta")]
    fingerprint = Fingerprint(tensors)
    assert fingerprint.fits(tensors)
    tensors[0].mul_(2)
    assert not fingerprint.fits(tensors)
