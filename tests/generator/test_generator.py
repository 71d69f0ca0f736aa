"""The facade: what people see must be true of every picture."""

import copy
import pickle
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from PIL.PngImagePlugin import PngImageFile

from stylegan import Discriminator, Generator, __version__, grid, images
from stylegan.errors import InputError
from stylegan.weights.checkpoint import Checkpoint

from ..conftest import FAST_PATHS, tiny_generator


@pytest.fixture(scope="module", params=["plain", *FAST_PATHS])
def faces(request: pytest.FixtureRequest, faces: Generator) -> Generator:
    """The bundled model, on each path."""
    G = copy.deepcopy(faces)
    G.path = request.param
    return G


def low_frequencies(img: torch.Tensor) -> torch.Tensor:
    return F.avg_pool2d(img, 8)


def test_psi_zero_gives_the_average_image(faces: Generator) -> None:
    average = faces.synthesis(faces.broadcast(faces.w_avg[None]))
    img = faces.sample(3, truncation_psi=0, output_type="pt")
    # Not bit for bit: a processor may round the images of a batch differently.
    torch.testing.assert_close(img, average.expand(3, -1, -1, -1), rtol=0, atol=1e-5)


def test_psi_one_changes_nothing(faces: Generator) -> None:
    img = faces.sample(2, truncation_psi=1, output_type="pt")
    torch.testing.assert_close(img, faces(faces.z([0, 1])), rtol=0, atol=1e-5)


def test_negative_psi_mirrors_w_about_the_average(faces: Generator) -> None:
    ws = faces.ws([4], truncation_psi=1)
    torch.testing.assert_close(faces.truncate(ws, -1) + ws, faces.w_avg.expand_as(ws) * 2, rtol=1e-4, atol=1e-5)


def test_truncation_brings_images_nearer_to_the_average(faces: Generator) -> None:
    average = faces.sample(truncation_psi=0, output_type="pt")
    distances = [
        (faces.sample(8, truncation_psi=psi, output_type="pt") - average).abs().mean() for psi in (1, 0.7, 0.3, 0.1)
    ]
    assert distances == sorted(distances, reverse=True)


def test_fine_styles_change_low_frequencies_less_than_coarse(faces: Generator) -> None:
    a, b = faces.ws(range(32)), faces.ws(range(32, 64))
    original = faces.render(a, output_type="pt")

    def change(band: str) -> torch.Tensor:
        return low_frequencies(faces.render(faces.mix_styles(a, b, band), output_type="pt") - original)

    coarse, fine = change("coarse"), change("fine")
    assert fine.abs().mean() < coarse.abs().mean()
    # What is left of the fine change is the colour of the whole: beyond it, little moves.
    assert (fine - fine.mean((2, 3), keepdim=True)).abs().mean() < 0.5 * coarse.abs().mean()


def test_mixing_all_layers_gives_the_second_parent(faces: Generator) -> None:
    a, b = faces.ws([1]), faces.ws([2])
    assert torch.equal(
        faces.render(faces.mix_styles(a, b, range(10)), output_type="pt"), faces.render(b, output_type="pt")
    )


def test_noise_hardly_changes_the_downsampled_image(faces: Generator) -> None:
    seeds = list(range(4))
    one, two = (faces.sample(seeds=seeds, noise_mode="random", noise_seed=s, output_type="pt") for s in (1, 2))
    change = (one - two).abs().mean()
    assert change > 5e-3
    assert low_frequencies(one - two).abs().mean() < 0.5 * change
    other = faces.sample(seeds=[9, 10, 11, 12], output_type="pt")
    assert low_frequencies(one - two).abs().mean() < 0.1 * low_frequencies(one - other).abs().mean()


def test_noise_modes(faces: Generator) -> None:
    ws = faces.ws([3])
    const, none = (faces.synthesis(ws, noise_mode=mode) for mode in ("const", "none"))
    stored = [layer.noise_const for layer in faces.synthesis.layers]
    assert torch.equal(const, faces.synthesis(ws))
    assert torch.equal(const, faces.synthesis(ws, noise=stored))
    assert torch.equal(none, faces.synthesis(ws, noise=[None] * 10))
    torch.testing.assert_close(none, faces.synthesis(ws, noise=[torch.zeros_like(n) for n in stored if n is not None]))
    fresh = [faces.synthesis(ws, noise_mode="random") for _ in range(2)]
    assert not torch.equal(*fresh)
    drawn = [faces.synthesis(ws, noise_mode="random", generator=torch.Generator().manual_seed(s)) for s in (1, 1, 2)]
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])


def test_image_does_not_depend_on_the_batch(faces: Generator) -> None:
    seeds = [11, 5, 200, 7, 8, 9, 10]
    alone = np.concatenate([faces.sample(seeds=[s], output_type="np") for s in seeds]).astype(int)
    for batch_size in (1, 2, 3, 7):
        together = faces.sample(seeds=seeds, batch_size=batch_size, output_type="np")
        assert abs(together - alone).max() <= 1
        assert (together != alone).mean() < 1e-3
    assert (faces.sample(seeds=seeds, batch_size=1, output_type="np") == alone).all()


def test_seeded_noise_does_not_depend_on_the_batch(faces: Generator) -> None:
    settings: dict[str, Any] = {"noise_mode": "random", "output_type": "np"}
    together = faces.sample(seeds=[1, 2, 3], noise_seed=[6, 7, 8], batch_size=2, **settings).astype(int)
    alone = faces.sample(seeds=[3], noise_seed=8, **settings)
    assert abs(together[2:] - alone).max() <= 1
    shared = faces.sample(seeds=[1, 3], noise_seed=8, **settings)
    assert abs(together[2] - shared[1]).max() <= 1


def test_the_same_call_gives_the_same_image(faces: Generator) -> None:
    states = (random.getstate(), np.random.get_state(legacy=False)["state"]["key"].tobytes(), torch.get_rng_state())
    one, two = (faces.sample(2, noise_mode="random", noise_seed=3, output_type="np") for _ in range(2))
    faces.sample(noise_mode="random")
    assert (one == two).all()
    assert states[0] == random.getstate()
    assert states[1] == np.random.get_state(legacy=False)["state"]["key"].tobytes()
    assert torch.equal(states[2], torch.get_rng_state())


def test_output_types(faces: Generator) -> None:
    pil = faces.sample(3)
    array = faces.sample(3, output_type="np")
    tensor = faces.sample(3, output_type="pt")
    assert all(isinstance(image, Image.Image) and image.mode == "RGB" for image in pil)
    assert array.shape == (3, 64, 64, 3)
    assert array.dtype == np.uint8
    assert tensor.shape == (3, 3, 64, 64)
    assert (np.stack([np.asarray(image) for image in pil]) == array).all()
    assert (tensor.clamp(-1, 1).permute(0, 2, 3, 1).mul(127.5).add(128).clamp(0, 255).byte().numpy() == array).all()


def test_greyscale_models_give_greyscale_images() -> None:
    image = tiny_generator(img_channels=1).sample()[0]
    assert image.mode == "L"


def test_pictures_remember_how_they_were_made(faces: Generator, tmp_path: Path) -> None:
    image = faces.sample(seeds=[12], truncation_psi=0.6, truncation_cutoff=4, noise_mode="random", noise_seed=3)[0]
    image.save(tmp_path / "face.png")
    text = PngImageFile(tmp_path / "face.png").text
    assert text == {
        "Software": f"stylegan {__version__}",
        "model": "faces-64",
        "license": "non-commercial research",
        "source": faces.source,
        "weights_sha256": faces.weights_sha256,
        "dtype": "float32",
        "path": faces.path,
        "seed": "12",
        "truncation_psi": "0.6",
        "truncation_cutoff": "4",
        "noise_mode": "random",
        "noise_seed": "3",
    }
    for suffix in (".png", ".jpg", ".webp"):  # As Pillow saves it, and as the library does.
        image.save(tmp_path / f"face{suffix}")
        images.save(image, tmp_path / f"same{suffix}")
        assert images.recall(tmp_path / f"face{suffix}") == images.recall(tmp_path / f"same{suffix}") == text


def test_random_noise_without_a_seed_can_be_made_again(tiny: Generator) -> None:
    fresh = [tiny.sample(3, noise_mode="random") for _ in range(2)]
    assert len({image.tobytes() for (image, *_) in fresh}) == 2
    seeds = [int(image.info["noise_seed"]) for image in fresh[0]]
    assert len(set(seeds)) == 3
    again = tiny.sample(3, noise_mode="random", noise_seed=seeds)
    assert [image.tobytes() for image in again] == [image.tobytes() for image in fresh[0]]


def test_a_networks_digest_is_that_of_weights_and_options(tmp_path: Path) -> None:
    G = tiny_generator()
    before = G.weights_sha256
    assert before == tiny_generator().weights_sha256 != tiny_generator(seed=9).weights_sha256
    assert before != tiny_generator(synthesis={"lod": 1.0}).weights_sha256
    G.save(tmp_path / "F.safetensors")
    loaded = Generator.from_pretrained(tmp_path / "F.safetensors")
    assert loaded.weights_sha256 == before
    assert loaded.sample()[0].info["source"] == "F.safetensors"
    with torch.no_grad():
        G.synthesis.to_rgb["8"].get_parameter("bias").add_(1)
    assert G.weights_sha256 != before


WEIGHT = "synthesis.layers.3.source.weight"


@pytest.mark.parametrize(
    "change",
    [
        lambda G: G.get_parameter(WEIGHT).data.mul_(1.5),
        lambda G: G.get_parameter(WEIGHT).data.neg_(),
        lambda G: G.get_parameter(WEIGHT).data[1, 1, 1].zero_(),
        lambda G: G.get_parameter(WEIGHT).data.copy_(G.get_parameter(WEIGHT).data.flip(0)),
        lambda G: G.get_parameter(WEIGHT).detach().numpy().__setitem__((1, 2, 0, 1), 7.0),
        lambda G: G.synthesis.layers[0].style.bias.data[3:5].add_(0.5),
        lambda G: setattr(G.get_parameter(WEIGHT), "data", G.get_parameter(WEIGHT).data * 2),
        lambda G: G.synthesis.layers[1].noise_const.data.copy_(G.synthesis.layers[1].noise_const.roll(1, -1)),
        lambda G: G.w_avg.copy_(torch.linspace(-1, 1, G.w_dim)),
        lambda G: G.load_state_dict(tiny_generator(seed=9).state_dict()),
        lambda G: G.load_state_dict(tiny_generator(seed=9).state_dict(), assign=True),
        lambda G: G.to(torch.float16),
        lambda G: G.synthesis.to(torch.bfloat16),
        lambda G: setattr(G.synthesis, "lod", 1.0),
    ],
)
def test_no_change_of_the_weights_leaves_their_digest_as_it_was(change: Callable[..., Any]) -> None:
    G = tiny_generator()
    before = G.weights_sha256
    with torch.no_grad():
        change(G)
    assert G.weights_sha256 == G.checkpoint().sha256() != before


def test_a_digest_is_computed_once_for_the_same_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    G, calls = tiny_generator(), []
    known = G.weights_sha256
    monkeypatch.setattr(Checkpoint, "sha256", lambda self: calls.append(self) or "other")
    assert [image.info["weights_sha256"] for image in G.sample(2)] == [known] * 2
    assert not calls


def test_labels(tmp_path: Path) -> None:
    G = tiny_generator(label_dim=3)
    one_hot = torch.eye(3)
    by_index = G.sample(2, labels=[2, 1], output_type="np")
    assert (by_index == G.sample(2, labels=one_hot[[2, 1]], output_type="np")).all()
    assert (G.sample(2, labels=1, output_type="np") == G.sample(2, labels=one_hot[1], output_type="np")).all()
    assert G.sample(labels=1)[0].info["label"] == "[0.0, 1.0, 0.0]"
    for labels in (None, 3, -1, [0], [0, 1, 2], torch.zeros(2, 4), "1"):
        with pytest.raises(InputError):
            G.sample(2, labels=labels)


def test_large_n_runs_in_batches(faces: Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = []
    forward = faces.synthesis.forward
    monkeypatch.setattr(faces.synthesis, "forward", lambda ws, **kwargs: sizes.append(len(ws)) or forward(ws, **kwargs))
    assert len(faces.sample(10, batch_size=4)) == 10
    assert sizes == [4, 4, 2]


@pytest.mark.parametrize(
    "settings",
    [
        {"n": 0},
        {"n": -1},
        {"n": 1.5},
        {"n": "2"},
        {"batch_size": 1.5},
        {"truncation_psi": None},
        {"truncation_psi": "0.7"},
        {"truncation_psi": float("nan")},
        {"truncation_cutoff": 2.5},
        {"seeds": []},
        {"n": 2, "seeds": [1, 2, 3]},
        {"seeds": [-1]},
        {"output_type": "jpeg"},
        {"batch_size": 0},
        {"noise_seed": 3},
        {"n": 2, "noise_mode": "random", "noise_seed": [1, 2, 3]},
        {"noise_mode": "fresh"},
        {"truncation_psi": [0.5]},
        {"truncation_psi": torch.ones(1, 10)},
        {"labels": 1},
    ],
)
def test_settings_that_do_not_fit_are_refused(faces: Generator, settings: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        faces.sample(**settings)


def test_rendering_nothing_is_refused(faces: Generator) -> None:
    with pytest.raises(InputError, match="nothing to render"):
        faces.render(faces.ws([0])[:0])
    with pytest.raises(InputError, match="seeds is empty"):
        faces.sample(seeds=range(0))


def test_generators_can_be_copied_and_sent_to_other_processes(tiny: Generator) -> None:
    for again in (copy.deepcopy(tiny), pickle.loads(pickle.dumps(tiny))):
        assert torch.equal(again.sample(output_type="pt"), tiny.sample(output_type="pt"))


def test_unknown_settings_are_refused(faces: Generator) -> None:
    with pytest.raises(TypeError):
        faces.sample(sharpness=0.5)  # type: ignore[call-overload]


def test_steps_check_their_shapes(faces: Generator) -> None:
    w = faces.mapping(faces.z([0]))
    for call in (faces.truncate, faces.render):
        with pytest.raises(InputError, match=r"ws must be \[N, 10, 256\], got \[1, 256\]; use G.broadcast"):
            call(w)


def test_steps_take_gradients(faces: Generator) -> None:
    ws = faces.ws([0]).requires_grad_()
    faces.synthesis(ws).square().mean().backward()
    assert ws.grad is not None
    assert ws.grad.abs().amax(dim=2).gt(0).all()


def test_repr_tells_what_it_is(faces: Generator) -> None:
    text = repr(faces)
    for part in ("faces-64", "64x64", "1.9 M", "float32", "cpu", "non-commercial research"):
        assert part in text


@pytest.mark.parametrize("dtype", ["bfloat16", torch.float16])
def test_low_precision_stays_near_float32(faces: Generator, dtype: str | torch.dtype) -> None:
    low = Generator.from_pretrained("faces-64", dtype=dtype)
    assert low.dtype in (torch.bfloat16, torch.float16)
    assert low.mapping.layers[0].weight.dtype == low.w_avg.dtype == torch.float32
    a, b = (G.sample(4, output_type="pt") for G in (faces, low))
    assert b.dtype == torch.float32
    error = (a - b).square().mean().sqrt() / a.std()
    assert 0 < error < (0.05 if low.dtype == torch.bfloat16 else 0.01)


@pytest.mark.parametrize("options", [{"device": "tpu"}, {"device": "cuda:99"}, {"dtype": "int8"}, {"dtype": "double"}])
def test_devices_and_types_that_are_not_there_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        Generator.from_pretrained(**options)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_cuda_gives_the_images_of_the_cpu(faces: Generator) -> None:
    cuda = Generator.from_pretrained("faces-64", device="cuda")
    a, b = (G.sample(8, output_type="np").astype(int) for G in (faces, cuda))
    assert abs(a - b).max() <= 1


def test_the_makers_truncation_cannot_be_set_in_vain(faces: Generator) -> None:
    assert faces.recommended_truncation == {"truncation_psi": 0.7, "truncation_cutoff": 8}
    assert len(faces.sample(**faces.recommended_truncation)) == 1
    for name in ("truncation_psi", "truncation_cutoff"):
        with pytest.raises(InputError, match=rf"keeps no {name}; pass it to the call, as in G.sample\({name}=0.2\)"):
            setattr(faces, name, 0.2)
        with pytest.warns(DeprecationWarning, match="G.recommended_truncation has it"):
            assert getattr(faces, name) == faces.recommended_truncation[name]
    # What the makers of a larger network wrote holds for all layers of a smaller one.
    assert tiny_generator().recommended_truncation["truncation_cutoff"] == 6


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda G: G.sample([1, 2]),
            r"n must be the number of images, got \[1, 2\]; for these seeds write seeds=\[1, 2\]",
        ),
        (lambda G: G.sample(2**31), "2,147,483,648 images at once take .* GiB, more than there is"),
        (lambda G: G.sample(batch_size=-2), "batch_size must be an integer from 1"),
        (
            lambda G: G.sample(truncation_cutoff=99),
            "truncation_cutoff, a layer index or None, must be an integer from 0",
        ),
        (lambda G: G.sample(progress="yes"), "progress, if not None, must be True or False, got 'yes'"),
        (lambda G: G(np.zeros((1, 24))), r"z must be a tensor \[N, 24\], got an array \[1, 24\]; use torch.from_numpy"),
        (lambda G: G.mix_styles(2, 9, "coarse"), r"ws_a must be a tensor \[..., num_ws, w_dim\], got 2"),
        (
            lambda G: grid(cast(Any, torch.zeros(2, 3, 8, 8))),
            r"images must be a sequence of Image, got tensor \[2, 3, 8, 8\]",
        ),
        (
            lambda G: G.edit(G.ws(1), cast(Any, 2), 1.0),
            "direction must be a Direction, as `editing.find_direction` gives it",
        ),
    ],
)
def test_common_mistakes_are_named(tiny: Generator, call: Callable[..., Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        call(tiny)


@pytest.mark.parametrize("network", [Generator, Discriminator])
def test_a_network_without_numbers_has_no_digest(network: type) -> None:
    made = network(img_resolution=8, fmap_max=4) if network is Discriminator else tiny_generator()
    with pytest.raises(InputError, match="on the meta device, where there are no numbers"):
        _ = made.to("meta").weights_sha256
