"""Jobs in folders: pictures whole or not there, made again where they are not what was asked for."""

import os
import struct
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from PIL.PngImagePlugin import PngImageFile

from stylegan import Generator, cli, images
from stylegan.errors import InputError
from stylegan.jobs import Job, write_folder, write_tars

from ..conftest import tiny_generator
from .tiny import TEN, contents, times


def test_a_folder_holds_the_picture_of_each_seed(job: Job, tmp_path: Path) -> None:
    assert write_folder(job, TEN, tmp_path / "out", batch_size=4) == 10
    expected = job.G.sample(seeds=TEN, batch_size=4, output_type="np")
    for seed, image in zip(TEN, expected, strict=True):
        with Image.open(tmp_path / "out" / f"seed{seed:04d}.png") as picture:
            assert (np.asarray(picture) == image).all()
            assert picture.info["seed"] == str(seed)
    assert len(list((tmp_path / "out").iterdir())) == 10


def test_pictures_can_be_larger_and_resuming_knows_their_size(job: Job, tmp_path: Path) -> None:
    larger = Job(G=job.G, size=2 * job.G.img_resolution)
    write_folder(larger, TEN, tmp_path)
    with Image.open(tmp_path / "seed0003.png") as picture:
        assert picture.width == larger.width == 2 * job.G.img_resolution
        assert picture.info["seed"] == "3"
    assert write_folder(larger, TEN, tmp_path, resume=True) == 0
    assert write_folder(job, TEN, tmp_path, resume=True) == 10


def test_resume_makes_only_what_is_missing_or_different(job: Job, tmp_path: Path) -> None:
    write_folder(job, TEN, tmp_path)
    whole = contents(tmp_path)
    write_folder(Job(G=job.G, truncation_psi=0.5), [4], tmp_path)
    (tmp_path / "seed0005.png").unlink()
    (tmp_path / "seed0006.png").write_bytes(b"no picture")
    before = times(tmp_path)
    assert write_folder(job, TEN, tmp_path, resume=True) == 3
    after = times(tmp_path)
    assert {name for name in after if before.get(name) != after[name]} == {f"seed000{i}.png" for i in (4, 5, 6)}
    assert contents(tmp_path).keys() == whole.keys()
    assert write_folder(job, TEN, tmp_path, resume=True) == 0
    assert write_folder(job, TEN, tmp_path) == 10


@pytest.mark.parametrize(
    "options",
    [
        {"truncation_psi": 0.35},
        {"truncation_cutoff": 2},
        {"noise_mode": "none"},
        {"noise_mode": "random", "noise_seed": 3},
        {"label": 1},
    ],
)
def test_resume_knows_every_setting(tmp_path: Path, options: dict[str, Any]) -> None:
    G = tiny_generator(label_dim=3)
    plain, special = Job(G=G, label=0), Job(G=G, **({"label": 0} | options))
    write_folder(special, [1], tmp_path)
    assert write_folder(special, [1], tmp_path, resume=True) == 0
    assert write_folder(plain, [1], tmp_path, resume=True) == 1
    assert write_folder(special, [1], tmp_path, resume=True) == 1


def test_resume_of_noise_that_is_never_the_same_is_refused(job: Job, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nothing to resume"):
        write_folder(Job(G=job.G, noise_mode="random"), TEN, tmp_path, resume=True)


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError])
def test_an_interruption_leaves_whole_files_alone(
    job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type
) -> None:
    real = Generator.sample

    def sample(self: Any, **options: Any) -> Any:
        if 9 in options["seeds"]:
            raise error
        return real(self, **options)

    monkeypatch.setattr(Generator, "sample", sample)
    with pytest.raises(error):
        write_folder(job, TEN, tmp_path, batch_size=2)
    assert {path.name for path in tmp_path.iterdir()} <= {f"seed{seed:04d}.png" for seed in TEN}
    for path in tmp_path.iterdir():
        Image.open(path).verify()


def test_an_error_of_the_disk_ends_the_job(job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def save(image: Any, path: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(images, "save", save)
    with pytest.raises(OSError, match="No space left"):
        write_folder(job, TEN, tmp_path)


def test_rendering_waits_for_the_disk(job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Images in memory are bounded by the batch and the threads, not by the job."""
    rendered, saved, most = 0, 0, 0
    real = Generator.sample

    def sample(self: Any, **options: Any) -> Any:
        nonlocal rendered
        rendered += len(options["seeds"])
        return real(self, **options)

    def save(image: Any, path: Any) -> None:
        nonlocal saved, most
        time.sleep(0.002)
        most = max(most, rendered - saved)
        saved += 1

    monkeypatch.setattr(Generator, "sample", sample)
    monkeypatch.setattr(images, "save", save)
    write_folder(job, range(60), tmp_path, batch_size=3, threads=1)
    assert saved == 60
    assert most <= 3 + 4 + 1


def test_a_folder_can_be_made_in_parts(job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    job.G.save("tiny.safetensors")
    for shard in ("0/3", "1/3", "2/3"):
        arguments = ["sample", "--model", "tiny.safetensors", "--seeds", "0-9", "--out", "faces", "--shard", shard]
        assert CliRunner().invoke(cli.main, [*arguments, "--resume"]).exit_code == 0
    assert sorted(os.listdir("faces")) == [f"seed000{i}.png" for i in range(10)]


# What stands in the place of a picture.


def flipped(path: Path) -> None:
    """Other pixels with the same text, in an intact PNG."""
    image = PngImageFile(path)
    other = images.remember(image.transpose(Image.Transpose.FLIP_LEFT_RIGHT), dict(image.text))
    path.write_bytes(images.encode(other, ".png"))


def text_bomb(path: Path) -> None:
    """2 MB of text in 2 KB."""
    data = path.read_bytes()
    text = b"x\0\0" + zlib.compress(bytes(2_000_000))
    chunk = struct.pack(">I", len(text)) + b"zTXt" + text + struct.pack(">I", zlib.crc32(b"zTXt" + text))
    path.write_bytes(data[:33] + chunk + data[33:])


def bomb(path: Path) -> None:
    """The header of 400 megapixels."""
    data = path.read_bytes()
    header = b"IHDR" + struct.pack(">II", 20_000, 20_000) + data[24:29]
    path.write_bytes(data[:12] + header + struct.pack(">I", zlib.crc32(header)) + data[33:])


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def another_seed(path: Path) -> None:
    path.write_bytes(path.with_name("seed0004.png").read_bytes())


def a_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def a_link(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.name)


def unreadable(path: Path) -> None:
    flipped(path)
    path.chmod(0)


@pytest.mark.parametrize(
    "damage", [flipped, text_bomb, bomb, cut_short, another_seed, a_pipe, a_link, unreadable], ids=lambda d: d.__name__
)
def test_resuming_makes_what_is_not_the_picture_again(job: Job, tmp_path: Path, damage: Callable[..., Any]) -> None:
    write_folder(job, TEN, tmp_path)
    before, whole = times(tmp_path), contents(tmp_path)
    damage(tmp_path / "seed0003.png")
    assert write_folder(job, TEN, tmp_path, resume=True) == 1
    assert contents(tmp_path) == whole
    assert {name for name, time in times(tmp_path).items() if before[name] != time} == {"seed0003.png"}


def test_resuming_knows_another_model_of_the_same_name(job: Job, tmp_path: Path) -> None:
    write_folder(job, [1], tmp_path)
    other = tiny_generator(seed=1)
    other.metadata["name"] = "tiny"
    assert write_folder(Job(G=other), [1], tmp_path, resume=True) == 1


def test_a_folder_in_the_place_of_a_file_is_named_first(job: Job, tmp_path: Path) -> None:
    (tmp_path / "seed0005.png").mkdir()
    (tmp_path / "samples-000000.tar").mkdir()
    for resume in (False, True):
        with pytest.raises(InputError, match=r"seed0005\.png is a folder, where this job writes a file"):
            write_folder(job, [5], tmp_path, resume=resume)
    with pytest.raises(InputError, match=r"samples-000000\.tar is a folder"):
        write_tars(job, TEN, tmp_path)
