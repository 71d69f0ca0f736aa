"""Pivotal tuning: pictures come nearer, other images stay, and the file gives the very same network."""

from pathlib import Path
from typing import Any

import pytest
import torch

import stylegan
from stylegan import Generator
from stylegan.encoder import new_encoder
from stylegan.errors import InputError
from stylegan.images.convert import from_uint8, to_uint8
from stylegan.projection import Projection, Tuned
from stylegan.projection.tuning import Tuner
from tests.projection.conftest import Blocks

from ..conftest import gentle_generator


@pytest.fixture(scope="module")
def G(tmp_path_factory: pytest.TempPathFactory) -> Generator:
    """A tiny model in a file, of which a delta can be read."""
    path = tmp_path_factory.mktemp("model") / "gentle.safetensors"
    made = gentle_generator()
    made.metadata = {"name": "gentle", "license": "CC0", "metrics": {"fid": 1.0}}
    made.save(path)
    return Generator.from_pretrained(path)


@pytest.fixture(scope="module")
def pictures(G: Generator) -> torch.Tensor:
    """Two pictures that the model does not make."""
    return from_uint8(to_uint8(G.sample(seeds=[70, 71], output_type="pt").flip(3)))


@pytest.fixture(scope="module")
def found(G: Generator, pictures: torch.Tensor, blocks: Blocks) -> Projection:
    return stylegan.project(pictures, G, extractor=blocks, steps=10, progress=False)


@pytest.fixture(scope="module")
def tuned(G: Generator, found: Projection, blocks: Blocks) -> Tuned:
    return tune(found, G, blocks)


def tune(found: Any, G: Any, blocks: Any, **options: Any) -> Tuned:
    given = {"extractor": blocks, "steps": 30, "learning_rate": 3e-3, "progress": False} | options
    return stylegan.projection.tune(found, G, **given)


def test_tuning_brings_all_pictures_nearer(found: Projection, tuned: Tuned) -> None:
    near = tuned.found
    assert (near.distances < 0.5 * found.distances).all()
    assert (near.pixel_errors < found.pixel_errors).all()
    assert near.latents.ws is found.latents.ws
    assert near.latents.facts["tuning"]["distances"] == pytest.approx(near.distances.tolist(), abs=1e-6)
    assert torch.equal(near.frames[-1], to_uint8(near.img))
    assert near.frame_steps == [*found.frame_steps, 10 + 30]
    made = tuned.G.render(near.latents.ws, noise=near.latents.noise, output_type="pt")
    assert torch.allclose(made, near.img, atol=1e-5)


def test_other_images_hardly_change(G: Generator, found: Projection, tuned: Tuned, blocks: Blocks) -> None:
    before = G.sample(32, output_type="pt")

    def change(other: Generator) -> float:
        return (other.sample(32, output_type="pt") - before).square().mean().sqrt().item()

    assert change(tuned.G) < 0.5 * change(tune(found, G, blocks, locality_weight=0.0).G)
    assert change(tuned.G) < 0.3 * before.std()


def test_the_given_model_is_left_as_it_was(G: Generator, found: Projection, blocks: Blocks) -> None:
    before = G.weights_sha256, G.source, dict(G.metadata), G.synthesis.kernels
    tune(found, G, blocks, steps=2)
    assert (G.weights_sha256, G.source, G.metadata, G.synthesis.kernels) == before
    assert not any(parameter.requires_grad for parameter in G.parameters())


def test_the_file_gives_the_very_network(G: Generator, tuned: Tuned, tmp_path: Path) -> None:
    tuned.save(tmp_path / "me" / "tuned.safetensors")
    read = Generator.from_pretrained(tmp_path / "me" / "tuned.safetensors")
    assert read.weights_sha256 == tuned.G.weights_sha256 != G.weights_sha256
    assert torch.equal(read.sample(2, output_type="pt"), tuned.G.sample(2, output_type="pt"))
    assert read.metadata == tuned.G.metadata
    assert read.metadata["license"] == "CC0"
    assert "metrics" not in read.metadata
    assert read.metadata["tuned"] | {"of": "gentle", "weights_sha256": G.weights_sha256} == read.metadata["tuned"]
    assert [known["name"] for known in read.metadata["lineage"]] == ["gentle"]
    assert read.provenance() == tuned.G.provenance()


@pytest.mark.parametrize("method", ["encoder", "hybrid"])
def test_results_of_every_method_are_tuned(G: Generator, pictures: torch.Tensor, blocks: Blocks, method: Any) -> None:
    steps = 2 if method == "hybrid" else None
    options: dict[str, Any] = {"encoder": new_encoder(G), "steps": steps, "progress": False}
    found = stylegan.project(pictures, G, method=method, extractor=blocks, **options)
    assert (tune(found, G, blocks).found.distances < found.distances).all()


def test_batches_of_pictures_change_no_result(G: Generator, found: Projection, blocks: Blocks) -> None:
    whole, parts = (tune(found, G, blocks, steps=3, batch_size=n).found.img for n in (2, 1))
    assert torch.allclose(whole, parts, atol=1e-2)


class Interrupted(Exception):
    """Instead of Ctrl-C."""


def test_an_interrupted_tuning_goes_on_exactly(
    G: Generator, found: Projection, blocks: Blocks, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = tune(found, G, blocks, steps=6)
    monkeypatch.setattr("stylegan.projection.steps.SAVE_SECONDS", -1.0)  # After every step.
    checkpoint, advance = tmp_path / "state.safetensors", Tuner.advance

    def fail_late(self: Tuner) -> float:
        if self.step == 4:
            raise Interrupted
        return advance(self)

    monkeypatch.setattr(Tuner, "advance", fail_late)
    with pytest.raises(Interrupted):
        tune(found, G, blocks, steps=6, checkpoint=checkpoint)
    assert list(tmp_path.iterdir()) == [checkpoint]
    monkeypatch.setattr(Tuner, "advance", advance)
    resumed = tune(found, G, blocks, steps=6, checkpoint=checkpoint)
    assert resumed.G.weights_sha256 == whole.G.weights_sha256
    with pytest.raises(InputError, match="was begun with steps 6, not 7"):
        tune(found, G, blocks, steps=7, checkpoint=checkpoint)
    other = stylegan.project(found.target, G, extractor=blocks, steps=1, progress=False)
    with pytest.raises(InputError, match="begun with another projection"):
        tune(other, G, blocks, steps=6, checkpoint=checkpoint)
    checkpoint.write_bytes(checkpoint.read_bytes()[:-100])
    with pytest.raises(InputError, match="damaged"):
        tune(found, G, blocks, steps=6, checkpoint=checkpoint)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 0}, "steps must be"),
        ({"learning_rate": 0}, "learning_rate must be a positive number"),
        ({"locality_weight": -1}, "locality_weight"),
        ({"extractor": object()}, "measures no perceptual distance"),
        ({"G": None}, "G must be a Generator"),
        ({"found": 3}, "found must be a Projection"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(
    G: Generator, found: Projection, blocks: Blocks, options: dict[str, Any], message: str
) -> None:
    given = {"found": found, "G": G, "blocks": blocks} | options
    with pytest.raises(InputError, match=message):
        tune(**given)


def test_models_that_cannot_be_tuned_are_refused(G: Generator, found: Projection, tuned: Tuned, blocks: Blocks) -> None:
    low = gentle_generator()
    low.synthesis.bfloat16()
    with pytest.raises(InputError, match="needs a model in float32"):
        tune(found, low, blocks)
    with pytest.raises(InputError, match="gentle-tuned is tuned already; tune the model"):
        tune(found, tuned.G, blocks)
    other = gentle_generator()
    other.w_avg += 1
    with pytest.raises(InputError, match="belongs to another model"):
        tune(found, other, blocks)
