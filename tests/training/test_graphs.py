"""Captured steps are the steps: shown on the CPU with a capture that works anew, and on a GPU with CUDA graphs."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from stylegan.networks import ops
from stylegan.runtime import cuda_graphs
from stylegan.runtime.cuda_graphs import CudaCapture
from stylegan.training import TrainingConfig, TrainingState, new_state, train_step
from stylegan.training.graphs import CapturedPasses, StepGraphs
from tests.conftest import Golden

from ..runtime.captures import Again
from .tiny import TinyImages, assert_same, tiny_config


class Uncaptured(StepGraphs):
    """The same inputs, and every step as it is."""

    def find(self, passes: Any, inputs: Any) -> Any:
        self._cache.clear()
        return super().find(passes, inputs)


def learn(config: TrainingConfig, graphs: StepGraphs | None, steps: int = 14, p: float = 0.0) -> TrainingState:
    """Grow from 8x8 to 16x16."""
    state = new_state(config, label_dim=3 if config.conditional else 0)
    state.augment_p = p
    for _ in range(steps):
        phase = config.schedule().at(state.kimg)
        first = state.images % 64
        pictures = TinyImages(phase.resolution, label_dim=3 if config.conditional else 0)
        img, labels = pictures.batch(list(range(first, first + phase.batch)))
        assert not train_step(state, config, phase, img, labels, graphs=graphs).skipped
    return state


@pytest.mark.parametrize(
    "options",
    [
        {"transition_kimg": 0.04},
        {"r1_interval": 1, "conditional": True},
        {"augment": "ada", "ada_target": -2.0},
        {"augment": "diffaugment", "preset": "A", "r2_gamma": 0.1, "mirror": False},
    ],
    ids=str,
)
def test_captured_steps_give_the_same_bits(options: dict[str, Any]) -> None:
    config, capture = tiny_config(**options), Again()
    state = learn(config, StepGraphs(capture), p=0.5)
    assert capture.replays >= 16  # Two passes a step.
    plain = learn(config, Uncaptured(SimpleNamespace(wait=lambda: None)), p=0.5)
    assert_same(state.tensors(), plain.tensors())


def test_a_fade_is_captured_once_for_each_kind_of_step() -> None:
    config, capture = tiny_config(transition_kimg=0.08, training_kimg=0), Again()
    learn(config, StepGraphs(capture), steps=9)
    assert capture.captured == 4  # With R1 and without, two passes each.
    assert capture.replays == 2 * (8 - 2)  # The first step is at 8x8; of each kind, one runs as it is.


def test_a_step_whose_gradients_are_not_finite_changes_nothing() -> None:
    config = tiny_config(initial_resolution=16, r1_interval=1)
    graphs, images = StepGraphs(Again()), TinyImages().batch(list(range(8)))[0]
    state = new_state(config)
    for _ in range(3):
        train_step(state, config, config.schedule().at(0), images, None, graphs=graphs)
    before = {name: tensor.clone() for name, tensor in state.G.state_dict().items()}
    state.D.head.dense1.weight.data.fill_(float("inf"))
    assert train_step(state, config, config.schedule().at(0), images, None, graphs=graphs).skipped
    assert_same(before, state.G.state_dict())


def test_what_cannot_be_captured_is_told_once_and_runs_as_it_is(caplog: pytest.LogCaptureFixture) -> None:
    failing = Again(RuntimeError("operation not permitted when stream is capturing"))
    config = tiny_config()
    state = learn(config, StepGraphs(failing), steps=6)
    assert caplog.text.count("not captured as CUDA graphs: operation not permitted") == 1
    assert all(tensor.isfinite().all() for tensor in state.tensors().values())


def test_graphs_that_were_not_used_for_long_are_given_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda_graphs, "MAX_GRAPHS", 2)
    capture = Again()
    graphs = StepGraphs(capture)
    learn(tiny_config(), graphs)
    assert len(graphs._cache._known) == 2
    assert capture.waits > 0


def test_losses_of_earlier_steps_stay() -> None:
    config = tiny_config(initial_resolution=16, r1_interval=1)
    state, graphs = new_state(config), StepGraphs(Again())
    images = TinyImages().batch(list(range(8)))[0]
    phase = config.schedule().at(0)
    reports = [train_step(state, config, phase, images, None, graphs=graphs) for _ in range(5)]
    for name in reports[0].losses.keys() - {"real_sign"}:
        assert len({report.losses[name].item() for report in reports}) == 5, name


def test_a_fade_by_a_tensor_is_that_by_a_number(golden_t: Golden) -> None:
    share = torch.tensor(0.3)
    x, coarser = torch.randn(2, 2, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(ops.fade(x, coarser, 1.5, share), ops.fade(x, coarser, 1.3))
    G, D = golden_t.Gs, golden_t.D
    labels = torch.eye(G.label_dim)[:2] if G.label_dim else None
    ws = G.broadcast(G.mapping(torch.randn(2, G.z_dim, generator=torch.Generator().manual_seed(1)), labels))
    expected = G.synthesis(ws, lod=0.3)
    torch.testing.assert_close(G.synthesis(ws, lod=0.5, fade=share), expected)
    torch.testing.assert_close(D(expected, labels, lod=0.5, fade=share), D(expected, labels, lod=0.3))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("options", [{}, {"share_fakes": True}, {"compile": True, "share_fakes": True}], ids=str)
def test_cuda_graphs_give_the_losses_of_plain_steps(options: dict[str, Any]) -> None:
    """The first steps: rounding differs from run to run, and training enlarges it."""
    config = tiny_config(device="cuda", initial_resolution=16, r1_interval=2, **options)
    images, phase = TinyImages().batch(list(range(8)))[0], config.schedule().at(0)
    found = []
    for graphs in (StepGraphs(CudaCapture(torch.device("cuda"))), None):
        state = new_state(config)
        reports = [train_step(state, config, phase, images, None, graphs=graphs) for _ in range(6)]
        found.append([value.item() for report in reports for value in report.losses.values()])
        if graphs is not None:
            assert [type(kept) for kept in graphs._cache._known.values()] == [CapturedPasses, CapturedPasses]
    assert found[0] == pytest.approx(found[1], rel=1e-3, abs=1e-4)
