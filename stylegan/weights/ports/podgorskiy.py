"""podgorskiy's StyleGan (StyleGAN_Blobless), and what ALAE and stylegan_zoo share with it.

A file is {"models": {generator_s, mapping_s, dlatent_avg, ...}, "auxiliary": ...}; the names in _s are the averages.

Weights under the same keys have one of two scales: unscaled, for equalized layers (the project's own conversions of
official files), or already multiplied (its training since August 2019). Nothing in the file says which, but the
standard deviations differ by a wide margin.
"""

import re
from collections.abc import Container
from math import log, sqrt

from torch import Tensor

from ..checkpoint import Checkpoint
from .checkpoints import Converted, discriminator_names, make_discriminator, make_generator
from .common import (
    Layout,
    Parts,
    Request,
    Source,
    Tensors,
    choose_part,
    count_names,
    count_trained,
    he_std,
    is_fused,
    mean_row,
    settle_resolution,
)

CONV = "decode_block.0.conv_2.weight"


class Scaled:
    """The weights of a part, as equalized layers store them, whatever the scale in the file."""

    def __init__(self, port: Source, *, multiplied: bool):
        self.port, self.multiplied = port, multiplied

    def weight(self, name: str, gain: float, *, lr_multiplier: float = 1.0, transpose: bool = False) -> Tensor:
        """A weight [out, in, ...]; `transpose` for [in, out, ...]."""
        weight = self.port.take(name)
        if transpose:
            weight = weight.transpose(0, 1)
        return weight / (he_std(weight, gain) * lr_multiplier) if self.multiplied and len(weight) else weight

    def bias(self, name: str, *, lr_multiplier: float = 1.0) -> Tensor:
        """A bias or a noise strength, [C] or [1, C, 1, 1] -> [C]."""
        bias = self.port.take(name).flatten()
        return bias / lr_multiplier if self.multiplied else bias


def is_multiplied(weights: list[tuple[Tensor, float]]) -> bool:
    """Whether weights are nearer to the scale of He's initializer than to that of equalized layers.

    weights: each with the learning rate multiplier of its layer, whose inverse is its scale if not multiplied.
    """
    score = 0.0
    for weight, lr_multiplier in weights:
        if weight.numel() > 1 and weight.ndim > 1 and (std := weight.float().std().item()) > 0:
            score += 2 * log(std) - log(1 / lr_multiplier) - log(he_std(weight, sqrt(2)))
    return score < 0


def take_decoder(port: Source, out: Converted, *, prefix: str, multiplied: bool) -> None:
    """The synthesis network of this family of ports."""
    scaled = Scaled(port, multiplied=multiplied)
    for block in range(port.count(prefix + "decode_block.{}.conv_2.weight")):
        name, resolution = f"{prefix}decode_block.{block}", 4 << block
        if block == 0:
            out.layer(0, "source.const", port.take(f"{prefix}const"))
        else:
            weight = scaled.weight(f"{name}.conv_1.weight", sqrt(2), transpose=is_fused(resolution))
            out.layer(2 * block, "source.weight", weight.flip(2, 3) if is_fused(resolution) else weight)
        out.layer(2 * block + 1, "source.weight", scaled.weight(f"{name}.conv_2.weight", sqrt(2)))
        for k in (0, 1):
            out.layer(2 * block + k, "bias", scaled.bias(f"{name}.bias_{k + 1}"))
            out.layer(2 * block + k, "noise_strength", scaled.bias(f"{name}.noise_weight_{k + 1}"))
            out.layer(2 * block + k, "style.weight", scaled.weight(f"{name}.style_{k + 1}.weight", 1.0))
            out.layer(2 * block + k, "style.bias", scaled.bias(f"{name}.style_{k + 1}.bias"))
        rgb = f"{prefix}to_rgb.{block}.to_rgb"
        out.state[f"synthesis.to_rgb.{resolution}.weight"] = scaled.weight(f"{rgb}.weight", 1.0)
        out.state[f"synthesis.to_rgb.{resolution}.bias"] = scaled.bias(f"{rgb}.bias")


def take_mapping(port: Source, out: Converted, pattern: str, *, first: int, multiplied: bool, lr: float) -> None:
    """The mapping network: layers `pattern.format(i)` from i = first."""
    scaled, i = Scaled(port, multiplied=multiplied), 0
    while f"{pattern.format(i + first)}.weight" in port:
        name = pattern.format(i + first)
        out.state[f"mapping.layers.{i}.weight"] = scaled.weight(f"{name}.weight", sqrt(2), lr_multiplier=lr)
        out.state[f"mapping.layers.{i}.bias"] = scaled.bias(f"{name}.bias", lr_multiplier=lr)
        i += 1


def take_networks(
    generator: Source,
    mapping: Source,
    out: Converted,
    parts: Parts,
    *,
    pattern: str,
    first: int,
    multiplied: bool,
    lr: float,
) -> None:
    """Take both networks and the average w, each from a part of its own. pattern, first: see `take_mapping`."""
    take_mapping(mapping, out, pattern, first=first, multiplied=multiplied, lr=lr)
    take_decoder(generator, out, prefix="", multiplied=multiplied)
    if "buff" in parts.get("dlatent_avg", {}):
        out.state["w_avg"] = mean_row(parts["dlatent_avg"]["buff"].float(), out.notes)
    mapping.finish()
    generator.finish(ignore=r"decode_block\.\d+\.blur\.weight")


def with_resolution(request: Request, tensors: Tensors) -> Request:
    """The request with the trained resolution, from a decoder's tensors or the file name (_lod5: blocks 0 to 5)."""
    last = count_names(tensors, "decode_block.{}.conv_2.weight") - 1
    keys = ("bias_1", "bias_2", "noise_weight_1", "noise_weight_2")
    inner = [[f"decode_block.{i}.{key}" for key in keys] for i in range(last + 1)]
    rgb = [f"to_rgb.{i}.to_rgb.bias" for i in range(last + 1)]
    trained = None
    if all(name in tensors for names in (*inner, rgb) for name in names):
        trained = count_trained([[tensors[name] for name in names] for names in inner], [tensors[name] for name in rgb])
    lod = re.search(r"_lod(\d)", request.name)
    return settle_resolution(
        request,
        trained=None if trained is None else 2 << trained,
        named=4 << max(min(int(lod[1]), last), 1) if lod else None,
    )


def choose_decoder(generators: Parts, complete: Container[str], request: Request) -> tuple[str, Source, Converted]:
    """The requested generator: its key, its tensors, and an empty result with notes.

    complete: keys of generators whose mapping network is in the file; others are taken only if there are none.
    """
    best = {name: tensors for name, tensors in generators.items() if name in complete} or generators
    name, notes = choose_part(best, request, averaged="generator_s", trained="generator")
    return name, Source(best[name], with_resolution(request, best[name])), Converted(notes=list(notes))


def _is_generator(tensors: Tensors) -> bool:
    return CONV in tensors and "const" in tensors


def is_mapping(tensors: Tensors) -> bool:
    """Whether a part is podgorskiy's mapping network."""
    return "block_1.fc.weight" in tensors


def _recognise(parts: Parts) -> bool:
    return any(map(_is_generator, parts.values())) and any(map(is_mapping, parts.values()))


def _convert(parts: Parts, request: Request) -> list[Checkpoint]:
    generators = {name: tensors for name, tensors in parts.items() if _is_generator(tensors)}
    mappings = {name: tensors for name, tensors in parts.items() if is_mapping(tensors)}
    # The average of both networks, or both as trained.
    complete = {name.replace("mapping", "generator") for name in mappings}
    name, generator, out = choose_decoder(generators, complete, request)
    request = generator.request
    own = name.replace("generator", "mapping")
    mapping = Source(mappings[own if own in mappings else next(iter(mappings))], request)

    convolutions = [(tensor, 1.0) for key, tensor in generator.tensors.items() if key.endswith(".conv_2.weight")]
    denses = [(tensor, 0.01) for key, tensor in mapping.tensors.items() if key.endswith(".fc.weight")]
    multiplied = is_multiplied(convolutions + denses)
    out.notes.append(f"by their standard deviation, the file's weights are {'' if multiplied else 'not '}multiplied")
    take_networks(generator, mapping, out, parts, pattern="block_{}.fc", first=1, multiplied=multiplied, lr=0.01)
    checkpoints = [make_generator(out, request, source=f"{name} (podgorskiy layout)")]
    discriminator = parts.get("discriminator", {})
    if "encode_block.0.conv_1.weight" in discriminator and "fc2.weight" in discriminator:
        checkpoints.append(_discriminator(discriminator, request))
    return checkpoints


def _discriminator(tensors: Tensors, request: Request) -> Checkpoint:
    port, out = Source(tensors, request), Converted()
    convolutions = [(t, 1.0) for key, t in tensors.items() if key.endswith(("conv_1.weight", "conv_2.weight"))]
    scaled = Scaled(port, multiplied=is_multiplied(convolutions))
    steps = port.count("encode_block.{}.conv_1.weight")
    last = f"encode_block.{steps - 1}"
    names = {f"{last}.conv_1": "head.conv", f"{last}.dense": "head.dense0", "fc2": "head.dense1"}
    block = "encode_block.{}"
    names |= discriminator_names(steps, rgb="from_rgb.{}.from_rgb", first=f"{block}.conv_1", second=f"{block}.conv_2")
    for theirs, ours in names.items():
        block, _, part = theirs.rpartition(".")
        bias = f"{block}.bias_{part[-1]}" if part.startswith("conv_") else f"{theirs}.bias"
        out.state[f"{ours}.weight"] = scaled.weight(f"{theirs}.weight", 1.0 if theirs == "fc2" else sqrt(2))
        out.state[f"{ours}.bias"] = scaled.bias(bias)
    # The last block has a second bias that it does not use.
    port.finish(ignore=rf"encode_block\.\d+\.blur\.weight|{re.escape(last)}\.bias_2")
    return make_discriminator(
        out, request, source="discriminator (podgorskiy layout)", quirks={"from_rgb_activations": 2}
    )


LAYOUT = Layout("podgorskiy", _recognise, _convert)
