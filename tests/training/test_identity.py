"""Going on with a run: what must be the same is named where it is not, and goes on only where that was asked for."""

import logging
import shutil
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner, Result
from safetensors.torch import load_file, save_file

from stylegan.cli import main
from stylegan.data.dataset import ImageDataset
from stylegan.errors import InputError
from stylegan.runtime.run_log import read_log
from stylegan.training import TrainingConfig, train
from stylegan.training.checkpoints import header, list_checkpoints, read_tensors
from stylegan.training.identity import describe_data

from ..cli.test_cli_train import SMALL
from ..data.pictures import encoded, make_zip, noise
from .tiny import TinyImages, run, tiny_config


def pictures(seeds: Iterable[int] = range(8), size: int = 16, channels: int = 3) -> dict[str, bytes]:
    mode = "RGB" if channels == 3 else "L"
    return {f"{i:02d}.png": encoded(noise(size, size, seed=seed).convert(mode)) for i, seed in enumerate(seeds)}


def command(data: Path, out: Path, *options: object) -> Result:
    train = ["train", "--data", data, "--out", out, "--batch", 8, "--dtype", "float32", "--resolution", 16, *SMALL]
    result = CliRunner().invoke(main, [str(a) for a in [*train, "--set", "snapshot_images=4", *options]])
    assert "Traceback" not in result.output
    return result


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("begun")
    make_zip(folder / "data.zip", pictures())
    assert command(folder / "data.zip", folder / "run", "--kimg", 0.008).exit_code == 0
    return folder


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (pictures(range(1, 9)), r"as many images \(8\), but not the same or in another order"),
        (pictures([1, 0, *range(2, 8)]), r"as many images \(8\), but not the same or in another order"),
        (pictures(range(7)), "7 images, not 8"),
        (pictures(size=32), r"as many images \(8\), but not the same"),
        (
            pictures(channels=1),
            "which cannot change later; that of the data set is 1. Name one like the run's own",
        ),
    ],
)
def test_other_pictures_are_named_and_need_a_flag(
    begun: Path, tmp_path: Path, files: dict[str, bytes], message: str
) -> None:
    shutil.copytree(begun / "run", tmp_path / "run")
    before = sorted((tmp_path / "run/checkpoints").iterdir())
    make_zip(tmp_path / "other.zip", files)
    result = command(tmp_path / "other.zip", tmp_path / "run", "--resume", "--kimg", 0.016)
    assert result.exit_code == 1
    output = " ".join(result.output.split())
    assert message.replace("\\", "") in output
    if "cannot change" in message:
        return
    assert "--allow-data-change" in output
    assert sorted((tmp_path / "run/checkpoints").iterdir()) == before
    result = command(tmp_path / "other.zip", tmp_path / "run", "--resume", "--kimg", 0.016, "--allow-data-change")
    assert result.exit_code == 0, result.output
    # From then on these are the run's.
    assert command(tmp_path / "other.zip", tmp_path / "run", "--resume", "--kimg", 0.024).exit_code == 0
    result = command(begun / "data.zip", tmp_path / "run", "--resume", "--kimg", 0.032)
    assert result.exit_code == 1


def test_the_same_pictures_elsewhere_are_the_same(begun: Path, tmp_path: Path) -> None:
    """Another name, another folder, no zip: what counts is the content."""
    with zipfile.ZipFile(begun / "data.zip") as archive:
        archive.extractall(tmp_path / "unpacked/deep")
    known = describe_data(ImageDataset(begun / "data.zip"), labels=False)
    assert describe_data(ImageDataset(tmp_path / "unpacked"), labels=False) == known
    assert describe_data(ImageDataset(tmp_path / "unpacked", resolution=8, memory_limit=0), labels=False) == known
    _, counters = read_tensors(list_checkpoints(begun / "run/checkpoints")[-1])
    assert counters["run"]["data"] == known


def test_labels_count_where_they_are_taught(tmp_path: Path) -> None:
    for name, classes in (("a", [0, 1] * 4), ("b", [1, 0] * 4)):
        files = pictures()
        labels = dict(zip(files, classes, strict=True))
        make_zip(tmp_path / f"{name}.zip", files | {"labels.json": str({"labels": labels}).replace("'", '"').encode()})
    a, b = ImageDataset(tmp_path / "a.zip"), ImageDataset(tmp_path / "b.zip")
    assert describe_data(a, labels=False) == describe_data(b, labels=False)
    assert describe_data(a, labels=True) != describe_data(b, labels=True)


def test_a_data_set_of_one_s_own_is_known_by_its_pictures(tmp_path: Path) -> None:
    run(tmp_path, kimg=0.008)
    other = TinyImages()
    other.pictures = other.pictures.flip(0)
    with pytest.raises(InputError, match=r"as many images \(64\), but not the same"):
        run(tmp_path, kimg=0.016, resume=True, dataset=other)
    train(tiny_config(kimg=0.016), tmp_path, dataset=other, resume=True, allow_data_change=True, progress=False)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"seed": 1}, "begun with seed 0, which cannot change later; got seed 1"),
        ({"loss": "hinge"}, "begun with loss logistic, .* got loss hinge"),
        ({"preset": "A"}, "begun with preset F, .* got preset A"),
        ({"z_dim": 4, "fmap_max": 4}, "begun with z_dim 8, fmap_max 8, .* got z_dim 4, fmap_max 4. Leave them out"),
        ({"hidden_dim": 4}, "begun with hidden_dim 8"),
        ({"mapping_layers": 3}, "begun with mapping_layers 8"),
        ({"mbstd_group_size": 2}, "begun with mbstd_group_size 4"),
        ({"resolution": 8}, "begun with resolution 16"),
    ],
)
def test_settings_that_a_run_keeps_are_named(setting: dict[str, Any], message: str, tmp_path: Path) -> None:
    run(tmp_path, kimg=0.008)
    kept = (tmp_path / "config.yaml").read_bytes()
    with pytest.raises(InputError, match=message):
        run(tmp_path, kimg=0.016, resume=True, **setting)
    assert (tmp_path / "config.yaml").read_bytes() == kept
    assert len(read_log(tmp_path / "log.jsonl")) == 1


def test_classes_are_kept(tmp_path: Path) -> None:
    run(tmp_path, kimg=0.008, dataset=TinyImages(label_dim=3), conditional=True)
    with pytest.raises(InputError, match="begun with conditional True"):
        run(tmp_path, kimg=0.016, resume=True, dataset=TinyImages(label_dim=3))
    with pytest.raises(InputError, match=r"begun with label_dim 3, which cannot change .* data set is 2\. .*--data"):
        run(tmp_path, kimg=0.016, resume=True, dataset=TinyImages(label_dim=2), conditional=True)


def test_other_settings_may_change_and_the_rest_are_the_runs(tmp_path: Path) -> None:
    first = run(tmp_path, kimg=0.008, preset="D", loss="hinge").state
    config = TrainingConfig(kimg=0.016, batch=16, learning_rate=0.01, r1_gamma=3, device="cpu", loss="hinge")
    state = train(config, tmp_path, dataset=TinyImages(), resume=True, progress=False).state
    assert (state.config.preset, state.config.z_dim, state.config.learning_rate) == ("D", 8, 0.01)
    assert state.images == first.images + 16


def test_checkpoints_of_earlier_versions_go_on_with_a_note(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    run(tmp_path, kimg=0.008)
    for path in list_checkpoints(tmp_path / "checkpoints"):
        _, counters = read_tensors(path)
        del counters["run"]
        save_file(load_file(path), path, header(counters))
    other = TinyImages()
    other.pictures = other.pictures.flip(0)
    with pytest.raises(InputError, match="begun with seed 0"):  # config.yaml says so.
        run(tmp_path, kimg=0.016, resume=True, seed=2)
    with caplog.at_level(logging.INFO):
        run(tmp_path, kimg=0.016, resume=True, dataset=other)
    assert "does not say which images" in caplog.text
    with pytest.raises(InputError, match="not the one that this run was trained on"):
        run(tmp_path, kimg=0.024, resume=True)


def test_another_start_model_is_not_read_with_a_note(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    run(tmp_path, kimg=0.008)
    run(tmp_path, kimg=0.016, resume=True, start_from="faces-64")
    assert "start_from (faces-64) only applies to its start" in caplog.text


@pytest.mark.parametrize("preset", "ABCDEF")
@pytest.mark.parametrize("layers", [0, 1, 2, 8])
def test_mapping_depths_of_table_4(preset: str, layers: int) -> None:
    config = tiny_config(preset=preset, mapping_layers=layers, w_dim=12)
    G = config.make_generator(label_dim=2)
    assert len(G.mapping.layers) == layers
    assert G.w_dim == (12 if layers else 16)
    assert G(G.z([1]), torch.eye(2)[:1]).shape == (1, 3, 16, 16)
    if not layers:
        assert G.recommended_truncation == {"truncation_psi": 1, "truncation_cutoff": None}


def test_the_baseline_grows_from_4x4() -> None:
    assert TrainingConfig(preset="A", resolution=64).schedule().at(0).resolution == 4
    assert TrainingConfig(preset="B", resolution=64).schedule().at(0).resolution == 8
    assert TrainingConfig(preset="A", resolution=64, initial_resolution=8).schedule().at(0).resolution == 8
