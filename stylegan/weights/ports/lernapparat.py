"""lernapparat and ganspace: official scales and order, epsilon 1e-5, one RGB layer, no noise maps, no average w.

A file is one state dict, of the generator or of the discriminator (*.for_g_all.pt, *.for_d_basic.pt).
"""

import re

from ..checkpoint import Checkpoint
from .checkpoints import Converted, make_discriminator, make_generator
from .common import Layout, Parts, Request, Source, Tensors, any_part, holds
from .huangzh13 import take_block

_is_generator = holds("g_synthesis.blocks.4x4.conv.weight", "g_synthesis.torgb.weight")
_is_discriminator = holds("fromrgb.weight", "4x4.dense0.weight")


def _convert(parts: Parts, request: Request) -> list[Checkpoint]:
    generators = [_generator(tensors, request) for tensors in parts.values() if _is_generator(tensors)]
    discriminators = [_discriminator(tensors, request) for tensors in parts.values() if _is_discriminator(tensors)]
    return generators[:1] + discriminators[:1]


def _resolutions(tensors: Tensors, pattern: str) -> list[int]:
    return sorted({int(match[1]) for name in tensors if (match := re.match(pattern, name))})


def _generator(tensors: Tensors, request: Request) -> Checkpoint:
    port, out = Source(tensors, request), Converted()
    out.copy_mapping(port, "g_mapping.dense{}")
    if "truncation.avg_latent" in port:
        out.state["w_avg"] = port.take("truncation.avg_latent")

    resolutions = _resolutions(tensors, r"g_synthesis\.blocks\.(\d{1,4})x\1\.")
    for i, resolution in zip(range(0, 100, 2), resolutions, strict=False):
        take_block(port, out, f"g_synthesis.blocks.{resolution}x{resolution}", resolution=resolution, i=i)
    out.copy(port, "g_synthesis.torgb", f"synthesis.to_rgb.{resolutions[-1]}")
    port.finish(ignore=r"g_synthesis\.blocks\.\d+x\d+\.conv0_up\.intermediate\.kernel")
    return make_generator(
        out, request, source="generator (lernapparat and ganspace layout)", quirks={"instance_norm_epsilon": 1e-5}
    )


def _discriminator(tensors: Tensors, request: Request) -> Checkpoint:
    port, out = Source(tensors, request), Converted()
    resolutions = _resolutions(tensors, r"(\d{1,4})x\1\.")
    names = {f"4x4.{name}": f"head.{name}" for name in ("conv", "dense0", "dense1")}
    names["fromrgb"] = f"from_rgb.{resolutions[-1]}.conv"
    for r in resolutions[1:]:
        names |= {f"{r}x{r}.conv0": f"blocks.{r}.conv0", f"{r}x{r}.conv1_down": f"blocks.{r}.conv1"}
    for theirs, ours in names.items():
        out.copy(port, theirs, ours)
    port.finish(ignore=r"\d+x\d+\.(blur|conv1_down\.downscale\.blur)\.kernel")
    return make_discriminator(out, request, source="discriminator (lernapparat layout)")


LAYOUT = Layout("lernapparat", any_part(_is_generator, _is_discriminator), _convert)
