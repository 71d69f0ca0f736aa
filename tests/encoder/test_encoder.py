"""Encoders: they learn, continue exactly, find their model, and refuse what is not theirs."""

import json
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import Result
from PIL import Image

import stylegan
from stylegan import Discriminator, Encoder, Generator
from stylegan.encoder import EncoderConfig, new_encoder, train_encoder, training
from stylegan.encoder.state import TrainingState, draw_fakes, train_step
from stylegan.errors import CheckpointError, InputError, NotFoundError
from tests.projection.conftest import Blocks

from ..conftest import gentle_generator, ok, tiny_generator

OPTIONS: dict[str, Any] = {"perceptual_weight": 0, "feature_weight": 0, "batch": 16, "log_kimg": 0.016}


@pytest.fixture(scope="module")
def gentle() -> Generator:
    """A tiny model whose w can be told from its images."""
    G = gentle_generator()
    G.metadata["name"] = "gentle"
    return G


@pytest.fixture(scope="module")
def data(gentle: Generator, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of images that the model made."""
    folder = tmp_path_factory.mktemp("data")
    for i, picture in enumerate(gentle.sample(16, truncation_psi=1)):
        picture.save(folder / f"{i:02}.png")
    return folder


@pytest.fixture(scope="module")
def trained(gentle: Generator, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run of a short training."""
    out = tmp_path_factory.mktemp("runs") / "encoder"
    config = EncoderConfig(kimg=2.4, learning_rate=3e-3, ema_kimg=0.1, **OPTIONS)
    assert train_encoder(gentle, data, out, config, progress=False) == "finished"
    return out


def test_training_lowers_the_error_of_w(gentle: Generator, trained: Path) -> None:
    encoder = Encoder.from_pretrained(trained)
    truth = gentle.ws(range(1000, 1064), truncation_psi=1)
    found = encoder.encode(gentle.synthesis(truth), gentle)
    error = (found - truth).square().mean()
    assert error < 0.5 * (gentle.w_avg - truth).square().mean()
    # A second look corrects the first.
    assert error < (encoder.encode(gentle.synthesis(truth), gentle, looks=1) - truth).square().mean()


def test_refinement_after_an_encoder_recovers_w(gentle: Generator, trained: Path) -> None:
    truth = gentle.ws([1000, 1001], truncation_psi=1)
    options: dict[str, Any] = {"method": "encoder", "encoder": trained, "space": "w", "progress": False}
    found = [stylegan.project(gentle.synthesis(truth), gentle, refine=n, **options) for n in (0, 6)]
    errors = [(projection.latents.ws - truth).norm() for projection in found]
    assert errors[1] < 0.1 * errors[0]
    assert found[1].img.equal(gentle.synthesis(found[1].latents.ws))
    assert found[1].latents.facts["settings"]["refine"] == 6
    with pytest.raises(InputError, match=r"refine is for space 'w'.*got space 'w\+' and stored noise maps"):
        stylegan.project(found[0].img, gentle, refine=1, **options | {"space": "w+"})


def test_an_encoder_is_the_same_for_any_batch(gentle: Generator, trained: Path) -> None:
    encoder = Encoder.from_pretrained(trained)
    img = gentle.sample(5, output_type="pt")
    together = encoder.encode(img, gentle)
    assert torch.allclose(encoder.encode(img, gentle, batch_size=2), together, atol=1e-5)
    assert torch.allclose(encoder.encode(img[3:4], gentle), together[3:4], atol=1e-5)


def test_a_run_keeps_what_it_needs(trained: Path) -> None:
    log = [json.loads(line) for line in (trained / "log.jsonl").read_text().splitlines()]
    assert log[-1]["w"] < 0.7 * log[0]["w"]
    assert {"kimg", "w", "pixel", "offset", "latent", "img_per_sec"} <= log[-1].keys()
    assert Image.open(trained / "pictures.png").size[0] > 16
    assert Encoder.from_pretrained(trained).metadata["kimg"] == 2.4


def test_resuming_is_exact(gentle: Generator, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = EncoderConfig(kimg=0.096, fakes_kimg=0.048, **OPTIONS)
    train_encoder(gentle, data, tmp_path / "whole", config, progress=False)

    def stops(state: TrainingState, *rest: Any) -> dict[str, float]:
        if state.step == 1:
            os.kill(os.getpid(), signal.SIGTERM)
        return train_step(state, *rest)

    monkeypatch.setattr(training, "train_step", stops)
    half = tmp_path / "half"
    assert train_encoder(gentle, data, half, config, progress=False) == "SIGTERM"
    assert train_encoder(gentle, data, half, config, resume=True, progress=False) == "finished"
    whole, parts = (Encoder.from_pretrained(path).state_dict() for path in (tmp_path / "whole", half))
    assert all(torch.equal(whole[name], parts[name]) for name in whole)


def test_training_leaves_the_given_networks_alone(gentle: Generator, data: Path, tmp_path: Path) -> None:
    G, D = gentle_generator().requires_grad_(True), Discriminator(img_resolution=16, fmap_base=128, fmap_max=16)
    before = G.weights_sha256, D.weights_sha256, G.synthesis.kernels, D.kernels
    config = EncoderConfig(kimg=0.016, **OPTIONS | {"feature_weight": 0.1})
    train_encoder(G, data, tmp_path / "run", config, D=D, progress=False)
    assert (G.weights_sha256, D.weights_sha256, G.synthesis.kernels, D.kernels) == before
    assert all(parameter.requires_grad for network in (G, D) for parameter in network.parameters())


def test_a_run_starts_from_another_encoder(gentle: Generator, data: Path, trained: Path, tmp_path: Path) -> None:
    first, config = Encoder.from_pretrained(trained), EncoderConfig(kimg=0.016, learning_rate=1e-9, **OPTIONS)
    train_encoder(gentle, data, tmp_path / "run", config, start_from=first, progress=False)
    img = gentle.sample(2, output_type="pt")
    assert torch.allclose(
        Encoder.from_pretrained(tmp_path / "run").encode(img, gentle), first.encode(img, gentle), atol=1e-4
    )
    with pytest.raises(InputError, match="of another shape: it has img_resolution 128, not 16"):
        train_encoder(gentle, data, tmp_path / "b", config, start_from=Encoder.from_pretrained(), progress=False)


def test_the_bundled_encoder_reproduces_faces(default: Generator) -> None:
    """Nearer in w and in pixels than the average face, whose error is that of no encoder."""
    encoder, truth = Encoder.of(default), default.ws(range(40, 48), truncation_psi=0.7)
    img = default.synthesis(truth)
    found = encoder.encode(img, default)
    assert (found - truth).square().mean() < 0.5 * (default.w_avg - truth).square().mean()
    average = default.synthesis(default.broadcast(default.w_avg[None]))
    assert (default.synthesis(found) - img).square().mean() < 0.4 * (average - img).square().mean()


def test_a_run_is_not_continued_by_another(gentle: Generator, data: Path, trained: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    for i, picture in enumerate(gentle.sample(seeds=range(50, 58))):
        picture.save(other / f"{i}.png")
    with pytest.raises(InputError, match="holds a run already"):
        train_encoder(gentle, other, trained, EncoderConfig(**OPTIONS), progress=False)
    with pytest.raises(InputError, match="another data"):
        train_encoder(gentle, other, trained, EncoderConfig(**OPTIONS), resume=True, progress=False)
    with pytest.raises(InputError, match="begun with batch 16, not 8; leave it out"):
        train_encoder(gentle, data, trained, EncoderConfig(**OPTIONS | {"batch": 8}), resume=True, progress=False)


def test_a_damaged_checkpoint_is_refused(gentle: Generator, data: Path, trained: Path, tmp_path: Path) -> None:
    run_ = Path(shutil.copytree(trained, tmp_path / "run"))
    whole = (run_ / "checkpoint.safetensors").read_bytes()
    (run_ / "checkpoint.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match="damaged"):
        train_encoder(gentle, data, run_, EncoderConfig(**OPTIONS), resume=True, progress=False)


def test_numbers_that_are_not_finite_are_not_saved(gentle: Generator, tmp_path: Path) -> None:
    state = TrainingState(new_encoder(gentle), EncoderConfig(**OPTIONS))
    next(state.E.parameters()).data.fill_(float("nan"))
    with pytest.raises(CheckpointError, match="NaN"):
        state.save(tmp_path / "checkpoint.safetensors", {})
    assert not list(tmp_path.iterdir())


def test_drawn_images_follow_from_the_step(gentle: Generator) -> None:
    def draw(step: int) -> torch.Tensor:
        return draw_fakes(gentle, 4, EncoderConfig(), np.random.RandomState([0, step]))[1]

    assert torch.equal(draw(3), draw(3))
    assert not torch.equal(draw(3), draw(4))


def test_an_encoder_of_another_model_is_refused(trained: Path, tiny: Generator, default: Generator) -> None:
    encoder = Encoder.from_pretrained(trained)
    with pytest.raises(InputError, match="img must be"):
        encoder.encode(torch.zeros(1, 3, 8, 8), tiny_like(encoder))
    with pytest.raises(InputError, match=r"trained for \(gentle\)"):
        encoder.encode(default.sample(1, output_type="pt"), default)
    with pytest.raises(NotFoundError, match="stylegan encoder train"):
        Encoder.of(tiny)


def tiny_like(encoder: Encoder) -> Generator:
    """A generator with the average w of an encoder."""
    G = tiny_generator(z_dim=8, w_dim=8)
    G.w_avg.copy_(encoder.w_avg)
    return G


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"looks": 0}, "looks"),
        ({"batch": 1}, "batch"),
        ({"real_share": 1.5}, "real_share"),
        ({"learning_rate": 0}, "learning_rate"),
        ({"steps": 3}, "unknown setting 'steps'"),
    ],
)
def test_settings_are_checked(given: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        EncoderConfig.of(given)


def test_projection_by_an_encoder(gentle: Generator, trained: Path) -> None:
    blocks = Blocks()
    target = gentle.sample(seeds=[70, 71], truncation_psi=1, output_type="pt").clamp(-1, 1)
    fast = stylegan.project(target, gentle, method="encoder", encoder=trained)
    assert fast.distances.isnan().all()
    assert fast.latents.noise is None
    assert fast.is_far == [False, False]
    average = (gentle.synthesis(gentle.broadcast(gentle.w_avg[None])) - target).square().mean(dim=(1, 2, 3)).sqrt()
    assert (fast.pixel_errors < average).all()
    options: dict[str, Any] = {"extractor": blocks, "progress": False, "optimize_noise": False}
    hybrid = stylegan.project(target, gentle, method="hybrid", encoder=trained, steps=30, **options)
    alone = stylegan.project(target, gentle, method="encoder", encoder=trained, extractor=blocks)
    assert (hybrid.distances < alone.distances).all()
    w = stylegan.project(target, gentle, method="encoder", encoder=trained, space="w").latents.ws
    assert torch.equal(w, w[:, :1].expand_as(w))


def test_steps_on_the_pixels_follow_an_encoder(gentle: Generator, trained: Path) -> None:
    target = gentle.sample(seeds=[70, 71], truncation_psi=1, output_type="pt").clamp(-1, 1)

    def found(**options: Any) -> stylegan.projection.Projection:
        return stylegan.project(target, gentle, method="encoder", encoder=trained, progress=False, **options)

    at_once, nearer = found(), found(pixel_steps=30)
    assert (nearer.pixel_errors < 0.7 * at_once.pixel_errors).all()
    assert nearer.latents.facts["settings"]["pixel_steps"] == 30
    torch.testing.assert_close(nearer.latents.ws, found(pixel_steps=30, batch_size=1).latents.ws, rtol=0, atol=1e-3)
    held = found(pixel_steps=30, w_weight=10.0).latents.ws
    assert (held - gentle.w_avg).norm() < (nearer.latents.ws - gentle.w_avg).norm()
    w = found(pixel_steps=5, space="w").latents.ws
    assert torch.equal(w, w[:, :1].expand_as(w))
    assert not torch.equal(w, found(space="w").latents.ws)


def test_a_resumed_hybrid_skips_what_came_before(
    gentle: Generator, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = gentle.sample(seeds=[70], output_type="pt").clamp(-1, 1)
    options: dict[str, Any] = {"method": "hybrid", "encoder": trained, "extractor": Blocks(), "progress": False}
    options |= {"steps": 60, "pixel_steps": 3, "checkpoint": tmp_path / "state.safetensors"}
    whole = stylegan.project(target, gentle, **options)
    nearer = stylegan.project(target, gentle, **options | {"method": "encoder", "steps": None, "pixel_steps": 30})
    assert nearer.pixel_errors < stylegan.project(target, gentle, method="encoder", encoder=trained).pixel_errors
    monkeypatch.setattr("stylegan.projection.encoded.approach", None)
    assert torch.equal(stylegan.project(target, gentle, **options).latents.ws, whole.latents.ws)
    with pytest.raises(InputError, match="pixel_steps 3, not 4"):
        stylegan.project(target, gentle, **options | {"pixel_steps": 4})


def test_what_the_encoder_does_not_know_is_warned_of(default: Generator, caplog: pytest.LogCaptureFixture) -> None:
    """Without a perceptual network: a face is told from noise and from one colour by the pixels."""
    face = default.sample(seeds=[5], output_type="pt").clamp(-1, 1)
    noise = torch.rand(face.shape, generator=torch.Generator().manual_seed(0)) * 2 - 1
    target = torch.cat([face, noise, torch.full_like(face, 0.3)])
    found = stylegan.project(target, default, method="encoder", names=["face", "noise", "grey"])
    assert found.is_far == [False, True, True]
    assert [record.getMessage().split(" is unlike")[0] for record in caplog.records] == ["noise", "grey"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "encoder", "steps": 5}, "takes no steps"),
        ({"method": "hybrid", "candidates": 5}, "starts from the encoder"),
        ({"method": "optimize", "pixel_steps": 5}, "pixel_steps follow an encoder"),
        ({"method": "encoder", "pixel_steps": -1}, "pixel_steps must be"),
        ({"method": "quick"}, "method"),
        ({"method": "encoder", "encoder": 3}, "encoder must be"),
        ({"method": "encoder", "looks": 0}, "looks"),
    ],
)
def test_methods_are_checked(gentle: Generator, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        stylegan.project(torch.zeros(1, 3, 16, 16), gentle, **options)


def test_commands_train_and_use_an_encoder(gentle: Generator, data: Path, run: Callable[..., Result]) -> None:
    gentle.save("gentle.safetensors")
    settings = [word for name, value in OPTIONS.items() for word in ("--set", f"{name}={value}")]
    command = ["encoder", "train", "--model", "gentle.safetensors", "--data", data, "--out", "run", "--kimg", "0.05"]
    assert "finished" in ok(run(*command, *settings))
    assert "holds a run already" in run(*command, *settings).output
    begun = json.loads(Path("run/run.json").read_text())
    assert (begun["model"], begun["data"], begun["settings"]["kimg"]) == ("gentle.safetensors", str(data), 0.05)
    fast = ["project", data / "03.png", "--fast", "--model", "gentle.safetensors", "--encoder", "run", "--out", "found"]
    assert "pixels differ by" in ok(run(*fast))
    ok(run("sample", "--model", "gentle.safetensors", "--latents", "found/latents.safetensors"))
    assert "takes no steps" in run(*fast, "--steps", "9").output
    assert "Encoder" in ok(run("info", "run"))


def test_resuming_takes_over_what_the_run_was_begun_with(
    gentle: Generator, data: Path, run: Callable[..., Result]
) -> None:
    """As `stylegan train` does: model, data and settings are the run's, but for those that are given."""
    gentle.save("gentle.safetensors")
    settings = [word for name, value in OPTIONS.items() for word in ("--set", f"{name}={value}")]
    ok(
        run(
            "encoder",
            "train",
            "--model",
            "gentle.safetensors",
            "--data",
            data,
            "--out",
            "run",
            "--kimg",
            0.02,
            *settings,
        )
    )
    resume = ["encoder", "train", "--out", "run", "--resume"]
    ok(run(*resume, "--kimg", 0.05, "--set", "w_weight=2"))
    begun = json.loads(Path("run/run.json").read_text())["settings"]
    assert {name: begun[name] for name in OPTIONS} == OPTIONS
    assert (begun["kimg"], begun["w_weight"]) == (0.05, 2)
    assert Encoder.from_pretrained("run").metadata["kimg"] == 0.1  # Rounded up from four steps.
    tiny_generator(z_dim=8, w_dim=8, seed=9).save("other.safetensors")
    assert "begun with another model" in run(*resume, "--model", "other.safetensors").output
    assert "batch 16, not 8; leave it out" in run(*resume, "--set", "batch=8").output
    assert "--set 'batch': expected NAME=VALUE, such as batch=32" in run(*resume, "--set", "batch").output
    assert "gone: there is no run to resume" in run("encoder", "train", "--out", "gone", "--resume").output
    assert "no data set; give one with --data" in run("encoder", "train", "--out", "gone").output
    Path("run/run.json").write_text('{"settings": {}}')
    assert "run.json: lacks 'model'" in run(*resume).output
