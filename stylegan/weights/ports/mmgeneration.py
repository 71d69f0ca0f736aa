"""mmgeneration and its successor mmagic: StyleGANV1 of OpenMMLab, published files, training files and bare networks.

A file is {state_dict, meta}; its names begin with generator, generator_ema (the average) and discriminator. Other
numbers in it say how far the network was grown.

Its networks are not the official ones: layers that double the size are activated before their blur and again after
the noise; the discriminator has RGB layers of 3x3, widens in the first convolution of a block, and has no activation
between its dense layers. Images are BGR. Gains are sqrt(2) except in the mapping network and the last layer.
"""

from math import log2, sqrt

import torch
from torch import Tensor

from ...runtime.device import FLOAT32_CPU
from ..checkpoint import Checkpoint
from .checkpoints import Converted, discriminator_names, make_discriminator, make_generator
from .common import Layout, Parts, Request, Source, Tensors, choose_part

_AVERAGED, _TRAINED, _DISCRIMINATOR = "generator_ema", "generator", "discriminator"


def _is_generator(tensors: Tensors) -> bool:
    names = ("convs.0.conv1.input", "convs.0.adain1.affine.weight_orig", "style_mapping.1.linear.weight_orig")
    return all(name in tensors for name in names)


def _is_discriminator(tensors: Tensors) -> bool:
    return all(name in tensors for name in ("final_linear.0.linear.weight_orig", "convs.0.0.conv.weight_orig"))


def _split(parts: Parts) -> dict[str, Tensors]:
    """The networks of a file by the prefix of their names; a bare one by its part."""
    found: dict[str, Tensors] = {}
    for part, tensors in parts.items():
        for prefix in (_AVERAGED, _TRAINED, _DISCRIMINATOR):
            own = {k.removeprefix(f"{prefix}."): v for k, v in tensors.items() if k.startswith(f"{prefix}.")}
            own = {k.removeprefix("module."): v for k, v in own.items()}
            if _is_generator(own) or _is_discriminator(own):
                found.setdefault(prefix, own)
        if _is_generator(tensors) or _is_discriminator(tensors):
            found.setdefault(part, tensors)
    return found


def _recognise(parts: Parts) -> bool:
    return bool(_split(parts))


def _convert(parts: Parts, request: Request) -> list[Checkpoint]:
    networks = _split(parts)
    generators = {name: tensors for name, tensors in networks.items() if _is_generator(tensors)}
    checkpoints = []
    if generators:
        name, notes = choose_part(generators, request, averaged=_AVERAGED, trained=_TRAINED)
        checkpoints.append(_generator(name, generators[name], request, parts, notes))
    for name, tensors in networks.items():
        if _is_discriminator(tensors):
            checkpoints.append(_discriminator(name, tensors, request, parts))
            break
    return checkpoints


def _lod(resolution: int, parts: Parts, notes: list[str]) -> float:
    """The level of detail, from numbers outside the networks: 0 unless the file was stored while growing."""
    numbers = {key: float(v) for tensors in parts.values() for key, v in tensors.items() if v.numel() == 1}
    scale = numbers.get("_curr_scale_int", resolution)
    share = numbers.get("_curr_transition_weight", 1.0)
    if not 4 <= scale <= resolution or not 0 <= share <= 1:
        raise ValueError(f"a network of {resolution}x{resolution} at {scale:g}x{scale:g}, blended by {share:g}")
    lod = log2(resolution / scale) + 1 - share
    if lod:
        notes.append(f"stored while growing: {scale:g}x{scale:g} is shown by {share:.3g}, layers above are untrained")
    return lod


def _generator(part: str, tensors: Tensors, request: Request, parts: Parts, notes: tuple[str, ...]) -> Checkpoint:
    port, out = Source(tensors, request), Converted(notes=list(notes))
    state = out.state
    layers = 0
    while f"style_mapping.{layers + 1}.linear.weight_orig" in port:
        layers += 1
        # Ours have gain sqrt(2).
        weight = port.take(f"style_mapping.{layers}.linear.weight_orig") / sqrt(2)
        # They divide z by its root mean square, about 1, plus 1e-6; ours is equivalent to plus 5e-9.
        state[f"mapping.layers.{layers - 1}.weight"] = weight * (1 - 1e-6) if layers == 1 else weight
        state[f"mapping.layers.{layers - 1}.bias"] = port.take(f"style_mapping.{layers}.bias")
    blocks = port.count("convs.{}.conv2.conv.bias")
    for block in range(blocks):
        _block(port, out, block)
        rgb, name = f"synthesis.to_rgb.{4 << block}", f"to_rgbs.{block}.conv"
        state[f"{rgb}.weight"] = port.take(f"{name}.weight_orig", 4).flip(0) * sqrt(2)
        state[f"{rgb}.bias"] = port.take(f"{name}.bias").flip(0)
    # Blur kernels are constants.
    port.finish(ignore=r"convs\.\d+\.conv1\.1\.kernel|steps")
    return make_generator(
        out,
        request,
        source=f"{part or 'generator'} (mmgeneration layout)",
        truncation_cutoff=None,
        lod=_lod(2 << blocks, parts, out.notes),
        quirks={"instance_norm_epsilon": 1e-5, "activate_before_blur": True},
    )


def _block(port: Source, out: Converted, block: int) -> None:
    """The two layers of a resolution."""
    i, name = 2 * block, f"convs.{block}"
    if block == 0:
        const = port.take(f"{name}.conv1.input", 4)
        out.layer(0, "source.const", const)
        out.layer(0, "bias", torch.zeros(const.shape[1], **FLOAT32_CPU))
    else:
        # An ordinary convolution at every resolution: never flipped.
        out.layer(i, "source.weight", port.take(f"{name}.conv1.0.conv.weight_orig", 4))
        out.layer(i, "bias", port.take(f"{name}.conv1.0.conv.bias"))
    out.layer(i + 1, "source.weight", port.take(f"{name}.conv2.conv.weight_orig", 4))
    out.layer(i + 1, "bias", port.take(f"{name}.conv2.conv.bias"))
    for k in (0, 1):
        affine = f"{name}.adain{k + 1}.affine"
        out.layer(i + k, "style.weight", port.take(f"{affine}.weight_orig", 2) * sqrt(2))
        bias = port.take(f"{affine}.bias", 1).clone()
        channels = len(bias) // 2
        bias[:channels] -= 1  # The scale; the other half is the shift.
        out.layer(i + k, "style.bias", bias)
        strength: Tensor = port.take(f"{name}.noise_injector{k + 1}.weight", 1)
        out.layer(i + k, "noise_strength", strength.expand(channels))
        out.layer(i + k, "noise_const", port.take(f"injected_noise_{i + k}", 4))


def _discriminator(part: str, tensors: Tensors, request: Request, parts: Parts) -> Checkpoint:
    port, out = Source(tensors, request), Converted()
    blocks = port.count("from_rgb.{}.conv.bias")

    def copy(ours: str, theirs: str) -> None:
        out.state[f"{ours}.weight"] = port.take(f"{theirs}.weight_orig")
        out.state[f"{ours}.bias"] = port.take(f"{theirs}.bias")

    names = discriminator_names(blocks, rgb="from_rgb.{}.conv", first="convs.{}.0.conv", second="convs.{}.2.conv")
    for theirs, ours in names.items():
        copy(ours, theirs)
        if ours.startswith("from_rgb"):
            out.state[f"{ours}.weight"] = out.state[f"{ours}.weight"].flip(1)
    copy("head.conv", f"convs.{blocks - 1}.0.conv")
    copy("head.dense0", f"convs.{blocks - 1}.1.conv")
    out.state["head.dense0.weight"] = out.state["head.dense0.weight"].flatten(1)
    out.state["head.dense1.weight"] = port.take("final_linear.0.linear.weight_orig")
    out.state["head.dense1.bias"] = port.take("final_linear.0.bias")
    port.finish(ignore=r"convs\.\d+\.1\.kernel")
    return make_discriminator(
        out,
        request,
        source=f"{part or 'discriminator'} (mmgeneration layout)",
        lod=_lod(2 << blocks, parts, out.notes),
        quirks={"from_rgb_kernel": 3, "linear_dense": True, "widen_first": True},
    )


# The integers are the resolutions at which the file was stored, and is stored next.
LAYOUT = Layout("mmgeneration", _recognise, _convert, integers=("_curr_scale_int", "_next_scale_int"))
