"""Jobs shared between processes: the same bytes whoever makes them."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

from stylegan import Generator, cli
from stylegan.jobs import Job, Shard, write_tars
from stylegan.latents.ranges import SeedRanges
from stylegan.runtime.atomic_files import remove_strays

from ..conftest import ROOT
from .tiny import TEN, contents, members


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


def test_a_shard_of_all_seeds_that_there_are_is_made_at_once(job: Job, tmp_path: Path) -> None:
    seeds = SeedRanges.parse("0-4294967295")
    report = write_tars(job, seeds, tmp_path, shard=Shard(1, 2**31), samples_per_tar=2)
    assert report.written == ["samples-000001.tar"]
    assert "seed0000000003.png" in members(tmp_path / "samples-000001.tar")


@pytest.mark.parametrize("shard", ["4/4", "1", "a/b", "-1/4", "1/0", "/"])
def test_what_is_no_shard_is_a_usage_error(shard: str) -> None:
    assert CliRunner().invoke(cli.main, ["sample", "--shard", shard]).exit_code == 2
