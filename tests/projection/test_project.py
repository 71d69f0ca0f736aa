"""Projection: it recovers what a model made, does what it says, goes on exactly, and refuses what does not fit."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import stylegan
from stylegan import Generator
from stylegan.errors import InputError
from stylegan.extractors import load_extractor
from stylegan.images.convert import from_uint8, to_uint8
from stylegan.latents.files import Latents
from stylegan.latents.samples import sample_w
from stylegan.projection.objective import embed_images
from stylegan.projection.start import best_start
from tests.projection.conftest import Blocks

from ..conftest import tiny_generator


@pytest.fixture(scope="module")
def pictures(tiny: Generator) -> torch.Tensor:
    """Two images that the model makes, as pictures have them: in 8 bits."""
    return from_uint8(to_uint8(tiny.sample(seeds=[50, 51], output_type="pt")))


def project(pictures: Any, G: Any, blocks: Any, **options: Any) -> Any:
    return stylegan.project(pictures, G, extractor=blocks, progress=False, **{"steps": 10} | options)


def test_projection_recovers_what_the_model_made(gentle: Generator, blocks: Blocks) -> None:
    """w and perceptual distance end far below those between two random images."""
    truth, others = gentle.ws([50, 51]), gentle.ws(range(60, 80))
    img = gentle.render(torch.cat([truth, others]), output_type="pt")
    target = from_uint8(to_uint8(img[:2]))
    found = project(target, gentle, blocks, space="w", optimize_noise=False, steps=150, candidates=100, w_weight=0.0)
    for i in range(2):
        between = (blocks.embed(img[i : i + 1]) - blocks.embed(img[2:])).square().sum(1)
        assert found.distances[i] < 0.01 * between.median()
        error = (found.latents.ws[i, 0] - truth[i, 0]).norm()
        assert error < 0.05 * (others[:, 0] - truth[i, 0]).norm(dim=1).median()


def test_refinement_finds_the_very_w_of_an_image(faces: Generator) -> None:
    truth, others = faces.ws([54]), faces.ws(range(60, 70))
    target = from_uint8(to_uint8(faces.render(truth, output_type="pt")))
    options: dict[str, Any] = {
        "space": "w",
        "optimize_noise": False,
        "candidates": 100,
        "extractor": "random-conv",
        "progress": False,
    }
    found = stylegan.project(target, faces, steps=100, refine=8, **options)
    error = (found.latents.ws[0, 0] - truth[0, 0]).norm() / (others[:, 0] - truth[0, 0]).norm(dim=1).median()
    assert error < 0.05
    assert found.pixel_errors[0] < 0.004  # What 8 bits leave is 0.0023.
    assert torch.equal(found.frames[-1], to_uint8(found.img))


def test_refinement_never_leads_away(tiny: Generator, blocks: Blocks, pictures: torch.Tensor) -> None:
    """From pictures that the model cannot make, too."""
    other = pictures.flip(2)
    options: dict[str, Any] = {"space": "w", "optimize_noise": False, "steps": 5}
    errors = [project(other, tiny, blocks, refine=n, **options).pixel_errors for n in (0, 1, 3)]
    assert (errors[1] <= errors[0]).all()
    assert (errors[2] <= errors[1]).all()
    assert (errors[2] < errors[0]).all()


@pytest.mark.parametrize("options", [{"space": "w+"}, {"optimize_noise": True}, {"refine": -1}])
def test_refinement_says_what_it_is_for(
    tiny: Generator, blocks: Blocks, pictures: torch.Tensor, options: dict[str, Any]
) -> None:
    with pytest.raises(InputError, match="refine"):
        project(pictures, tiny, blocks, **{"space": "w", "optimize_noise": False, "refine": 2} | options)


def test_refinement_in_low_precision_is_refused(blocks: Blocks, pictures: torch.Tensor) -> None:
    G = tiny_generator()
    G.synthesis.bfloat16()
    with pytest.raises(InputError, match="float32, got torch"):
        project(pictures, G, blocks, space="w", optimize_noise=False, refine=1)


def test_a_real_perceptual_network_leads_to_the_picture(faces: Generator) -> None:
    network = load_extractor("random-conv")
    img = faces.sample(seeds=[50, 51, 52, 53], output_type="pt")
    target = from_uint8(to_uint8(img[:1]))
    options: dict[str, Any] = {
        "space": "w",
        "optimize_noise": False,
        "steps": 50,
        "pixel_weight": 1.0,
        "progress": False,
    }
    found = stylegan.project(target, faces, extractor="random-conv", **options)
    between = network.distance(img[:1].expand(3, -1, -1, -1), img[1:])
    assert found.distances[0] < 0.3 * between.min()


@pytest.mark.parametrize("space", ["w", "w+"])
@pytest.mark.parametrize("optimize_noise", [True, False])
def test_the_latents_make_the_image_that_is_returned(
    tiny: Generator, blocks: Blocks, pictures: torch.Tensor, space: str, optimize_noise: bool
) -> None:
    found = project(pictures, tiny, blocks, space=space, optimize_noise=optimize_noise, names=["a", "b"])
    latents = found.latents
    assert (latents.noise is not None) == optimize_noise
    assert (latents.names, latents.facts["settings"]["space"]) == (["a", "b"], space)
    again = tiny.render(latents.ws, noise=latents.noise, output_type="pt")
    assert torch.allclose(again, found.img, atol=1e-5)
    one_w = (latents.ws == latents.ws[:, :1]).all()
    assert one_w if space == "w" else not one_w
    expected = (blocks.embed(found.img) - blocks.embed(pictures)).square().sum(1)
    assert found.distances.tolist() == pytest.approx(expected.tolist(), rel=1e-4)
    assert found.pixel_errors.tolist() == pytest.approx(
        (found.img - pictures).square().mean((1, 2, 3)).sqrt().tolist(), rel=1e-4
    )


def test_the_way_goes_from_the_average_face_to_the_result(
    tiny: Generator, blocks: Blocks, pictures: torch.Tensor
) -> None:
    found = project(pictures, tiny, blocks, steps=32, optimize_noise=False)
    assert found.frame_steps == [0, 1, 2, 4, 8, 16, 24, 32]
    assert found.frames.shape == (8, *pictures.shape)
    average = tiny.render(tiny.broadcast(tiny.w_avg[None]), output_type="pt")
    assert found.frames[0].equal(to_uint8(average).expand(2, -1, -1, -1))
    assert found.frames[-1].equal(to_uint8(found.img))
    errors = (from_uint8(found.frames) - pictures).square().mean((1, 2, 3, 4))
    assert errors[-1] < 0.5 * errors[0]


def test_more_freedom_comes_nearer(tiny: Generator, blocks: Blocks, pictures: torch.Tensor) -> None:
    # Pictures that no single w makes.
    pictures = pictures.flip(3)
    w, w_plus = (
        project(pictures, tiny, blocks, steps=60, space=space, optimize_noise=False).distances for space in ("w", "w+")
    )
    assert (w_plus < w).all()


def test_the_weight_of_w_keeps_it_near_the_average(tiny: Generator, blocks: Blocks, pictures: torch.Tensor) -> None:
    free, held = (
        project(pictures, tiny, blocks, steps=40, optimize_noise=False, w_weight=weight).latents.ws
        for weight in (0.0, 1.0)
    )
    assert (held - tiny.w_avg).norm() < 0.7 * (free - tiny.w_avg).norm()


def test_noise_maps_take_up_what_w_cannot(tiny: Generator, blocks: Blocks, pictures: torch.Tensor) -> None:
    pictures = pictures.flip(3)
    options: dict[str, Any] = {"steps": 60, "space": "w", "noise_weight": 0.0}
    without, with_noise = (
        project(pictures, tiny, blocks, optimize_noise=noise, **options).distances for noise in (False, True)
    )
    assert (with_noise < without).all()


def test_a_picture_has_the_same_result_in_any_batch(tiny: Generator, blocks: Blocks, pictures: torch.Tensor) -> None:
    both = project(pictures, tiny, blocks)
    alone = project(pictures[1:], tiny, blocks)
    in_turn = project(pictures, tiny, blocks, batch_size=1)
    assert torch.allclose(both.latents.ws[1:], alone.latents.ws, atol=1e-4)
    assert torch.allclose(both.latents.ws, in_turn.latents.ws, atol=1e-4)
    assert torch.allclose(both.latents.noise[0][1:], alone.latents.noise[0], atol=1e-3)


def test_seeds_repeat_and_the_global_state_is_left_alone(
    tiny: Generator, blocks: Blocks, pictures: torch.Tensor
) -> None:
    before = torch.random.get_rng_state(), np.random.get_state(legacy=False)["state"]["key"].copy()
    first, again, other = (project(pictures, tiny, blocks, seed=seed).latents.ws for seed in (1, 1, 2))
    assert first.equal(again)
    assert not first.equal(other)
    assert torch.random.get_rng_state().equal(before[0])
    assert (np.random.get_state(legacy=False)["state"]["key"] == before[1]).all()


def test_the_model_is_left_as_it_was(blocks: Blocks, pictures: torch.Tensor) -> None:
    G = tiny_generator().requires_grad_(True)
    before = {name: tensor.clone() for name, tensor in G.state_dict().items()}
    project(pictures, G, blocks)
    assert all(tensor.equal(before[name]) for name, tensor in G.state_dict().items())
    assert all(parameter.grad is None for parameter in G.parameters())


def test_noise_maps_stay_normal(tiny: Generator, blocks: Blocks, pictures: torch.Tensor) -> None:
    for noise in project(pictures, tiny, blocks, noise_weight=0).latents.noise:
        assert noise.mean((1, 2, 3)).abs().max() < 1e-5
        assert noise.var((1, 2, 3), correction=0).tolist() == pytest.approx([1.0, 1.0], abs=1e-4)


def test_the_best_start_is_the_nearest_sample(tiny: Generator, blocks: Blocks, pictures: torch.Tensor) -> None:
    target = embed_images(pictures, blocks.embed)
    w, distances = best_start(tiny, target, blocks.embed, candidates=40)
    shrunk = torch.lerp(tiny.w_avg, sample_w(tiny, 40), 0.7)
    with torch.no_grad():
        found = embed_images(tiny.synthesis(tiny.broadcast(shrunk)), blocks.embed)
    every = (found[:, None] - target[None]).square().sum(2)  # [40, 2]
    assert w.equal(shrunk[every.argmin(0)])
    assert distances.tolist() == pytest.approx(every.min(0).values.tolist(), rel=1e-4)
    frames = project(pictures, tiny, blocks, candidates=40, optimize_noise=False, steps=1).frames
    assert frames[0].equal(to_uint8(tiny.render(tiny.broadcast(w), output_type="pt")))


class Interrupted(Exception):
    pass


@pytest.mark.parametrize(
    ("own", "last"),
    [
        ({"optimize_noise": True}, 63),
        ({"optimize_noise": False}, 63),
        ({"space": "w", "optimize_noise": False, "refine": 3}, 72),
    ],
)
def test_an_interrupted_projection_goes_on_exactly(
    tiny: Generator,
    blocks: Blocks,
    pictures: torch.Tensor,
    tmp_path: Path,
    own: dict[str, Any],
    last: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    options = own | {"steps": 70, "checkpoint": tmp_path / "state.safetensors"}
    whole = project(pictures, tiny, blocks, **options | {"checkpoint": None})

    from stylegan.projection.projector import Projector

    advance = Projector.advance

    def fail_late(self: Projector) -> float:
        if self.step == last:
            raise Interrupted
        return advance(self)

    monkeypatch.setattr(Projector, "advance", fail_late)
    with pytest.raises(Interrupted):
        project(pictures, tiny, blocks, **options)
    monkeypatch.setattr(Projector, "advance", advance)
    resumed = project(pictures, tiny, blocks, **options)
    assert resumed.latents.ws.equal(whole.latents.ws)
    assert resumed.frames.equal(whole.frames)
    if own["optimize_noise"]:
        assert all(a.equal(b) for a, b in zip(resumed.latents.noise, whole.latents.noise, strict=True))

    with pytest.raises(InputError, match="was begun with steps 70, not 50"):
        project(pictures, tiny, blocks, **options | {"steps": 50})
    with pytest.raises(InputError, match="with other images"):
        project(pictures.flip(3), tiny, blocks, **options)
    other = tiny_generator(seed=7)
    other.w_avg += 1
    with pytest.raises(InputError, match="belongs to another model"):
        project(pictures, other, blocks, **options)
    options["checkpoint"].write_bytes(options["checkpoint"].read_bytes()[:-100])
    with pytest.raises(InputError, match="damaged"):
        project(pictures, tiny, blocks, **options)


def test_pil_images_of_any_size_and_grey_models(blocks: Blocks) -> None:
    G = tiny_generator(img_channels=1)
    photo = Image.fromarray(np.tile(np.arange(64, dtype=np.uint8), (40, 1)))
    found = project(photo, G, blocks, steps=2)
    assert found.target.shape == found.img.shape == (1, 1, 16, 16)
    assert project([photo, photo.convert("RGB")], tiny_generator(), blocks, steps=1).img.shape == (2, 3, 16, 16)


def test_models_without_noise_have_none_to_fit(blocks: Blocks, pictures: torch.Tensor) -> None:
    G = tiny_generator(synthesis={"use_noise": False})
    assert project(pictures, G, blocks, optimize_noise=True, steps=2).latents.noise is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pictures": torch.zeros(1, 3, 32, 32)}, r"float \[N, 3, 16, 16\]"),
        ({"pictures": torch.zeros(1, 3, 16, 16, dtype=torch.uint8)}, "float"),
        ({"pictures": torch.full((1, 3, 16, 16), 255.0)}, r"in \[-1, 1\], got values up to 255"),
        ({"pictures": "photo.jpg"}, "load_photo"),
        ({"pictures": []}, "load_photo"),
        ({"pictures": Image.new("RGB", (3, 3))}, "3 pixels wide, too small"),
        ({"space": "z"}, "space must be one of 'w', 'w"),
        ({"steps": 0}, "steps must be an integer from 1"),
        ({"seed": -1}, "seed must be"),
        ({"candidates": -1}, "candidates must be"),
        ({"steps": [3]}, "steps must be"),
        ({"learning_rate": "x"}, "learning_rate must be a number"),
        ({"batch_size": "x"}, "batch_size must be"),
        ({"G": None}, "G must be a Generator"),
        ({"learning_rate": 0.0}, "learning_rate must be a positive number"),
        ({"pixel_weight": float("nan")}, "pixel_weight must be"),
        ({"w_weight": -1.0}, "w_weight must be"),
        ({"names": ["a"]}, "a name for each of 2 images"),
        ({"extractor": len}, "measures no perceptual distance"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(
    tiny: Generator, blocks: Blocks, pictures: torch.Tensor, change: dict[str, Any], message: str
) -> None:
    options: dict[str, Any] = {
        "pictures": pictures,
        "G": tiny,
        "extractor": blocks,
        "progress": False,
        "steps": 2,
    } | change
    with pytest.raises(InputError, match=message):
        stylegan.project(**options)


def test_latents_survive_a_file(tiny: Generator, blocks: Blocks, pictures: torch.Tensor, tmp_path: Path) -> None:
    latents = project(pictures, tiny, blocks, names=["a", "b"]).latents
    latents.save(tmp_path / "l.safetensors")
    loaded = Latents.load(tmp_path / "l.safetensors", tiny)
    assert loaded.ws.equal(latents.ws)
    assert loaded.noise
    assert latents.noise
    assert all(a.equal(b) for a, b in zip(loaded.noise, latents.noise, strict=True))
    assert (loaded.names, loaded.facts, loaded.model) == (latents.names, latents.facts, "unnamed")


def test_latents_keep_noise_with_a_channel_for_each_feature(tiny: Generator, tmp_path: Path) -> None:
    ws, path = tiny.ws([1, 2]), tmp_path / "l.safetensors"
    channels = [layer.bias.numel() for layer in tiny.synthesis.layers]
    maps = [noise.repeat(1, c, 1, 1) for noise, c in zip(tiny.noise([1, 2]), channels, strict=True)]
    Latents.of(tiny, ws, noise=maps).save(path)
    noise = Latents.load(path, tiny).noise
    assert noise
    assert torch.equal(tiny.render(ws, noise=noise, output_type="pt"), tiny.render(ws, noise=maps, output_type="pt"))
    maps[0] = maps[0][:, :2]
    with pytest.raises(InputError, match="noise of layer 0"):
        Latents.of(tiny, ws, noise=maps)


def test_latents_that_do_not_fit_the_model_are_refused(tiny: Generator, tmp_path: Path) -> None:
    path = tmp_path / "l.safetensors"
    Latents.of(tiny, tiny.ws([1, 2]), noise=tiny.noise([1, 2])).save(path)
    other = tiny_generator(seed=7)
    other.w_avg += 1
    with pytest.raises(InputError, match=r"l\.safetensors: .* belongs to another model .* \(unnamed\)"):
        Latents.load(path, other)
    with pytest.raises(InputError, match="its w has 24 numbers, not 32"):
        Latents.load(path, tiny_generator(w_dim=32))
    with pytest.raises(InputError, match=r"ws must be \[N, 8, 24\]"):
        Latents.load(path, tiny_generator(img_resolution=32))
    ws = tiny.ws([1, 2])
    for options in ({"names": ["a"]}, {"noise": tiny.noise([1])}, {"noise": tiny.noise([1, 2])[:3]}):
        with pytest.raises(InputError, match=r"a name for each of 2 rows|one map for each"):
            Latents.of(tiny, ws, **options)
    tiny.save(path)
    with pytest.raises(InputError, match="holds no latents"):
        Latents.load(path, tiny)
    path.write_text("<html>")
    with pytest.raises(InputError, match="a web page"):
        Latents.load(path, tiny)


def test_no_size_of_the_header_looks_like_a_pickle(tiny: Generator, tmp_path: Path) -> None:
    """A safetensors file begins with the size of its header; 0x80 is also how pickles begin."""
    begun = set()
    for n in range(0, 257, 8):
        Latents.of(tiny, tiny.ws([1]), facts={"note": n * "x"}).save(tmp_path / "l.safetensors")
        assert Latents.load(tmp_path / "l.safetensors", tiny).facts == {"note": n * "x"}
        begun.add((tmp_path / "l.safetensors").read_bytes()[0])
    assert 0x80 in begun
