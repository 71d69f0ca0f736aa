"""bfloat16 and float16: the gradients, the scale of float16's losses, and which type is taken by itself."""

from pathlib import Path
from typing import Any

import pytest
import torch

from stylegan.fast import has_fast_bfloat16
from stylegan.generator import Generator
from stylegan.runtime.run_log import read_log
from stylegan.training import new_state, passes, step, train_step
from stylegan.training.checkpoints import resume_state, save_state
from stylegan.training.optim import next_loss_scale
from stylegan.training.run import choose_dtype

from .tiny import TinyImages, assert_same, run, tiny_config


def gradients(dtype: torch.dtype, *, weight: float = 1.0, scale: float = 1.0) -> Any:
    """All gradients of D and of G, of losses times a weight."""
    config = tiny_config(fmap_base=256, fmap_max=32, z_dim=32, w_dim=32)
    s = new_state(config)
    phase = config.schedule().at(99)
    draws = step.draw(config, s.G, phase, 0, 0, torch.arange(8))
    fakes, _ = passes.make_fakes(s.G, draws, None, phase.lod, dtype)
    critic = passes.Critic(s.D, phase.lod, dtype)
    reals = TinyImages().batch(list(range(8)))[0] / 127.5 - 1
    # D sees the same images in every type: of a new D, the gradient is the small difference of two that nearly agree,
    # and the rounding of the images alone turned it by up to 30 degrees.
    seen, _ = passes.make_fakes(s.G, draws, None, phase.lod, torch.float32)
    terms = passes.discriminator_loss(critic, reals, seen, None, r1_gamma=0.1, scale=scale)
    ((terms["D_loss"] + terms["r1"]) * weight * scale).backward()
    D_gradient = torch.cat([p.grad.flatten() for p in s.D.parameters() if p.grad is not None])
    (critic(fakes, None).mean() * weight * scale).backward()
    G_gradient = torch.cat([p.grad.flatten() for p in s.G.parameters() if p.grad is not None])
    return D_gradient / (scale * weight), G_gradient / (scale * weight)


@pytest.mark.parametrize(
    ("dtype", "cosine"),
    # Measured: 0.9946 and 0.99906; by torch's own convolutions of bfloat16, which round sums on the way, 0.9615.
    [(torch.bfloat16, 0.97 if has_fast_bfloat16() else 0.95), (torch.float16, 0.998)],
)
def test_half_precision_gives_nearly_the_same_gradients(dtype: torch.dtype, cosine: float) -> None:
    """Eight and eleven bits of mantissa: the direction agrees, to this cosine."""
    for exact, rounded in zip(gradients(torch.float32), gradients(dtype), strict=True):
        assert torch.cosine_similarity(exact, rounded, dim=0) > cosine


def test_small_gradients_survive_float16_by_the_loss_scale() -> None:
    """As small as those of large images; without the scale nearly all of the generator's are zero."""
    exact = gradients(torch.float32)
    lost, kept = (gradients(torch.float16, weight=1e-4, scale=scale) for scale in (1.0, 1024.0))
    # 0.01, or 0.27 where the processor itself computes in float16.
    assert torch.cosine_similarity(exact[1], lost[1], dim=0) < 0.5
    for a, b in zip(exact, kept, strict=True):
        assert torch.cosine_similarity(a, b, dim=0) > 0.998


@pytest.mark.parametrize("network", ["G", "D"])
def test_the_scale_of_the_loss_is_taken_out_again(network: str) -> None:
    """What Adam sees has the size that it has in float32."""
    squares = []
    for dtype, scale in [(torch.float32, 8.0), (torch.float16, 1.0), (torch.float16, 8.0)]:
        s = new_state(config := tiny_config())
        s.loss_scale = scale
        img, _ = TinyImages().batch(list(range(8)))
        assert not train_step(s, config, config.schedule().at(99), img, None, dtype=dtype).skipped
        tensors = s.tensors()
        names = sorted(name for name in tensors if name.startswith(f"{network}_optimizer.exp_avg_sq."))
        squares.append(torch.cat([tensors[name].flatten() for name in names]))
    for rounded in squares[1:]:
        assert (rounded - squares[0]).norm() < 0.1 * squares[0].norm()  # Without: 63 times.


def test_an_overflow_skips_the_step_and_halves_the_scale(tmp_path: Path) -> None:
    config = tiny_config(dtype="float16")
    s = new_state(config)
    before = {name: tensor.clone() for name, tensor in s.tensors().items()}
    s.loss_scale, s.steps_at_scale = 2.0**24, 7
    img, _ = TinyImages().batch(list(range(8)))
    assert train_step(s, config, config.schedule().at(99), img, None, dtype=torch.float16).skipped
    assert (s.loss_scale, s.steps_at_scale, s.skipped) == (2.0**23, 0, 1)
    assert_same(before, {name: s.tensors()[name] for name in before})
    save_state(s, tmp_path)
    resumed = new_state(config)
    resume_state(resumed, tmp_path)
    assert (resumed.loss_scale, resumed.steps_at_scale) == (2.0**23, 0)


def test_the_scale_doubles_after_good_steps_within_bounds() -> None:
    assert next_loss_scale(64.0, 498, overflow=False) == (64, 499)
    assert next_loss_scale(64.0, 499, overflow=False) == (128, 0)
    assert next_loss_scale(2.0**24, 499, overflow=False) == (2.0**24, 0)
    assert next_loss_scale(1.0, 5, overflow=True) == (1, 0)


def test_a_run_in_float16_finds_its_scale(tmp_path: Path) -> None:
    outcome = run(tmp_path, dtype="float16", kimg=0.2)
    entries = read_log(tmp_path / "log.jsonl")
    assert outcome.state.skipped < 8
    assert entries[-1]["loss_scale"] == outcome.state.loss_scale == 1024 / 2**outcome.state.skipped
    assert Generator.from_pretrained(tmp_path / "network.safetensors").sample(1)


def test_auto_dtype_is_one_of_the_two() -> None:
    assert choose_dtype(tiny_config(dtype="auto"), torch.device("cpu")) in (torch.float32, torch.bfloat16)


@pytest.mark.parametrize(("native", "dtype"), [(True, torch.bfloat16), (False, torch.float32)])
def test_auto_dtype_is_not_one_that_the_gpu_emulates(
    monkeypatch: pytest.MonkeyPatch, native: bool, dtype: torch.dtype
) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: including_emulation or native)
    assert choose_dtype(tiny_config(dtype="auto"), torch.device("cuda")) == dtype
