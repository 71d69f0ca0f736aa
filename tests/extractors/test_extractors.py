"""Extractors: parity with the implementations that their weights come from, and what every one of them promises."""

import importlib.util
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from stylegan.errors import InputError, IntegrityError, NotFoundError, UnsafeFileError, WeightsError
from stylegan.extractors import load_extractor
from stylegan.extractors.base import Extractor
from stylegan.extractors.inception import Inception2015, build_inception, resize_from_corners
from stylegan.extractors.perceptual import PerceptualNetwork, unit_length
from stylegan.weights import manifest

from ..references import import_reference


def pictures(n: int, *size: int, seed: int = 0) -> Tensor:
    """Random images with structure at every scale, in [-1, 1]."""
    generator = torch.Generator().manual_seed(seed)
    noise = [torch.randn(n, 3, s, s, generator=generator) for s in (2, 4, 8, 16)]
    return torch.stack([nn.functional.interpolate(x, size, mode="bilinear") for x in noise]).sum(0).tanh()


@pytest.fixture(scope="module", params=["random-conv", "st-lpips-alex", "st-lpips-vgg"])
def perceptual(request: pytest.FixtureRequest) -> Extractor:
    if request.param.startswith("st-lpips"):
        pytest.importorskip("stlpips_pytorch")
    return load_extractor(request.param)


@pytest.mark.parametrize("net", ["alex", "vgg"])
@pytest.mark.parametrize("size", [(64, 64), (37, 50)])
def test_st_lpips_is_the_distance_of_its_authors_code(net: str, size: tuple[int, int]) -> None:
    reference = import_reference("stlpips_pytorch.stlpips").LPIPS(net=net, variant="shift_tolerant", verbose=False)
    a, b = pictures(3, *size), pictures(3, *size, seed=1)
    a.requires_grad_()
    expected, got = reference(a, b).flatten(), load_extractor(f"st-lpips-{net}").distance(a, b)
    torch.testing.assert_close(got, expected, rtol=1e-6, atol=0)
    (by_theirs,) = torch.autograd.grad(expected.sum(), a)
    (by_ours,) = torch.autograd.grad(got.sum(), a)
    torch.testing.assert_close(by_ours, by_theirs, rtol=1e-4, atol=1e-5 * by_theirs.abs().max().item())


def test_st_lpips_of_fixed_images_stays_what_it_was() -> None:
    """Where the authors' code is not installed but their weights are, pinned numbers stand for it."""
    pytest.importorskip("stlpips_pytorch")
    ramp = torch.linspace(-1, 1, 64).expand(1, 3, 64, 64)
    for name, expected in (("st-lpips-alex", 0.359589), ("st-lpips-vgg", 0.292002)):
        assert load_extractor(name).distance(ramp, ramp.mT).item() == pytest.approx(expected, rel=1e-5)


def test_inception_is_that_of_torch_fidelity(tmp_path: Path) -> None:
    """With random weights: the real ones could not be had. 64 px and odd sizes enlarge, 300 px shrinks."""
    reference_module = import_reference("torch_fidelity.feature_extractor_inceptionv3")
    path = tmp_path / "weights.pth"
    ours = with_random_statistics(Inception2015())
    tensors = ours.state_dict() | {"fc.weight": torch.zeros(1008, 2048), "fc.bias": torch.zeros(1008)}
    torch.save(tensors, path)
    theirs = reference_module.FeatureExtractorInceptionV3("inception", ["2048"], str(path))
    loaded = load_extractor(path)
    for size in ((64, 64), (37, 50), (300, 300)):
        uint8 = ((pictures(2, *size) + 1) * 127.5).to(torch.uint8)
        (expected,) = theirs(uint8)
        got = loaded.features(uint8.float() / 127.5 - 1)
        assert expected.std() > 0.01
        torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-4 * expected.abs().max().item())


def with_random_statistics(network: nn.Module) -> nn.Module:
    """Weights that neither explode nor vanish, and batch norms that all matter."""
    generator = torch.Generator().manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.normal_(module.weight, std=(2 / module.weight[0].numel()) ** 0.5, generator=generator)
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_mean is not None
            assert module.running_var is not None
            for tensor in (module.bias, module.running_mean):
                nn.init.normal_(tensor, std=0.1, generator=generator)
            nn.init.uniform_(module.running_var, 0.5, 1.5, generator=generator)
    return network


def test_resizing_takes_pixels_from_their_corners() -> None:
    x = torch.arange(4.0).view(1, 1, 1, 4).expand(1, 1, 4, 4)
    assert resize_from_corners(x, 8)[0, 0, 0].tolist() == [0, 0.5, 1, 1.5, 2, 2.5, 3, 3]


def test_equal_images_have_distance_zero(perceptual: Extractor) -> None:
    a = pictures(2, 64, 64)
    assert perceptual.distance(a, a).tolist() == [0, 0]


def test_distance_is_symmetric_and_grows_with_the_change(perceptual: Extractor) -> None:
    a, b = pictures(2, 64, 64), pictures(2, 64, 64, seed=1)
    torch.testing.assert_close(perceptual.distance(a, b), perceptual.distance(b, a), rtol=1e-5, atol=0)
    near, far = perceptual.distance(a, a.lerp(b, 0.1)), perceptual.distance(a, b)
    assert (near > 0).all()
    assert (far > near).all()


def test_distance_and_features_do_not_depend_on_the_batch(perceptual: Extractor) -> None:
    a, b = pictures(3, 48, 48), pictures(3, 48, 48, seed=1)
    torch.testing.assert_close(perceptual.distance(a, b)[1:2], perceptual.distance(a[1:2], b[1:2]), rtol=1e-4, atol=0)
    torch.testing.assert_close(perceptual.features(a)[2:], perceptual.features(a[2:]), rtol=1e-4, atol=1e-5)


def test_gradients_are_finite_even_where_nothing_is_active(perceptual: Extractor) -> None:
    black = torch.full((1, 3, 32, 32), -1.0, requires_grad=True)
    b = pictures(1, 32, 32)
    (gradient,) = torch.autograd.grad(perceptual.distance(black, b).sum(), black)
    assert gradient.isfinite().all()
    assert gradient.abs().sum() > 0
    (gradient,) = torch.autograd.grad(perceptual.features(black).sum(), black)
    assert gradient.abs().sum() > 0


@pytest.mark.parametrize("size", [(4, 4), (7, 90), (16, 16)])
def test_small_images_are_enlarged(perceptual: Extractor, size: tuple[int, int]) -> None:
    assert perceptual.distance(pictures(1, *size), pictures(1, *size, seed=1)).item() > 0
    assert perceptual.features(pictures(2, *size)).shape[0] == 2


def test_unit_length_of_zeros_is_zero_with_a_finite_gradient() -> None:
    zeros = torch.zeros(1, 2, 1, 1, requires_grad=True)
    assert unit_length(zeros).flatten().tolist() == [0, 0]
    assert torch.autograd.grad(unit_length(zeros).sum(), zeros)[0].isfinite().all()
    assert unit_length(torch.tensor([3.0, 4.0]).view(1, 2, 1, 1)).flatten().tolist() == pytest.approx([0.6, 0.8])


@pytest.mark.parametrize("name", ["random-conv", "st-lpips-alex"])
def test_squared_distances_of_embeddings_are_perceptual(name: str) -> None:
    network = load_extractor(name)
    a, b = torch.rand(2, 3, 3, 40, 40, generator=torch.Generator().manual_seed(0)) * 2 - 1
    expected = network.distance(a, b)
    assert isinstance(network, PerceptualNetwork)
    assert torch.allclose((network.embed(a) - network.embed(b)).square().sum(1), expected, rtol=1e-4)


def test_random_conv_is_the_same_each_time() -> None:
    before = torch.random.get_rng_state()
    first, second = load_extractor("random-conv"), load_extractor("random-conv")
    assert torch.equal(before, torch.random.get_rng_state())
    assert first.sha256 == second.sha256 == "5be72f0fc24a2120ce88032301a186fff66af5b8a87e958d6009710483c5e4f3"
    assert torch.equal(first.features(pictures(1, 16, 16)), second.features(pictures(1, 16, 16)))


def test_extractors_are_fixed(perceptual: Extractor) -> None:
    assert not perceptual.training
    assert not any(p.requires_grad for p in perceptual.parameters())
    assert len(perceptual.sha256) == 64
    assert perceptual.license


@pytest.mark.parametrize(
    "images", [torch.zeros(3, 16, 16), torch.zeros(1, 1, 16, 16), torch.zeros(1, 3, 16, 16, dtype=torch.uint8)]
)
def test_what_is_no_batch_of_images_is_an_error(images: Tensor) -> None:
    network = load_extractor("random-conv")
    with pytest.raises(InputError, match=r"images must be floating point \[N, 3, H, W\]"):
        network.features(images)
    with pytest.raises(InputError):
        network.distance(images, images)


def test_images_of_two_shapes_have_no_distance() -> None:
    with pytest.raises(InputError, match="one shape"):
        load_extractor("random-conv").distance(torch.zeros(1, 3, 16, 16), torch.zeros(2, 3, 16, 16))


def test_inception_has_no_distance() -> None:
    with pytest.raises(InputError, match="use st-lpips-vgg"):
        Inception2015().distance(torch.zeros(1, 3, 8, 8), torch.zeros(1, 3, 8, 8))


def test_unknown_names_are_told_the_known_ones() -> None:
    with pytest.raises(NotFoundError, match="inception-2015, st-lpips-vgg, st-lpips-alex, random-conv"):
        load_extractor("inception")


def test_inception_is_described_by_the_manifest() -> None:
    entry = manifest.extractors()["inception-2015"]
    assert {str(file.sha256)[:8] for file in entry.files} == {"6726825d"}  # Which is also in the files' own names.
    assert "inception-2015" not in manifest.entries()


def test_other_weights_do_not_get_the_published_name(tmp_path: Path) -> None:
    torch.save(Inception2015().state_dict(), tmp_path / "mine.pth")
    assert load_extractor(tmp_path / "mine.pth").name == "mine.pth"


def test_st_lpips_without_its_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(NotFoundError, match=r'pip install "stylegan\[perceptual\]"'):
        load_extractor("st-lpips-vgg")


def test_st_lpips_never_imports_the_package_of_its_weights() -> None:
    pytest.importorskip("stlpips_pytorch")
    for name in [name for name in sys.modules if name.startswith("stlpips_pytorch")]:
        del sys.modules[name]
    load_extractor("st-lpips-alex")
    assert "stlpips_pytorch.stlpips" not in sys.modules


def test_changed_weights_of_the_package_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folder = tmp_path / "stlpips_pytorch" / "weights" / "vST0.0"
    folder.mkdir(parents=True)
    (tmp_path / "stlpips_pytorch" / "__init__.py").touch()
    (folder / "alex_shift_tolerant.pth").write_bytes(b"other")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "stlpips_pytorch", raising=False)
    with pytest.raises(IntegrityError, match="sha256"):
        load_extractor("st-lpips-alex")
    with pytest.raises(NotFoundError, match="is missing"):
        load_extractor("st-lpips-vgg")


def test_files_that_are_no_extractor_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.pth"
    torch.save({"a": torch.zeros(1)}, path)
    with pytest.raises(WeightsError, match="neither"):
        load_extractor(path)
    torch.save([1, 2], path)
    with pytest.raises(WeightsError, match="dictionary of tensors"):
        load_extractor(path)
    torch.save(nn.Conv2d(1, 1, 1), path)
    with pytest.raises(UnsafeFileError):
        load_extractor(path)


def test_inception_weights_of_another_shape_are_refused(tmp_path: Path) -> None:
    tensors = Inception2015().state_dict()
    tensors["Mixed_7c.branch1x1.conv.weight"] = torch.zeros(1)
    with pytest.raises(WeightsError, match=r"Mixed_7c\.branch1x1\.conv\.weight"):
        build_inception(tensors, name="x", where=tmp_path)
    with pytest.raises(WeightsError, match="extra"):
        build_inception(Inception2015().state_dict() | {"extra": torch.zeros(1)}, name="x", where=tmp_path)
