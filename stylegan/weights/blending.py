"""Related networks -> a new one: layer swapping, blends over resolutions, averages.

Layer swapping follows Pinkney and Adler 2020, "Resolution Dependent GAN Interpolation for Controllable Image Synthesis
Between Domains": the coarse layers of one network with the fine ones of another that was fine-tuned from it.
"""

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from math import log2
from typing import Any, Literal, Self

import torch
from torch import Tensor

from .. import weights
from ..errors import InputError
from ..networks.generator import whole_config
from ..networks.quirks import Quirks, as_quirks
from ..networks.shapes import resolution_of
from ..runtime.checks import check_choice, check_integer, check_number, is_power_of_two, shown
from .pretrained import Pretrained

MappingOf = Literal["own", "other"]

# Settings that belong to no resolution: the authors' truncation, the initial seed.
_HARMLESS = ("truncation_psi", "truncation_cutoff")
# Compared by the resulting shapes: different values may give the same numbers of feature maps.
_BY_SHAPE = ("fmap_base", "fmap_decay", "fmap_max")
# Metadata that a combined network keeps of each one, joined by these.
_JOINED = {"license": " and ", "license_url": "; ", "attribution": " ", "citation": " ", "dataset": " and "}


class Blendable(Pretrained):
    """A generator that can be blended and averaged with others of its architecture."""

    path: Any  # How its images are computed.
    synthesis: Any

    def blend(self, other: Self, *, resolution: int = 32, width: float = 0.0, mapping: MappingOf = "own") -> Self:
        """A new generator: this one below a resolution, the other from there on (Pinkney and Adler 2020).

        other: a network of the same architecture, fine-tuned from this one or from the same parent. Unrelated networks
            do not work together, and cause a UserWarning.
        resolution: the first whose layers, style layers and RGB layer are the other's, from 4 (the whole synthesis
            network) to the image's. Layers below it set pose and shape, the others textures and colours.
        width: 0 = switch there. Otherwise the other's share rises linearly with the logarithm of the resolution, from 0
            to 1 over this many resolutions, half of them on either side: with 2, it is a quarter at the resolution
            below, and three quarters at the first one.
        mapping: the source of the mapping network and average w. "own" keeps the meaning of w: latents and directions
            of this network work with the new one.

        Noise maps are random draws, whose mean would be weaker: at each resolution they come from the network with the
        greater share. The licences of both apply, and are in `metadata`. Raises InputError, which names the
        differences, for another architecture, and for numbers out of range.
        """
        self._check_other(other)
        side = int(self.config["img_resolution"])
        if not is_power_of_two(check_integer(resolution, what="resolution", low=4, high=side)):
            raise InputError(f"resolution must be a power of two from 4 to {side}, got {resolution}")
        check_number(width, what="width", low=0, high=16)
        check_choice(mapping, what="mapping", choices=("own", "other"))

        def shares(key: str) -> list[float]:
            at = resolution_of(key)
            share = _share(at, resolution, width) if at else float(mapping == "other")
            return [1 - share, share]

        facts = {"blend": {"from": resolution, "width": width, "mapping": mapping}}
        return self._combine([other], shares, facts)

    def average(self, others: Sequence[Self], *, weights: Sequence[float] | None = None) -> Self:
        """A new generator whose weights are the mean of several: snapshots, or runs from the same start.

        others: related networks of the same architecture, as in `blend`. weights: weights of the mean, for this network
        and each of the others, 0 or more; None = equal. Noise maps are those of the first network with the greatest
        weight. The licences of all apply. Raises InputError as `blend` does.
        """
        others = list(others)
        for other in others:
            self._check_other(other)
        given = [1.0] * (len(others) + 1) if weights is None else list(weights)
        if len(given) != len(others) + 1:
            raise InputError(f"weights must be one for each of {len(others) + 1} networks, got {len(given)}")
        numbers = [check_number(weight, what="a weight", low=0, high=1e6) for weight in given]
        if not sum(numbers):
            raise InputError(f"weights must not all be 0, got {shown(given)}")
        shares = [number / sum(numbers) for number in numbers]
        return self._combine(others, lambda key: shares, {"average": {"weights": numbers}})

    def _check_other(self, other: Any) -> None:
        if not isinstance(other, Blendable):
            raise InputError(f"expected a Generator besides {self.name}, got {shown(other)}")
        check_architecture(self.checkpoint(), other.checkpoint())

    @torch.inference_mode(False)  # As in `from_pretrained`.
    def _combine(self, others: Sequence[Self], shares: Callable[[str], Sequence[float]], facts: dict[str, Any]) -> Self:
        networks = [self, *others]
        for network in networks:
            network.check_weights()
        parts = [network.checkpoint() for network in networks]
        metadata = combined_metadata([network.metadata for network in networks])
        (method,) = facts
        facts[method] |= {"of": [n.name for n in networks], "weights_sha256": [n.weights_sha256 for n in networks]}
        tensors = {
            key: _mean([part.state_dict[key] for part in parts], shares(key), key) for key in parts[0].state_dict
        }
        source = f"{method} of {' and '.join(network.name for network in networks)}"
        made = weights.build_network(
            type(self), weights.Loaded(weights.Checkpoint(parts[0].network, parts[0].config, tensors), source)
        )
        made.metadata, made.source = metadata | facts, source
        made.to(self.device).eval().requires_grad_(False).synthesis.to(self.dtype)
        made.path = self.path
        return made


def check_architecture(a: "weights.Checkpoint", b: "weights.Checkpoint") -> None:
    """Raise InputError, which names the differences, unless the tensors of two generators mean the same."""
    ours, theirs = (dict(_options(whole_config(part.config))) for part in (a, b))
    differing = [key for key in ours if ours[key] != theirs[key] and key.rpartition(".")[2] not in _HARMLESS]
    shapes = [{key: tensor.shape for key, tensor in part.state_dict.items()} for part in (a, b)]
    if shapes[0] == shapes[1]:
        differing = [key for key in differing if key.rpartition(".")[2] not in _BY_SHAPE]
    if not differing:
        return
    names = [part.metadata.get("name", "unnamed") for part in (a, b)]
    described = [", ".join(f"{key.rpartition('.')[2]} {found[key]}" for key in differing) for found in (ours, theirs)]
    raise InputError(
        f"{names[0]} and {names[1]} have other architectures: {described[0]}, against {described[1]}; only networks of "
        "one architecture, of which one was fine-tuned from the other, can be combined"
    )


def combined_metadata(parts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Metadata of a combined network: all licences and origins; a UserWarning if no origin is shared."""
    found: dict[str, Any] = {"name": "+".join(dict.fromkeys(str(part.get("name", "unnamed")) for part in parts))}
    if any(part.get("license") for part in parts):
        parts = [{**part, "license": part.get("license") or "unknown"} for part in parts]
    for key, between in _JOINED.items():
        if values := list(dict.fromkeys(str(part[key]) for part in parts if part.get(key))):
            found[key] = between.join(values)
    if classes := parts[0].get("classes"):
        found |= {"classes": classes} if all(part.get("classes") == classes for part in parts) else {}
    families = [lineage_of(part) for part in parts]
    named = [{str(known.get("name")) for known in family} - {"None", "unnamed"} for family in families]
    if not set.intersection(*named):
        of = " and ".join(str(part.get("name", "unnamed")) for part in parts)
        warnings.warn(
            f"{of} do not say that they come from one network; if neither was fine-tuned from the other, they make no "
            "sensible images together",
            stacklevel=5,  # The caller of `blend` or `average`.
        )
    lineage: list[dict[str, Any]] = []
    for known in (known for family in families for known in family):
        lineage += [] if known in lineage else [known]
    return found | {"lineage": lineage}


def lineage_of(metadata: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The metadata of a network and of its origins; for some, only the name is known."""
    own = {key: value for key, value in metadata.items() if key != "lineage"}
    origins = metadata.get("lineage")
    known = [own, *(origin for origin in (origins if isinstance(origins, list) else []) if isinstance(origin, dict))]
    named = {origin.get("name") for origin in known}
    return known + [{"name": name} for origin in known if (name := origin.get("start_from")) and name not in named]


def _options(config: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """The arguments of a network and its parts, one by one."""
    for key, value in config.items():
        if key == "quirks":
            value = vars(as_quirks(Quirks, value))
        if isinstance(value, Mapping):
            yield from _options(value, f"{prefix}{key}.")
        else:
            yield prefix + key, list(value) if isinstance(value, tuple) else value


def _share(at: int, resolution: int, width: float) -> float:
    """The share of the other network's weights at a resolution; see `Blendable.blend`."""
    steps = log2(at / resolution) + 0.5  # From the middle between the last own and the first other resolution.
    return float(steps > 0) if width == 0 else min(max(0.5 + steps / width, 0.0), 1.0)


def _mean(tensors: Sequence[Tensor], shares: Sequence[float], key: str) -> Tensor:
    """The weighted mean, to the last bit a tensor that has all the weight; of noise, the one with the most weight."""
    if key.endswith("noise_const") or 1.0 in shares:
        return tensors[shares.index(max(shares))].detach().float().cpu().clone()
    total = torch.zeros(tensors[0].shape, dtype=torch.float64, device="cpu")
    for tensor, share in zip(tensors, shares, strict=True):
        total += share * tensor.detach().cpu().double()
    return total.float()
