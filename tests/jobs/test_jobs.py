"""Jobs: pictures in folders and tars, whole or not there, the same bytes whoever makes them."""

import io
import json
import os
import signal
import struct
import subprocess
import sys
import tarfile
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image
from PIL.PngImagePlugin import PngImageFile

from stylegan import Generator, cli, images
from stylegan.cli.group import clean_up_on_sigterm
from stylegan.errors import InputError
from stylegan.jobs import Job, Shard, write_folder, write_tars
from stylegan.latents.ranges import SeedRanges
from stylegan.runtime.atomic_files import remove_strays

from ..conftest import ROOT, tiny_generator

TEN = SeedRanges.parse("3-12")


@pytest.fixture(scope="module")
def job() -> Job:
    G = tiny_generator()
    G.metadata["name"] = "tiny"
    return Job(G=G)


def plain_generator() -> Generator:
    G = tiny_generator()
    G.path = "plain"
    return G


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def times(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}


def members(path: Path) -> dict[str, bytes]:
    with tarfile.open(path) as archive:
        return {entry.name: file.read() for entry in archive if (file := archive.extractfile(entry))}


# Folders.


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


# Tars.


def test_a_tar_holds_picture_and_settings_of_each_seed_in_order(job: Job, tmp_path: Path) -> None:
    report = write_tars(job, TEN, tmp_path, samples_per_tar=4, batch_size=4)
    names = [f"samples-00000{i}.tar" for i in range(3)]
    assert (report.written, report.kept) == (names, [])
    expected = job.G.sample(seeds=TEN, batch_size=4, output_type="np")
    found = [item for name in names for item in members(tmp_path / name).items()]
    assert [name for name, _ in found] == [f"seed{seed:010d}.{kind}" for seed in TEN for kind in ("png", "json")]
    for i, seed in enumerate(TEN):
        picture = PngImageFile(io.BytesIO(found[2 * i][1]))
        assert (np.asarray(picture) == expected[i]).all()
        assert picture.info["seed"] == str(seed)
        settings = json.loads(found[2 * i + 1][1])
        assert settings.items() >= {"seed": seed, "truncation_psi": 0.7, "noise_mode": "const"}.items()


def test_nothing_in_a_tar_tells_who_made_it_and_when(job: Job, tmp_path: Path) -> None:
    write_tars(job, TEN, tmp_path)
    with tarfile.open(tmp_path / "samples-000000.tar") as archive:
        kinds = {(e.mtime, e.uid, e.gid, e.uname, e.gname, e.mode, e.type) for e in archive}
    assert kinds == {(0, 0, 0, "", "", 0o644, tarfile.REGTYPE)}


def test_the_line_of_the_manifest_describes_the_tar(job: Job, tmp_path: Path) -> None:
    from hashlib import sha256

    write_tars(job, TEN, tmp_path, samples_per_tar=4)
    lines = [json.loads(path.read_text()) for path in sorted(tmp_path.glob("*.jsonl"))]
    assert [(line["tar"], line["count"], line["seeds"]) for line in lines] == [
        ("samples-000000.tar", 4, "3-6"),
        ("samples-000001.tar", 4, "7-10"),
        ("samples-000002.tar", 2, "11-12"),
    ]
    for line in lines:
        data = (tmp_path / line["tar"]).read_bytes()
        assert (line["sha256"], line["bytes"]) == (sha256(data).hexdigest(), len(data))
        assert line["job"]["weights_sha256"] == job.G.weights_sha256


def test_jpegs_are_small_and_near(job: Job, tmp_path: Path) -> None:
    write_tars(job, TEN, tmp_path, image_format="jpg", batch_size=4)
    found = members(tmp_path / "samples-000000.tar")
    first = Image.open(io.BytesIO(found["seed0000000003.jpg"]))
    assert first.format == "JPEG"
    assert abs(np.asarray(first).astype(int) - job.G.sample(seeds=[3], output_type="np")[0]).mean() < 8


def test_on_a_gpu_the_next_batch_is_rendered_meanwhile(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = [(seed, image.tobytes()) for seed, image in job.render(range(9), 2)]
    monkeypatch.setattr("stylegan.jobs.job.overlaps", lambda device: True)
    both = threading.Barrier(2, timeout=10)
    sample, taken = type(job.G).sample, []

    def together(G: Any, **settings: Any) -> Any:
        if settings["seeds"][0] < 4:  # Neither of the first two batches ends before the other has begun.
            both.wait()
        return sample(G, **settings)

    monkeypatch.setattr(type(job.G), "sample", together)

    def take() -> Iterator[int]:
        for seed in range(9):
            taken.append(seed)
            yield seed

    for i, (seed, image) in enumerate(job.render(take(), 2)):
        assert (seed, image.tobytes()) == expected[i]
        assert len(taken) <= i // 2 * 2 + 6


@pytest.mark.parametrize("count", [2, 3, 7])
def test_any_number_of_shards_makes_the_same_bytes(job: Job, tmp_path: Path, count: int) -> None:
    write_tars(job, TEN, tmp_path / "one", samples_per_tar=2)
    for index in range(count):
        write_tars(job, TEN, tmp_path / "many", shard=Shard(index, count), samples_per_tar=2)
    assert contents(tmp_path / "one") == contents(tmp_path / "many")
    assert len(contents(tmp_path / "one")) == 10


KILLED = """
import os, signal, sys
real, calls = os.fsync, 0
def fsync(file):
    global calls
    calls += 1
    if calls == 3:  # The second tar is complete, under its temporary name.
        os.kill(os.getpid(), signal.SIGKILL)
    real(file)
os.fsync = fsync
from stylegan.cli import main
main(sys.argv[1:])
"""


def test_shards_one_killed_and_rerun_make_the_single_runs_bytes(
    job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    job.G.save("tiny.safetensors")
    command = ["sample", "--model", "tiny.safetensors", "--seeds", "0-39", "--format", "tar", "--samples-per-tar", "3"]

    def shard(index: int) -> str:
        result = CliRunner().invoke(cli.main, [*command, "--out", "four", "--shard", f"{index}/4"])
        assert result.exit_code == 0, result.output
        return result.output

    for index in (0, 1, 3):
        assert "wrote" in shard(index)
    arguments = [sys.executable, "-c", KILLED, *command, "--out", "four", "--shard", "2/4"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    killed = subprocess.run(arguments, capture_output=True, env=environment)
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    (stray,) = Path("four").glob(".*.tmp")
    assert Path("four/samples-000002.jsonl").exists()
    assert not Path("four/samples-000006.tar").exists()
    os.utime(stray, (0, 0))  # Young temporary files may belong to another worker.

    assert "wrote 2 tars" in (said := shard(2))
    assert "kept 1" in said
    assert "wrote 0 tars" in shard(0)
    assert CliRunner().invoke(cli.main, [*command, "--out", "single"]).exit_code == 0
    assert contents(Path("four")) == contents(Path("single"))
    assert len(contents(Path("single"))) == 2 * 14
    seeds = [name for tar in sorted(Path("four").glob("*.tar")) for name in members(tar) if name.endswith(".png")]
    assert seeds == [f"seed{seed:010d}.png" for seed in range(40)]


def test_ranks_of_torchrun_make_the_bytes_of_a_single_run(job: Job, tmp_path: Path) -> None:
    job.G.save(tmp_path / "tiny.safetensors")
    sample = f"{sys.executable} -m stylegan sample --model tiny.safetensors --seeds 3-12 --format tar --out two"
    ranks = sample + " --samples-per-tar 2 --shard $RANK/$WORLD_SIZE"
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "--no-python"]
    environment = os.environ | {
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": str(torch.get_num_threads()),
    }
    command = [*torchrun, "bash", "-c", ranks]
    result = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment)
    assert result.returncode == 0, result.stderr
    assert "shard 1/2: wrote 2 tars" in result.stdout
    write_tars(
        Job(G=Generator.from_pretrained(tmp_path / "tiny.safetensors")), TEN, tmp_path / "one", samples_per_tar=2
    )
    assert contents(tmp_path / "two") == contents(tmp_path / "one")


def test_temporary_files_that_may_be_in_use_are_left(tmp_path: Path) -> None:
    path, young, old = tmp_path / "a.tar", tmp_path / ".a.tar.1234.tmp", tmp_path / ".a.tar.5678.tmp"
    others = [tmp_path / ".ab.tar.1234.tmp", path]
    for file in (young, old, *others):
        file.touch()
    os.utime(old, (0, 0))
    remove_strays(path, idle_seconds=60)
    assert set(tmp_path.iterdir()) == {young, *others}
    remove_strays(path)
    assert set(tmp_path.iterdir()) == set(others)


def test_finished_tars_are_kept_and_others_made_again(job: Job, tmp_path: Path) -> None:
    write_tars(job, TEN, tmp_path, samples_per_tar=2)
    whole, before = contents(tmp_path), times(tmp_path)
    damaged = tmp_path / "samples-000001.tar"
    damaged.write_bytes(damaged.read_bytes().replace(b"json", b"jsom", 1))
    (tmp_path / "samples-000002.tar").unlink()
    (tmp_path / "samples-000003.jsonl").unlink()
    report = write_tars(job, TEN, tmp_path, samples_per_tar=2)
    assert report.kept == ["samples-000000.tar", "samples-000004.tar"]
    assert report.written == [f"samples-00000{i}.tar" for i in (1, 2, 3)]
    assert contents(tmp_path) == whole
    assert times(tmp_path)["samples-000000.tar"] == before["samples-000000.tar"]


def test_more_seeds_go_on_where_the_job_ended(job: Job, tmp_path: Path) -> None:
    write_tars(job, TEN[:4], tmp_path, samples_per_tar=2)
    assert write_tars(job, TEN, tmp_path, samples_per_tar=2).kept == ["samples-000000.tar", "samples-000001.tar"]


def test_two_workers_on_one_shard_make_the_same_bytes(job: Job, tmp_path: Path) -> None:
    write_tars(job, TEN, tmp_path / "one", samples_per_tar=2)
    start = threading.Barrier(2)

    def work() -> None:
        start.wait()
        write_tars(job, TEN, tmp_path / "two", samples_per_tar=2, progress=False)

    workers = [threading.Thread(target=work) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert contents(tmp_path / "two") == contents(tmp_path / "one")


@pytest.mark.parametrize(
    ("options", "difference"),
    [
        ({"truncation_psi": 0.5}, "truncation_psi is 0.7 there and 0.5 here"),
        ({"noise_mode": "none"}, "noise_mode is 'const' there"),
        ({"size": 32}, "size is None there and 32 here"),
        ({"G": plain_generator()}, "path is '(fast|native)' there and 'plain' here"),
        ({"G": tiny_generator(synthesis={"lod": 1.0})}, "weights_sha256"),
        ({"batch_size": 3}, "batch_size"),
        ({"image_format": "jpg"}, "image_format is 'png' there and 'jpg' here"),
        ({"samples_per_tar": 5}, "seeds is '3-12' there and '3-7' here"),
    ],
)
def test_tars_of_another_job_are_not_mixed_in(
    job: Job, tmp_path: Path, options: dict[str, Any], difference: str
) -> None:
    write_tars(job, TEN, tmp_path)
    before = contents(tmp_path)
    names = ("G", "truncation_psi", "noise_mode", "size")
    other = Job(**({"G": job.G} | {name: options[name] for name in names if name in options}))
    with pytest.raises(InputError, match=difference):
        write_tars(other, TEN, tmp_path, **{name: value for name, value in options.items() if name not in names})
    assert contents(tmp_path) == before


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shard": Shard(4, 4)}, "counted from 0"),
        ({"shard": Shard(-1, 4)}, "counted from 0"),
        ({"samples_per_tar": 0}, "1 or more"),
        ({"image_format": "gif"}, "png or jpg"),
        ({"seeds": SeedRanges.parse("0-9,5")}, "seed 5 is there twice"),
    ],
)
def test_jobs_that_cannot_be_are_refused(job: Job, tmp_path: Path, options: dict[str, Any], message: str) -> None:
    arguments: dict[str, Any] = {"seeds": TEN, "folder": tmp_path / "out"} | options
    with pytest.raises(InputError, match=message):
        write_tars(job, **arguments)
    assert not (tmp_path / "out").exists()


def test_noise_that_is_never_the_same_is_refused(job: Job, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="set noise_seed"):
        write_tars(Job(G=job.G, noise_mode="random"), TEN, tmp_path)
    write_tars(Job(G=job.G, noise_mode="random", noise_seed=1), TEN, tmp_path)


def test_a_shard_of_all_seeds_that_there_are_is_made_at_once(job: Job, tmp_path: Path) -> None:
    seeds = SeedRanges.parse("0-4294967295")
    report = write_tars(job, seeds, tmp_path, shard=Shard(1, 2**31), samples_per_tar=2)
    assert report.written == ["samples-000001.tar"]
    assert "seed0000000003.png" in members(tmp_path / "samples-000001.tar")


def test_webdataset_reads_the_tars(job: Job, tmp_path: Path) -> None:
    webdataset = pytest.importorskip("webdataset")
    write_tars(job, TEN, tmp_path, samples_per_tar=4, batch_size=4)
    samples = list(
        webdataset.WebDataset(str(tmp_path / "samples-{000000..000002}.tar"), shardshuffle=False).decode("pil")
    )
    assert [sample["json"]["seed"] for sample in samples] == list(TEN)
    assert [sample["__key__"] for sample in samples] == [f"seed{seed:010d}" for seed in TEN]
    assert (np.asarray(samples[4]["png"]) == job.G.sample(seeds=TEN[4:8], output_type="np")[0]).all()


def test_weights_are_told_apart(job: Job) -> None:
    same, other = tiny_generator(), tiny_generator(seed=1)
    assert same.weights_sha256 == job.G.weights_sha256 != other.weights_sha256
    half = tiny_generator()
    half.synthesis.bfloat16()
    assert half.weights_sha256 != same.weights_sha256


# The command line.


def test_sigterm_ends_the_command_and_leaves_no_temporary_file(
    job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    job.G.save("tiny.safetensors")
    real = Job.render

    def render(self: Any, seeds: Any, batch_size: Any) -> Iterator[Any]:
        for seed, image in real(self, seeds, batch_size):
            if seed == 12:
                os.kill(os.getpid(), signal.SIGTERM)
            yield seed, image

    monkeypatch.setattr(Job, "render", render)
    command = ["sample", "--model", "tiny.safetensors", "--seeds", "0-19", "--format", "tar", "--out", "out"]
    result = CliRunner().invoke(cli.main, [*command, "--samples-per-tar", "2", "--batch-size", "1"])
    assert result.exit_code == 128 + signal.SIGTERM
    assert not list(Path("out").glob(".*"))
    assert all(len(members(path)) == 4 for path in Path("out").glob("*.tar"))


def test_signals_are_as_before_afterwards() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit), clean_up_on_sigterm():
        os.kill(os.getpid(), signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_folder_can_be_made_in_parts(job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    job.G.save("tiny.safetensors")
    for shard in ("0/3", "1/3", "2/3"):
        arguments = ["sample", "--model", "tiny.safetensors", "--seeds", "0-9", "--out", "faces", "--shard", shard]
        assert CliRunner().invoke(cli.main, [*arguments, "--resume"]).exit_code == 0
    assert sorted(os.listdir("faces")) == [f"seed000{i}.png" for i in range(10)]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--shard", "0/4"], "--shard does not apply to --format grid"),
        (["--out", "faces/", "--samples-per-tar", "4"], "does not apply to --format folder"),
        (["--resume"], "--resume does not apply to"),
        (["--format", "tar"], "needs a folder"),
        (["--format", "folder", "--out", "a.jpg"], "needs a folder"),
        (["--format", "grid", "--out", "a"], "no picture format"),
        (["--format", "tar", "--out", "a/", "--noise-mode", "random"], "set noise_seed"),
    ],
)
def test_options_that_do_not_fit_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(cli.main, ["sample", *arguments])
    assert result.exit_code == 1
    assert message in result.output
    assert not os.listdir()


@pytest.mark.parametrize("shard", ["4/4", "1", "a/b", "-1/4", "1/0", "/"])
def test_what_is_no_shard_is_a_usage_error(shard: str) -> None:
    assert CliRunner().invoke(cli.main, ["sample", "--shard", shard]).exit_code == 2


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
        with pytest.raises(InputError, match=r"seed0005\.png is a folder, in the place of a file"):
            write_folder(job, [5], tmp_path, resume=resume)
    with pytest.raises(InputError, match=r"samples-000000\.tar is a folder"):
        write_tars(job, TEN, tmp_path)


@pytest.mark.parametrize("line", [b"[" * 100_000, b"null", b"{}", b'{"sha256": 3, "bytes": "x"}'])
def test_odd_lines_of_the_manifest_are_made_again(job: Job, tmp_path: Path, line: bytes) -> None:
    write_tars(job, TEN, tmp_path)
    (tmp_path / "samples-000000.jsonl").write_bytes(line)
    assert write_tars(job, TEN, tmp_path).written == ["samples-000000.tar"]
    assert write_tars(job, TEN, tmp_path).written == []
