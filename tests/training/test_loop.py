"""The loop: exact resumption, faults, signals, and what it writes."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import yaml
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file, save_file

import stylegan.files
from stylegan.errors import CheckpointError, DivergenceError, InputError
from stylegan.generator import Generator
from stylegan.training import TrainingConfig, new_state, state, train, train_step
from stylegan.training.log import append_log, plot_curves, read_log
from stylegan.training.state import list_checkpoints, load_state, resume_state, save_state

from .tiny import TinyImages, assert_same, files, run, tiny_config


def test_a_run_writes_all_that_it_promises(tmp_path):
    outcome = run(tmp_path)
    assert (outcome.reason, outcome.exit_code, outcome.state.step) == ("finished", 0, 8)
    assert files(tmp_path) == {
        "checkpoints/step-000000000.safetensors",
        "checkpoints/step-000000008.safetensors",
        "config.yaml",
        "fakes.png",
        "log.jsonl",
        "losses.png",
        "network.safetensors",
        "reals.png",
        "snapshots/fakes-000000.png",
        "snapshots/network-000000.safetensors",
    }
    assert TrainingConfig.load(tmp_path / "config.yaml") == tiny_config()
    entries = read_log(tmp_path / "log.jsonl")
    assert [e["step"] for e in entries] == list(range(1, 9))
    assert [e["lod"] for e in entries] == [1, 1, 1, 0.5, 0, 0, 0, 0]
    assert {"D_loss", "G_loss", "img_per_sec", "memory_mb", "kimg", "resolution"} <= entries[-1].keys()
    assert Image.open(tmp_path / "fakes.png").size == (32, 32)
    G = Generator.from_pretrained(tmp_path / "network.safetensors")
    assert G.img_resolution == 16
    assert G.metadata["kimg"] == 0.1
    assert len(G.sample(2)) == 2


def test_the_first_snapshot_is_of_the_network_before_training(tmp_path):
    train(tiny_config(), tmp_path, dataset=TinyImages(), minutes=0, progress=False)
    G = Generator.from_pretrained(tmp_path / "snapshots/network-000000.safetensors")
    assert (G.metadata["kimg"], G.synthesis.lod) == (0, 1)
    assert Image.open(tmp_path / "snapshots/fakes-000000.png").tobytes() == Image.open(tmp_path / "fakes.png").tobytes()


def test_weights_move_and_averages_follow(tmp_path):
    before = new_state(tiny_config()).tensors()
    after = run(tmp_path).state.tensors()
    moved = {n for n in before if not torch.equal(before[n], after[n])}
    # Only the RGB layers of 4x4 are never shown; noise maps are fixed; a bias before instance norm does nothing.
    still = {n for n in before if n not in moved}
    assert all("noise_const" in n or ".4." in n for n in still), still
    assert any(n.startswith("Gs.") for n in moved)


@pytest.mark.parametrize(("n", "m"), [(2, 6), (3, 5), (5, 3)])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_resuming_changes_nothing(tmp_path, n, m, dtype):
    """n steps, resume, m steps give the bits of n + m steps: before, in and after a fade."""
    whole = run(tmp_path / "whole", dtype=dtype).state
    assert run(tmp_path / "parts", dtype=dtype, kimg=n * 0.008).state.step == n
    parts = run(tmp_path / "parts", dtype=dtype, resume=True).state
    assert parts.step == whole.step == n + m
    assert_same(whole.tensors(), parts.tensors())
    assert_same(
        load_file(tmp_path / "whole/checkpoints/step-000000008.safetensors"),
        load_file(tmp_path / "parts/checkpoints/step-000000008.safetensors"),
    )
    assert [e["step"] for e in read_log(tmp_path / "parts/log.jsonl")] == list(range(1, 9))


def test_resuming_changes_nothing_with_adaptive_augmentation(tmp_path):
    """Not even between two changes of p, after five steps."""
    settings = {"augment": "ada", "ada_kimg": 0.1, "ada_target": -2}
    whole = run(tmp_path / "whole", **settings).state
    halfway = run(tmp_path / "parts", kimg=0.04, **settings).state
    assert (halfway.augment_p, len(halfway.real_signs)) == (pytest.approx(0.32), 1)
    parts = run(tmp_path / "parts", resume=True, **settings).state
    assert_same(whole.tensors(), parts.tensors())
    assert (parts.augment_p, parts.real_signs) == (whole.augment_p, whole.real_signs)
    assert [e["augment_p"] for e in read_log(tmp_path / "parts/log.jsonl")] == [0, 0, 0, 0.32, 0.32, 0.32, 0.32, 0.64]


def test_checkpoints_from_before_augmentation_and_float16_can_be_read(tmp_path):
    s = new_state(tiny_config())
    path = save_state(s, tmp_path)
    with safe_open(path, framework="pt") as file:
        header = file.metadata()
    counters = json.loads(header["counters"])
    for name in ("augment_p", "real_signs", "loss_scale", "steps_at_scale"):
        del counters[name]
    save_file(load_file(path), path, header | {"counters": json.dumps(counters)})
    s.augment_p, s.loss_scale = 0.5, 2.0
    load_state(s, path)
    assert (s.augment_p, s.real_signs, s.loss_scale, s.steps_at_scale) == (0, [], 1024, 0)


def test_another_seed_gives_another_run(tmp_path):
    a, b = run(tmp_path / "a", kimg=0.008).state, run(tmp_path / "b", kimg=0.008, seed=1).state
    assert not torch.equal(a.G.synthesis.layers[1].source.weight, b.G.synthesis.layers[1].source.weight)


@pytest.mark.parametrize("preset", "ABCDEF")
def test_every_preset_trains(tmp_path, preset):
    outcome = run(tmp_path, preset=preset, share_fakes=preset != "E", z_dim=8, kimg=0.04)
    assert outcome.state.skipped == 0
    assert Generator.from_pretrained(tmp_path / "network.safetensors").num_ws == (1 if preset in "AB" else 6)


def test_labels_are_taught(tmp_path):
    outcome = run(tmp_path, dataset=TinyImages(label_dim=3), conditional=True, kimg=0.04)
    assert outcome.state.G.label_dim == 3
    assert run(tmp_path / "ignored", dataset=TinyImages(label_dim=3), kimg=0.008).state.G.label_dim == 0


@pytest.mark.parametrize("loss", ["hinge", "wgan", "logistic_saturating"])
def test_every_loss_trains(tmp_path, loss):
    assert run(tmp_path, loss=loss, kimg=0.016, r2_gamma=0.1).state.skipped == 0


def test_lazy_r1_is_as_strong_as_r1_in_every_step():
    """The penalty of one step in four is four times that of every step."""
    penalties = {}
    for interval in (1, 4):
        config = tiny_config(r1_interval=interval, r1_gamma=1.0)
        s = new_state(config)
        img, _ = TinyImages().batch(list(range(8)))
        report = train_step(s, config, config.schedule().at(99), img, None)
        penalties[interval] = report.losses["r1"].item()
        assert ("r1" in train_step(s, config, config.schedule().at(99), img, None).losses) == (interval == 1)
    assert penalties[4] == pytest.approx(4 * penalties[1])


def test_gamma_follows_the_resolution():
    config = tiny_config(resolution=64, batch=32)
    gammas = [config.gamma(config.schedule().at(kimg)) for kimg in (0, 999)]
    assert gammas == pytest.approx([2e-4 * 64 / 32, 2e-4 * 4096 / 32])
    config.r1_gamma = {8: 3.0}
    assert config.gamma(config.schedule().at(0)) == 3
    assert config.gamma(config.schedule().at(999)) == pytest.approx(0.0256)


def test_optimizers_start_afresh_where_the_resolution_changes(tmp_path):
    assert run(tmp_path, kimg=0.024).state.D_optimizer.param_groups[0]["step"] == 3
    # The fourth step is the first that shows anything of 16x16.
    assert run(tmp_path, kimg=0.032, resume=True).state.D_optimizer.param_groups[0]["step"] == 1


def test_the_generator_warms_up_while_the_discriminator_learns(tmp_path):
    """Its learning rate rises from 0, to that of the discriminator at 32 images."""
    config, rates = tiny_config(kimg=0.048, generator_warmup_kimg=0.032, learning_rate=0.002), []
    first = new_state(config)

    def look(s, report):
        rates.append([o.param_groups[0]["lr"] for o in (s.G_optimizer, s.D_optimizer)])
        if s.step == 1:
            assert_same(dict(s.G.named_parameters()), dict(first.G.named_parameters()))
            assert not torch.equal(s.D.head.conv.weight, first.D.head.conv.weight)

    train(config, tmp_path, dataset=TinyImages(), progress=False, after_step=look)
    G_rates, D_rates = zip(*rates, strict=True)
    assert G_rates == pytest.approx([0, 0.0005, 0.001, 0.0015, 0.002, 0.002])
    assert set(D_rates) == {0.002}
    log = read_log(tmp_path / "log.jsonl")
    assert [entry["G_learning_rate"] for entry in log] == pytest.approx(G_rates)
    assert [entry["learning_rate"] for entry in log] == [0.002] * 6


def test_a_folder_with_a_run_is_refused_without_resume(tmp_path):
    run(tmp_path, kimg=0.008)
    with pytest.raises(InputError, match="holds a run already"):
        run(tmp_path)


def test_resume_without_a_run_starts_one(tmp_path):
    assert run(tmp_path, resume=True, kimg=0.008).state.step == 1


def test_minutes_stop_cleanly_and_saved(tmp_path):
    outcome = train(tiny_config(kimg=1000), tmp_path, dataset=TinyImages(), minutes=0.02, progress=False)
    assert outcome.reason == "time"
    assert outcome.exit_code == 0
    assert list_checkpoints(tmp_path / "checkpoints")[-1].stem == f"step-{outcome.state.step:09d}"


# Faults.


def poison(value):
    def after_step(s, report):
        if s.step == 2:
            s.D.head.dense1.weight.data.fill_(value)

    return after_step


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_divergence_is_skipped_then_fatal_and_never_saved(tmp_path, value):
    config = tiny_config(kimg=1000, skip_limit=3, checkpoint_minutes=0)
    with pytest.raises((DivergenceError, CheckpointError)):
        train(config, tmp_path, dataset=TinyImages(), progress=False, after_step=poison(value))
    for path in list_checkpoints(tmp_path / "checkpoints"):
        assert all(t.isfinite().all() for t in load_file(path).values())


def test_a_step_with_nan_changes_no_weights(tmp_path):
    config = tiny_config(mirror=False)
    s = new_state(config)
    phase = config.schedule().at(99)
    img, _ = TinyImages().batch(list(range(8)))
    s.D.head.dense1.bias.data.fill_(float("nan"))
    before = {n: t.clone() for n, t in s.tensors().items()}
    report = train_step(s, config, phase, img, None)
    assert report.skipped
    assert (s.step, s.skipped, s.skipped_in_a_row) == (1, 1, 1)
    after = s.tensors()
    assert all(torch.equal(before[n], after[n]) for n in before if n != "D.head.dense1.bias")
    s.D.head.dense1.bias.data.zero_()
    assert not train_step(s, config, phase, img, None).skipped
    assert (s.skipped, s.skipped_in_a_row) == (1, 0)


def test_the_limit_of_skipped_steps_ends_the_run(tmp_path):
    config = tiny_config(kimg=1000, skip_limit=3)
    with pytest.raises(DivergenceError, match="3 steps in a row"):
        train(config, tmp_path, dataset=TinyImages(), progress=False, after_step=poison(float("nan")))
    assert [p.stem for p in list_checkpoints(tmp_path / "checkpoints")] == ["step-000000000"]


def test_only_the_last_checkpoints_are_kept(tmp_path):
    run(tmp_path, checkpoint_minutes=0, keep_checkpoints=2)
    assert [p.stem for p in list_checkpoints(tmp_path / "checkpoints")] == ["step-000000007", "step-000000008"]


@pytest.mark.parametrize("damage", ["truncated", "empty", "text", "other run"])
def test_a_damaged_checkpoint_falls_back_to_the_one_before(tmp_path, damage, caplog):
    run(tmp_path, kimg=0.016, checkpoint_minutes=0)
    last = list_checkpoints(tmp_path / "checkpoints")[-1]
    if damage == "other run":
        save_state(new_state(tiny_config(fmap_max=4)), tmp_path / "other")
        last.write_bytes((tmp_path / "other/step-000000000.safetensors").read_bytes())
    else:
        whole = last.read_bytes()
        last.write_bytes({"truncated": whole[: len(whole) // 2], "empty": b"", "text": b"<html>" * 99}[damage])
    s = new_state(tiny_config())
    assert resume_state(s, tmp_path / "checkpoints").stem == "step-000000001"
    assert s.step == 1
    assert "trying the one before" in caplog.text


def test_no_readable_checkpoint_is_an_error(tmp_path):
    (tmp_path / "step-000000001.safetensors").write_bytes(b"")
    with pytest.raises(CheckpointError, match="none of 1 checkpoints can be read"):
        resume_state(new_state(tiny_config()), tmp_path)


def test_a_full_disk_keeps_the_earlier_checkpoint(tmp_path, monkeypatch):
    s = new_state(tiny_config())
    good = save_state(s, tmp_path)

    def full(path, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(state, "write_atomically", full)
    s.step = 1
    with pytest.raises(CheckpointError, match=r"disk is full \(.* needed\); the earlier checkpoints are kept"):
        save_state(s, tmp_path)
    load_state(new_state(tiny_config()), good)


def test_strays_of_a_kill_are_removed(tmp_path):
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


def start(out: Path, minutes: float = 10) -> subprocess.Popen:
    root = str(Path(__file__).parents[2])
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT.format(root=root, out=str(out), minutes=minutes)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": root},
    )
    assert process.stdout.readline() == b"ready\n", process.stderr.read().decode()
    return process


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_signals_save_and_exit(tmp_path, number, code):
    process = start(tmp_path)
    process.send_signal(number)
    assert process.wait(60) == code
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
def test_sigkill_at_any_moment_leaves_a_checkpoint_that_loads(tmp_path):
    """It saves after every step and is killed at 30 random times; the next process goes on each time."""
    rng, steps, root = random.Random(0), [], str(Path(__file__).parents[2])
    code = FORKS.format(out=str(tmp_path))
    environment = {**os.environ, "PYTHONPATH": root}
    command = [sys.executable, "-c", code]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1, env=environment
    ) as parent:
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


def test_a_file_is_whole_whenever_its_writer_is_killed(tmp_path):
    rng, path = random.Random(1), tmp_path / "file"
    path.write_bytes(bytes([7]) * 1_000_000)
    for _ in range(5):
        code = WRITER.format(module=stylegan.files.__file__, path=str(path))
        process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
        process.stdout.readline()
        time.sleep(rng.uniform(0, 0.05))
        process.kill()
        process.wait()
        content = path.read_bytes()
        assert len(content) == 1_000_000
        assert len(set(content)) == 1


# The log.


def test_the_log_survives_a_cut_line_and_rewinds(tmp_path):
    run(tmp_path, kimg=0.016)
    path = tmp_path / "log.jsonl"
    append_log(path, {"step": 3})
    with path.open("a") as file:
        file.write('{"step": 4, "kim')
    run(tmp_path, kimg=0.024, resume=True)
    assert [e["step"] for e in read_log(path)] == [1, 2, 3]


def test_plot_of_a_short_log_is_left_out_and_of_a_long_one_drawn(tmp_path):
    entries = [{"kimg": i, "D_loss": i % 7, "G_loss": 1.0, "resolution": 8 if i < 500 else 16} for i in range(1000)]
    plot_curves(entries[:1], tmp_path / "a.png")
    assert not (tmp_path / "a.png").exists()
    plot_curves(entries, tmp_path / "b.png")
    assert len(Image.open(tmp_path / "b.png").getcolors(1 << 16)) > 4


# Settings.


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"presett": "F"}, "unknown setting 'presett'; did you mean 'preset'"),
        ({"preset": "G"}, "unknown preset 'G'; expected one of A, B, C"),
        ({"preset": ["F"]}, r"preset must be text; got \['F'\]"),
        ({"loss": "lsgan"}, "loss must be one of logistic, .*, hinge, or null; got 'lsgan'"),
        ({"augment": "flip"}, "augment must be one of none, diffaugment, ada; got 'flip'"),
        ({"dtype": "float8"}, "dtype must be one of"),
        ({"mirror": "yes"}, "mirror must be true or false; got 'yes'"),
        ({"kimg": 0}, "kimg must be a number above 0; got 0"),
        ({"kimg": True}, "kimg must be a number above 0; got True"),
        ({"kimg": None}, "kimg must be a number above 0; got None"),
        ({"kimg": float("inf")}, "kimg must be a number above 0; got inf"),
        ({"ema_kimg": float("nan")}, "ema_kimg must be a number of 0 or more; got nan"),
        ({"generator_warmup_kimg": -1}, "generator_warmup_kimg must be a number of 0 or more; got -1"),
        ({"style_mixing_prob": 7}, "style_mixing_prob must be a number from 0 to 1, or null; got 7"),
        ({"seed": 2**32}, "seed must be a whole number from 0 to 4294967295; got 4294967296"),
        ({"z_dim": 25.5}, "z_dim must be a whole number of 1 or more; got 25.5"),
        ({"batch": "many"}, "batch must be a whole number of 1 or more, or a dictionary .* by resolution, or null"),
        ({"batch": {8: 0}}, "batch must be a whole number of 1 or more"),
        ({"batch": {9: 1}}, "batch must be a whole number of 1 or more"),
        ({"training_kimg": {"8": 1}}, "training_kimg must be a number of 0 or more, or a dictionary"),
    ],
)
def test_wrong_settings_are_errors(settings, message):
    with pytest.raises(InputError, match=message):
        TrainingConfig.of(settings)


def test_numbers_that_yaml_takes_for_text_are_numbers():
    """1e-3 has no dot."""
    settings = yaml.safe_load("{learning_rate: 1e-3, fmap_base: 1e3, r1_gamma: {8: 1e-2, 64: 0.1}, z_dim: 64.0}")
    config = TrainingConfig.of(settings)
    assert (config.learning_rate, config.r1_gamma) == (0.001, {8: 0.01, 64: 0.1})
    assert [repr(size) for size in (config.fmap_base, config.z_dim)] == ["1000", "64"]


def test_a_batch_that_groups_cannot_share_is_an_error(tmp_path):
    with pytest.raises(InputError, match="batch 6 cannot be shared out"):
        run(tmp_path, batch=6)
