"""Training with compiled kernels gives what the modules give."""

import pickle
from copy import deepcopy
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from stylegan import Discriminator, Generator
from stylegan.fast import autograd, native, native_kernels, native_or_torch_kernels
from stylegan.fast.native import NativeKernels
from stylegan.fast.torch_kernels import TorchKernels
from stylegan.networks import ops
from stylegan.networks.layers import Modules
from stylegan.training import new_state, train_step
from stylegan.training.passes import run_as

from .tiny import TinyImages, fuse, tiny_config

pytestmark = pytest.mark.skipif(native_kernels() is None, reason="needs the compiled kernels")


def generator(*, img_resolution: int = 16, **synthesis: Any) -> Generator:
    """With noise, biases and features that differ in every channel."""
    synthesis = {"fmap_base": 192, "fmap_max": 24} | synthesis
    G = Generator(z_dim=16, w_dim=16, img_resolution=img_resolution, synthesis=synthesis)
    draws = torch.Generator().manual_seed(1)
    for name, p in G.named_parameters():
        if "noise_strength" in name or name.endswith(("bias", "const")):
            p.data = torch.randn(p.shape, generator=draws) * 0.3
        if p.ndim == 4:
            p.data = p.data.contiguous(memory_format=torch.channels_last)
    return G


def gradients(G: Generator, n: int, *, noise: str = "own", dtype: Any = torch.float32) -> dict[str, torch.Tensor]:
    """The image, and the gradients of a weighted sum of its pixels by all parameters and by w."""
    draws = torch.Generator().manual_seed(2)
    size = G.img_resolution
    w, weight = torch.randn(n, 16, generator=draws).to(G.dtype), torch.randn(n, 3, size, size, generator=draws)
    count = {"own": n, "shared": 1, "none": 0}[noise]
    maps = [torch.randn(count, 1, *shape, generator=draws) if count else None for shape in G.synthesis.noise_shapes]
    w.requires_grad_(True)
    img = run_as(G.synthesis, dtype, G.broadcast(w) if G.num_ws > 1 else w[:, None], noise=maps)
    (img * weight).sum().backward()
    found = {name: p.grad for name, p in G.named_parameters() if p.grad is not None}
    return found | {"img": img.detach(), "w": w.grad}


@pytest.mark.parametrize(
    ("options", "n", "noise"),
    [
        ({}, 3, "own"),
        ({}, 1, "own"),
        ({}, 3, "shared"),
        ({}, 2, "none"),
        ({"fmap_max": 7}, 2, "own"),
        ({"use_noise": False}, 2, "none"),
        ({"use_styles": False, "const_input": False}, 2, "own"),
        ({"use_instance_norm": False}, 2, "own"),
        ({"nonlinearity": "relu", "blur_filter": None}, 2, "own"),
        ({"blur_filter": [1, 3, 2]}, 2, "own"),
        ({"instance_norm_epsilon": 0.1}, 2, "own"),
        ({"use_pixel_norm": True}, 2, "own"),  # One that the kernels do not know.
        ({"bias_before_blur": True}, 2, "own"),
        ({"quirks": {"activate_before_blur": True}}, 2, "own"),
    ],
)
def test_images_and_gradients_are_those_of_the_modules(options: dict[str, Any], n: int, noise: str) -> None:
    G = generator(**options)
    H, exact = deepcopy(G), deepcopy(G).double()
    fuse(H.synthesis)
    ours = gradients(H, n, noise=noise)
    # Near zero, rounding decides whether a ReLU passes a gradient: ours agrees with one of two roundings.
    expected = [gradients(G, n, noise=noise), gradients(exact, n, noise=noise, dtype=torch.float64)]
    assert any(is_near(ours, found) for found in expected)


def is_near(ours: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> bool:
    """Below a normalization, what is nearly zero is what rounding left of large numbers."""
    assert ours.keys() == expected.keys()
    return all((ours[name] - value).norm() <= 2e-5 * value.norm() + 1e-3 for name, value in expected.items())


def test_bfloat16_is_no_less_exact_than_by_the_modules() -> None:
    G = generator()
    H = deepcopy(G)
    fuse(H.synthesis)
    exact = gradients(deepcopy(G), 4)
    by_modules, ours = gradients(G, 4, dtype=torch.bfloat16), gradients(H, 4, dtype=torch.bfloat16)

    def error(found: Any) -> Any:
        return torch.stack([(found[k] - v).norm() / v.norm() for k, v in exact.items()]).median()

    assert error(ours) < 1.1 * error(by_modules)
    assert error(ours) < 0.2


def calls(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The functions with gradients that run from now on."""
    seen: list[str] = []
    for function in (autograd._Blur, autograd._Epilogue):

        def forward(*args: Any, name: Any = function.__name__, own: Any = function.forward) -> Any:
            seen.append(name)
            return own(*args)

        monkeypatch.setattr(function, "forward", staticmethod(forward))
    return seen


def test_kernels_compute_in_the_layers_that_they_know(monkeypatch: pytest.MonkeyPatch) -> None:
    G, D = generator(), Discriminator(img_resolution=16, fmap_base=64, fmap_max=8)
    fuse(G.synthesis)
    fuse(D)
    seen = calls(monkeypatch)
    gradients(G, 2)
    # The first layer is an input; the third and the fifth have a filter.
    assert seen == ["_Epilogue", *["_Blur", "_Epilogue", "_Epilogue"] * 2, "_Blur", "_Blur"]
    seen.clear()
    D(torch.zeros(2, 3, 16, 16))
    assert seen == ["_Blur", "_Blur"]


@pytest.mark.parametrize(
    ("options", "dtype", "expected"),
    [
        ({"blur_filter": [1, 3, 3, 1]}, torch.float32, ["_Epilogue"] * 3),  # In the layers without a filter.
        ({"use_pixel_norm": True, "blur_filter": None}, torch.float32, []),
        ({}, torch.float64, []),
    ],
)
def test_the_modules_compute_what_kernels_do_not_know(
    options: dict[str, Any], dtype: torch.dtype, expected: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    G = generator(**options).to(dtype)
    fuse(G.synthesis)
    seen = calls(monkeypatch)
    G.synthesis(torch.zeros(1, G.num_ws, 16, requires_grad=True))
    assert seen == expected


def test_without_kernels_torch_computes_what_the_modules_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "native_kernels", lambda: None)
    G = generator()
    expected = gradients(deepcopy(G), 2)
    G.synthesis.kernels = native_or_torch_kernels()
    assert isinstance(G.synthesis.kernels, TorchKernels)
    found = gradients(G, 2)
    assert all(torch.equal(found[name], value) for name, value in expected.items())


def test_kernels_are_one_for_all_copies() -> None:
    G = generator()
    fuse(G.synthesis)
    for own in (deepcopy(G), pickle.loads(pickle.dumps(G))):
        assert own.synthesis.kernels is native_kernels()


@pytest.mark.parametrize("channels", [16, 5])
def test_the_filter_and_its_gradients(channels: int) -> None:
    kernel = ops.blur_kernel([1, 3, 2])
    x = torch.randn(2, channels, 6, 6, generator=torch.Generator().manual_seed(0), requires_grad=True)
    weight = torch.randn(x.shape, generator=torch.Generator().manual_seed(1))
    kernels = native_kernels()
    assert kernels
    found = []
    for blur in (ops.blur, kernels.blur):
        y = blur(x, kernel)
        (first,) = torch.autograd.grad((y.square() * weight).sum(), x, create_graph=True)
        (second,) = torch.autograd.grad(first.pow(3).sum(), x)
        found.append((y, first, second))
    for expected, ours in zip(*found, strict=True):
        torch.testing.assert_close(ours, expected, rtol=1e-5, atol=1e-5)


def test_the_penalty_of_a_discriminator_has_the_same_gradients() -> None:
    D = Discriminator(img_resolution=16, fmap_base=64, fmap_max=8)
    E = deepcopy(D)
    fuse(E)
    assert_same_penalty(D, E)


def assert_same_penalty(D: Discriminator, E: Discriminator) -> None:
    """R1 and a loss have the same gradients."""
    for network in (D, E):
        img = torch.randn(4, 3, 16, 16, generator=torch.Generator().manual_seed(0)).requires_grad_(True)
        scores = network(img)
        (gradient,) = torch.autograd.grad(scores.sum(), img, create_graph=True)
        (F.softplus(scores).sum() + gradient.square().sum()).backward()
    for (name, p), q in zip(D.named_parameters(), E.parameters(), strict=True):
        if p.grad is not None:
            assert q.grad is not None
            assert (p.grad - q.grad).norm() <= 1e-5 * p.grad.norm(), name


def test_second_derivatives_of_the_synthesis_are_refused() -> None:
    G = generator()
    fuse(G.synthesis)
    w = torch.randn(2, G.num_ws, 16, requires_grad=True)
    (gradient,) = torch.autograd.grad(G.synthesis(w).sum(), w, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        gradient.sum().backward()


def test_runs_are_fused_and_learn_what_plain_runs_learn(monkeypatch: pytest.MonkeyPatch) -> None:
    images, labels = TinyImages().batch(list(range(8)))
    states = []
    for fuses in (True, False):
        if not fuses:
            monkeypatch.setattr("stylegan.training.state.native_or_torch_kernels", Modules)
        config = tiny_config(initial_resolution=16)
        state = new_state(config)
        assert (
            isinstance(state.G.synthesis.kernels, NativeKernels) == isinstance(state.D.kernels, NativeKernels) == fuses
        )
        assert isinstance(state.Gs.synthesis.kernels, Modules)
        train_step(state, config, config.schedule().at(0), images, labels)
        states.append(state.D.state_dict())
    for name, expected in states[1].items():
        torch.testing.assert_close(states[0][name], expected, rtol=0, atol=1e-5, msg=name)
