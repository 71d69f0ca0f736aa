"""Deltas: a small file stands for a whole generator, of the right base alone, and under its licence."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import Result
from torch import Tensor

from stylegan import Discriminator, Generator, images
from stylegan.errors import InputError, NotFoundError, WeightsError
from stylegan.images.settings import recall
from stylegan.runtime.tensor_files import read_header, read_tensors, write_tensors
from stylegan.weights.deltas import add_delta, is_delta, save_delta, subtract_base

from ..conftest import ok, tiny_generator

Run = Callable[..., Result]


def changed(G: Generator, by: float = 0.05) -> dict[str, Tensor]:
    """The weights of some of its layers, each a little different."""
    generator = torch.Generator().manual_seed(3)
    state = {key: tensor for key, tensor in G.state_dict().items() if key.startswith("synthesis.layers")}
    return {key: tensor + by * torch.randn(tensor.shape, generator=generator) for key, tensor in state.items()}


def write_delta(base: str | Path, path: str | Path) -> Generator:
    """A delta to a base, in a file; returns the base."""
    G = Generator.from_pretrained(base)
    metadata = {"name": f"{G.name}-tuned", "license": "none"}
    save_delta(path, subtract_base(changed(G), G.checkpoint(), source=G.location, metadata=metadata))
    return G


@pytest.fixture
def here(run: Run) -> Run:
    """A tiny model in the folder of the test, and a delta to it in a folder beside it."""
    G = tiny_generator()
    G.metadata = {"name": "tiny", "license": "CC0", "license_url": "https://example.org"}
    G.save("tiny.safetensors")
    write_delta("tiny.safetensors", "me/tuned.safetensors")
    return run


@pytest.mark.usefixtures("here")
def test_a_delta_gives_the_weights_within_its_steps() -> None:
    base, tuned = Generator.from_pretrained("tiny.safetensors"), Generator.from_pretrained("me/tuned.safetensors")
    wanted, found = changed(base), tuned.state_dict()
    for key, tensor in base.state_dict().items():
        step = (wanted.get(key, tensor) - tensor).abs().max() / 127
        assert (found[key] - wanted.get(key, tensor)).abs().max() <= 0.51 * step
    delta = subtract_base(wanted, base.checkpoint(), source="", metadata={})
    again = add_delta(base.checkpoint(), delta, "here").state_dict
    assert all(torch.equal(again[key], found[key]) for key in found)
    assert (tuned.sample(1, output_type="pt") - base.sample(1, output_type="pt")).abs().max() > 0.01


@pytest.mark.usefixtures("here")
def test_a_delta_has_the_licence_of_its_base_and_is_small() -> None:
    G = Generator.from_pretrained("me/tuned.safetensors")
    assert (G.name, G.metadata["license"], G.metadata["license_url"]) == ("tiny-tuned", "CC0", "https://example.org")
    assert is_delta("me/tuned.safetensors")
    assert not is_delta("tiny.safetensors")
    with pytest.raises(WeightsError, match="expected a Discriminator"):
        Discriminator.from_pretrained("me/tuned.safetensors")
    tensors, _ = read_tensors("me/tuned.safetensors", error=WeightsError)
    assert {tensor.dtype for tensor in tensors.values() if tensor.ndim} == {torch.int8}


def test_a_base_is_found_by_name_or_where_it_was(here: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_delta("avatars-128", "named.safetensors")
    Path("away").mkdir()
    monkeypatch.chdir("away")
    assert Generator.from_pretrained("../me/tuned.safetensors").name == "tiny-tuned"
    assert Generator.from_pretrained(tmp_path / "named.safetensors").name == "avatars-128-tuned"
    Path("../me/tuned.safetensors").rename("moved.safetensors")
    Path("../tiny.safetensors").rename("elsewhere.safetensors")
    with pytest.raises(NotFoundError, match=r"a delta of tiny .* put that file next to the delta"):
        Generator.from_pretrained("moved.safetensors")
    Path("elsewhere.safetensors").rename("tiny.safetensors")
    assert Generator.from_pretrained("moved.safetensors").name == "tiny-tuned"
    del here


@pytest.mark.usefixtures("here")
def test_another_base_is_refused() -> None:
    other = tiny_generator(seed=5)
    other.metadata["name"] = "other"
    other.save("tiny.safetensors")
    with pytest.raises(WeightsError, match=r"a delta of tiny with weights of sha256 \w{16}\.\.\., but those of other"):
        Generator.from_pretrained("me/tuned.safetensors")
    write_delta("tiny.safetensors", "delta.safetensors")
    os.replace("delta.safetensors", "tiny.safetensors")  # A circle, which is followed no further.
    with pytest.raises(WeightsError, match="a delta, which can be no base; `stylegan convert`"):
        Generator.from_pretrained("tiny.safetensors")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"synthesis.layers.1.bias": torch.zeros(3, dtype=torch.int8)},
            r"'synthesis.layers.1.bias' \[3\] does not fit",
        ),
        ({"hat": torch.zeros(3, dtype=torch.int8)}, "'hat' .* does not fit tiny"),
        ({"synthesis.layers.1.bias.scale": torch.zeros(2)}, "does not fit tiny"),
        ({"synthesis.layers.1.bias.scale": torch.tensor(float("nan"))}, "NaN"),
        ({"config": "{}"}, "a delta without its base: lacks 'name'"),
    ],
)
@pytest.mark.usefixtures("here")
def test_a_damaged_delta_is_refused(change: dict[str, Any], message: str) -> None:
    tensors, _ = read_tensors("me/tuned.safetensors", error=WeightsError)
    header = read_header("me/tuned.safetensors", error=WeightsError).metadata
    for key, value in change.items():
        (header if isinstance(value, str) else tensors)[key] = value
    write_tensors("me/tuned.safetensors", tensors, header)
    with pytest.raises(WeightsError, match=message):
        Generator.from_pretrained("me/tuned.safetensors")


def test_differences_that_are_no_numbers_are_refused() -> None:
    G = tiny_generator()
    broken = {"synthesis.layers.1.bias": torch.full((16,), float("nan"))}
    with pytest.raises(InputError, match="NaN or infinity; lower the learning rate"):
        subtract_base(broken, G.checkpoint(), source="", metadata={})


@pytest.mark.parametrize(
    ("command", "made"),
    [
        (["sample", "--seeds", "1"], "samples.png"),
        (["edit", "--seeds", "1", "--direction", "sefa:1", "--strengths", "0,1"], "strip.png"),
        (["mix", "--rows", "1", "--columns", "2"], "mix.png"),
        (["truncate", "--seeds", "1"], "truncate.png"),
        (["video", "--seeds", "1,2", "--seconds", "0.2", "--fps", "10"], "video.webp"),
    ],
)
def test_commands_take_a_delta_and_name_its_licence(here: Run, command: list[str], made: str) -> None:
    assert "tiny-tuned: CC0" in ok(here(*command, "--model", "me/tuned.safetensors", "--out", f"me/{made}"))
    text = recall(f"me/{made}")
    assert (text["license"], text["source"]) == ("CC0", "tuned.safetensors")
    assert text["weights_sha256"] == Generator.from_pretrained("me/tuned.safetensors").weights_sha256
    assert "bit for bit" in ok(here("remake", f"me/{made}", "--out", f"again{Path(made).suffix}")).splitlines()[-1]


def test_a_delta_is_trained_on_measured_and_published(here: Run) -> None:
    tuned = Generator.from_pretrained("me/tuned.safetensors")
    for seed, image in enumerate(tuned.sample(seeds=range(4))):
        images.save(image, f"images/{seed}.png")
    words = ["--data", "images", "--kimg", "0.004", "--batch", "4"]
    ok(here("train", *words, "--out", "run", "--start-from", "me/tuned.safetensors"))
    started = "run/snapshots/network-000000.safetensors"
    metadata = Generator.from_pretrained(started).metadata
    assert (metadata["start_from"], metadata["license"]) == ("tiny-tuned", "CC0")
    words = ["--data", "images", "--metrics", "fid4", "--extractor", "random-conv"]
    models = ("me/tuned.safetensors", started, "tiny.safetensors")
    distances = [float(ok(here("evaluate", model, *words)).split()[1]) for model in models]
    assert distances[1] == pytest.approx(distances[0], rel=1e-3)  # Snapshots are in half precision.
    assert distances[2] != pytest.approx(distances[0], rel=1e-2)
    ok(here("publish", "me/tuned.safetensors", "card/", "--dry-run"))
    assert Generator.from_pretrained("card/").weights_sha256 == tuned.weights_sha256


def test_the_exported_weights_are_those_of_the_sum(here: Run) -> None:
    onnx = pytest.importorskip("onnx", reason="needs the extra onnx")
    pytest.importorskip("onnxscript", reason="needs the extra onnx")
    ok(here("convert", "me/tuned.safetensors", "whole.safetensors"))
    weights = {}
    for model in ("tiny.safetensors", "whole.safetensors", "me/tuned.safetensors"):
        ok(here("export", model, "--out", "onnx", "--force"))
        weights[model] = [tensor.raw_data for tensor in onnx.load("onnx/synthesis.onnx").graph.initializer]
    base, whole, tuned = weights.values()
    assert tuned == whole
    assert tuned != base


def test_a_delta_becomes_a_whole_file_and_is_described(here: Run) -> None:
    assert "tiny-tuned" in ok(here("info", "me/tuned.safetensors"))
    ok(here("convert", "me/tuned.safetensors", "whole.safetensors"))
    whole, tuned = (Generator.from_pretrained(path) for path in ("whole.safetensors", "me/tuned.safetensors"))
    assert whole.weights_sha256 == tuned.weights_sha256
    write_delta("whole.safetensors", "further.safetensors")
    assert Generator.from_pretrained("further.safetensors").name == "tiny-tuned-tuned"


def test_what_is_missing_to_remake_a_picture_is_named(here: Run) -> None:
    ok(here("sample", "--seeds", "1", "--model", "me/tuned.safetensors", "--out", "me/one.png"))
    Path("tiny.safetensors").unlink()
    result = here("remake", "me/one.png", "--out", "again.png")
    assert result.exit_code == 1
    assert "a delta of tiny (../tiny.safetensors, weights of sha256" in result.output
