"""Jobs in tar files: the same bytes whoever makes them, and what the command refuses."""

import io
import json
import os
import signal
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from PIL.PngImagePlugin import PngImageFile

from stylegan import Generator, cli
from stylegan.cli.group import clean_up_on_sigterm
from stylegan.errors import InputError
from stylegan.jobs import Job, Shard, write_tars
from stylegan.latents.ranges import SeedRanges

from ..conftest import tiny_generator
from .tiny import TEN, contents, members, times


def plain_generator() -> Generator:
    G = tiny_generator()
    G.path = "plain"
    return G


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
        ({"seeds": SeedRanges.parse("0-9,5")}, "seed 5 appears twice"),
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


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--shard", "0/4"], "--shard does not apply to --format grid"),
        (["--out", "faces/", "--samples-per-tar", "4"], "does not apply to --format folder"),
        (["--resume"], "--resume does not apply to"),
        (["--format", "tar"], "needs a folder"),
        (["--format", "folder", "--out", "a.jpg"], "needs a folder"),
        (["--format", "grid", "--out", "a"], "--out a has no image suffix; write --out a.png"),
        (["--format", "grid", "--out", "a.pdf"], "no image format"),
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


@pytest.mark.parametrize("line", [b"[" * 100_000, b"null", b"{}", b'{"sha256": 3, "bytes": "x"}'])
def test_odd_lines_of_the_manifest_are_made_again(job: Job, tmp_path: Path, line: bytes) -> None:
    write_tars(job, TEN, tmp_path)
    (tmp_path / "samples-000000.jsonl").write_bytes(line)
    assert write_tars(job, TEN, tmp_path).written == ["samples-000000.tar"]
    assert write_tars(job, TEN, tmp_path).written == []
