"""huangzh13's StyleGAN.pytorch: official scales and order, epsilon 1e-5, no noise maps.

Each file is one state dict: GAN_GEN_DEPTH_EPOCH.pth, GAN_GEN_SHADOW_... (the average) or GAN_DIS_...; the trained
resolution, 4 * 2^depth, is inferred from weights that are still zero, or else from the name.
"""

import re

import torch
from torch import Tensor

from ...errors import WeightsError
from ...runtime.device import FLOAT32_CPU
from ..checkpoint import Checkpoint
from .checkpoints import Converted, discriminator_names, make_discriminator, make_generator
from .common import (
    Layout,
    Parts,
    Request,
    Source,
    Tensors,
    any_part,
    count_names,
    count_trained,
    holds,
    is_zero,
    settle_resolution,
    up_kernel,
)

_is_generator = holds("g_mapping.map.dense0.weight", "g_synthesis.init_block.conv.weight")
_is_discriminator = holds("final_block.conv.weight", "from_rgb.0.weight")


def _convert(parts: Parts, request: Request) -> list[Checkpoint]:
    counts = [_trained_depths(tensors) for tensors in parts.values()]
    trained = max((2 << count for count in counts if count is not None), default=None)
    depth = re.search(r"GAN_(?:GEN|DIS)(?:_SHADOW)?_(\d)_\d+", request.name)
    request = settle_resolution(request, trained=trained, named=4 << int(depth[1]) if depth else None)
    generators = [_generator(tensors, request) for tensors in parts.values() if _is_generator(tensors)]
    discriminators = [_discriminator(tensors, request) for tensors in parts.values() if _is_discriminator(tensors)]
    return generators[:1] + discriminators[:1]


def _trained_depths(tensors: Tensors) -> int | None:
    """How many resolutions of a generator or discriminator were trained."""
    if _is_generator(tensors):
        n = count_names(tensors, "g_synthesis.blocks.{}.conv1.bias")
        blocks = ["init_block", *(rf"blocks\.{i}" for i in range(n))]
        inner = [rf"g_synthesis\.{block}\.(conv\w*\.bias|epi\d\.top_epi\.noise\.weight)" for block in blocks]
        rgb = [f"g_synthesis.to_rgb.{i}.bias" for i in range(n + 1)]
    else:
        n = count_names(tensors, "blocks.{}.conv0.bias")
        inner = [r"final_block\.conv\.bias", *(rf"blocks\.{n - 1 - i}\.conv(0|1_down)\.bias" for i in range(n))]
        rgb = [f"from_rgb.{n - i}.bias" for i in range(n + 1)]
    if not all(name in tensors for name in rgb):
        return None
    found = [[tensor for name, tensor in tensors.items() if re.fullmatch(pattern, name)] for pattern in inner]
    return count_trained(found, [tensors[name] for name in rgb])


def _generator(tensors: Tensors, request: Request) -> Checkpoint:
    port, out = Source(tensors, request), Converted()
    state = out.state
    if "g_synthesis.init_block.dense.weight" in port:
        raise WeightsError(
            f"{request.path}: a network whose input is no learned constant has a bias for each pixel in this port, "
            "which StyleGAN has not; it cannot be converted"
        )
    out.copy_mapping(port, "g_mapping.map.dense{}")
    if "class_embedding.weight" in port:
        state["mapping.embed.weight"] = port.take("class_embedding.weight", 2).T
    if "truncation.avg_latent" in port:
        state["w_avg"] = port.take("truncation.avg_latent")

    blocks = [f"g_synthesis.blocks.{i}" for i in range(port.count("g_synthesis.blocks.{}.conv1.weight"))]
    for i, name in enumerate(["g_synthesis.init_block", *blocks]):
        take_block(port, out, name, resolution=4 << i, i=2 * i)
    # Their converter fills only the last RGB layer; the biases of the others are then 0.
    last = port.count("g_synthesis.to_rgb.{}.weight") - 1
    biases = [port.take(f"g_synthesis.to_rgb.{i}.bias") for i in range(last + 1)]
    untrained = last > 0 and not is_zero(biases[-1]) and all(is_zero(bias) for bias in biases[:-1])
    for i in range(last + 1):
        weight = port.take(f"g_synthesis.to_rgb.{i}.weight")
        if i == last or not untrained:
            state[f"synthesis.to_rgb.{4 << i}.weight"], state[f"synthesis.to_rgb.{4 << i}.bias"] = weight, biases[i]
    if untrained:
        out.notes.append("only the last RGB layer is trained")
    taps = _blur_taps(port, "g_synthesis.blocks.0.conv0_up.intermediate.kernel")
    port.finish(ignore=r"g_synthesis\.blocks\.\d+\.conv0_up\.intermediate\.kernel")
    return make_generator(
        out, request, source="generator (huangzh13 layout)", quirks={"instance_norm_epsilon": 1e-5}, blur_filter=taps
    )


def take_block(port: Source, out: Converted, name: str, *, resolution: int, i: int) -> None:
    """Layers i and i + 1: the block of a resolution, as this port and lernapparat name its tensors."""
    if i:
        out.layer(i, "source.weight", up_kernel(port.take(f"{name}.conv0_up.weight", 4), resolution))
        out.layer(i, "bias", port.take(f"{name}.conv0_up.bias"))
    else:
        out.layer(0, "source.const", port.take(f"{name}.const"))
        out.layer(0, "bias", port.take(f"{name}.bias"))
    second = f"{name}.conv1" if i else f"{name}.conv"
    out.layer(i + 1, "source.weight", port.take(f"{second}.weight"))
    out.layer(i + 1, "bias", port.take(f"{second}.bias"))
    for k in (0, 1):
        if f"{name}.epi{k + 1}.top_epi.noise.weight" in port:
            out.layer(i + k, "noise_strength", port.take(f"{name}.epi{k + 1}.top_epi.noise.weight"))
        out.layer(i + k, "style.weight", port.take(f"{name}.epi{k + 1}.style_mod.lin.weight"))
        out.layer(i + k, "style.bias", port.take(f"{name}.epi{k + 1}.style_mod.lin.bias"))


def _blur_taps(port: Source, name: str) -> list[float] | None:
    """The taps of a blur from its kernel [1, 1, k, k]; None if the network has none."""
    if name not in port:
        return None
    kernel: Tensor = port.take(name, 4)
    taps = kernel.sum(dim=(0, 1, 3))
    standard = torch.tensor([0.25, 0.5, 0.25], **FLOAT32_CPU)
    return [1, 2, 1] if taps.shape == standard.shape and torch.allclose(taps, standard) else taps.tolist()


def _discriminator(tensors: Tensors, request: Request) -> Checkpoint:
    port, out = Source(tensors, request), Converted()
    if "embeddings.0.weight" in port:
        raise WeightsError(
            f"{request.path}: a discriminator of this port takes labels as an extra input image, which is not "
            "StyleGAN; it cannot be converted"
        )
    steps = port.count("from_rgb.{}.weight")
    names = {f"final_block.{name}": f"head.{name}" for name in ("conv", "dense0", "dense1")}
    names |= discriminator_names(steps, rgb="from_rgb.{}", first="blocks.{}.conv0", second="blocks.{}.conv1_down")
    for theirs, ours in names.items():
        out.copy(port, theirs, ours)
    taps = _blur_taps(port, "blocks.0.blur.kernel")
    port.finish(ignore=r"blocks\.\d+\.(blur|conv1_down\.downscale\.blur)\.kernel")
    return make_discriminator(
        out, request, source="discriminator (huangzh13 layout)", quirks={"from_rgb_activations": 0}, blur_filter=taps
    )


LAYOUT = Layout("huangzh13", any_part(_is_generator, _is_discriminator), _convert)
