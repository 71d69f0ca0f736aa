"""Classifiers of attributes: what they promise of any images, and that they know the faces they were made for."""

import io
import json
import math
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image
from torch import Tensor

from models.attributes import labels, train
from stylegan import Generator
from stylegan.data.dataset import shuffled_indices
from stylegan.errors import InputError, NotFoundError, WeightsError
from stylegan.extractors import AttributeClassifier, load_classifier
from stylegan.weights.checkpoint import Checkpoint, save_checkpoint

from ..conftest import ROOT, SHARED

FACES = SHARED / "data" / "faces-200.zip"


@pytest.fixture(scope="module", params=["gender", "age"])
def classifier(request: pytest.FixtureRequest) -> AttributeClassifier:
    return load_classifier(request.param)


def noise(n: int, size: int, *, seed: int = 0) -> Tensor:
    return torch.rand(n, 3, size, size, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def test_values_are_differentiable_and_the_same_in_any_batch(classifier: AttributeClassifier) -> None:
    images = noise(4, 64).requires_grad_()
    values = classifier(images)
    assert values.shape == (4,)
    torch.testing.assert_close(classifier(images[2:3]), values[2:3], rtol=1e-4, atol=1e-4)
    (gradient,) = torch.autograd.grad(values.sum(), images)
    assert gradient.abs().sum(dim=(1, 2, 3)).min() > 0
    assert not any(p.requires_grad for p in classifier.parameters())


@pytest.mark.parametrize("size", [8, 32, 128, 200])
def test_images_of_any_size_are_resized(classifier: AttributeClassifier, size: int) -> None:
    small = noise(2, 8)
    images = torch.nn.functional.interpolate(small, (size, size), mode="bilinear", align_corners=False)
    assert classifier(images).isfinite().all()
    # Twice the pixels of a soft picture change little.
    reference = torch.nn.functional.interpolate(small, (64, 64), mode="bilinear", align_corners=False)
    if size >= 32:
        torch.testing.assert_close(classifier.logits(images), classifier.logits(reference), rtol=0, atol=0.5)


def test_logits_are_positive_above_the_threshold(classifier: AttributeClassifier) -> None:
    images = noise(50, 64) * torch.linspace(0.1, 2, 50).view(-1, 1, 1, 1)
    assert torch.equal(classifier.logits(images) > 0, classifier(images) > classifier.threshold)


def test_the_bundled_faces_have_both_kinds(classifier: AttributeClassifier, faces: Generator) -> None:
    """On generated faces the attributes vary, and are told with confidence."""
    img = faces.sample(64, truncation_psi=1, output_type="pt")
    logits = classifier.logits(img)
    share = (logits > 0).float().mean().item()
    assert 0.15 < share < 0.85
    assert logits.abs().median() > 0.5


def test_classifiers_state_their_source_and_accuracy(classifier: AttributeClassifier) -> None:
    assert classifier.metadata["license"] == "non-commercial research"
    assert classifier.metadata["metrics"]["accuracy"] > 0.75
    assert classifier.metadata["metrics"]["held_out"] == 1579
    assert len(classifier.sha256) == 64
    size = (ROOT / "stylegan/assets" / f"{classifier.name}.safetensors").stat().st_size
    assert size < 500_000


@pytest.mark.skipif(not FACES.is_file(), reason="the photos are not here")
def test_held_out_photos_are_told_as_stated(classifier: AttributeClassifier) -> None:
    """The trainer's own split: its figures are those of the weights that are shipped."""
    with zipfile.ZipFile(FACES) as archive:
        names = sorted(name for name in archive.namelist() if name.endswith(".jpg"))
        attributes = {classifier.name: labels.FACES[classifier.name]}
        told = train.labels_of(names, train.read_records(FACES), attributes)[:, 0]
        known = [i for i, label in enumerate(told.tolist()) if label == label]
        some = [known[i] for i in shuffled_indices(len(known), 0, len(known), 0)[: len(known) // 10][:300]]
        photos = [Image.open(io.BytesIO(archive.read(names[i]))).convert("RGB") for i in some]
    pixels = [np.asarray(photo.resize((64, 64), Image.Resampling.LANCZOS)) for photo in photos]
    images = torch.from_numpy(np.stack(pixels)).movedim(3, 1)
    figures = train.judge(classifier, attributes[classifier.name], images, told[some])
    stated = classifier.metadata["metrics"]
    assert figures["accuracy"] == pytest.approx(stated["accuracy"], abs=0.06)
    if classifier.name == "age":
        assert figures["mean_absolute_error"] == pytest.approx(stated["mae_years"], abs=1.0)


HEAD = {"hairColor": "#ffffff", "skinColor": "#000000", "eyes": "wink", "hair": "bun"}


def test_attributes_are_read_from_the_renderer() -> None:
    records = {"a.png": HEAD | {"primaryBackgroundColor": "#ff0080", "beard": "chin"}}
    told = dict(zip(labels.HEADS, train.labels_of(["00/a.png"], records, labels.HEADS)[0].tolist(), strict=True))
    assert all(math.isnan(told.pop(name)) for name in ("beard", "open-eyes"))
    expected = {"long-hair": 0, "bun": 1, "light-hair": 255, "warm-hair": 0, "light-skin": 0}
    assert told == expected | {"warm-background": 127}


def test_attributes_trained_together_are_all_learnt(tmp_path: Path) -> None:
    """Beard: the lower half is dark. Light hair: the upper half. Neither tells of the other."""
    random, records = np.random.default_rng(0), {}
    for i in range(400):
        bearded, light = bool(random.integers(2)), int(random.integers(30, 226))
        pixels = random.integers(0, 8, (16, 16, 3), dtype=np.uint8)
        pixels[:8] += np.uint8(light)
        pixels[8:] += np.uint8(0 if bearded else 120)
        Image.fromarray(pixels).save(tmp_path / f"{i}.png")
        hair = {"hairColor": f"#{light:02x}{light:02x}{light:02x}"}
        records[f"{i}.png"] = HEAD | hair | ({"beard": "longBeard"} if bearded else {})
    (tmp_path / "attributes.json").write_text(json.dumps(records))
    out = tmp_path / "out"
    options = ["--data", str(tmp_path), "--out", str(out), "--resolution", "16", "--epochs", "20"]
    call = CliRunner().invoke(train.main, ["beard", "light-hair", *options], catch_exceptions=False)
    assert call.exit_code == 0, call.output
    beard, light_hair = (load_classifier(out / f"{name}.safetensors") for name in ("beard", "light-hair"))
    assert beard.metadata["license"] == "CC BY 4.0"
    assert beard.metadata["metrics"]["accuracy"] > 0.9
    assert light_hair.metadata["metrics"]["accuracy"] > 0.8
    assert light_hair.metadata["metrics"]["mean_absolute_error"] < 30


def test_a_file_of_ones_own_is_read(tmp_path: Path) -> None:
    own = AttributeClassifier(name="hat", positive="a hat", channels=[4], resolution=16, threshold=0.5, scale=2)
    save_checkpoint(tmp_path / "hat.safetensors", Checkpoint("AttributeClassifier", own.config, own.state_dict()))
    loaded = load_classifier(tmp_path / "hat.safetensors")
    images = noise(3, 16)
    assert torch.equal(loaded(images), own(images))
    assert (loaded.name, loaded.positive) == ("hat", "a hat")
    torch.testing.assert_close(loaded.logits(images), (own(images) - 0.5) / 2)


def test_what_is_no_classifier_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="expected 'gender', 'age', or a file"):
        load_classifier("smile")
    save_checkpoint(tmp_path / "x.safetensors", Checkpoint("Generator", {}, {"a": torch.zeros(1)}))
    with pytest.raises(WeightsError, match="holds a Generator"):
        load_classifier(tmp_path / "x.safetensors")


def test_uint8_images_are_refused(classifier: AttributeClassifier) -> None:
    with pytest.raises(InputError, match="floating point"):
        classifier(torch.zeros(1, 3, 64, 64, dtype=torch.uint8))


def test_initial_weights_come_from_the_seed_alone() -> None:
    before = torch.random.get_rng_state()
    first, second, other = (
        AttributeClassifier(name="x", positive="x", channels=[4, 8], seed=seed) for seed in (0, 0, 1)
    )
    assert torch.equal(before, torch.random.get_rng_state())
    images = noise(2, 64)
    assert torch.equal(first(images), second(images))
    assert not torch.equal(first(images), other(images))
