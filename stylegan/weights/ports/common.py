"""What the readers of other ports' files share: taking tensors by name, and making our checkpoint of them.

A reader names each of our tensors after those of the port. Everything else follows from the shapes: resolution,
feature maps, sizes of the latents. Tensors that are missing or left over are an error, never a guess.
"""

import logging
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import log2, sqrt
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ...errors import InputError, WeightsError
from ...networks.mapping import MappingNetwork
from ...networks.shapes import feature_maps, resolution_of
from ...runtime.device import FLOAT32_CPU
from ...runtime.tensor_files import check_finite
from ..checkpoint import Checkpoint, NetworkName

logger = logging.getLogger(__name__)

Tensors = Mapping[str, Tensor]
# The state dicts of a file by their name in it; "" for a file that is a state dict itself.
Parts = Mapping[str, Tensors]
AverageW = Callable[[Tensors, Mapping[str, Any]], Tensor]  # From our tensors and the config.

MAX_RESOLUTION = 4096
NUM_W_AVG = 10_000


@dataclass(frozen=True)
class Request:
    """What is known of a file besides its tensors."""

    path: Path
    resolution: int | None = None  # Of the image: what the caller gave, then what the tensors or the name tell.
    network: NetworkName = "Gs"  # Which generator of a file with two: "G" = as trained, else the averaged one.
    fused_from: int = 128  # Lowest resolution to which genforce's networks enlarge by a transposed convolution.
    average: Tensor | None = None  # The average w, where the file keeps one apart from its generator.
    make_average: "AverageW | None" = None  # How an average w that the file lacks is had; None = `average_w`.
    notes: tuple[str, ...] = ()  # What was decided before the tensors were converted.

    @property
    def name(self) -> str:
        """The file name, with its ending."""
        return self.path.name


@dataclass(frozen=True)
class Layout:
    """One layout of weights in circulation."""

    name: str
    recognise: Callable[[Parts], bool]  # By keys alone.
    convert: Callable[[Parts, Request], list[Checkpoint]]  # The generator first, then the discriminator if any.


def refused(name: str, recognise: Callable[[Parts], bool], reason: str) -> Layout:
    """A layout that is known and cannot be read, with the reason."""

    def convert(parts: Parts, request: Request) -> list[Checkpoint]:
        raise WeightsError(f"{request.path}: {reason}")

    return Layout(name, recognise, convert)


def count_names(tensors: Tensors, pattern: str) -> int:
    """How many names there are of the form `pattern.format(0)`, `pattern.format(1)`..."""
    n = 0
    while pattern.format(n) in tensors:
        n += 1
    return n


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
            raise WeightsError(f"{self.request.path}: tensor {name!r} is missing")
        tensor = self.tensors[name]
        if ndim is not None and tensor.ndim != ndim:
            raise WeightsError(
                f"{self.request.path}: tensor {name!r} is {list(tensor.shape)}; expected {ndim} dimensions"
            )
        self.taken.add(name)
        return finite(name, tensor.float(), self.request)

    def count(self, pattern: str) -> int:
        """How many names there are of the form `pattern.format(0)`, `pattern.format(1)`..."""
        return count_names(self.tensors, pattern)

    def finish(self, ignore: str = r"(?!)") -> None:
        """Raise WeightsError if tensors are left over, besides those whose names match `ignore`."""
        left = [name for name in self.tensors if name not in self.taken and not re.fullmatch(ignore, name)]
        if left:
            more = f" and {len(left) - 5} more" if len(left) > 5 else ""
            names = ", ".join(repr(name[:60]) for name in left[:5])
            raise WeightsError(f"{self.request.path}: unexpected tensors {names}{more}")


def choose_part(found: Parts, request: Request, *, averaged: str, trained: str) -> tuple[str, tuple[str, ...]]:
    """The key of the generator that is asked for, and notes: another one of the file stands in for none but says so.

    found: the generators of the file; averaged, trained: their keys. Raises WeightsError if "G" is asked for and the
    file holds the averaged generator alone.
    """
    if request.network == "G" and averaged in found and trained not in found:
        raise WeightsError(
            f"{request.path}: holds no generator as trained (G), only the averaged one ({averaged}); ask for Gs"
        )
    order = (trained, averaged) if request.network == "G" else (averaged, trained)
    name = next((name for name in order if name in found), next(iter(found)))
    if request.network == "Gs" and name == trained and averaged not in found:
        return name, (f"the file holds no averaged generator: this is {trained!r}, as trained",)
    return name, ()


def average_apart(parts: Parts) -> Tensor | None:
    """The average w that stands beside the networks, [w_dim]: by its name, or as a further item of a list."""
    for part, tensors in parts.items():
        for name, tensor in tensors.items():
            known = re.fullmatch(r"((d?latent|w)_?(avg|mean)|(avg|mean)_?(d?latent|w))", name.rpartition(".")[2])
            if (known or (not part and name.isdecimal())) and not is_zero(tensor) and 0 < tensor.ndim <= 3:
                rows = tensor.float().reshape(-1, tensor.shape[-1])
                return rows.mean(dim=0)
    return None


# How far a network that always holds all its resolutions was grown.


def count_trained(inner: Sequence[Sequence[Tensor]], rgb: Sequence[Tensor]) -> int | None:
    """How many resolutions were trained, told by what still has its initial zeros; None = the tensors do not tell.

    inner: biases and noise strengths of each resolution, from 4x4 on; rgb: the bias of its RGB layer.
    """
    trained = []
    for tensors, bias in zip(inner, rgb, strict=True):
        zeros = [is_zero(tensor) for tensor in tensors]
        if any(zeros) and not (all(zeros) and is_zero(bias)):
            return None
        trained.append(not any(zeros))
    count = trained.count(True)
    return count if count and all(trained[:count]) else None


def settle_resolution(request: Request, *, trained: int | None, named: int | None) -> Request:
    """The request with its resolution: what the caller gave, else what the tensors tell, else what the name tells.

    Raises WeightsError if the caller asks for more than was trained.
    """
    if request.resolution is not None:
        if trained is not None and request.resolution > trained:
            raise WeightsError(
                f"{request.path}: resolution {request.resolution} was asked for, but its tensors are trained up to "
                f"{trained}x{trained} only"
            )
        return request
    if trained is None and named is None:
        return request
    note = None
    if trained is None:
        note = f"the resolution, {named}x{named}, is that of the file's name: the tensors do not tell it"
    elif named not in (None, trained):
        note = f"the file's name says {named}x{named}, but its tensors are trained to {trained}x{trained}, which counts"
    if note:
        logger.warning("%s: %s", request.path, note)
    return replace(request, resolution=trained or named, notes=(*request.notes, *([note] if note else [])))


# Conversions of single tensors.


def finite(name: str, tensor: Tensor, request: Request) -> Tensor:
    """A tensor whose values are finite numbers. Raises WeightsError, which names it, for others."""
    check_finite(tensor, f"{request.path}: tensor {name!r}")
    return tensor


def he_std(weight: Tensor, gain: float) -> float:
    """The constant of He's initializer for a weight [out, in, ...]: what equalized layers multiply by."""
    return gain / sqrt(max(weight[0].numel(), 1))


def is_fused(resolution: int) -> bool:
    """Whether a port enlarges to this resolution by a transposed convolution, which sees its kernel flipped."""
    return resolution >= 128


def up_kernel(weight: Tensor, resolution: int, *, fused_from: int = 128) -> Tensor:
    """The kernel [out, in, 3, 3] of a layer that doubles the size, as an ordinary convolution sees it."""
    return weight.flip(2, 3) if resolution >= fused_from else weight


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
    """The checkpoint of a discriminator from its tensors under our names. options: those that shapes do not tell."""
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
        # Which convolution of a block changes the number of feature maps: the second, but in rosinality's networks.
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
    """The mean of w over 10,000 z of seed 0, with classes in turn: what the mapping network makes on average."""
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
    """The checkpoint, its tensors copied out of the file; those of `state` are used up."""
    for name, tensor in state.items():
        finite(name, tensor, request)
    notes = [*request.notes, *notes]
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
        f"{request.path}: its numbers of feature maps {dict(channels)} do not follow fmap_base / 2^stage up to fmap_max"
    )
