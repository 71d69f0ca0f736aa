"""The reader of mmgeneration's and mmagic's files, against an emulation of their networks on the port's own tensors."""

import sys
import types
from collections.abc import Callable
from math import log2
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from stylegan.errors import UnsafeFileError, WeightsError
from stylegan.weights.checkpoint import Checkpoint
from stylegan.weights.ports import read_port_file

from . import writers as ports
from .emulations import emulate_mmgeneration, emulate_mmgeneration_discriminator, emulate_mmgeneration_mapping
from .golden_sets import as_discriminator, as_generator, golden_set, noise_of


def parts(name: str) -> Any:
    """A golden set, and its two networks in the port's layout."""
    golden = golden_set(name)
    d = ports.mmgeneration_discriminator(ports.widened(golden.d))
    return golden, ports.mmgeneration_generator(golden.g), d


def assert_close(given: torch.Tensor, expected: torch.Tensor) -> None:
    assert (given - expected).square().mean().sqrt() <= 1e-5 * expected.square().mean().sqrt()


def published(name: str = "B", **options: Any) -> dict[str, Any]:
    golden = golden_set(name)
    meta = {"config": "model = dict()", "seed": 0, "iter": 670_000, "mmcv_version": "1.3.0"}
    return {"meta": meta, "state_dict": ports.mmgeneration(golden.g, ports.widened(golden.d), **options)}


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("name", ["T", "B"])
def test_a_published_file(read: Callable[..., list[Checkpoint]], name: str, legacy: bool) -> None:
    golden, g_port, d_port = parts(name)
    G, D = read(published(name), "styleganv1_ffhq_256.pth", legacy=legacy)
    network, ws, noise = as_generator(G), golden["wplus_random"], noise_of(golden.g)
    assert_close(network.mapping(golden["z"]), emulate_mmgeneration_mapping(g_port, golden["z"]))
    assert_close(network.synthesis(ws), emulate_mmgeneration(g_port, ws, noise).flip(1))
    assert G.config["synthesis"]["quirks"] == {"instance_norm_epsilon": 1e-5, "activate_before_blur": True}
    assert (G.config["synthesis"]["lod"], G.config["truncation_cutoff"]) == (0, None)
    assert G.metadata["source"] == "generator_ema (mmgeneration layout) of styleganv1_ffhq_256.pth"

    reals = golden["reals"]
    assert_close(as_discriminator(D)(reals), emulate_mmgeneration_discriminator(d_port, reals.flip(1)))
    quirks = D.config["quirks"]
    assert (quirks["from_rgb_kernel"], quirks["linear_dense"]) == (3, True)


def test_which_generator(read: Callable[..., list[Checkpoint]]) -> None:
    golden, g_port, _ = parts("T")
    (trained, _) = read(published("T"), network="G")
    ws, noise = golden["wplus_random"], noise_of(golden.g)
    other = {name: tensor + 1 for name, tensor in g_port.items()}
    assert trained.metadata["source"].startswith("generator (mmgeneration layout)")
    other = {name: g_port[name] if name.endswith("kernel") else tensor for name, tensor in other.items()}
    assert_close(as_generator(trained).synthesis(ws, noise=noise), emulate_mmgeneration(other, ws, noise).flip(1))


@pytest.mark.parametrize("share", [1.0, 0.25])
def test_mid_growth(read: Callable[..., list[Checkpoint]], share: float) -> None:
    golden, g_port, d_port = parts("B")
    top = ports.resolution_of(golden.g)
    scale = top // 4
    G, D = read(published("B", scale=scale, share=share))
    lod = log2(top / scale) + 1 - share
    assert (G.config["synthesis"]["lod"], D.config["lod"]) == (lod, lod)
    assert f"stored while growing: {scale}x{scale} is shown by {share:.3g}" in G.metadata["notes"][0]
    ws, noise = golden["wplus_random"], noise_of(golden.g)
    expected = emulate_mmgeneration(g_port, ws, noise, scale=scale, share=share).flip(1)
    assert_close(as_generator(G).synthesis(ws, enlarge=False), expected)
    small = torch.nn.functional.avg_pool2d(golden["reals"], top // scale)
    assert_close(as_discriminator(D)(small), emulate_mmgeneration_discriminator(d_port, small.flip(1), share=share))


def test_the_parts_alone(read: Callable[..., list[Checkpoint]]) -> None:
    golden, g_port, d_port = parts("T")
    ws = golden["wplus_random"]
    expected = emulate_mmgeneration(g_port, ws, noise_of(golden.g)).flip(1)
    whole = published("T")["state_dict"]
    averaged = {name: tensor for name, tensor in whole.items() if name.startswith("generator_ema.")}
    for file in (g_port, averaged, {"state_dict": averaged}):
        (G,) = read(file)
        assert_close(as_generator(G).synthesis(ws), expected)
    (D,) = read(d_port)
    assert_close(
        as_discriminator(D)(golden["reals"]), emulate_mmgeneration_discriminator(d_port, golden["reals"].flip(1))
    )


def saved_by_mmagic(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """A training file with the records of losses, whose class this computer does not have."""
    module: Any = types.ModuleType("mmengine.logging.history_buffer")

    class HistoryBuffer:
        def __init__(self) -> None:
            self._log_history, self._count_history = np.arange(5.0), np.ones(5)
            self._statistics_methods = {name: getattr(HistoryBuffer, name) for name in ("mean", "largest")}

        def mean(self) -> None: ...

        def largest(self) -> None: ...

    for name in ("mean", "largest"):
        method = getattr(HistoryBuffer, name)
        method.__qualname__, method.__module__ = f"HistoryBuffer.{name}", module.__name__
    HistoryBuffer.__module__, HistoryBuffer.__qualname__ = module.__name__, "HistoryBuffer"
    module.HistoryBuffer = HistoryBuffer
    for name in ("mmengine", "mmengine.logging"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    monkeypatch.setitem(sys.modules, module.__name__, module)
    golden = golden_set("T")
    state = ports.mmgeneration(golden.g, ports.widened(golden.d), prefix="module.")
    state |= {"generator_ema.steps": torch.tensor(7)}
    hub = {"log_scalars": {"train/loss": HistoryBuffer()}, "runtime_info": {"iter": 7}, "resumed_keys": {}}
    optimizer: dict[str, Any] = {name: {"state": {}, "param_groups": []} for name in ("generator", "discriminator")}
    file = {"meta": {"cfg": "x"}, "state_dict": state, "message_hub": hub, "optimizer": optimizer}
    path = tmp_path / "iter_7.pth"
    torch.save(file, path)
    for name in ("mmengine", "mmengine.logging", module.__name__):
        monkeypatch.delitem(sys.modules, name)
    return path


def test_a_training_file_of_mmagic(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    golden, g_port, _ = parts("T")
    G, D = read_port_file(saved_by_mmagic(monkeypatch, tmp_path))
    ws = golden["wplus_random"]
    assert_close(as_generator(G).synthesis(ws), emulate_mmgeneration(g_port, ws, noise_of(golden.g)).flip(1))
    assert D.network == "Discriminator"


def test_its_neighbours_are_named(read: Callable[..., list[Checkpoint]]) -> None:
    with pytest.raises(WeightsError, match=r"a StyleGAN2 \(MMGeneration's\)"):
        read({"state_dict": {"generator.constant_input.input": torch.ones(1), "generator.x": torch.ones(2)}})
    with pytest.raises(WeightsError, match=r"a Progressive GAN \(MMGeneration's\)"):
        read({"noise2feat.linear.weight_orig": torch.ones(2, 2)})


def test_what_cannot_be(read: Callable[..., list[Checkpoint]]) -> None:
    file = published("T")
    file["state_dict"]["_curr_scale_int"] = torch.tensor(3, dtype=torch.int32)
    with pytest.raises(WeightsError, match="not its shapes: a network of"):
        read(file)
    file = published("T")
    del file["state_dict"]["generator_ema.to_rgbs.0.conv.bias"]
    with pytest.raises(WeightsError, match=r"tensor 'to_rgbs.0.conv.bias' is missing"):
        read(file)
    with pytest.raises(UnsafeFileError):
        read(published("T") | {"array": np.ones(3)})


def test_its_configs_make_the_networks_again(read: Callable[..., list[Checkpoint]]) -> None:
    for checkpoint in read(published("T")):
        assert isinstance(checkpoint, Checkpoint)
        network = (as_generator if checkpoint.network == "Generator" else as_discriminator)(checkpoint)
        assert network.config["img_resolution"] == ports.resolution_of(golden_set("T").g)
