"""FreezeD: the layers near the image keep the weights of the model, bit for bit, and all others learn as they would."""

from pathlib import Path
from typing import Any

import pytest
import torch

from stylegan import Discriminator
from stylegan.errors import InputError
from stylegan.training import TrainingState, new_state, train, train_step
from stylegan.training.freezing import frozen_layers
from stylegan.training.graphs import StepGraphs
from stylegan.training.passes import Passes
from stylegan.training.start import start_from
from stylegan.training.step import draw_inputs

from ..runtime.captures import Again
from .tiny import TinyImages, assert_same, run, tiny_config

ALL = ["from_rgb.16", "blocks.16.conv0", "blocks.16.conv1", "blocks.8.conv0", "blocks.8.conv1"]
# Of the model.
SHORT: dict[str, Any] = {"kimg": 0.016, "initial_resolution": 16, "snapshot_kimg": 1000}

Model = tuple[Path, TrainingState]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    """A run at 16x16."""
    out = tmp_path_factory.mktemp("model")
    return out, run(out, **SHORT).state


def is_frozen(parameter: str, layers: list[str]) -> bool:
    """Whether a parameter of that name is in one of these layers."""
    return parameter.startswith(tuple(f"{layer}." for layer in layers))


def frozen_and_learnt(D: Discriminator, before: Discriminator, layers: list[str]) -> None:
    """These layers are as before, and each of the others that is used is not."""
    for name, tensor in D.named_parameters():
        if is_frozen(name, layers):
            assert torch.equal(tensor, before.state_dict()[name]), name
        elif not name.startswith("from_rgb"):
            assert not torch.equal(tensor, before.state_dict()[name]), name


def test_layers_are_counted_from_the_image(model: Model) -> None:
    D = model[1].D
    assert [list(frozen_layers(D, count, 16)) for count in range(6)] == [ALL[:count] for count in range(6)]
    assert list(frozen_layers(D, 2, 8)) == ["from_rgb.8", "blocks.8.conv0"]
    names = {name for name, _ in D.named_parameters()}
    for layer in ALL:
        assert any(is_frozen(name, [layer]) for name in names), layer


@pytest.mark.parametrize("count", [1, 4])
@pytest.mark.parametrize("options", [{}, {"channels_last": False}, {"share_fakes": True, "dtype": "bfloat16"}], ids=str)
def test_frozen_layers_stay_and_all_others_learn(
    model: Model, tmp_path: Path, count: int, options: dict[str, Any]
) -> None:
    """By compiled kernels where there are any, and by the modules; in steps with R1 and without."""
    source, before = model
    state = run(tmp_path, start_from=str(source), freeze_d=count, kimg=0.032, **options).state
    assert state.skipped == 0
    frozen_and_learnt(state.D, before.D, ALL[:count])


def test_nothing_is_frozen_by_default(model: Model, tmp_path: Path) -> None:
    source, before = model
    frozen_and_learnt(run(tmp_path, start_from=str(source), kimg=0.016).state.D, before.D, [])


def test_the_others_have_the_gradients_that_they_would_have(model: Model) -> None:
    source, _ = model
    config = tiny_config(start_from=str(source), initial_resolution=16)
    state = new_state(config)
    start_from(state, source)
    phase, samples = state.config.schedule().at(0), torch.arange(8)
    inputs = draw_inputs(state.config, state, phase, TinyImages().batch(list(range(8)))[0], None, samples)
    own, all_learn = (
        Passes(state.G, state.D, 0.0, r1_gamma=1.0, frozen=frozen).discriminator(inputs).grads
        for frozen in (tuple(ALL[:4]), ())
    )
    for (name, _), grad, expected in zip(state.D.named_parameters(), own, all_learn, strict=True):
        if is_frozen(name, ALL[:4]):
            assert grad is None
        elif expected is not None:
            torch.testing.assert_close(grad, expected, rtol=1e-5, atol=1e-6)


def test_captured_steps_leave_them_alone_and_give_the_same_bits(model: Model) -> None:
    source, before = model

    def learn(graphs: StepGraphs | None) -> TrainingState:
        state = new_state(tiny_config(start_from=str(source), freeze_d=3, initial_resolution=16))
        start_from(state, source)
        phase = state.config.schedule().at(0)
        for _ in range(6):
            train_step(state, state.config, phase, TinyImages().batch(list(range(8)))[0], None, graphs=graphs)
        return state

    capture = Again()
    captured = learn(StepGraphs(capture))
    assert capture.replays > 0
    frozen_and_learnt(captured.D, before.D, ALL[:3])
    assert_same(captured.tensors(), learn(None).tensors())


def test_a_stop_and_a_resume_change_nothing(model: Model, tmp_path: Path) -> None:
    source, before = model
    options: dict[str, Any] = {"start_from": str(source), "freeze_d": 4, "initial_resolution": 16}
    whole = run(tmp_path / "whole", kimg=0.048, **options).state
    run(tmp_path / "parts", kimg=0.024, **options)
    parts = run(tmp_path / "parts", kimg=0.048, resume=True, **options).state
    assert_same(whole.tensors(), parts.tensors())
    frozen_and_learnt(parts.D, before.D, ALL[:4])
    # From here on they learn, too.
    later = run(tmp_path / "parts", kimg=0.064, resume=True, **options | {"freeze_d": 0}).state
    frozen_and_learnt(later.D, before.D, [])


def test_in_a_run_that_grows_the_layers_of_the_model_are_meant(tmp_path: Path) -> None:
    """What is new at 16x16 learns: it has initial weights."""
    config = tiny_config(resolution=8, kimg=0.016, snapshot_kimg=1000)
    before = train(config, tmp_path / "small", dataset=TinyImages(8), progress=False).state
    options: dict[str, Any] = {
        "start_from": str(tmp_path / "small"),
        "freeze_d": 2,
        "training_kimg": 0.008,
        "transition_kimg": 0.016,
    }
    state = run(tmp_path / "grown", **options).state
    assert state.resolution == 16
    for name in ("from_rgb.8.conv.weight", "blocks.8.conv0.weight"):
        assert torch.equal(state.D.state_dict()[name], before.D.state_dict()[name])
    assert not torch.equal(*(s.D.state_dict()["blocks.8.conv1.weight"] for s in (state, before)))
    fresh = new_state(tiny_config(**options)).D
    for name in ("from_rgb.16.conv.weight", "blocks.16.conv0.weight"):
        assert not torch.equal(state.D.state_dict()[name], fresh.state_dict()[name])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"freeze_d": 2}, "freeze_d 2 freezes layers of a trained discriminator, but this run has none from a model"),
        ({"freeze_d": 6, "start_from": "{}"}, "freeze_d must be from 0 to 5 for a discriminator of 16x16, got 6"),
        ({"freeze_d": 1, "start_from": "{}/network.safetensors"}, "this run has none from a model"),
        ({"freeze_d": -1}, "freeze_d must be a whole number of 0 or more; got -1"),
        ({"freeze_d": 1.5}, "freeze_d must be a whole number"),
    ],
)
def test_what_cannot_be_frozen_is_refused_before_the_run(
    model: Model, tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    given: dict[str, Any] = {
        key: value.format(model[0]) if isinstance(value, str) else value for key, value in options.items()
    }
    with pytest.raises(InputError) as error:
        run(tmp_path / "run", **given)
    assert message in str(error.value)
    assert not (tmp_path / "run").exists()
