"""What is global in torch changes no number of ours: default types and devices, autocast, inference mode."""

import ast
import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
import torch
from torch import Tensor

from stylegan import Discriminator, Generator, project
from stylegan.editing import gradient_directions, pca, sefa
from stylegan.encoder import new_encoder
from stylegan.extractors import load_classifier, load_extractor
from stylegan.fast import library
from stylegan.fast.native import native_kernels
from stylegan.metrics import fid
from stylegan.metrics.path_length import Path as LatentPath
from stylegan.metrics.path_length import path_lengths
from stylegan.projection import tune
from stylegan.projection.refine import refine_step
from stylegan.runtime import device as placement
from stylegan.runtime.choices import RenderPath
from stylegan.weights.checkpoint import load_checkpoint

from ..conftest import FAST_PATHS, GOLDEN, ROOT, tiny_generator
from ..training.tiny import TinyImages, assert_same, run

SOURCES = sorted((ROOT / "stylegan").rglob("*.py"))


@contextlib.contextmanager
def default_dtype(dtype: torch.dtype) -> Iterator[None]:
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


@contextlib.contextmanager
def default_device(device: str) -> Iterator[None]:
    torch.set_default_device(device)
    try:
        yield
    finally:
        torch.set_default_device(None)


STATES: dict[str, Callable[[], contextlib.AbstractContextManager[object]]] = {
    "float64": lambda: default_dtype(torch.float64),
    "float16": lambda: default_dtype(torch.float16),
    "bfloat16": lambda: default_dtype(torch.bfloat16),
    "meta": lambda: default_device("meta"),
    "meta in a block": lambda: torch.device("meta"),
    "autocast": lambda: torch.autocast("cpu", torch.bfloat16),
    "inference mode": torch.inference_mode,
    "no gradients": torch.no_grad,
}


@pytest.fixture(params=STATES)
def state(request: pytest.FixtureRequest) -> contextlib.AbstractContextManager[object]:
    """A global state of torch to work in."""
    return STATES[request.param]()


def numbers(G: Generator) -> list[Tensor]:
    """All that a caller gets from a generator, step by step."""
    noise = G.noise([3])
    ws = G.ws([1, 2], truncation_psi=0.5, truncation_cutoff=3)
    w = G.mapping(G.z([1, 2]))
    pictures = G.sample(seeds=[1, 2], output_type="np")
    random = G.synthesis(ws, noise_mode="random", generator=torch.Generator("cpu").manual_seed(1))
    return [G.z([1, 2]), w, ws, *noise, G.synthesis(ws, noise=noise), G.synthesis(ws, lod=0.5), random,
            torch.from_numpy(pictures)]  # fmt: skip


def assert_equal(given: list[Tensor], expected: list[Tensor]) -> None:
    for a, b in zip(given, expected, strict=True):
        assert a.dtype == b.dtype
        assert torch.equal(a, b)


@pytest.mark.parametrize("path", ["plain", *FAST_PATHS, "auto"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_images_do_not_change_whenever_the_model_was_loaded(
    state: contextlib.AbstractContextManager[object], path: RenderPath, dtype: str, tmp_path: Path
) -> None:
    file = tmp_path / "tiny.safetensors"
    tiny_generator().save(file)
    before = Generator.from_pretrained(file, path=path, dtype=dtype)
    expected = numbers(before)
    with state:
        assert_equal(numbers(before), expected)
        after = Generator.from_pretrained(file, path=path, dtype=dtype)
        assert_equal(numbers(after), expected)
    assert_equal(numbers(after), expected)
    assert not any(t.is_inference() for t in after.state_dict().values())


def test_official_files_and_discriminators_are_read_alike(state: contextlib.AbstractContextManager[object]) -> None:
    file = GOLDEN / "T" / "network_nosrc.pkl"
    G, D = Generator.from_pretrained(file), Discriminator.from_pretrained(file)
    labels = [0] if G.label_dim else None
    expected = G.sample(1, labels=labels, output_type="pt")
    score = D(expected, G.label_vectors(labels, 1))
    with state:
        G, D = Generator.from_pretrained(file), Discriminator.from_pretrained(file)
        given = G.sample(1, labels=labels, output_type="pt")
        assert_equal([given, D(given, G.label_vectors(labels, 1))], [expected, score])


def networks() -> list[Generator | Discriminator]:
    small: dict[str, Any] = {"fmap_max": 16}
    return [
        Generator(z_dim=24, w_dim=24, img_resolution=16, synthesis=small, mapping={"hidden_dim": 24}),
        Discriminator(img_resolution=16, **small),
    ]


def test_new_weights_and_what_is_saved_of_them_do_not_change(
    state: contextlib.AbstractContextManager[object], tmp_path: Path
) -> None:
    expected = networks()
    expected[0].save(tmp_path / "expected.safetensors")
    with state:
        given = networks()
        given[0].save(tmp_path / "given.safetensors")
    for a, b in zip(given, expected, strict=True):
        assert_same(a.state_dict(), b.state_dict())
    saved = [load_checkpoint(tmp_path / name) for name in ("given.safetensors", "expected.safetensors")]
    assert_same(saved[0].state_dict, saved[1].state_dict)


def test_directions_and_extractors_do_not_change(
    state: contextlib.AbstractContextManager[object], tiny: Generator
) -> None:
    img = torch.linspace(-1, 1, 2 * 3 * 16 * 16).view(2, 3, 16, 16)

    def found() -> list[Tensor]:
        extractor = load_extractor("random-conv")
        directions = [*pca(tiny, n=2, samples=20), *sefa(tiny, n=2)]
        moved = tiny.edit(tiny.ws([1]), directions[0], [2.0])
        labels = load_classifier("gender")(img)
        return [extractor.features(img), labels, moved, *(d.vector for d in directions)]

    expected = found()
    with state:
        # The caller calls extractors himself here, as no function of ours would.
        with torch.autocast("cpu", enabled=False):
            given = found()
        assert_equal([d.vector for d in pca(tiny, n=2, samples=20)], expected[3:5])
    assert_equal(given, expected)


def test_what_is_optimized_does_not_change(state: contextlib.AbstractContextManager[object], tiny: Generator) -> None:
    def found(target: Tensor) -> list[Tensor]:
        options: dict[str, Any] = {"extractor": "random-conv", "progress": False}
        encoder = new_encoder(tiny)
        projections = [
            project(target, tiny, steps=2, **options),
            project(target, tiny, method="hybrid", encoder=encoder, pixel_steps=2, steps=2, **options),
        ]
        tuned = tune(projections[0], tiny, steps=2, **options)
        (direction,) = gradient_directions(tiny, {"red": lambda img: img[:, 0].mean(dim=(1, 2))}, samples=50)
        return [*(one.latents.ws for one in projections), tuned.found.img, direction.vector]

    expected = found(tiny.sample(seeds=[1], output_type="pt").clamp(-1, 1))
    with state:
        given = found(tiny.sample(seeds=[1], output_type="pt").clamp(-1, 1))
    assert_equal(given, expected)


@pytest.mark.parametrize("name", STATES)
def test_training_does_not_change(name: str, tmp_path: Path) -> None:
    dataset = TinyImages()
    settings: dict[str, Any] = {
        "dataset": dataset,
        "augment": "ada",
        "mirror": True,
        "kimg": 0.024,
        "channels_last": True,
    }
    expected = run(tmp_path / "a", **settings).state
    with STATES[name]():
        given = run(tmp_path / "b", **settings).state
    for network, own in given.networks().items():
        assert_same(own.state_dict(), expected.networks()[network].state_dict())


def test_every_new_tensor_says_its_type_and_device() -> None:
    """Or takes them from torch's defaults, which are the caller's."""
    with_dtype = {"zeros", "ones", "empty", "full", "tensor", "as_tensor", "eye", "rand", "randn", "linspace", "normal"}
    without = {"arange", "randperm", "randint"}
    forgotten = []
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                continue
            name, module = node.func.attr, ast.unparse(node.func.value)
            given = {keyword.arg for keyword in node.keywords}  # None = some that are unpacked.
            needed = {"dtype", "device"} if name in with_dtype else {"device"} if name in without else set()
            bare = name == "Generator" and not node.args and "device" not in given
            if module == "torch" and (bare or (None not in given and needed - given)):
                forgotten.append(f"{path.name}:{node.lineno}: {ast.unparse(node)}")
    # Of labels and of numpy's arrays, the type is theirs.
    allowed = ("torch.as_tensor(labels, device='cpu')", "torch.as_tensor(given, device='cpu')")
    assert [line for line in forgotten if not line.endswith(allowed)] == []


# Compiled code reads memory by address: what does not fit must be told, not read.


@pytest.mark.parametrize(
    "wrong",
    [
        torch.zeros(2, 4, 4, 8, dtype=torch.float64),
        torch.zeros(2, 4, 4, 8, dtype=torch.float16),
        torch.zeros(2, 4, 4, 9)[..., :8],
        torch.zeros(2, 8, 4, 4).permute(0, 2, 3, 1),
        torch.zeros(2, 4, 4, 7),
        torch.zeros(1, 4, 4, 8),
        torch.zeros(2, 4, 4, 8, device="meta"),
    ],
    ids=["float64", "float16", "a slice of channels", "channels first", "fewer channels", "fewer images", "no memory"],
)
def test_memory_that_compiled_code_does_not_expect_is_refused(wrong: Tensor) -> None:
    library.array(torch.zeros(3, 4, 4, 8)[:2], 2, 4, 4, 8)
    library.array(torch.zeros(2, 9, 4, 8)[:, 2:6], 2, 4, 4, 8)  # Some rows of some images.
    with pytest.raises(ValueError, match="compiled code takes"):
        library.array(wrong, 2, 4, 4, 8)


@pytest.mark.skipif(native_kernels() is None, reason="needs the compiled kernels")
@pytest.mark.parametrize("which", ["mean", "scale", "shift"])
def test_vectors_of_another_type_are_refused(which: str) -> None:
    x, vectors = torch.ones(1, 4, 4, 8), {name: torch.ones(1, 8) for name in ("mean", "scale", "shift")}
    kernels = native_kernels()
    assert kernels
    kernels.normalize(x, **vectors, out=torch.empty_like(x))
    for wrong in (torch.ones(1, 8, dtype=torch.float64), torch.ones(2, 8), torch.ones(8, 2).T[:1]):
        with pytest.raises(ValueError, match="compiled code takes"):
            kernels.normalize(x, **vectors | {which: wrong}, out=torch.empty_like(x))


# Devices without float64: Apple's MPS. Tensors without numbers stand in for those there.


class NoFloat64(torch.utils._python_dispatch.TorchDispatchMode):
    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if function is torch.ops.aten._local_scalar_dense.default:
            return 0
        result = function(*args, **(kwargs or {}))
        for tensor in result if isinstance(result, tuple | list) else [result]:
            if isinstance(tensor, Tensor) and (tensor.device.type, tensor.dtype) == ("meta", torch.float64):
                raise TypeError("Cannot convert a MPS Tensor to float64 dtype as the MPS framework doesn't support it")
        return result


@pytest.fixture
def mps(monkeypatch: pytest.MonkeyPatch) -> Iterator[torch.device]:
    monkeypatch.setattr(placement, "WITHOUT_FLOAT64", {"meta"})
    monkeypatch.setattr(Tensor, "cpu", lambda x: torch.zeros(x.shape, dtype=x.dtype))
    with NoFloat64():  # type: ignore[no-untyped-call]
        yield torch.device("meta")


def test_the_stand_in_refuses_float64(mps: torch.device) -> None:
    with pytest.raises(TypeError, match="MPS"):
        torch.ones(2, device=mps).double()


def test_refinement_works_without_float64(mps: torch.device) -> None:
    u, target = torch.zeros(4, device=mps), torch.ones(3, 8, 8, device=mps)
    found = refine_step(lambda rows: rows[:, :1, None, None].expand(-1, 3, 8, 8), u, target)
    assert (found.device.type, found.dtype, found.shape) == ("meta", torch.float32, (4,))


@pytest.mark.parametrize("space", ["z", "w"])
def test_path_lengths_work_without_float64(mps: torch.device, space: Literal["z", "w"]) -> None:
    class Model:
        dtype, device, label_dim = torch.float32, mps, 0

        def mapping(self, z: Tensor, labels: None) -> Tensor:
            return z

        def broadcast(self, w: Tensor) -> Tensor:
            return w

        def synthesis(self, w: Tensor, noise: None) -> Tensor:
            assert (w.device.type, w.dtype) == ("meta", torch.float32)
            return w[:, :3, None, None].expand(-1, 3, 16, 16)

    class Images:
        G, seed = Model(), 0

        def z(self, numbers: list[int]) -> Tensor:
            return torch.ones(len(numbers), 8, device=mps)

        def labels_of(self, numbers: list[int]) -> None:
            return None

        noise = labels_of

        def synthesize(self, ws: Tensor, noise: None) -> Tensor:
            return self.G.synthesis(ws, noise)

    images: Any = Images()
    lengths = path_lengths(images, lambda a, b: (a - b).square().sum((1, 2, 3)), LatentPath(space, ends=True), [0, 1])
    assert lengths.shape == (2,)


def test_distances_of_features_work_without_float64(mps: torch.device) -> None:
    x = torch.ones(4, 2, device=mps)
    assert fid._moments(x)[1].shape == (2, 2)
