"""Several processes: the result of one process with the same global batch, and restarts after a kill."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import load_file

from stylegan.errors import InputError
from stylegan.runtime import distributed
from stylegan.runtime.distributed import own_device
from stylegan.runtime.run_log import read_log
from stylegan.training import TrainingConfig, World, new_state, train
from stylegan.training.checkpoints import load_state

from ..conftest import GOLDEN, ROOT
from .tiny import TinyImages, tiny_config, well_conditioned

# Trains with each file of settings in turn, into the folder of its name. The processes start once for all of them.
SCRIPT = """
import contextlib, os, signal, sys
from pathlib import Path
import torch
torch.set_num_threads(1)
from tests.training.tiny import TinyImages, well_conditioned
from stylegan.training import TrainingConfig, train
die_at, *paths = sys.argv[1:]
def after_step(state, report):
    if state.step == int(die_at) and os.environ["RANK"] == "1" and os.environ["TORCHELASTIC_RESTART_COUNT"] == "0":
        os.kill(os.getpid(), signal.SIGKILL)
for i, path in enumerate(map(Path, paths)):
    if i:  # torchrun's store still holds the last run's addresses, as after a restart; below 0, nothing is resumed.
        os.environ["TORCHELASTIC_RESTART_COUNT"] = str(-i)
    with well_conditioned() if path.stem == "exact" else contextlib.nullcontext():
        config = TrainingConfig.load(path)
        train(config, path.with_suffix(""), dataset=TinyImages(), progress=False, after_step=after_step)
    if sys.platform == "linux":  # Threads of gloo that live on may abort the process when the interpreter ends.
        threads = [name.read_text() for name in Path("/proc/self/task").glob("*/comm")]
        assert not any("gloo" in name for name in threads), threads
"""

# Two steps at 8x8, a fade, and 16x16; both groups of four in one batch of eight.
EXACT = tiny_config(checkpoint_minutes=0, augment="ada", ada_kimg=0.1, ada_target=-2)
# As users train: Adam as it is, from a trained model or from initial weights.
SHORT: dict[str, Any] = {"kimg": 0.032, "batch": 8, "log_kimg": 0.008, "snapshot_images": 4}
SHORT |= {"device": "cpu", "dtype": "float32"}
ORDINARY = {
    "trained": TrainingConfig(**SHORT, start_from=str(GOLDEN / "T/network_nosrc.pkl")),
    "initial": TrainingConfig(**SHORT, z_dim=12, fmap_base=128, fmap_max=8, initial_resolution=16),
}


def torchrun(folder: Path, runs: dict[str, TrainingConfig], *, die_at: int = -1, restarts: int = 0) -> None:
    """Train in two processes, each run into a folder of its name."""
    script = folder / "script.py"
    script.write_text(SCRIPT)
    paths = [folder / f"{name}.yaml" for name in runs]
    for path, config in zip(paths, runs.values(), strict=True):
        config.save(path)
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", f"--max-restarts={restarts}"]
    command += ["--standalone", "--monitor-interval=0.1", str(script), str(die_at), *map(str, paths)]
    env = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-3000:]


def final_weights(out: Path) -> dict[str, torch.Tensor]:
    return load_file(out / "checkpoints/step-000000008.safetensors")


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The runs of two processes, by name."""
    folder = tmp_path_factory.mktemp("two")
    torchrun(folder, {"exact": EXACT, **ORDINARY})
    return folder


def test_two_processes_equal_one(two: Path, tmp_path: Path) -> None:
    with well_conditioned():
        one = train(EXACT, tmp_path, dataset=TinyImages(), progress=False)
    assert one.state.step == 8
    assert one.state.augment_p == pytest.approx(0.64)
    expected, got = final_weights(tmp_path), final_weights(two / "exact")
    assert expected.keys() == got.keys()
    for name, tensor in expected.items():
        error = (got[name] - tensor).norm() / tensor.norm().clamp(min=1)
        assert error <= 1e-6, f"{name}: {error:.1e}"


@pytest.mark.parametrize("start", ORDINARY)
def test_what_two_processes_share_with_one_in_an_ordinary_run(two: Path, start: str, tmp_path: Path) -> None:
    """Rounding alone moves weights whose gradient is zero otherwise: Adam takes a step of full size in any case.

    Such are the biases before instance norm. At the start the constant is flat, and so is all that hangs on it.
    """
    exact = start == "trained"
    first = train(ORDINARY[start], tmp_path, dataset=TinyImages(), progress=False).state
    second = new_state(first.config)
    load_state(second, two / start / "checkpoints/step-000000004.safetensors")

    logs = [read_log(run / "log.jsonl") for run in (tmp_path, two / start)]
    for i, (one, other) in enumerate(zip(*logs, strict=True)):
        for name in ("D_loss", "G_loss", "D_real", "D_fake", "real_sign"):
            assert one[name] == pytest.approx(other[name], abs=2e-5 if exact or i == 0 else 0.3), (i, name)
    for name, limit in {"Gs": 1e-5 if exact else 0.1, "G": 1e-5 if exact else 0.5}.items():
        a, b = (getattr(s, name).sample(seeds=range(8), truncation_psi=1, output_type="pt") for s in (first, second))
        assert (a - b).norm() <= limit * a.norm(), name
    if exact:
        for name, tensor in first.tensors().items():
            error = (second.tensors()[name] - tensor).norm() / tensor.norm().clamp(min=1e-12)
            limit = 1e-3 if re.search(r"layers\.\d+\.bias", name) or "exp_avg" in name else 1e-6
            assert error <= limit, f"{name}: {error:.1e}"


def test_only_the_first_process_writes(two: Path) -> None:
    assert [e["step"] for e in read_log(two / "exact/log.jsonl")] == list(range(1, 9))


def test_a_killed_process_restarts_and_ends_at_the_same_weights(two: Path, tmp_path: Path) -> None:
    torchrun(tmp_path, {"exact": EXACT}, die_at=5, restarts=1)
    expected, got = final_weights(two / "exact"), final_weights(tmp_path / "exact")
    for name in expected:
        assert torch.equal(expected[name], got[name]), name
    assert [e["step"] for e in read_log(tmp_path / "exact/log.jsonl")] == list(range(1, 9))


@pytest.mark.parametrize("size", [1, 2, 4])
def test_every_process_takes_whole_groups(size: int) -> None:
    shares = [World(rank, size).samples(32, 4) for rank in range(size)]
    assert sorted(torch.cat(shares).tolist()) == list(range(32))
    for share in shares:
        groups = share % 8  # Sample i belongs to group i mod M of the global batch,
        local = torch.arange(len(share)) % (len(share) // 4)  # and to this one of the process's own.
        for g in range(len(share) // 4):
            assert len(groups[local == g].unique()) == 1


def test_groups_that_cannot_be_shared_out_are_an_error() -> None:
    with pytest.raises(InputError, match="batch 8 cannot be shared out: it must be a multiple of 16"):
        World(0, 4).samples(8, 4)


def test_the_batches_of_all_resolutions_are_checked_at_once() -> None:
    schedule = TrainingConfig(resolution=1024).schedule()
    for size in (1, 2, 4, 8):
        World(0, size).check_batches(schedule.batches(0), 4)
    message = (
        "batch 64 cannot be shared out at 32x32, nor batch 32 at 64x64, .* nor batch 32 at 1024x1024: every batch "
    )
    message += (
        r"must be a multiple of 128, .* 4 x 32 processes; --batch \"{32: 128, 64: 128, .*}\" would do, or at most 8"
    )
    with pytest.raises(InputError, match=message):
        World(0, 32).check_batches(schedule.batches(0), 4)
    World(0, 32).check_batches(TrainingConfig(resolution=16).schedule().batches(0), 4)
    # What has been trained on already can no longer fail.
    World(0, 4).check_batches(TrainingConfig(resolution=16, batch={8: 6}).schedule().batches(9999), 4)
    with pytest.raises(InputError, match=r"of the whole batch .* 2 processes cannot share out; start one process"):
        World(0, 2).check_batches({8: 16, 16: 8}, 2**16)
    World(0, 1).check_batches({8: 16, 16: 7}, 2**16)


@pytest.mark.parametrize("batch", ["{8: 16, 16: 6}", "{8: 6}", "6"])
def test_a_later_batch_is_refused_before_anything_is_written(batch: str, tmp_path: Path) -> None:
    config = tiny_config(batch=yaml.safe_load(batch), kimg=0.008)
    message = {"6": 8}.get(batch, 16 if "16: 6" in batch else 8)
    with pytest.raises(InputError, match=rf"batch 6 cannot be shared out at {message}x{message}.* --batch \"{{.*: 8"):
        train(config, tmp_path / "run", dataset=TinyImages(), progress=False)
    assert not (tmp_path / "run").exists()


def test_auto_is_a_gpu_if_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distributed, "check_device", torch.device)
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    for there, expected in ((False, "cpu"), (True, "cuda")):
        monkeypatch.setattr(torch.cuda, "is_available", lambda there=there: there)
        assert own_device("auto") == torch.device(expected)
        assert own_device("cpu") == torch.device("cpu")


def test_each_process_of_a_machine_has_its_own_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    chosen: list[object] = []
    monkeypatch.setattr(distributed, "check_device", torch.device)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert own_device("cuda") == own_device("auto") == torch.device("cuda:1")
    assert own_device("cuda:0") == torch.device("cuda:0")
    assert chosen == [1, 1]
    monkeypatch.setenv("LOCAL_RANK", "2")
    with pytest.raises(InputError, match="process 3 of this machine has no GPU of its own, of 2 here; start at most 2"):
        own_device("auto")
    assert own_device("cpu") == torch.device("cpu")
