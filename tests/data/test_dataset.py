"""ImageDataset, labels.json and the endless shuffled sequence."""

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from stylegan.data.dataset import ImageDataset, box_downscale, shuffled_indices
from stylegan.errors import DatasetError, InputError

from .pictures import rows

N = 10


def noise(size: int = 16, channels: int = 3, seed: int = 0) -> np.ndarray:
    shape = (size, size, 3) if channels == 3 else (size, size)
    return np.random.RandomState(seed).randint(0, 256, shape).astype(np.uint8)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Ten 16x16 PNGs, of which number i is noise(seed=i), in two sub-folders."""
    path = tmp_path / "pictures"
    for i in range(N):
        file = path / f"{i // 5}" / f"{i:03d}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(noise(seed=i)).save(file)
    return path


def as_zip(folder: Path) -> Path:
    path = folder.with_suffix(".zip")
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.rglob("*.*"), reverse=True):
            archive.write(file, file.relative_to(folder).as_posix())
    return path


def write_labels(folder: Path, data: object) -> None:
    (folder / "labels.json").write_text(data if isinstance(data, str) else json.dumps(data))


def name(i: int) -> str:
    return f"{i // 5}/{i:03d}.png"


@pytest.mark.parametrize("memory_limit", [2**30, 0], ids=["in memory", "on demand"])
@pytest.mark.parametrize("container", ["folder", "zip"])
def test_batch_holds_the_pixels_of_the_pictures(folder: Path, container: str, memory_limit: int) -> None:
    ds = ImageDataset(as_zip(folder) if container == "zip" else folder, memory_limit=memory_limit)
    assert (len(ds), ds.resolution, ds.img_channels, ds.label_dim) == (N, 16, 3, 0)
    assert ds.in_memory == (memory_limit > 0)
    img, labels = ds.batch([7, 0, 7])
    assert labels is None
    assert img.dtype == torch.uint8
    for row, i in enumerate([7, 0, 7]):
        np.testing.assert_array_equal(img[row].permute(1, 2, 0).numpy(), noise(seed=i))
    assert ds.batch([])[0].shape == (0, 3, 16, 16)
    ds.close()


def test_changing_a_batch_does_not_change_the_data_set(folder: Path) -> None:
    ds = ImageDataset(folder)
    before = ds.batch([3])[0].clone()
    ds.batch([3])[0].zero_()
    assert torch.equal(ds.batch([3])[0], before)


def test_grey_pictures_have_one_channel(tmp_path: Path) -> None:
    Image.fromarray(noise(channels=1)).save(tmp_path / "a.png")
    ds = ImageDataset(tmp_path)
    assert ds.img_channels == 1
    np.testing.assert_array_equal(ds.batch([0])[0][0, 0].numpy(), noise(channels=1))


@pytest.mark.parametrize("memory_limit", [2**30, 0])
def test_resolution_averages_blocks(folder: Path, memory_limit: int) -> None:
    img = ImageDataset(folder, resolution=8, memory_limit=memory_limit).batch([4])[0][0].numpy()
    average = noise(seed=4).reshape(8, 2, 8, 2, 3).mean(axis=(1, 3))
    np.testing.assert_array_equal(img.transpose(1, 2, 0), np.rint(average))


@pytest.mark.parametrize("factor", [1, 2, 4, 16, 32])
def test_box_downscale_is_the_rounded_average(factor: int) -> None:
    pixels = np.stack([noise(64, seed=1), np.full((64, 64, 3), 255, np.uint8)])
    small = 64 // factor
    average = pixels.reshape(2, small, factor, small, factor, 3).mean(axis=(2, 4))
    np.testing.assert_array_equal(box_downscale(pixels, factor), np.rint(average))


@pytest.mark.parametrize("resolution", [12, 4, 32, 0])
def test_other_resolutions_are_refused(folder: Path, resolution: int) -> None:
    with pytest.raises(InputError, match="power of two from 8 to 16"):
        ImageDataset(folder, resolution=resolution)


@pytest.mark.parametrize("size", [(12, 12), (16, 8), (4, 4)])
def test_first_picture_of_a_wrong_size_names_the_command(tmp_path: Path, size: tuple[int, int]) -> None:
    Image.new("RGB", size).save(tmp_path / "a.png")
    with pytest.raises(DatasetError, match=rf"a.png .* is {size[0]}x{size[1]}.*`stylegan dataset"):
        ImageDataset(tmp_path)


@pytest.mark.parametrize("memory_limit", [2**30, 0], ids=["in memory", "on demand"])
def test_all_pictures_that_cannot_be_used_are_listed(folder: Path, memory_limit: int) -> None:
    Image.new("RGB", (32, 16)).save(folder / "b-size.png")
    Image.new("L", (16, 16)).save(folder / "c-grey.png")
    Image.new("RGBA", (16, 16)).save(folder / "d-alpha.png")
    Image.new("P", (16, 16)).save(folder / "e-palette.png")
    (folder / "f-html.png").write_text("<html></html>")
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (16, 16)).save(folder / "g-turned.jpg", exif=exif)
    with pytest.raises(DatasetError) as error:
        ImageDataset(folder, memory_limit=memory_limit)
    text = str(error.value)
    assert "6 of 16 images" in text
    assert "`stylegan dataset" in text
    for expected in (
        "b-size.png: 32x16",
        "c-grey.png: 16x16 with 1",
        "d-alpha.png: 16x16 with 4",
        "e-palette.png: mode P",
    ):
        assert expected in text
    for expected in ("f-html.png: not an intact PNG", "g-turned.jpg: rotated"):
        assert expected in text


def test_set_without_one_good_picture_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("nothing")
    with pytest.raises(DatasetError, match="1 of 1 images"):
        ImageDataset(tmp_path)


def test_folder_without_pictures_and_missing_path_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no images"):
        ImageDataset(tmp_path)
    with pytest.raises(DatasetError, match="no such"):
        ImageDataset(tmp_path / "missing")


def test_damage_that_headers_hide_is_reported_by_batch(folder: Path) -> None:
    Image.fromarray(noise(16, seed=3)).save(folder / "z.jpg")
    data = (folder / "z.jpg").read_bytes()
    (folder / "z.jpg").write_bytes(data[:-60])
    ds = ImageDataset(folder, memory_limit=0)
    ds.batch([0])
    with pytest.raises(DatasetError, match=r"z.jpg of .*damaged"):
        ds.batch([N])
    with pytest.raises(DatasetError, match=r"z.jpg: damaged"):
        ImageDataset(folder)


def test_bmp_and_tiff_can_be_read(tmp_path: Path) -> None:
    for i, suffix in enumerate(("bmp", "tif")):
        Image.fromarray(noise(seed=i)).save(tmp_path / f"{i}.{suffix}")
    for memory_limit in (0, 2**30):
        img = ImageDataset(tmp_path, memory_limit=memory_limit).batch([0, 1])[0]
        np.testing.assert_array_equal(img[1].permute(1, 2, 0).numpy(), noise(seed=1))


@pytest.mark.parametrize("indices", [[N], [-1], [0, 99]])
@pytest.mark.parametrize("memory_limit", [2**30, 0])
def test_indices_outside_are_refused(folder: Path, indices: list[int], memory_limit: int) -> None:
    ds = ImageDataset(folder, memory_limit=memory_limit)
    for method in (ds.batch, ds.labels):
        with pytest.raises(InputError, match="0 to 9"):
            method(indices)


def test_class_indices_become_one_hot(folder: Path) -> None:
    write_labels(folder, {"labels": {name(0): 2, name(1): 0, name(2): None}})
    ds = ImageDataset(as_zip(folder))
    assert (ds.label_dim, ds.classes) == (3, ["0", "1", "2"])
    labels = ds.batch([0, 1, 2, 3])[1]
    assert labels is not None
    assert labels.dtype == torch.float32
    assert labels.tolist() == [[0, 0, 1], [1, 0, 0], [0, 0, 0], [0, 0, 0]]


def test_classes_give_the_number_of_labels(folder: Path) -> None:
    write_labels(folder, {"labels": [[name(0), 0]], "classes": ["cat", "dog", "fox"]})
    ds = ImageDataset(folder, memory_limit=0)
    assert (ds.label_dim, ds.classes) == (3, ["cat", "dog", "fox"])


def test_vectors_are_kept(folder: Path) -> None:
    write_labels(folder, {"labels": {name(0): [0.5, -1], name(2): [3, 4]}})
    ds = ImageDataset(folder)
    labels = ds.labels([0, 1, 2])
    assert (ds.label_dim, ds.classes) == (2, None)
    assert labels is not None
    assert labels.tolist() == [[0.5, -1], [0, 0], [3, 4]]


def test_label_names_are_relative_to_the_file(tmp_path: Path, folder: Path) -> None:
    write_labels(folder, {"labels": {name(0): 1}})
    labels = ImageDataset(tmp_path).labels([0])
    assert labels is not None
    assert labels.tolist() == [[0, 1]]


def test_foreign_labels_are_ignored_with_a_warning(folder: Path) -> None:
    write_labels(folder, {name(i): {"age": 30 + i, "gender": i % 2 if i else None} for i in range(N)})
    with pytest.warns(UserWarning, match="ignored.*'age', 'gender'"):
        assert ImageDataset(folder).label_dim == 0
    ds = ImageDataset(folder, label_field="gender")
    labels = ds.labels([0, 1, 2])
    assert labels is not None
    assert labels.tolist() == [[0, 0], [0, 1], [1, 0]]
    with pytest.raises(InputError, match="'size'"):
        ImageDataset(folder, label_field="size")


def test_names_in_a_label_field_become_classes(folder: Path) -> None:
    write_labels(folder, {name(0): {"kind": "tabby"}, name(1): {"kind": "manx"}})
    ds = ImageDataset(folder, label_field="kind")
    assert ds.classes == ["manx", "tabby"]
    assert rows(ds.labels([0])) == [[0, 1]]


@pytest.mark.parametrize("data", [[1, 2], {"a": 1}, {"labels": 3}, {"labels": {"other.png": 1}}, "null"])
def test_useless_labels_are_ignored_with_a_warning(folder: Path, data: object) -> None:
    write_labels(folder, data)
    with pytest.warns(UserWarning, match="ignored"):
        assert ImageDataset(folder).label_dim == 0


@pytest.mark.parametrize(
    "data",
    [
        "{",
        "[" * 100_000,
        {"labels": {name(0): -1}},
        {"labels": {name(0): True}},
        {"labels": {name(0): 1.5}},
        {"labels": {name(0): "cat"}},
        {"labels": {name(0): 10**9}},
        {"labels": {name(0): 1, name(1): [1]}},
        {"labels": {name(0): [1], name(1): [1, 2]}},
        {"labels": {name(0): []}},
        '{"labels": {"0/000.png": [NaN]}}',
        '{"labels": {"0/000.png": [1e400]}}',
        {"labels": {name(0): [10**400]}},
        {"labels": {name(0): 1}, "classes": ["only one"]},
        {"labels": {name(0): 0}, "classes": 3},
        {"labels": [["a"]]},
    ],
    ids=str,
)
def test_malformed_labels_are_refused(folder: Path, data: object) -> None:
    write_labels(folder, data)
    with pytest.raises(DatasetError, match=r"labels.json"):
        ImageDataset(folder)


def test_each_epoch_is_a_permutation_and_epochs_differ() -> None:
    epochs = [shuffled_indices(N, epoch * N, N, seed=1) for epoch in range(3)]
    assert all(sorted(epoch) == list(range(N)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 3
    assert epochs[0] != shuffled_indices(N, 0, N, seed=2)


def test_shuffle_does_not_depend_on_how_it_is_read() -> None:
    whole = shuffled_indices(N, 0, 7 * N, seed=5)
    assert [i for start in range(0, 7 * N, 3) for i in shuffled_indices(N, start, 3, seed=5)][: 7 * N] == whole
    assert shuffled_indices(N, 33, 25, seed=5) == whole[33:58]
    assert shuffled_indices(1, 12345, 3, seed=0) == [0, 0, 0]
    assert shuffled_indices(N, 3, 0, seed=0) == []


def test_shuffle_is_the_same_everywhere() -> None:
    assert shuffled_indices(8, 0, 16, seed=0) == [3, 7, 4, 0, 2, 6, 5, 1, 0, 5, 6, 1, 3, 2, 4, 7]


def test_shuffle_leaves_the_global_generators_alone() -> None:
    np.random.seed(0)
    before = np.random.get_state(legacy=False)["state"]["key"].copy()
    shuffled_indices(50, 0, 50, seed=3)
    np.testing.assert_array_equal(np.random.get_state(legacy=False)["state"]["key"], before)


@pytest.mark.parametrize("arguments", [(0, 0, 1, 0), (5, -1, 1, 0), (5, 0, -1, 0), (5, 0, 1, -1), (5, 0, 1, 2**32)])
def test_shuffle_refuses_what_it_cannot_do(arguments: tuple[int, int, int, int]) -> None:
    with pytest.raises(InputError):
        shuffled_indices(*arguments)
