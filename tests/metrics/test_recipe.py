"""A metric is one file, and an extractor too: it is put into the folder, and everything finds it there."""

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import stylegan.extractors
import stylegan.metrics
from stylegan.cli import main
from stylegan.errors import InputError, NotFoundError
from stylegan.extractors import load_extractor
from stylegan.extractors.loading import families
from stylegan.metrics import evaluate
from stylegan.metrics.images import Images
from stylegan.metrics.names import definitions, parse_metric

from .tiny import tiny_pictures, tiny_settings, values, well_spread

METRIC = '''
"""How far the mean colours of generated and real images are apart."""

from .metric import Definition


def measure(run, metric):
    real, fake = run.features(metric)

    def finish():
        distance = (real.mean(dim=0) - fake.mean(dim=0)).norm().item()
        return {DEFINITION.label(metric): {"value": distance, "images": len(fake), "reals": len(real)}}

    return finish


DEFINITION = Definition("mean_distance", measure, count=1000, needs_data=True, network="extractor")
METRICS = [DEFINITION]
'''

MEAN_COLOUR = """
class MeanColour(Extractor):
    name, sha256, license = "mean-colour", "0" * 64, "MIT"

    def features(self, images):
        return images.mean(dim=(2, 3))
"""

OWN_FEATURES = f'''
"""The same of colours, whatever extractor was chosen."""

from ..extractors import Extractor
from .metric import Definition


{MEAN_COLOUR}


def measure(run, metric):
    real, fake = run.features(metric, "colours")
    return lambda: {{DEFINITION.label(metric): {{"value": fake.shape[1], "images": len(fake), "reals": len(real)}}}}


DEFINITION = Definition("colours", measure, needs_data=True, network="colours", extractor=MeanColour)
METRICS = [DEFINITION]
'''

EXTRACTOR = f'''
"""The mean colour of an image."""

from .base import Extractor, Family


{MEAN_COLOUR}


FAMILY = Family(("mean-colour",), make=MeanColour)
'''


@pytest.fixture
def new_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Callable[..., None]]:
    """Put a file into the folder of a package, for one test."""
    added = []

    def add(package: Any, name: str, text: str) -> None:
        folder = tmp_path / package.__name__
        folder.mkdir()
        (folder / f"{name}.py").write_text(text)
        monkeypatch.setattr(package, "__path__", [*package.__path__, str(folder)])
        added.append(f"{package.__name__}.{name}")
        forget()

    def forget() -> None:
        definitions.cache_clear()
        families.cache_clear()

    yield add
    for name in added:
        sys.modules.pop(name, None)
    forget()


def test_a_metric_is_one_file(new_file: Callable[..., None], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="unknown metric"):
        parse_metric("mean_distance20")
    new_file(stylegan.metrics, "mean_distance", METRIC)
    G, data = well_spread(), tiny_pictures(tmp_path / "pictures")
    found = values(G, tiny_settings(data, tmp_path / "cache", metrics="mean_distance20,fid20"))
    assert found.keys() == {"mean_distance20", "fid20"}
    assert found["mean_distance20"] > 0
    with pytest.raises(InputError, match="mean_distance compares with real images"):
        values(G, tiny_settings(None, None, metrics="mean_distance"))

    G.save(tmp_path / "G.safetensors")
    arguments = ["evaluate", str(tmp_path / "G.safetensors"), "--data", str(data), "--metrics", "mean_distance20"]
    arguments += ["--extractor", "random-conv", "--cache-dir", str(tmp_path / "cache"), "--out", str(tmp_path / "x")]
    shown = CliRunner().invoke(main, arguments)
    assert shown.exit_code == 0, shown.output
    assert "20 generated, 20 real images, random-conv" in shown.output
    assert json.loads((tmp_path / "x").read_text())["metrics"].keys() == {"mean_distance20"}


def test_metrics_with_different_extractors_share_images(
    new_file: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    new_file(stylegan.metrics, "colours", OWN_FEATURES)
    G, data, made = well_spread(), tiny_pictures(tmp_path / "pictures"), []
    settings = tiny_settings(data, tmp_path / "cache", metrics="fid16")
    alone = values(G, settings)
    images = Images.images
    monkeypatch.setattr(Images, "images", lambda self, numbers: made.extend(numbers) or images(self, numbers))
    result = evaluate(G, replace(settings, metrics="fid16,colours20"), progress=False)
    assert made == list(range(20))
    assert result["metrics"]["colours20"] == {"value": 3, "images": 20, "reals": 20}
    assert result["metrics"]["fid16"]["value"] == pytest.approx(alone["fid16"], rel=1e-5)
    assert (result["colours"]["name"], result["extractor"]["name"]) == ("mean-colour", "random-conv")


def test_an_extractor_is_one_file(new_file: Callable[..., None], tmp_path: Path) -> None:
    new_file(stylegan.extractors, "mean_colour", EXTRACTOR)
    assert load_extractor("mean-colour").name == "mean-colour"
    with pytest.raises(NotFoundError, match="inception-2015, mean-colour, st-lpips-vgg"):
        load_extractor("median-colour")
    data = tiny_pictures(tmp_path / "pictures")
    settings = tiny_settings(data, tmp_path / "cache", metrics="fid20", extractor="mean-colour")
    assert values(well_spread(), settings)["fid20"] > 0
