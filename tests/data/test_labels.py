"""Labels of other tools, names of other systems, and that conditional training gets labels or is refused."""

import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from stylegan import Generator
from stylegan.cli import main
from stylegan.data.dataset import ImageDataset
from stylegan.data.prepare import prepare
from stylegan.errors import DatasetError, InputError
from stylegan.training import TrainingConfig, train

from ..training.tiny import TinyImages, run, tiny_config
from .pictures import encoded, labels_of, make_zip, noise, rows

PAIRS: dict[str, list[Any]] = {"labels": [[f"00000/img{i:08d}.png", i % 3] for i in range(6)]}


def data_zip(path: Path, labels: dict[str, object], *, slash: str = "/") -> Path:
    """Six pictures in a zip as the tools of StyleGAN2-ADA make it, with files of labels by name."""
    pictures = {f"00000{slash}img{i:08d}.png": encoded(noise(seed=i)) for i in range(6)}
    return make_zip(path / "a.zip", pictures | {name: json.dumps(data).encode() for name, data in labels.items()})


def as_folder(archive: Path) -> Path:
    folder = archive.with_suffix("")
    zipfile.ZipFile(archive).extractall(folder)
    return folder


# dataset.json


@pytest.mark.parametrize("container", ["folder", "zip"])
def test_dataset_json_is_read_like_labels_json(tmp_path: Path, out: Path, container: str) -> None:
    source = data_zip(tmp_path, {"dataset.json": PAIRS})
    source = as_folder(source) if container == "folder" else source
    ds = ImageDataset(source, require_labels=True)
    assert ds.classes == ["0", "1", "2"]
    assert rows(ds.labels([0, 1, 5])) == [[1, 0, 0], [0, 1, 0], [0, 0, 1]]
    report = prepare(source, out)
    assert (report.label_dim, report.others) == (3, [])
    assert labels_of(out)["labels"] == {f"{i:08d}.png": i % 3 for i in range(6)}


def test_null_is_how_other_tools_say_that_there_are_no_labels(tmp_path: Path, recwarn: pytest.WarningsRecorder) -> None:
    source = data_zip(tmp_path, {"dataset.json": {"labels": None}})
    assert ImageDataset(source).label_dim == 0
    assert not recwarn
    with pytest.raises(InputError, match=r'a.zip/dataset.json gives no labels: its "labels" are null'):
        ImageDataset(source, require_labels=True)


def test_labels_json_goes_before_dataset_json_the_nearest_first(tmp_path: Path) -> None:
    own = {"labels": {f"00000/img{i:08d}.png": i % 2 for i in range(6)}}
    assert ImageDataset(data_zip(tmp_path, {"dataset.json": PAIRS, "labels.json": own})).label_dim == 2
    deeper = {"dataset.json": PAIRS, "00000/labels.json": {"labels": {"img00000000.png": 1}}}
    assert ImageDataset(data_zip(tmp_path, deeper)).label_dim == 3


# Names


@pytest.mark.parametrize("container", ["folder", "zip"])
@pytest.mark.parametrize("slash", ["/", "\\"])
def test_a_backslash_in_names_counts_as_a_slash(tmp_path: Path, out: Path, container: str, slash: str) -> None:
    names = {"labels": {f".\\00000\\img{i:08d}.png": i % 3 for i in range(6)}}
    source = data_zip(tmp_path, {"labels.json": names}, slash=slash)
    source = as_folder(source) if container == "folder" else source
    ds = ImageDataset(source, require_labels=True)
    assert ds.names[0] == "00000/img00000000.png"
    assert rows(ds.labels([4])) == [[0, 1, 0]]


def test_folders_of_a_zip_made_on_windows_are_classes(tmp_path: Path, out: Path) -> None:
    files = {f"pets\\{kind}\\{i}.png": encoded(noise(seed=i)) for kind in ("dog", "cat") for i in range(2)}
    assert prepare(make_zip(tmp_path / "a.zip", files), out, labels="folders").label_dim == 2
    assert labels_of(out)["classes"] == ["cat", "dog"]


def test_one_name_in_two_spellings_is_refused(tmp_path: Path) -> None:
    source = make_zip(tmp_path / "a.zip", {"a/1.png": encoded(noise()), "a\\1.png": encoded(noise(seed=1))})
    with pytest.raises(DatasetError, match="duplicate name"):
        ImageDataset(source)
    with pytest.raises(DatasetError, match=r"1.png appears twice"):
        ImageDataset(as_folder(source))


def test_a_picture_with_two_labels_is_refused(tmp_path: Path) -> None:
    pairs = [*PAIRS["labels"], ["00000\\img00000000.png", 2]]
    with pytest.raises(DatasetError, match=r"img00000000.png has two labels; the second is '2'"):
        ImageDataset(data_zip(tmp_path, {"dataset.json": {"labels": pairs}}))


# Conditional training


UNUSABLE: dict[str, tuple[dict[str, Any], str]] = {
    "no file": ({}, "no labels.json or dataset.json is in it"),
    "null": ({"labels.json": {"labels": None}}, "are null"),
    "nulls": ({"labels.json": {"labels": {"00000/img00000000.png": None}}}, "label of every image is null"),
    "records": ({"labels.json": {"00000/img00000000.png": {"age": 3}}}, "fields 'age', .*label_field"),
    "other pictures": (
        {"dataset.json": {"labels": [["x/0.png", 1]]}},
        "none of the images, which are named like '00000/img00000000.png', but 'x/0.png'",
    ),
    "nothing": ({"labels.json": {"labels": {}}}, "none of the images"),
    "text": ({"labels.json": "cats"}, "expected"),
    "one class": ({"dataset.json": {"labels": [[p[0], 0] for p in PAIRS["labels"]]}}, "have the same label"),
    "one vector": ({"dataset.json": {"labels": [[p[0], [1, 2]] for p in PAIRS["labels"]]}}, "have the same label"),
}


@pytest.mark.parametrize("case", UNUSABLE)
def test_conditional_training_needs_usable_labels_first(
    tmp_path: Path, case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels, reason = UNUSABLE[case]
    source = data_zip(tmp_path, labels)

    def decode(*_: object) -> None:
        raise AssertionError("no picture is decoded before the labels are known")

    monkeypatch.setattr(ImageDataset, "_decode_all", decode)
    with pytest.raises(InputError, match=f"(?s){reason}"):
        train(tiny_config(data=str(source), conditional=True), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_the_refusal_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"has no labels.*conditional=false.*labels folders"):
        ImageDataset(data_zip(tmp_path, {}), require_labels=True)


def test_a_data_set_of_ones_own_without_labels_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="conditional=true needs labels"):
        run(tmp_path / "run", dataset=TinyImages(), conditional=True)


MALFORMED = {
    "no index": {"labels": {"00000/img00000000.png": -1}},
    "two labels": {"labels": [["00000/img00000000.png", 0], ["00000/img00000000.png", 1]]},
    "other pictures": {"labels": {"x.png": 0}},
}


@pytest.mark.parametrize("case", MALFORMED)
def test_labels_that_are_not_taught_are_left_alone(tmp_path: Path, case: str, recwarn: pytest.WarningsRecorder) -> None:
    source = data_zip(tmp_path, {"dataset.json": MALFORMED[case]})
    outcome = train(tiny_config(data=str(source), kimg=0.008), tmp_path / "run", progress=False)
    assert outcome.state.G.label_dim == 0
    assert not recwarn.list
    with pytest.raises((DatasetError, InputError), match=r"dataset\.json"):
        train(tiny_config(data=str(source), conditional=True), tmp_path / "other", progress=False)


def test_records_below_labels_name_their_fields(tmp_path: Path) -> None:
    records = {name: {"age": label} for name, label in PAIRS["labels"]}
    source = data_zip(tmp_path, {"dataset.json": {"labels": records}})
    with pytest.raises(InputError, match=r"records with the fields 'age'.*--label-field"):
        ImageDataset(source, require_labels=True)
    assert ImageDataset(source, label_field="age").label_dim == 3


def test_names_that_fit_in_part_only_are_warned_of(tmp_path: Path) -> None:
    pairs = [[name.replace("0004", "0004.old"), label] for name, label in PAIRS["labels"]]
    with pytest.warns(UserWarning, match="names 1 images that do not exist; 1 images are not in it"):
        ds = ImageDataset(data_zip(tmp_path, {"dataset.json": {"labels": pairs}}), require_labels=True)
    assert rows(ds.labels([4])) == [[0, 0, 0]]


def test_one_class_of_several_by_name_can_be_taught(tmp_path: Path) -> None:
    one = {"labels": [[p[0], 0] for p in PAIRS["labels"]], "classes": ["cat", "dog"]}
    assert ImageDataset(data_zip(tmp_path, {"labels.json": one}), require_labels=True).label_dim == 2


def test_label_field_without_conditional_is_refused() -> None:
    with pytest.raises(InputError, match="label_field 'age' is for conditional=true"):
        TrainingConfig(label_field="age")
    assert TrainingConfig(label_field="age", conditional=True).label_field == "age"


@pytest.mark.parametrize("options", [{"labels": "file"}, {"label_field": "age"}], ids=str)
@pytest.mark.parametrize("labels", [{}, {"labels.json": {"labels": None}}, {"labels.json": {"labels": {"x": 1}}}])
def test_labels_asked_for_are_there_or_nothing_is_made(
    tmp_path: Path, out: Path, labels: dict[str, Any], options: dict[str, Any]
) -> None:
    with pytest.raises(InputError, match="no labels"):
        prepare(data_zip(tmp_path, labels), out, **options)
    assert not out.exists()


# Names of classes


def test_a_trained_model_knows_its_classes_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    labels = PAIRS | {"classes": ["cat", "dog", "fox"]}
    source = data_zip(tmp_path, {"labels.json": labels})
    config = tiny_config(data=str(source), conditional=True, kimg=0.008)
    train(config, tmp_path / "run", progress=False)
    G = Generator.from_pretrained(tmp_path / "run" / "network.safetensors")
    assert G.metadata["classes"] == ["cat", "dog", "fox"]
    by_index = G.sample(2, labels=[1, 2], output_type="np")
    assert (G.sample(2, labels=["dog", "fox"], output_type="np") == by_index).all()
    assert (G.sample(2, labels="dog", output_type="np")[0] == by_index[0]).all()
    with pytest.raises(InputError, match="no class 'cow'; it has cat, dog, fox, and the indices 0 to 2"):
        G.sample(labels="cow")

    monkeypatch.chdir(tmp_path)

    def sampled(label: str, *more: str) -> bytes:
        arguments = ["sample", "--model", "run/network.safetensors", "--seeds", "0-1", "--label", label, *more]
        result = CliRunner().invoke(main, [*arguments, "--out", "out"])
        assert result.exit_code == 0, result.output
        return Path("out/seed0001.png").read_bytes()

    assert sampled("dog") == sampled("1")
    before = Path("out/seed0001.png").stat().st_mtime_ns
    sampled("dog", "--resume")
    assert Path("out/seed0001.png").stat().st_mtime_ns == before
    result = CliRunner().invoke(main, ["sample", "--model", "run/network.safetensors", "--label", "cow"])
    assert result.exit_code == 1
    assert "it has cat, dog, fox" in result.output


def test_classes_that_are_numbers_are_indices_only(tmp_path: Path) -> None:
    source = data_zip(tmp_path, {"dataset.json": PAIRS})
    train(tiny_config(data=str(source), conditional=True, kimg=0.008), tmp_path / "run", progress=False)
    G = Generator.from_pretrained(tmp_path / "run" / "network.safetensors")
    assert "classes" not in G.metadata
    with pytest.raises(InputError, match="no class 'cat'; its classes have no names, and the indices 0 to 2"):
        G.sample(labels="cat")


@pytest.mark.parametrize("classes", [None, 3, {"cat": 0}, ["dog", 7], []])
def test_odd_lists_of_classes_in_a_file_name_nothing(classes: object) -> None:
    G = Generator(img_resolution=8, z_dim=8, w_dim=8, label_dim=2, synthesis={"fmap_max": 8})
    G.metadata["classes"] = classes
    with pytest.raises(InputError, match="no class 'cat'"):
        G.sample(labels="cat")


def test_unconditional_models_take_no_names() -> None:
    G = Generator(img_resolution=8, z_dim=8, w_dim=8, synthesis={"fmap_max": 8})
    with pytest.raises(InputError, match="unconditional"):
        G.sample(labels="cat")
