"""Tensors under our names -> our checkpoints. Configs are inferred from the shapes of the tensors."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import log2
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ...errors import InputError, WeightsError
from ...networks.mapping import MappingNetwork
from ...networks.shapes import feature_maps, resolution_of
from ...runtime.device import FLOAT32_CPU
from ..checkpoint import Checkpoint
from .common import Request, Source, Tensors, finite, is_zero

MAX_RESOLUTION = 4096
NUM_W_AVG = 10_000


@dataclass
class Converted:
    """A network under our names, and what is known about it."""

    state: dict[str, Tensor] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)  # What the reader decided or could not know.

    def layer(self, i: int, key: str, tensor: Tensor) -> None:
        """Set a tensor of synthesis layer i."""
        self.state[f"synthesis.layers.{i}.{key}"] = tensor

    def copy(self, port: Source, theirs: str, ours: str) -> None:
        """Take the weight and the bias of a layer as they are."""
        for key in ("weight", "bias"):
            self.state[f"{ours}.{key}"] = port.take(f"{theirs}.{key}")

    def copy_mapping(self, port: Source, pattern: str) -> None:
        """Take the mapping layers `pattern.format(0)`, `pattern.format(1)`... as they are."""
        for i in range(port.count(f"{pattern}.weight")):
            self.copy(port, pattern.format(i), f"mapping.layers.{i}")


def from_highest(steps: int) -> list[tuple[int, int]]:
    """The steps of a discriminator with their resolutions: (0, that of the image), ... (steps - 1, 4)."""
    return [(i, 4 << (steps - 1 - i)) for i in range(steps)]


def discriminator_names(steps: int, *, rgb: str, first: str, second: str) -> dict[str, str]:
    """Our names of a discriminator's layers below its head, by those of a port that numbers steps as `from_highest`.

    rgb, first, second: names of the layers of a step, with {} for its number.
    """
    names = {}
    for i, resolution in from_highest(steps):
        names[rgb.format(i)] = f"from_rgb.{resolution}.conv"
        if resolution > 4:
            names[first.format(i)] = f"blocks.{resolution}.conv0"
            names[second.format(i)] = f"blocks.{resolution}.conv1"
    return names


def make_generator(
    converted: Converted,
    request: Request,
    *,
    source: str,
    lr_multiplier: float = 0.01,
    truncation_cutoff: int | None = 8,
    lod: float = 0.0,
    **synthesis: Any,
) -> Checkpoint:
    """The checkpoint of a generator from its tensors under our names.

    lr_multiplier: of the mapping network. synthesis: options of the synthesis network that shapes do not determine.
    Missing noise maps are drawn from seed 0, a missing w_avg is computed from the mapping network; both are noted.
    """
    state, notes = converted.state, converted.notes
    numbers = [int(m[1]) for name in state if (m := re.match(r"synthesis\.layers\.(\d+)\.", name))]
    stored = 4 << (max(numbers, default=0) // 2)
    resolution = _check_resolution(request.resolution or stored, stored, request)
    if resolution < stored:
        notes.append(f"cut from {stored}x{stored} to {resolution}x{resolution}")
        lod = max(lod - log2(stored / resolution), 0.0)
        state = {name: tensor for name, tensor in state.items() if resolution_of(name) <= resolution}
    rgb = [int(name.split(".")[2]) for name in state if re.match(r"synthesis\.to_rgb\.\d+\.weight", name)]
    if resolution not in rgb:
        raise WeightsError(f"{request.path}: no layer makes images of {resolution}x{resolution}; it has {sorted(rgb)}")
    resolutions = [4 << i for i in range(int(log2(resolution)) - 1)]

    try:
        channels = {r: len(state[f"synthesis.layers.{2 * i + 1}.bias"]) for i, r in enumerate(resolutions)}
        w_dim = state["synthesis.layers.1.style.weight"].shape[1]
        first = state["mapping.layers.0.weight"]
    except (KeyError, IndexError) as error:
        raise WeightsError(f"{request.path}: lacks a part of the network: {error}") from error
    num_mapping = sum(bool(re.fullmatch(r"mapping\.layers\.\d+\.weight", name)) for name in state)
    if not 0 < num_mapping <= 100:
        raise WeightsError(f"{request.path}: has {num_mapping} mapping layers; expected 1 to 100")
    embed = state.get("mapping.embed.weight")
    use_noise = "synthesis.layers.0.noise_strength" in state
    if use_noise and not any(name.endswith("noise_const") for name in state):
        notes.append("the file has no noise maps: they are drawn from seed 0")
        state |= _draw_noise(resolutions, shared=bool(synthesis.get("quirks", {}).get("noise_per_resolution")))

    config: dict[str, Any] = {
        "z_dim": embed.shape[0] if embed is not None else first.shape[1],
        "w_dim": w_dim,
        "label_dim": embed.shape[1] if embed is not None else 0,
        "img_resolution": resolution,
        "img_channels": len(state[f"synthesis.to_rgb.{resolution}.weight"]),
        "truncation_psi": 0.7,
        "truncation_cutoff": truncation_cutoff,
        "mapping": {"num_layers": num_mapping, "hidden_dim": len(first), "lr_multiplier": lr_multiplier},
        "synthesis": {
            **_feature_map_options(channels, request),
            "const_input": "synthesis.layers.0.source.const" in state,
            "use_noise": use_noise,
            "progressive": len(rgb) > 1,
            "lod": lod,
            **synthesis,
        },
    }
    apart = request.average if request.average is not None and request.average.shape == (w_dim,) else None
    if apart is not None and ("w_avg" not in state or is_zero(state["w_avg"])):
        notes.append("w_avg is the one that the file keeps apart from this generator")
        state["w_avg"] = finite("the average w", apart, request)
    if "w_avg" not in state or is_zero(state["w_avg"]):
        notes.append(f"the file has no average w: w_avg is the mean over {NUM_W_AVG} z of seed 0")
        state["w_avg"] = (request.make_average or average_w)(state, config)
    if tuple(state["w_avg"].shape) != (w_dim,):
        raise WeightsError(f"{request.path}: the average w is {list(state['w_avg'].shape)}; expected [{w_dim}]")
    return _checkpoint("Generator", config, state, notes, request, source)


def make_discriminator(converted: Converted, request: Request, *, source: str, **options: Any) -> Checkpoint:
    """The checkpoint of a discriminator from its tensors under our names. options: those that shapes do not give."""
    state, notes = converted.state, converted.notes
    stored = max((int(m[1]) for name in state if (m := re.match(r"blocks\.(\d+)\.", name))), default=4)
    resolution = _check_resolution(request.resolution or stored, stored, request)
    if resolution < stored:
        notes.append(f"cut from {stored}x{stored} to {resolution}x{resolution}")
        options["lod"] = max(options.get("lod", 0.0) - log2(stored / resolution), 0.0)
        state = {name: tensor for name, tensor in state.items() if resolution_of(name) <= resolution}
    rgb = [name for name in state if re.match(r"from_rgb\.\d+\.conv\.weight", name)]
    if f"from_rgb.{resolution}.conv.weight" not in rgb:
        raise WeightsError(f"{request.path}: the discriminator does not take images of {resolution}x{resolution}")
    try:
        channels = {2: len(state["head.dense0.weight"]), 4: len(state["head.conv.weight"])}
        for r in [8 << i for i in range(int(log2(resolution)) - 2)]:
            channels[r] = state[f"blocks.{r}.conv0.weight"].shape[1]
        mbstd = state["head.conv.weight"].shape[1] - channels[4]
        scores = len(state["head.dense1.weight"])
        # The second convolution of a block changes the number of feature maps, except in some ports.
        if any(len(state[f"blocks.{r}.conv0.weight"]) != channels[r] for r in channels if r > 4):
            options["quirks"] = options.get("quirks", {}) | {"widen_first": True}
    except (KeyError, IndexError) as error:
        raise WeightsError(f"{request.path}: lacks a part of the discriminator: {error}") from error
    config = {
        "img_resolution": resolution,
        "img_channels": state[f"from_rgb.{resolution}.conv.weight"].shape[1],
        "label_dim": scores if scores > 1 else 0,
        **_feature_map_options(channels, request),
        "mbstd_group_size": 4 if mbstd else 0,
        "mbstd_num_features": max(mbstd, 1),
        "progressive": len(rgb) > 1,
        **options,
    }
    return _checkpoint("Discriminator", config, state, notes, request, source)


@torch.no_grad()
def average_w(state: Tensors, config: Mapping[str, Any]) -> Tensor:
    """The mean of w over 10,000 z of seed 0, with classes in turn: the mapping network's average output."""
    label_dim = config["label_dim"]
    sizes = {name: config[name] for name in ("z_dim", "w_dim", "label_dim")}
    network = MappingNetwork(**sizes, **config["mapping"], seed=None)
    own = {name.removeprefix("mapping."): tensor for name, tensor in state.items() if name.startswith("mapping.")}
    draws = np.random.RandomState(0).standard_normal((NUM_W_AVG, config["z_dim"]))
    total = torch.zeros(config["w_dim"], dtype=torch.float64, device="cpu")
    try:
        network.load_state_dict(own)
        for i, z in enumerate(torch.from_numpy(draws.astype(np.float32)).split(1000)):
            classes = (torch.arange(len(z), device="cpu") + i * 1000) % max(label_dim, 1)
            labels = F.one_hot(classes, label_dim).float() if label_dim else None
            total += network(z, labels).double().sum(dim=0)
    except RuntimeError as error:
        raise WeightsError(f"the mapping network does not fit together: {str(error).splitlines()[0][:200]}") from error
    return (total / NUM_W_AVG).float()


def _checkpoint(
    network: str, config: dict[str, Any], state: dict[str, Tensor], notes: list[str], request: Request, source: str
) -> Checkpoint:
    """The checkpoint, with its tensors copied out of the file; `state` is emptied."""
    for name, tensor in state.items():
        finite(name, tensor, request)
    notes = [*request.notes, *notes]
    # One by one, so that intermediate tensors are freed.
    own = {
        name: state.pop(name).to(torch.float32, copy=True, memory_format=torch.contiguous_format)
        for name in list(state)
    }
    stem = request.name.rsplit(".", 1)[0] or request.name
    metadata: dict[str, Any] = {"name": stem, "source": f"{source} of {request.name}"}
    return Checkpoint(network, config, own, metadata | ({"notes": notes} if notes else {}))


def _check_resolution(resolution: int, stored: int, request: Request) -> int:
    if resolution not in [8 << i for i in range(10)] or not 8 <= stored <= MAX_RESOLUTION or resolution > stored:
        raise WeightsError(
            f"{request.path}: resolution {resolution} does not go with a network of up to {stored}x{stored}; "
            f"expected a power of two from 8 to {min(stored, MAX_RESOLUTION)}"
        )
    return resolution


def _draw_noise(resolutions: list[int], *, shared: bool) -> dict[str, Tensor]:
    """Noise maps from seed 0, for each layer or for each resolution."""
    generator = torch.Generator("cpu").manual_seed(0)
    maps: dict[str, Tensor] = {}
    for i, r in enumerate(resolutions):
        one = torch.randn(1, 1, r, r, generator=generator, **FLOAT32_CPU)
        two = one if shared else torch.randn(1, 1, r, r, generator=generator, **FLOAT32_CPU)
        maps |= {f"synthesis.layers.{2 * i}.noise_const": one, f"synthesis.layers.{2 * i + 1}.noise_const": two}
    return maps


def _feature_map_options(channels: Mapping[int, int], request: Request) -> dict[str, Any]:
    """fmap_base, fmap_decay and fmap_max that give these numbers of feature maps by resolution."""
    highest = max(channels)
    fmap_max = max(channels.values())
    # The decay between the two highest resolutions, if they are below the maximum; 1 in all known files.
    decays = [1.0]
    if channels[highest] and fmap_max > channels[highest // 2] > channels[highest]:
        decays.append(round(log2(channels[highest // 2] / channels[highest]), 2))
    for decay in decays:
        base = round(channels[highest] * (highest / 2) ** decay)
        for fmap_base in (base, base + highest // 2 - 1):
            options = {"fmap_base": fmap_base, "fmap_decay": decay, "fmap_max": fmap_max}
            try:
                if all(feature_maps(r, **options) == n for r, n in channels.items()):
                    return options
            except InputError:
                continue
    raise WeightsError(
        f"{request.path}: its numbers of feature maps {dict(channels)} do not follow fmap_base / 2^stage up to fmap_max"
    )
