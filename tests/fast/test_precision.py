"""float32 means float32: torch's switch for TF32 is off while a network renders, and as it was afterwards."""

import threading
from collections.abc import Iterator
from types import ModuleType
from typing import Any, cast

import pytest
import torch

from stylegan import Generator
from stylegan.networks import discriminator, synthesis
from stylegan.runtime import precision
from stylegan.runtime.precision import _tf32_off, full_float32
from tests.conftest import Golden


def is_allowed() -> bool:
    cudnn = torch.backends.cudnn
    return cudnn.conv.fp32_precision == "tf32" if hasattr(cudnn, "conv") else cudnn.allow_tf32


@pytest.fixture(params=[True, False])
def before(request: pytest.FixtureRequest) -> Iterator[Any]:
    was = precision._allow_tf32(request.param)
    yield request.param
    precision._allow_tf32(was)


@pytest.mark.filterwarnings("error")
def test_the_switch_is_off_inside_and_as_it_was_afterwards(before: bool) -> None:
    with _tf32_off():
        with _tf32_off():
            assert not is_allowed()
        assert not is_allowed()
    assert is_allowed() == before


def fail() -> None:
    with _tf32_off():
        raise KeyError


def test_the_switch_is_as_it_was_after_an_error(before: bool) -> None:
    with pytest.raises(KeyError):
        fail()
    assert is_allowed() == before


@pytest.mark.filterwarnings("error")
def test_older_versions_have_another_switch(monkeypatch: pytest.MonkeyPatch) -> None:
    class Older:
        allow_tf32 = True

    monkeypatch.setattr(torch.backends, "cudnn", Older)
    with _tf32_off():
        assert Older.allow_tf32 is False
    assert Older.allow_tf32 is True


def test_it_is_off_until_the_last_thread_is_done(before: bool) -> None:
    entered, leave = threading.Event(), threading.Event()

    def render() -> None:
        with _tf32_off():
            entered.set()
            leave.wait(10)

    thread = threading.Thread(target=render)
    with _tf32_off():
        thread.start()
        assert entered.wait(10)
    assert not is_allowed()
    leave.set()
    thread.join()
    assert is_allowed() == before


def test_only_float32_networks_in_evaluation_mode_turn_it_off(tiny: Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    taken = []
    monkeypatch.setattr(precision, "_tf32_off", lambda: taken.append(True) or torch.no_grad())

    class OnGpu:
        device = torch.device("cuda")
        dtype = torch.float32

    half = OnGpu()
    half.dtype = torch.float16
    for network, x, expected in (
        (tiny, OnGpu(), [True]),
        (tiny, half, []),
        (tiny, torch.zeros(1), []),
        (Generator(img_resolution=8).train(), OnGpu(), []),
    ):
        taken.clear()
        with full_float32(network, cast(Any, x)):
            pass
        assert taken == expected


@pytest.mark.parametrize("module", [synthesis, discriminator])
def test_the_networks_ask_for_it(module: ModuleType, golden_t: Golden, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(module, "full_float32", lambda network, x: asked.append(network) or torch.no_grad())
    img = golden_t.Gs.synthesis(golden_t.Gs.ws([1], labels=(golden_t.Gs.label_dim and [0]) or None))
    golden_t.D(img, None if not golden_t.D.label_dim else torch.eye(golden_t.D.label_dim)[:1])
    assert asked == [golden_t.Gs.synthesis if module is synthesis else golden_t.D]
