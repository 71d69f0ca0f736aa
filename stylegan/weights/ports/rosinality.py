"""rosinality's style-based-gan-pytorch since July 2019: always nine blocks, trained or not.

A file is {generator, discriminator, g_running, ...}, where g_running is the average, or one state dict.

Differences from the official networks: the bias of upscaling layers is added before the blur, both layers of a
resolution share their noise, the epsilon of instance normalization is 1e-5. Equalized weights all have gain sqrt(2),
noise strengths are equalized too, and the stored scales of styles include the 1.
"""

import re
from collections.abc import Sequence
from math import sqrt

import torch
from torch import Tensor

from ...errors import WeightsError
from ...runtime.device import FLOAT32_CPU
from ..checkpoint import Checkpoint
from .checkpoints import Converted, from_highest, make_discriminator, make_generator
from .common import (
    Layout,
    Parts,
    Request,
    Source,
    Tensors,
    choose_part,
    count_trained,
    is_fused,
    refused,
    settle_resolution,
)

_QUIRKS = {"instance_norm_epsilon": 1e-5, "bias_before_blur": True, "noise_per_resolution": True}

_UP = "generator.progression.1.conv1.1.conv.weight_orig"
_DOWN = "progression.0.conv1.0.conv.weight_orig"


def _is_generator(tensors: Tensors) -> bool:
    return "style.1.linear.weight_orig" in tensors and _UP in tensors


def _is_discriminator(tensors: Tensors) -> bool:
    return _DOWN in tensors and "linear.linear.weight_orig" in tensors


def _recognise(parts: Parts) -> bool:
    # The discriminator of the older layout has the same names one level deeper, and is handled with its generator.
    return any(_is_generator(tensors) or _is_discriminator(tensors) for tensors in parts.values())


def _is_older(parts: Parts) -> bool:
    names = ("generator.progression.1.conv1.conv.weight_orig", "progression.0.conv.0.conv.weight_orig")
    return any(name in tensors for name in names for tensors in parts.values())


def _convert(parts: Parts, request: Request) -> list[Checkpoint]:
    generators = {name: tensors for name, tensors in parts.items() if _is_generator(tensors)}
    discriminators = {name: tensors for name, tensors in parts.items() if _is_discriminator(tensors)}
    request = _with_resolution(generators, discriminators, request)
    checkpoints = []
    if generators:
        name, notes = choose_part(generators, request, averaged="g_running", trained="generator")
        checkpoints.append(_generator(name, generators[name], request, notes))
    for name, tensors in list(discriminators.items())[:1]:
        checkpoints.append(_discriminator(name, tensors, request))
    return checkpoints


def _with_resolution(generators: Parts, discriminators: Parts, request: Request) -> Request:
    """From blocks that are still zero, or else from a file name such as stylegan-256px.model."""
    counts = [_trained_blocks(tensors) for tensors in generators.values()]
    counts += [_trained_steps(tensors) for tensors in discriminators.values()]
    trained = max((2 << count for count in counts if count is not None), default=None)
    # A bare number may be a date or a batch size.
    sizes = re.findall(r"(?<!\d)(8|16|32|64|128|256|512|1024)(?:px|x\1(?!\d))", request.name, re.IGNORECASE)
    named = int(sizes[0]) if len(set(sizes)) == 1 else None
    request = settle_resolution(request, trained=trained, named=named)
    if request.resolution is not None:
        return request
    hint = ""
    if step := re.search(r"train_step-(\d)\b", request.name):
        n = int(step[1])
        hint = f" (step {n} is {4 << n}, or {2 << n} at the end of training)"
    raise WeightsError(
        f"{request.path}: this layout always holds blocks up to 1024x1024, and its tensors do not say how many were "
        f"trained{hint}; pass resolution (--resolution), or rename the file to end in e.g. -256px.model"
    )


def _trained_blocks(tensors: Tensors) -> int | None:
    """How many blocks of a generator were trained."""
    names = [f"generator.progression.{i}" for i in range(9)]
    inner = [(f"{name}.noise1.weight_orig", f"{name}.noise2.weight_orig", f"{name}.conv2.conv.bias") for name in names]
    rgb = [f"generator.to_rgb.{i}.conv.bias" for i in range(9)]
    return _count(tensors, inner, rgb)


def _trained_steps(tensors: Tensors) -> int | None:
    """How many resolutions of a discriminator were trained."""
    inner = [(f"progression.{8 - i}.conv1.0.conv.bias",) for i in range(9)]
    activated = "from_rgb.0.0.conv.bias" in tensors
    rgb = [f"from_rgb.{8 - i}.0.conv.bias" if activated else f"from_rgb.{8 - i}.conv.bias" for i in range(9)]
    return _count(tensors, inner, rgb)


def _count(tensors: Tensors, inner: Sequence[Sequence[str]], rgb: Sequence[str]) -> int | None:
    if not all(name in tensors for names in (*inner, rgb) for name in names):
        return None
    return count_trained([[tensors[name] for name in names] for names in inner], [tensors[name] for name in rgb])


def _generator(part: str, tensors: Tensors, request: Request, notes: tuple[str, ...]) -> Checkpoint:
    port, out = Source(tensors, request), Converted(notes=list(notes))
    state = out.state

    def equalized(name: str, gain: float = 1.0) -> Tensor:
        return port.take(f"{name}.weight_orig") * gain

    for i in range(_count_layers(port, "style.{}.linear.weight_orig", step=2, start=1)):
        # Their optimizer applies the 0.01 by which others multiply at run time.
        state[f"mapping.layers.{i}.weight"] = equalized(f"style.{2 * i + 1}.linear", 100.0)
        state[f"mapping.layers.{i}.bias"] = port.take(f"style.{2 * i + 1}.linear.bias") * 100.0

    for block in range(port.count("generator.progression.{}.conv2.conv.bias")):
        name, resolution = f"generator.progression.{block}", 4 << block
        if block == 0:
            out.layer(0, "source.const", port.take(f"{name}.conv1.input"))
            channels = port.take(f"{name}.conv1.input", 4).shape[1]
            out.layer(0, "bias", torch.zeros(channels, **FLOAT32_CPU))
        elif is_fused(resolution):
            # [in, out, 3, 3]; four shifted copies are averaged, ours are summed, and the kernel is flipped.
            weight = port.take(f"{name}.conv1.0.weight", 4).transpose(0, 1).flip(2, 3) / 4
            out.layer(2 * block, "source.weight", weight)
            out.layer(2 * block, "bias", port.take(f"{name}.conv1.0.bias"))
        else:
            out.layer(2 * block, "source.weight", equalized(f"{name}.conv1.1.conv"))
            out.layer(2 * block, "bias", port.take(f"{name}.conv1.1.conv.bias"))
        out.layer(2 * block + 1, "source.weight", equalized(f"{name}.conv2.conv"))
        out.layer(2 * block + 1, "bias", port.take(f"{name}.conv2.conv.bias"))
        for k in (0, 1):
            strength = equalized(f"{name}.noise{k + 1}").flatten()
            out.layer(2 * block + k, "noise_strength", strength * sqrt(2 / max(len(strength), 1)))
            style = f"{name}.adain{k + 1}.style.linear"
            out.layer(2 * block + k, "style.weight", equalized(style, sqrt(2)))
            bias = port.take(f"{style}.bias", 1).clone()
            bias[: len(bias) // 2] -= 1  # The scale; the other half is the shift.
            out.layer(2 * block + k, "style.bias", bias)
        state[f"synthesis.to_rgb.{resolution}.weight"] = equalized(f"generator.to_rgb.{block}.conv", sqrt(2))
        state[f"synthesis.to_rgb.{resolution}.bias"] = port.take(f"generator.to_rgb.{block}.conv.bias")
    # The blur kernels are constants, after the convolution, which is one module or two.
    port.finish(ignore=r"generator\.progression\.\d+\.conv1\.[12]\.weight(_flip)?")
    source = f"{part or 'generator'} (rosinality layout)"
    return make_generator(out, request, source=source, truncation_cutoff=None, quirks=_QUIRKS)


def _discriminator(part: str, tensors: Tensors, request: Request) -> Checkpoint:
    port, out = Source(tensors, request), Converted()
    state = out.state
    blocks = port.count("progression.{}.conv1.0.conv.bias")
    activated = "from_rgb.0.0.conv.bias" in port

    def copy(ours: str, theirs: str, gain: float = 1.0) -> None:
        weight = f"{theirs}.weight_orig" if f"{theirs}.weight_orig" in port else f"{theirs}.weight"
        state[f"{ours}.weight"] = port.take(weight) * gain
        state[f"{ours}.bias"] = port.take(f"{theirs}.bias")

    for i, resolution in from_highest(blocks):
        copy(f"from_rgb.{resolution}.conv", f"from_rgb.{i}.0.conv" if activated else f"from_rgb.{i}.conv")
        if resolution > 4:
            copy(f"blocks.{resolution}.conv0", f"progression.{i}.conv1.0.conv")
            fused = is_fused(resolution)
            copy(f"blocks.{resolution}.conv1", f"progression.{i}.conv2.1" + ("" if fused else ".conv"))
    copy("head.conv", f"progression.{blocks - 1}.conv1.0.conv")
    copy("head.dense0", f"progression.{blocks - 1}.conv2.0.conv")
    state["head.dense0.weight"] = state["head.dense0.weight"].flatten(1)
    copy("head.dense1", "linear.linear", sqrt(2))
    port.finish(ignore=r"progression\.\d+\.conv2\.0\.weight(_flip)?")
    return make_discriminator(
        out,
        request,
        source=f"{part or 'discriminator'} (rosinality layout)",
        mbstd_group_size=2**16,  # The whole batch is one group.
        quirks={"from_rgb_activations": int(activated)},
    )


def _count_layers(port: Source, pattern: str, *, step: int, start: int) -> int:
    n = 0
    while pattern.format(start + step * n) in port:
        n += 1
    return n


LAYOUT = Layout("rosinality", _recognise, _convert)
OLDER_LAYOUT = refused(
    "rosinality before July 2019",
    _is_older,
    "written by rosinality's code of before 4 July 2019, whose networks had no blur and another order of "
    "normalization and activation; no StyleGAN computes them, so it cannot be converted",
)
