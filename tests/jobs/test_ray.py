"""The example for Ray Data, on a cluster of two CPUs of this machine."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from stylegan.jobs import Job, Shard, write_tars
from stylegan.latents.ranges import SeedRanges

from ..conftest import ROOT, tiny_generator


def test_workers_of_ray_make_the_bytes_of_a_single_run(tmp_path: Path) -> None:
    pytest.importorskip("ray.data")
    G = tiny_generator()
    G.save(tmp_path / "tiny.safetensors")
    seeds = SeedRanges.parse("0-39")
    write_tars(Job(G=G), seeds, tmp_path / "one", samples_per_tar=10)
    write_tars(Job(G=G), seeds, tmp_path / "ray", samples_per_tar=10, shard=Shard(1, 4))
    arguments = ["--seeds", "0-39", "--samples-per-tar", "10", "--model", "tiny.safetensors", "--out", "ray"]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "RAY_USAGE_STATS_ENABLED": "0"}
    result = subprocess.run(
        [sys.executable, str(ROOT / "examples" / "ray_generate.py"), *arguments, "--cpus", "1"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=environment,
        timeout=300,
    )
    assert result.returncode == 0, result.stderr
    assert "made 3 tars" in result.stdout
    assert "kept 1" in result.stdout
    assert {p.name: p.read_bytes() for p in (tmp_path / "ray").iterdir()} == {
        p.name: p.read_bytes() for p in (tmp_path / "one").iterdir()
    }
