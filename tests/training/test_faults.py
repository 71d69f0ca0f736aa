"""Faults: divergence, damaged checkpoints, a full disk, signals and kills at any moment."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

import stylegan.runtime.atomic_files
from stylegan.errors import CheckpointError, DivergenceError
from stylegan.training import new_state, train, train_step
from stylegan.training.checkpoints import list_checkpoints, load_state, resume_state, save_state

from ..conftest import ROOT
from .tiny import TinyImages, run, tiny_config


def poison(value: Any) -> Any:
    def after_step(s: Any, report: Any) -> None:
        if s.step == 2:
            s.D.head.dense1.weight.data.fill_(value)

    return after_step


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_divergence_is_skipped_then_fatal_and_never_saved(tmp_path: Path, value: float) -> None:
    config = tiny_config(kimg=1000, skip_limit=3, checkpoint_minutes=0)
    with pytest.raises((DivergenceError, CheckpointError)):
        train(config, tmp_path, dataset=TinyImages(), progress=False, after_step=poison(value))
    for path in list_checkpoints(tmp_path / "checkpoints"):
        assert all(t.isfinite().all() for t in load_file(path).values())


def test_a_step_with_nan_changes_no_weights(tmp_path: Path) -> None:
    config = tiny_config(mirror=False)
    s = new_state(config)
    phase = config.schedule().at(99)
    img, _ = TinyImages().batch(list(range(8)))
    s.D.head.dense1.get_parameter("bias").data.fill_(float("nan"))
    before = {n: t.clone() for n, t in s.tensors().items()}
    report = train_step(s, config, phase, img, None)
    assert report.skipped
    assert (s.step, s.skipped, s.skipped_in_a_row) == (1, 1, 1)
    after = s.tensors()
    assert all(torch.equal(before[n], after[n]) for n in before if n != "D.head.dense1.bias")
    s.D.head.dense1.get_parameter("bias").data.zero_()
    assert not train_step(s, config, phase, img, None).skipped
    assert (s.skipped, s.skipped_in_a_row) == (1, 0)


def test_the_limit_of_skipped_steps_ends_the_run(tmp_path: Path) -> None:
    config = tiny_config(kimg=1000, skip_limit=3)
    with pytest.raises(DivergenceError, match="3 steps in a row"):
        train(config, tmp_path, dataset=TinyImages(), progress=False, after_step=poison(float("nan")))
    assert [p.stem for p in list_checkpoints(tmp_path / "checkpoints")] == ["step-000000000"]


@pytest.mark.parametrize("damage", ["truncated", "empty", "text", "other run"])
def test_a_damaged_checkpoint_falls_back_to_the_one_before(
    tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    run(tmp_path, kimg=0.016, checkpoint_minutes=0)
    last = list_checkpoints(tmp_path / "checkpoints")[-1]
    if damage == "other run":
        save_state(new_state(tiny_config(fmap_max=4)), tmp_path / "other")
        last.write_bytes((tmp_path / "other/step-000000000.safetensors").read_bytes())
    else:
        whole = last.read_bytes()
        last.write_bytes({"truncated": whole[: len(whole) // 2], "empty": b"", "text": b"<html>" * 99}[damage])
    s = new_state(tiny_config())
    resumed = resume_state(s, tmp_path / "checkpoints")
    assert resumed
    assert resumed.stem == "step-000000001"
    assert s.step == 1
    assert "trying the one before" in caplog.text


def test_no_readable_checkpoint_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "step-000000001.safetensors").write_bytes(b"")
    with pytest.raises(CheckpointError, match="none of 1 checkpoints can be read"):
        resume_state(new_state(tiny_config()), tmp_path)


def test_a_full_disk_keeps_the_earlier_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    s = new_state(tiny_config())
    good = save_state(s, tmp_path)

    def full(path: Any, tensors: Any, header: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("stylegan.runtime.tensor_files.write_tensors", full)
    s.step = 1
    with pytest.raises(CheckpointError, match=r"disk is full \(.* needed\); the earlier checkpoints are kept"):
        save_state(s, tmp_path)
    load_state(new_state(tiny_config()), good)


def test_strays_of_a_kill_are_removed(tmp_path: Path) -> None:
    stray = tmp_path / ".step-000000001.safetensors.0123abcd.tmp"
    stray.write_bytes(b"half")
    save_state(new_state(tiny_config()), tmp_path)
    assert not stray.exists()


SCRIPT = """
import sys
sys.path.insert(0, {root!r})
import torch
torch.set_num_threads(1)
from tests.training.tiny import TinyImages, tiny_config
from stylegan.training import train
seen = []
def ready(state, report):
    seen.append(state.step)
    if len(seen) == 3:
        print("ready", flush=True)
config = tiny_config(kimg=1000, checkpoint_minutes={minutes}, log_kimg=0.1, snapshot_kimg=1000)
outcome = train(config, {out!r}, dataset=TinyImages(), resume=True, progress=False, after_step=ready)
sys.exit(outcome.exit_code)
"""


def start(out: Path, minutes: float = 10) -> subprocess.Popen[bytes]:
    root = str(ROOT)
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT.format(root=root, out=str(out), minutes=minutes)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": root},
    )
    assert process.stdout
    assert process.stderr
    assert process.stdout.readline() == b"ready\n", process.stderr.read().decode()
    return process


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_signals_save_and_exit(tmp_path: Path, number: signal.Signals, code: int) -> None:
    process = start(tmp_path)
    process.send_signal(number)
    assert process.wait(60) == code
    assert process.stderr
    assert b"stopping after this step, then saving" in process.stderr.read()
    last = list_checkpoints(tmp_path / "checkpoints")[-1]
    assert int(last.stem.split("-")[1]) >= 3
    load_state(new_state(tiny_config()), last)


# The children of one process that has imported everything: a kill is then a matter of milliseconds.
FORKS = """
import os, sys
import torch
torch.set_num_threads(1)
from tests.training.tiny import TinyImages, tiny_config
from stylegan.training import train
config = tiny_config(kimg=1000, checkpoint_minutes=0, log_kimg=0.1, snapshot_kimg=1000)
train(tiny_config(kimg=0.032), {out!r}, dataset=TinyImages(), progress=False)
for _ in sys.stdin:
    steps = []
    def ready(state, report):
        steps.append(state.step)
        if len(steps) == 1:
            print(os.getpid(), flush=True)
    if (child := os.fork()) == 0:
        train(config, {out!r}, dataset=TinyImages(), resume=True, progress=False, after_step=ready)
    os.waitpid(child, 0)
    print("gone", flush=True)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_sigkill_at_any_moment_leaves_a_checkpoint_that_loads(tmp_path: Path) -> None:
    """It saves after every step and is killed at 30 random times; the next process goes on each time."""
    rng, steps, root = random.Random(0), [], str(ROOT)
    code = FORKS.format(out=str(tmp_path))
    environment = {**os.environ, "PYTHONPATH": root}
    command = [sys.executable, "-c", code]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1, env=environment
    ) as parent:
        assert parent.stdin
        assert parent.stdout
        for _ in range(30):
            parent.stdin.write("next\n")
            child = int(parent.stdout.readline())
            time.sleep(rng.uniform(0, 0.1))
            os.kill(child, signal.SIGKILL)
            assert parent.stdout.readline() == "gone\n"
            s = new_state(tiny_config())
            assert resume_state(s, tmp_path / "checkpoints") is not None
            assert len(list((tmp_path / "checkpoints").glob(".*.tmp"))) <= 1
            steps.append(s.step)
        parent.stdin.close()
    assert steps == sorted(set(steps))


# Without the rest of the package, which takes seconds to import.
WRITER = """
from runpy import run_path
write_atomically = run_path({module!r})["write_atomically"]
print("ready", flush=True)
i = 0
while True:
    i = (i + 1) % 256
    write_atomically({path!r}, bytes([i]) * 1_000_000)
"""


def test_a_file_is_whole_whenever_its_writer_is_killed(tmp_path: Path) -> None:
    rng, path = random.Random(1), tmp_path / "file"
    path.write_bytes(bytes([7]) * 1_000_000)
    for _ in range(5):
        code = WRITER.format(module=stylegan.runtime.atomic_files.__file__, path=str(path))
        process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
        assert process.stdout
        process.stdout.readline()
        time.sleep(rng.uniform(0, 0.05))
        process.kill()
        process.wait()
        content = path.read_bytes()
        assert len(content) == 1_000_000
        assert len(set(content)) == 1
