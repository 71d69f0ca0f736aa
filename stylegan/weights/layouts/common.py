"""What the readers of other ports' files share: taking tensors by name, and making our checkpoint of them.

A reader names each of our tensors after those of the port. Everything else follows from the shapes: resolution,
feature maps, sizes of the latents. Tensors that are missing or left over are an error, never a guess.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import log2, sqrt
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ... import ops
from ...architecture import feature_maps
from ...errors import InputError, WeightsError
from ...placement import FLOAT32_CPU
from ..checkpoint import Checkpoint

Tensors = Mapping[str, Tensor]
# The state dicts of a file by their name in it; "" for a file that is a state dict itself.
Parts = Mapping[str, Tensors]

MAX_RESOLUTION = 4096
NUM_W_AVG = 10_000


@dataclass(frozen=True)
class Request:
    """What is known of a file besides its tensors."""

    name: str  # The file name, with its ending.
    resolution: int | None = None  # Of the image, if the caller gave it or the file name tells it.


@dataclass(frozen=True)
class Layout:
    """One layout of weights in circulation."""

    name: str
    recognise: Callable[[Parts], bool]  # By keys alone.
    convert: Callable[[Parts, Request], list[Checkpoint]]  # The generator first, then the discriminator if any.


def refused(name: str, recognise: Callable[[Parts], bool], reason: str) -> Layout:
    """A layout that is known and cannot be read, with the reason."""

    def convert(parts: Parts, request: Request) -> list[Checkpoint]:
        raise WeightsError(f"{request.name}: {reason}")

    return Layout(name, recognise, convert)


class Source:
    """The tensors of one part of a file, taken one by one."""

    def __init__(self, tensors: Tensors, request: Request):
        self.tensors, self.request = tensors, request
        self.taken: set[str] = set()

    def __contains__(self, name: str) -> bool:
        return name in self.tensors

    def take(self, name: str, ndim: int | None = None) -> Tensor:
        """The tensor of that name, float32. Raises WeightsError if there is none, or not of `ndim` dimensions."""
        if name not in self.tensors:
            raise WeightsError(f"{self.request.name}: tensor {name!r} is missing")
        tensor = self.tensors[name]
        if ndim is not None and tensor.ndim != ndim:
            raise WeightsError(
                f"{self.request.name}: tensor {name!r} is {list(tensor.shape)}; expected {ndim} dimensions"
            )
        self.taken.add(name)
        return tensor.float()

    def count(self, pattern: str) -> int:
        """How many names there are of the form `pattern.format(0)`, `pattern.format(1)`..."""
        n = 0
        while pattern.format(n) in self.tensors:
            n += 1
        return n

    def finish(self, ignore: str = r"(?!)") -> None:
        """Raise WeightsError if tensors are left over, besides those whose names match `ignore`."""
        left = [name for name in self.tensors if name not in self.taken and not re.fullmatch(ignore, name)]
        if left:
            more = f" and {len(left) - 5} more" if len(left) > 5 else ""
            names = ", ".join(repr(name[:60]) for name in left[:5])
            raise WeightsError(f"{self.request.name}: unexpected tensors {names}{more}")


# Conversions of single tensors.


def he_std(weight: Tensor, gain: float) -> float:
    """The constant of He's initializer for a weight [out, in, ...]: what equalized layers multiply by."""
    return gain / sqrt(max(weight[0].numel(), 1))


def is_fused(resolution: int) -> bool:
    """Whether a port enlarges to this resolution by a transposed convolution, which sees its kernel flipped."""
    return resolution >= 128


def up_kernel(weight: Tensor, resolution: int) -> Tensor:
    """The kernel [out, in, 3, 3] of a layer that doubles the size, as an ordinary convolution sees it."""
    return weight.flip(2, 3) if is_fused(resolution) else weight


def is_zero(tensor: Tensor) -> bool:
    """Whether all values are exactly 0."""
    return not tensor.any()


def mean_row(average: Tensor, notes: list[str]) -> Tensor:
    """An average w for each layer [num_ws, w_dim] -> one for all [w_dim]."""
    if average.ndim != 2 or not len(average):
        raise WeightsError(f"the average w is {list(average.shape)}; expected one row for each layer")
    if not torch.equal(average, average[:1].expand_as(average)):
        notes.append("w_avg is the mean of the file's averages for each layer")
        return average.mean(dim=0)
    return average[0]


# From tensors under our names to checkpoints.


@dataclass
class Converted:
    """A network under our names, and what is known about it."""

    state: dict[str, Tensor] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)  # What the reader decided or could not know.

    def layer(self, i: int, key: str, tensor: Tensor) -> None:
        """Set a tensor of synthesis layer i."""
        self.state[f"synthesis.layers.{i}.{key}"] = tensor


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

    lr_multiplier: of the mapping network. synthesis: options of the synthesis network besides those that shapes tell.
    Missing noise maps are drawn from seed 0, a missing w_avg is computed from the mapping network; both are noted.
    """
    state, notes = converted.state, converted.notes
    numbers = [int(m[1]) for name in state if (m := re.match(r"synthesis\.layers\.(\d+)\.", name))]
    stored = 4 << (max(numbers, default=0) // 2)
    resolution = _check_resolution(request.resolution or stored, stored, request)
    if resolution < stored:
        notes.append(f"cut from {stored}x{stored} to {resolution}x{resolution}")
        lod = max(lod - log2(stored / resolution), 0.0)
        state = {name: tensor for name, tensor in state.items() if _resolution_of(name) <= resolution}
    rgb = [int(name.split(".")[2]) for name in state if re.match(r"synthesis\.to_rgb\.\d+\.weight", name)]
    if resolution not in rgb:
        raise WeightsError(f"{request.name}: no layer makes images of {resolution}x{resolution}; it has {sorted(rgb)}")
    resolutions = [4 << i for i in range(int(log2(resolution)) - 1)]

    try:
        channels = {r: len(state[f"synthesis.layers.{2 * i + 1}.bias"]) for i, r in enumerate(resolutions)}
        w_dim = state["synthesis.layers.1.style.weight"].shape[1]
        first = state["mapping.layers.0.weight"]
    except (KeyError, IndexError) as error:
        raise WeightsError(f"{request.name}: lacks a part of the network: {error}") from error
    num_mapping = sum(bool(re.fullmatch(r"mapping\.layers\.\d+\.weight", name)) for name in state)
    if not 0 < num_mapping <= 100:
        raise WeightsError(f"{request.name}: has {num_mapping} mapping layers; expected 1 to 100")
    embed = state.get("mapping.embed.weight")
    use_noise = "synthesis.layers.0.noise_strength" in state
    if use_noise and not any(name.endswith("noise_const") for name in state):
        notes.append("the file has no noise maps: they are drawn from seed 0")
        state |= _draw_noise(resolutions, shared=bool(synthesis.get("noise_per_resolution")))

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
    if "w_avg" not in state or is_zero(state["w_avg"]):
        notes.append(f"the file has no average w: w_avg is the mean over {NUM_W_AVG} z of seed 0")
        state["w_avg"] = average_w(state, config)
    if tuple(state["w_avg"].shape) != (w_dim,):
        raise WeightsError(f"{request.name}: the average w is {list(state['w_avg'].shape)}; expected [{w_dim}]")
    return _checkpoint("Generator", config, state, notes, request, source)


def make_discriminator(converted: Converted, request: Request, *, source: str, **options: Any) -> Checkpoint:
    """The checkpoint of a discriminator from its tensors under our names. options: those that shapes do not tell."""
    state, notes = converted.state, converted.notes
    stored = max((int(m[1]) for name in state if (m := re.match(r"blocks\.(\d+)\.", name))), default=4)
    resolution = _check_resolution(request.resolution or stored, stored, request)
    if resolution < stored:
        notes.append(f"cut from {stored}x{stored} to {resolution}x{resolution}")
        options["lod"] = max(options.get("lod", 0.0) - log2(stored / resolution), 0.0)
        state = {name: tensor for name, tensor in state.items() if _resolution_of(name) <= resolution}
    rgb = [name for name in state if re.match(r"from_rgb\.\d+\.conv\.weight", name)]
    if f"from_rgb.{resolution}.conv.weight" not in rgb:
        raise WeightsError(f"{request.name}: the discriminator does not take images of {resolution}x{resolution}")
    try:
        channels = {2: len(state["head.dense0.weight"]), 4: len(state["head.conv.weight"])}
        for r in [8 << i for i in range(int(log2(resolution)) - 2)]:
            channels[r] = state[f"blocks.{r}.conv0.weight"].shape[1]
        mbstd = state["head.conv.weight"].shape[1] - channels[4]
        scores = len(state["head.dense1.weight"])
        # Which convolution of a block changes the number of feature maps: the second, but in rosinality's networks.
        if any(len(state[f"blocks.{r}.conv0.weight"]) != channels[r] for r in channels if r > 4):
            options["widen_first"] = True
    except (KeyError, IndexError) as error:
        raise WeightsError(f"{request.name}: lacks a part of the discriminator: {error}") from error
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


def average_w(state: Tensors, config: Mapping[str, Any]) -> Tensor:
    """The mean of w over 10,000 z of seed 0, with classes in turn: what the mapping network makes on average."""
    gain = sqrt(2) * config["mapping"]["lr_multiplier"]
    draws = np.random.RandomState(0).standard_normal((NUM_W_AVG, config["z_dim"]))
    total = torch.zeros(config["w_dim"], dtype=torch.float64, device="cpu")
    try:
        for i, x in enumerate(torch.from_numpy(draws.astype(np.float32)).split(1000)):
            if config["label_dim"]:
                classes = (torch.arange(len(x), device="cpu") + i * 1000) % config["label_dim"]
                x = torch.cat([x, state["mapping.embed.weight"].T[classes]], dim=1)
            x = ops.pixel_norm(x)
            for k in range(config["mapping"]["num_layers"]):
                weight, bias = state[f"mapping.layers.{k}.weight"], state[f"mapping.layers.{k}.bias"]
                scale = gain / sqrt(weight.shape[1])
                x = F.leaky_relu(F.linear(x, weight * scale, bias * config["mapping"]["lr_multiplier"]), 0.2)
            total += x.double().sum(dim=0)
    except (KeyError, RuntimeError) as error:
        raise WeightsError(f"the mapping network does not fit together: {str(error).splitlines()[0][:200]}") from error
    return (total / NUM_W_AVG).float()


def _checkpoint(
    network: str, config: dict[str, Any], state: dict[str, Tensor], notes: list[str], request: Request, source: str
) -> Checkpoint:
    """The checkpoint, its tensors copied out of the file; those of `state` are used up."""
    for name, tensor in state.items():
        if not tensor.isfinite().all():
            raise WeightsError(f"{request.name}: the values of {name!r} include NaN or infinity")
    # One by one, so that what was computed on the way is freed.
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
            f"{request.name}: resolution {resolution} does not go with a network of up to {stored}x{stored}; "
            f"expected a power of two from 8 to {min(stored, MAX_RESOLUTION)}"
        )
    return resolution


def _resolution_of(name: str) -> int:
    """The resolution that one of our tensors belongs to; 0 for those of no resolution."""
    if match := re.match(r"synthesis\.layers\.(\d+)\.", name):
        return 4 << (int(match[1]) // 2)
    match = re.match(r"(?:synthesis\.to_rgb|from_rgb|blocks)\.(\d+)\.", name)
    return int(match[1]) if match else 0


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
    # The decay that the two highest resolutions show, where the maximum does not hold them; 1 in all known files.
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
        f"{request.name}: its numbers of feature maps {dict(channels)} do not follow fmap_base / 2^stage up to fmap_max"
    )
