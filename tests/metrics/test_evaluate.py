"""evaluate: all metrics of a tiny model; what changes the numbers and what must not; the cache; several processes."""

import dataclasses
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner

from stylegan import Generator
from stylegan.cli import main
from stylegan.cli.evaluate import evaluate as evaluate_command
from stylegan.errors import DatasetError, InputError, WeightsError
from stylegan.extractors import load_extractor
from stylegan.images.convert import from_uint8, to_uint8
from stylegan.metrics import Settings, evaluate, features, frechet_distance
from stylegan.metrics.images import Images, labels_for
from stylegan.metrics.names import parse_metric, parse_metrics
from stylegan.metrics.settings import Metric

from ..conftest import ROOT, tiny_generator
from .tiny import tiny_pictures, tiny_settings, values, well_spread

NAMES = ["fid24", "kid24", "precision24", "recall24", "ppl_w100", "ppl_zend100", "ls_z24", "ls_w24"]


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_pictures(tmp_path_factory.mktemp("pictures"))


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="module")
def G() -> Generator:
    return well_spread()


@pytest.fixture(scope="module")
def result(G: Generator, pictures: Path, cache: Path) -> dict[str, Any]:
    before = torch.random.get_rng_state()
    found = evaluate(G, tiny_settings(pictures, cache), progress=False)
    assert torch.equal(before, torch.random.get_rng_state())
    return found


@pytest.fixture(scope="module")
def numbers(result: dict[str, Any]) -> dict[str, float]:
    return {name: entry["value"] for name, entry in result["metrics"].items()}


def test_every_metric_has_a_value(numbers: dict[str, float]) -> None:
    assert list(numbers) == NAMES
    assert all(value == value and abs(value) < 1e6 for value in numbers.values())
    assert numbers["fid24"] > 0
    assert numbers["ppl_w100"] > 0
    assert 0 <= numbers["precision24"] <= 1
    assert numbers["ls_w24"] >= 1


def test_the_result_is_json_with_what_is_needed_to_repeat_it(result: dict[str, Any], G: Generator) -> None:
    assert json.loads(json.dumps(result)) == result
    assert result["extractor"] == result["distance"]
    assert result["extractor"]["name"] == "random-conv"
    assert result["data"]["pictures_used"] == 20
    assert result["settings"] == {
        "seed": 0,
        "noise_mode": "random",
        "num_latents": 1,
        "truncation_psi": 1,
        "face_crop": True,
        "epsilon": 1e-4,
        "batch_size": 32,
        "dtype": "float32",
    }
    assert result["metrics"]["fid24"] == {"value": result["metrics"]["fid24"]["value"], "images": 24, "reals": 20}
    assert result["metrics"]["ls_w24"]["attributes"]["bright"]["kept"] == 12
    assert {"stylegan", "torch", "numpy", "python"} <= result["software"].keys()
    for entry in (result["model"]["weights_sha256"], result["data"]["sha256"], result["extractor"]["sha256"]):
        assert len(entry) == 64


def test_fid_is_that_of_the_images_that_sample_makes(
    G: Generator, numbers: dict[str, float], pictures: Path, cache: Path
) -> None:
    """By the public verbs alone: image i is the one of seed i, its noise that of seed 2^31 + i."""
    network = load_extractor("random-conv")
    img = G.sample(
        seeds=range(24), truncation_psi=1, noise_mode="random", noise_seed=range(2**31, 2**31 + 24), output_type="pt"
    )
    fake = network.features(from_uint8(to_uint8(img)))
    real = features.RealImages(pictures, 16, device=G.device, progress=False).dataset.batch(range(20))[0]
    expected = frechet_distance(network.features(from_uint8(real)), fake)
    assert numbers["fid24"] == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("batch_size", [7, 40])
def test_the_batch_size_does_not_change_the_numbers(
    G: Generator, numbers: dict[str, float], pictures: Path, cache: Path, batch_size: int
) -> None:
    again = values(G, tiny_settings(pictures, cache, batch_size=batch_size))
    assert again == pytest.approx(numbers, rel=2e-2, abs=1e-4)  # PPL magnifies rounding, FID pixels that round over.


def test_the_same_settings_give_the_same_numbers(
    G: Generator, numbers: dict[str, float], pictures: Path, cache: Path
) -> None:
    assert values(G, tiny_settings(pictures, cache)) == numbers


def test_seed_and_noise_change_the_numbers(
    G: Generator, numbers: dict[str, float], pictures: Path, cache: Path
) -> None:
    for options in ({"seed": 1}, {"noise_mode": "const"}):
        again = values(G, tiny_settings(pictures, cache, **options))
        assert not any(again[name] == numbers[name] for name in ("fid24", "kid24", "ppl_w100", "ppl_zend100"))


def test_the_face_crop_changes_path_lengths_alone(
    G: Generator, numbers: dict[str, float], pictures: Path, cache: Path
) -> None:
    again = values(G, tiny_settings(pictures, cache, face_crop=False))
    changed = {name for name in NAMES if again[name] != numbers[name]}
    assert changed == {"ppl_w100", "ppl_zend100"}


def test_fewer_images_are_the_first_ones(G: Generator, pictures: Path, cache: Path) -> None:
    both = values(G, tiny_settings(pictures, cache, metrics="fid24,fid12"))
    alone = values(G, tiny_settings(pictures, cache, metrics="fid12"))
    assert both["fid12"] == pytest.approx(alone["fid12"], rel=1e-5)


# Images.


def test_noise_is_not_drawn_as_z_is(G: Generator) -> None:
    images = Images(G)
    z, noise = images.z([3]), images.noise([3])
    assert noise
    assert noise[0] is not None
    assert not torch.allclose(noise[0].flatten(), z.flatten()[:16])


def test_mixed_images_take_each_layer_from_one_latent_in_order(G: Generator) -> None:
    images = Images(G, num_latents=3)
    mixed = images.mixed(range(40))
    sources = [G.mapping(G.z([3 * i + j for i in range(40)])) for j in range(3)]
    which = torch.stack([(mixed == w[:, None]).all(dim=2) for w in sources], dim=2)  # [N, num_ws, 3]
    assert which.any(dim=2).all()
    first = which.int().argmax(dim=2)
    assert (first.diff(dim=1) >= 0).all()
    assert (first[:, 0] == 0).all()
    assert {0, 1, 2} <= set(first.flatten().tolist())
    assert len({tuple(row) for row in first.tolist()}) > 5


def test_one_latent_is_not_mixed(G: Generator) -> None:
    assert torch.equal(Images(G).images([2]), Images(G, num_latents=1).images([2]))
    assert not torch.equal(Images(G).images([2]), Images(G, num_latents=2).images([2]))


def test_greyscale_models_are_seen_in_three_channels(pictures: Path) -> None:
    G = tiny_generator(img_channels=1)
    img = Images(G).images(range(2))
    assert img.shape == (2, 3, 16, 16)
    assert torch.equal(img[:, 0], img[:, 2])


def test_conditional_models_get_the_labels_of_the_data(tmp_path: Path, cache: Path) -> None:
    data = tiny_pictures(tmp_path / "labelled")
    labels = {f"{i:03d}.png": i % 2 for i in range(20)}
    (data / "labels.json").write_text(json.dumps({"labels": labels}))
    G = tiny_generator(label_dim=2)
    found = values(G, tiny_settings(data, cache, metrics="fid24,ppl_w100"))
    assert found.keys() == {"fid24", "ppl_w100"}
    drawn = labels_for(G, None, 1000, seed=0)
    assert drawn is not None
    assert drawn.sum(dim=0).tolist() == pytest.approx([500, 500], abs=60)
    with pytest.raises(InputError, match=r"takes labels of 3 values, the data set .* has 2"):
        values(tiny_generator(label_dim=3), tiny_settings(data, cache, metrics="fid24"))


# The cache of real features.


def test_the_second_evaluation_reads_no_picture(
    G: Generator, pictures: Path, cache: Path, numbers: dict[str, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: Any, **options: Any) -> None:
        raise AssertionError("the pictures were read again")

    monkeypatch.setattr(features, "ImageDataset", fail)
    assert values(G, tiny_settings(pictures, cache, metrics="fid24"))["fid24"] == numbers["fid24"]


def test_changed_pictures_are_looked_at_again(G: Generator, tmp_path: Path, cache: Path) -> None:
    data = tiny_pictures(tmp_path / "a")
    first = values(G, tiny_settings(data, cache, metrics="fid24"))
    tiny_pictures(data, 1, seed=9)
    assert values(G, tiny_settings(data, cache, metrics="fid24")) != first


def test_the_same_pictures_elsewhere_are_known(
    G: Generator, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = values(G, tiny_settings(tiny_pictures(tmp_path / "b", seed=5), cache, metrics="fid24"))
    other = tiny_pictures(tmp_path / "c", seed=5)
    monkeypatch.setattr(features, "ImageDataset", None)
    assert values(G, tiny_settings(other, cache, metrics="fid24")) == first


def test_damaged_features_in_the_cache_are_computed_again(G: Generator, pictures: Path, tmp_path: Path) -> None:
    first = values(G, tiny_settings(pictures, tmp_path, metrics="fid24"))
    (file,) = tmp_path.glob("stylegan/features/*.safetensors")
    content = file.read_bytes()
    file.write_bytes(content[:-3])
    assert values(G, tiny_settings(pictures, tmp_path, metrics="fid24")) == first
    assert file.read_bytes() == content


def test_more_pictures_than_before_are_computed_again(G: Generator, pictures: Path, tmp_path: Path) -> None:
    few = values(G, tiny_settings(pictures, tmp_path, metrics="fid8"))
    more = values(G, tiny_settings(pictures, tmp_path, metrics="fid24,fid8"))
    assert more["fid8"] == pytest.approx(few["fid8"], rel=1e-5)


# Errors.


def test_fid_without_data_is_an_error(G: Generator) -> None:
    with pytest.raises(InputError, match="give a data set"):
        values(G, tiny_settings(None, None, metrics="fid10"))


def test_data_of_a_lower_resolution_is_an_error(G: Generator, tmp_path: Path, cache: Path) -> None:
    with pytest.raises(InputError, match="resolution must be a power of two from 8 to 8"):
        values(G, tiny_settings(tiny_pictures(tmp_path / "small", size=8), cache))
    with pytest.raises(DatasetError):
        values(G, tiny_settings(tmp_path / "missing", cache))


def test_a_distance_must_be_perceptual(G: Generator, pictures: Path, cache: Path) -> None:
    class NoDistance(torch.nn.Module):
        name, is_perceptual = "none", False

    with pytest.raises(InputError, match="none has no distance"):
        values(G, tiny_settings(pictures, cache, metrics="ppl_w100", distance=NoDistance()))


def test_a_model_that_makes_nan_has_no_metrics(pictures: Path, cache: Path) -> None:
    G = tiny_generator()
    G.mapping.requires_grad_(False)
    next(G.mapping.parameters()).fill_(float("nan"))
    with pytest.raises(WeightsError, match="NaN"):
        values(G, tiny_settings(pictures, cache, metrics="ppl_w100"))


# Names.


def test_names_tell_kind_and_number() -> None:
    assert parse_metric("fid50k") == parse_metric("fid") == Metric("fid", 50_000)
    assert parse_metric("ppl_wend10k") == Metric("ppl_wend", 10_000)
    assert parse_metric("ls") == Metric("ls", 200_000)
    assert parse_metric("pr100") == Metric("pr", 100)
    assert [m.suffix for m in parse_metrics("fid10k, kid150,fid10k")] == ["10k", "150"]


@pytest.mark.parametrize("name", ["fid0", "is50k", "ppl", "fid10m", "", "kid-5", "ppl_w50", "ls2"])
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(InputError, match=r"unknown metric|or more"):
        parse_metric(name)


# Several processes, and the command.

SCRIPT = """
import json, sys
import torch
torch.set_num_threads(1)
from pathlib import Path
from stylegan.metrics import evaluate
from stylegan.runtime.distributed import connect, disconnect
from tests.metrics.tiny import tiny_settings, well_spread
data, cache, out = map(Path, sys.argv[1:])
world = connect(torch.device("cpu"))
result = evaluate(well_spread(), tiny_settings(data, cache, batch_size=5), world=world, progress=False)
disconnect()
assert bool(result) == world.is_first
if result:
    out.write_text(json.dumps(result))
"""


def test_two_processes_give_the_numbers_of_one(G: Generator, pictures: Path, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "--standalone"]
    command += ["--monitor-interval=0.1", str(script), str(pictures), str(tmp_path / "two"), str(tmp_path / "out.json")]
    env = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    two = json.loads((tmp_path / "out.json").read_text())
    assert two["processes"] == 2
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # As many as each of the two: PPL magnifies the rounding of another order of sums.
    one = values(G, tiny_settings(pictures, tmp_path / "one", batch_size=5))
    torch.set_num_threads(threads)
    assert {name: entry["value"] for name, entry in two["metrics"].items()} == pytest.approx(one, rel=1e-6)


def test_the_command_writes_json_and_shows_the_values(G: Generator, pictures: Path, tmp_path: Path) -> None:
    G.save(tmp_path / "G.safetensors")
    arguments = ["evaluate", str(tmp_path / "G.safetensors"), "--data", str(pictures), "--metrics", "fid24,ppl_w100"]
    arguments += ["--extractor", "random-conv", "--distance", "random-conv", "--cache-dir", str(tmp_path / "cache")]
    done = CliRunner().invoke(main, [*arguments, "--out", str(tmp_path / "out.json")])
    assert done.exit_code == 0, done.output
    written = json.loads((tmp_path / "out.json").read_text())
    assert written["model"]["weights_sha256"]
    assert f"fid24     {written['metrics']['fid24']['value']:.4g}" in done.output
    assert re.search(r"fid24 .* 24 generated, \d+ real images, random-conv\n", done.output)
    assert re.search(r"ppl_w100 .* 100 paths, random-conv\n", done.output)
    assert "are rough; compare them only at equal counts" in done.output


def test_the_command_has_the_defaults_of_the_settings() -> None:
    """They stand twice, since the command line imports the metrics only where they are used."""
    options = {option.name: option.default for option in evaluate_command.params}
    defaults = {name: value for name, value in dataclasses.asdict(Settings()).items() if value is not None}
    defaults["classifiers"] = ",".join(defaults["classifiers"])
    assert {name: options[name] for name in defaults} == defaults


def test_the_command_tells_errors_in_one_line(tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["evaluate", "--metrics", "fid10"])
    assert done.exit_code == 1
    assert "give a data set (--data)" in done.output
