"""The loop: exact resumption, stopping, and what it writes."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from stylegan.errors import InputError
from stylegan.generator import Generator
from stylegan.runtime.run_log import append_log, read_log
from stylegan.training import TrainingConfig, new_state, train, train_step
from stylegan.training.checkpoints import list_checkpoints, load_state, save_state
from stylegan.training.plot import plot_curves

from .tiny import TinyImages, assert_same, files, run, tiny_config


def test_a_run_writes_all_that_it_promises(tmp_path: Path) -> None:
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


def test_the_first_snapshot_is_of_the_network_before_training(tmp_path: Path) -> None:
    train(tiny_config(), tmp_path, dataset=TinyImages(), minutes=0, progress=False)
    G = Generator.from_pretrained(tmp_path / "snapshots/network-000000.safetensors")
    assert (G.metadata["kimg"], G.synthesis.lod) == (0, 1)
    assert Image.open(tmp_path / "snapshots/fakes-000000.png").tobytes() == Image.open(tmp_path / "fakes.png").tobytes()


def test_weights_move_and_averages_follow(tmp_path: Path) -> None:
    before = new_state(tiny_config()).tensors()
    after = run(tmp_path).state.tensors()
    moved = {n for n in before if not torch.equal(before[n], after[n])}
    # Only the RGB layers of 4x4 are never shown; noise maps are fixed; a bias before instance norm does nothing.
    still = {n for n in before if n not in moved}
    assert all("noise_const" in n or ".4." in n for n in still), still
    assert any(n.startswith("Gs.") for n in moved)


@pytest.mark.parametrize(("n", "m"), [(2, 6), (3, 5), (5, 3)])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_resuming_changes_nothing(tmp_path: Path, n: int, m: int, dtype: str) -> None:
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


def test_resuming_changes_nothing_with_adaptive_augmentation(tmp_path: Path) -> None:
    """Not even between two changes of p, after five steps."""
    settings: dict[str, Any] = {"augment": "ada", "ada_kimg": 0.1, "ada_target": -2}
    whole = run(tmp_path / "whole", **settings).state
    halfway = run(tmp_path / "parts", kimg=0.04, **settings).state
    assert halfway.augment_p == pytest.approx(0.32)
    assert len(halfway.real_signs) == 1
    parts = run(tmp_path / "parts", resume=True, **settings).state
    assert_same(whole.tensors(), parts.tensors())
    assert (parts.augment_p, parts.real_signs) == (whole.augment_p, whole.real_signs)
    assert [e["augment_p"] for e in read_log(tmp_path / "parts/log.jsonl")] == [0, 0, 0, 0.32, 0.32, 0.32, 0.32, 0.64]


def test_checkpoints_before_augmentation_and_float16_are_read(tmp_path: Path) -> None:
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


def test_another_seed_gives_another_run(tmp_path: Path) -> None:
    a, b = run(tmp_path / "a", kimg=0.008).state, run(tmp_path / "b", kimg=0.008, seed=1).state
    assert not torch.equal(*(s.G.synthesis.layers[1].source.get_parameter("weight") for s in (a, b)))


@pytest.mark.parametrize("preset", "ABCDEF")
def test_every_preset_trains(tmp_path: Path, preset: str) -> None:
    outcome = run(tmp_path, preset=preset, share_fakes=preset != "E", z_dim=8, kimg=0.04)
    assert outcome.state.skipped == 0
    assert Generator.from_pretrained(tmp_path / "network.safetensors").num_ws == (1 if preset in "AB" else 6)


def test_labels_are_taught(tmp_path: Path) -> None:
    outcome = run(tmp_path, dataset=TinyImages(label_dim=3), conditional=True, kimg=0.04)
    assert outcome.state.G.label_dim == 3
    assert run(tmp_path / "ignored", dataset=TinyImages(label_dim=3), kimg=0.008).state.G.label_dim == 0


@pytest.mark.parametrize("loss", ["hinge", "wgan", "logistic_saturating"])
def test_every_loss_trains(tmp_path: Path, loss: str) -> None:
    assert run(tmp_path, loss=loss, kimg=0.016, r2_gamma=0.1).state.skipped == 0


def test_lazy_r1_is_as_strong_as_r1_in_every_step() -> None:
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


def test_gamma_follows_the_resolution() -> None:
    config = tiny_config(resolution=64, batch=32)
    gammas = [config.gamma(config.schedule().at(kimg)) for kimg in (0, 999)]
    assert gammas == pytest.approx([2e-4 * 64 / 32, 2e-4 * 4096 / 32])
    config.r1_gamma = {8: 3.0}
    assert config.gamma(config.schedule().at(0)) == 3
    assert config.gamma(config.schedule().at(999)) == pytest.approx(0.0256)


def test_optimizers_start_afresh_where_the_resolution_changes(tmp_path: Path) -> None:
    assert run(tmp_path, kimg=0.024).state.D_optimizer.param_groups[0]["step"] == 3
    # The fourth step is the first that shows anything of 16x16.
    assert run(tmp_path, kimg=0.032, resume=True).state.D_optimizer.param_groups[0]["step"] == 1


def test_the_generator_warms_up_while_the_discriminator_learns(tmp_path: Path) -> None:
    """Its learning rate rises from 0, to that of the discriminator at 32 images."""
    config, rates = tiny_config(kimg=0.048, generator_warmup_kimg=0.032, learning_rate=0.002), []
    first = new_state(config)

    def look(s: Any, report: Any) -> None:
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


def test_a_folder_with_a_run_is_refused_without_resume(tmp_path: Path) -> None:
    run(tmp_path, kimg=0.008)
    with pytest.raises(InputError, match="holds a run already"):
        run(tmp_path)


def test_resume_without_a_run_starts_one(tmp_path: Path) -> None:
    assert run(tmp_path, resume=True, kimg=0.008).state.step == 1


def test_minutes_stop_cleanly_and_saved(tmp_path: Path) -> None:
    outcome = train(tiny_config(kimg=1000), tmp_path, dataset=TinyImages(), minutes=0.02, progress=False)
    assert outcome.reason == "time"
    assert outcome.exit_code == 0
    assert list_checkpoints(tmp_path / "checkpoints")[-1].stem == f"step-{outcome.state.step:09d}"


@pytest.mark.parametrize("minutes", [-1, math.nan, math.inf, "5 min"])
def test_minutes_that_are_none_are_refused(tmp_path: Path, minutes: Any) -> None:
    with pytest.raises(InputError, match="minutes must be a number from 0"):
        train(tiny_config(), tmp_path / "run", dataset=TinyImages(), minutes=minutes)
    assert not (tmp_path / "run").exists()


def test_only_the_last_checkpoints_are_kept(tmp_path: Path) -> None:
    run(tmp_path, checkpoint_minutes=0, keep_checkpoints=2)
    assert [p.stem for p in list_checkpoints(tmp_path / "checkpoints")] == ["step-000000007", "step-000000008"]


def test_the_log_survives_a_cut_line_and_rewinds(tmp_path: Path) -> None:
    run(tmp_path, kimg=0.016)
    path = tmp_path / "log.jsonl"
    append_log(path, {"step": 3})
    with path.open("a") as file:
        file.write('{"step": 4, "kim')
    run(tmp_path, kimg=0.024, resume=True)
    assert [e["step"] for e in read_log(path)] == [1, 2, 3]


def test_only_the_plot_of_a_long_log_is_drawn(tmp_path: Path) -> None:
    entries = [{"kimg": i, "D_loss": i % 7, "G_loss": 1.0, "resolution": 8 if i < 500 else 16} for i in range(1000)]
    plot_curves(entries[:1], tmp_path / "a.png")
    assert not (tmp_path / "a.png").exists()
    plot_curves(entries, tmp_path / "b.png")
    assert len(Image.open(tmp_path / "b.png").getcolors(1 << 16) or []) > 4


def test_a_batch_that_groups_cannot_share_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="batch 6 cannot be shared out"):
        run(tmp_path, batch=6)


@pytest.mark.parametrize("augment", ["none", "diffaugment", "ada"])
@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (2, "LA"), (4, "RGBA")])
def test_pictures_of_any_channels_train(tmp_path: Path, channels: int, mode: str, augment: str) -> None:
    run(tmp_path / "run", dataset=TinyImages(img_channels=channels), augment=augment, kimg=0.016)
    G = Generator.from_pretrained(tmp_path / "run" / "network.safetensors")
    assert G.sample()[0].mode == mode
    for name in ("reals.png", "fakes.png"):
        with Image.open(tmp_path / "run" / name) as picture:
            assert picture.mode == ("RGBA" if "A" in mode else "RGB")
