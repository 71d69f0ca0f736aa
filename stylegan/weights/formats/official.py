"""Converts the plain data of an official file to our config and state dict.

The official code keeps only the options that differ from its defaults, so these defaults are repeated here.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from math import isfinite
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ...errors import WeightsError
from ...runtime.tensor_files import check_finite
from ..checkpoint import Checkpoint
from .official_pickle import OfficialNetwork

# Pattern of an official name -> our name, from its groups.
_Rules = dict[str, Callable[..., str]]

# Official option -> (our option, official default).
_LATENTS = {
    "latent_size": ("z_dim", 512),
    "dlatent_size": ("w_dim", 512),
    "label_size": ("label_dim", 0),
}
_IMAGE = {
    "resolution": ("img_resolution", 1024),
    "num_channels": ("img_channels", 3),
}
_MAPPING = {
    "mapping_layers": ("num_layers", 8),
    "mapping_fmaps": ("hidden_dim", 512),
    "mapping_lrmul": ("lr_multiplier", 0.01),
    "mapping_nonlinearity": ("nonlinearity", "lrelu"),
    "use_wscale": ("equalized_lr", True),
    "normalize_latents": ("normalize_z", True),
}
_SYNTHESIS = {
    "fmap_base": ("fmap_base", 8192),
    "fmap_decay": ("fmap_decay", 1.0),
    "fmap_max": ("fmap_max", 512),
    "use_styles": ("use_styles", True),
    "const_input_layer": ("const_input", True),
    "use_noise": ("use_noise", True),
    "use_pixel_norm": ("use_pixel_norm", False),
    "use_instance_norm": ("use_instance_norm", True),
    "nonlinearity": ("nonlinearity", "lrelu"),
    "use_wscale": ("equalized_lr", True),
    "blur_filter": ("blur_filter", [1, 2, 1]),
}
_DISCRIMINATOR = {
    "resolution": ("img_resolution", 32),
    "num_channels": ("img_channels", 1),
    "label_size": ("label_dim", 0),
    "fmap_base": ("fmap_base", 8192),
    "fmap_decay": ("fmap_decay", 1.0),
    "fmap_max": ("fmap_max", 512),
    "nonlinearity": ("nonlinearity", "lrelu"),
    "use_wscale": ("equalized_lr", True),
    "mbstd_group_size": ("mbstd_group_size", 4),
    "mbstd_num_features": ("mbstd_num_features", 1),
    "blur_filter": ("blur_filter", [1, 2, 1]),
}


def convert_official(network: OfficialNetwork, metadata: dict[str, Any] | None = None) -> Checkpoint:
    """Convert a generator (G_style) or a discriminator (D_basic) of an official file to our checkpoint.

    Raises WeightsError for other networks, and for variables that ours do not have.
    """
    if network.build_func_name == "G_style":
        return _convert_generator(network, metadata or {})
    if network.build_func_name == "D_basic":
        return _convert_discriminator(network, metadata or {})
    raise WeightsError(
        f"network {network.name!r} was built by {network.build_func_name!r}; only the official G_style and D_basic "
        "can be converted"
    )


def with_average(
    network: OfficialNetwork,
    networks: Mapping[str, OfficialNetwork],
    beside: Mapping[str, Any],
    metadata: dict[str, Any],
) -> OfficialNetwork:
    """Add the average w to a generator that lacks it, from elsewhere in the file; its metadata then says so.

    networks: all of the file. beside: its other arrays, by position or name.
    """
    if network.build_func_name != "G_style" or "dlatent_avg" in network.variables:
        return network
    others = {name: other.variables.get("dlatent_avg") for name, other in networks.items()}
    apart = {name: array for part in beside.values() for name, array in part.items()}
    for where, average in {**others, **apart}.items():
        if average is not None and average.ndim and average.size == average.shape[-1]:
            metadata["notes"] = [f"w_avg is the one that the file keeps apart from this generator, at {where!r}"]
            return replace(network, variables={**network.variables, "dlatent_avg": average.reshape(-1)})
    return network


def _convert_generator(network: OfficialNetwork, metadata: dict[str, Any]) -> Checkpoint:
    mapping, synthesis = network.components.get("mapping"), network.components.get("synthesis")
    if mapping is None or synthesis is None:
        raise WeightsError(f"generator {network.name!r} lacks its component 'mapping' or 'synthesis'")
    if (mapping.build_func_name, synthesis.build_func_name) != ("G_mapping", "G_synthesis"):
        raise WeightsError(
            f"generator {network.name!r} is made of {mapping.build_func_name!r} and {synthesis.build_func_name!r}; "
            "only the official G_mapping and G_synthesis can be converted"
        )

    options = synthesis.static_kwargs
    psi = _option(network.static_kwargs, "truncation_psi", 0.7)
    cutoff = _option(network.static_kwargs, "truncation_cutoff", 8)
    if psi is None or cutoff is None or cutoff <= 0:  # Each of these is the official way to say "no truncation".
        psi, cutoff = 1.0, None
    config = _rename(mapping.static_kwargs, _LATENTS) | _rename(options, _IMAGE)
    config |= {
        "truncation_psi": psi,
        "truncation_cutoff": cutoff,
        "mapping": _rename(mapping.static_kwargs, _MAPPING),
        "synthesis": _rename(options, _SYNTHESIS) | _growing(options, network, synthesis),
    }
    resolution = config["img_resolution"]

    state: dict[str, Tensor] = {}
    for name, value in network.variables.items():
        if name == "dlatent_avg":
            state["w_avg"] = _tensor(name, value)
        elif name != "lod":
            raise WeightsError(f"unknown variable {name!r} in {network.name!r}")
    for name, value in mapping.variables.items():
        state[f"mapping.{mapping_key(name)}"] = _tensor(name, value)
    for name, value in synthesis.variables.items():
        if name == "lod":
            continue
        # A fused layer uses its kernel flipped: flip it once here, so that one operator serves all layers.
        if (match := re.fullmatch(r"(\d+)x\1/Conv0_up/weight", name)) and _is_fused(options, int(match[1])):
            value = value[::-1, ::-1]
        state[f"synthesis.{synthesis_key(name, resolution)}"] = _tensor(name, value)
    return Checkpoint("Generator", config, state, metadata)


def _convert_discriminator(network: OfficialNetwork, metadata: dict[str, Any]) -> Checkpoint:
    config = _rename(network.static_kwargs, _DISCRIMINATOR) | _growing(network.static_kwargs, network)
    state = {
        discriminator_key(name, config["img_resolution"]): _tensor(name, value)
        for name, value in network.variables.items()
        if name != "lod"
    }
    return Checkpoint("Discriminator", config, state, metadata)


def _rename(options: dict[str, Any], table: dict[str, tuple[str, Any]]) -> dict[str, Any]:
    return {ours: _option(options, official, default) for official, (ours, default) in table.items()}


def _option(options: dict[str, Any], name: str, default: Any) -> Any:
    """The value of an official option, of the type of its default; these three may be None."""
    value = options.get(name, default)
    if value is None and name in ("truncation_psi", "truncation_cutoff", "blur_filter"):
        return None
    if isinstance(default, float) and isinstance(value, int) and abs(value) < 2**53:
        value = float(value)
    if type(default) is int and isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(default, bool) and value in (0, 1):
        value = bool(value)
    if type(value) is not type(default) or (isinstance(value, float) and not isfinite(value)):
        raise WeightsError(f"official option {name} is {value!r}; expected a value like {default!r}")
    return value


def _growing(options: dict[str, Any], *networks: OfficialNetwork) -> dict[str, Any]:
    """Structure and level of detail. A generator's own lod takes precedence over that of its synthesis network."""
    lods = [n.variables["lod"].item() for n in networks if "lod" in n.variables and n.variables["lod"].size == 1]
    if lods and not isfinite(lods[0]):
        raise WeightsError("variable 'lod' holds NaN or infinity")
    return {"progressive": options.get("structure") != "fixed", "lod": lods[0] if lods else 0.0}


def _is_fused(options: dict[str, Any], resolution: int) -> bool:
    fused_scale = options.get("fused_scale", "auto")
    return resolution >= 128 if fused_scale == "auto" else bool(fused_scale)


def _tensor(name: str, value: np.ndarray) -> Tensor:
    """Official layout to ours: conv [kh, kw, in, out] -> [out, in, kh, kw], dense [in, out] -> [out, in]."""
    if name.endswith("weight"):
        value = value.transpose(3, 2, 0, 1) if value.ndim == 4 else value.T
    with np.errstate(over="ignore"):
        tensor = torch.from_numpy(np.array(value, dtype=np.float32, order="C"))
    check_finite({name: tensor}, "variable")
    return tensor


_PARAMETERS = {"const": "source.const", "Noise/weight": "noise_strength", "bias": "bias", "weight": "source.weight"}
_PARAMETERS |= {"StyleMod/weight": "style.weight", "StyleMod/bias": "style.bias"}


def mapping_key(name: str) -> str:
    """Our name of a variable of G_mapping. Raises WeightsError if there is none."""
    rules: _Rules = {
        r"LabelConcat/weight": lambda: "embed.weight",
        r"Dense(\d+)/(weight|bias)": lambda layer, parameter: f"layers.{layer}.{parameter}",
    }
    return _apply(rules, name, "mapping network")


def synthesis_key(name: str, resolution: int) -> str:
    """Our name of a variable of G_synthesis at this image resolution. Raises WeightsError if there is none."""
    rules: _Rules = {
        r"noise(\d+)": lambda layer: f"layers.{layer}.noise_const",
        r"ToRGB_lod(\d+)/(weight|bias)": lambda lod, parameter: f"to_rgb.{_at_lod(resolution, lod)}.{parameter}",
        r"(\d+)x\1/Dense/weight": lambda size: f"layers.{_layer(size)}.source.dense.weight",
        rf"(\d+)x\1/(Const|Dense|Conv0_up|Conv|Conv1)/({'|'.join(_PARAMETERS)})": (
            lambda size, scope, parameter: f"layers.{_layer(size, scope)}.{_PARAMETERS[parameter]}"
        ),
    }
    return _apply(rules, name, "synthesis network")


def discriminator_key(name: str, resolution: int) -> str:
    """Our name of a variable of D_basic at this image resolution. Raises WeightsError if there is none."""
    rules: _Rules = {
        r"FromRGB_lod(\d+)/(weight|bias)": (
            lambda lod, parameter: f"from_rgb.{_at_lod(resolution, lod)}.conv.{parameter}"
        ),
        r"4x4/(Conv|Dense0|Dense1)/(weight|bias)": lambda layer, parameter: f"head.{layer.lower()}.{parameter}",
        r"(\d+)x\1/(Conv0|Conv1)(?:_down)?/(weight|bias)": (
            lambda size, layer, parameter: f"blocks.{size}.{layer.lower()}.{parameter}"
        ),
    }
    return _apply(rules, name, "discriminator")


def _apply(rules: _Rules, name: str, network: str) -> str:
    """What the first rule that matches makes of a name. Raises WeightsError if none does."""
    for pattern, key in rules.items():
        if match := re.fullmatch(pattern, name):
            return key(*match.groups())
    raise WeightsError(f"unknown variable {name!r} in the {network}")


def _layer(size: str, scope: str = "") -> int:
    """The layer of a block: its second is Conv at 4x4, Conv1 above."""
    return 2 * (int(size).bit_length() - 3) + (scope in ("Conv", "Conv1"))


def _at_lod(resolution: int, lod: str) -> int:
    return resolution >> min(int(lod), 64)
