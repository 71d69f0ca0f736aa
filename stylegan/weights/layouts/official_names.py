"""Official variables under their official names and shapes, as torch tensors: lernapparat's intermediate file.

A file is a list [G, D, Gs] of dictionaries of the trainable variables: without noise maps, average w or lod.
"""

import re

from torch import Tensor

from ...errors import WeightsError
from ..checkpoint import Checkpoint
from ..official import discriminator_key, mapping_key, synthesis_key
from .common import Converted, Layout, Parts, Request, Tensors, make_discriminator, make_generator, up_kernel


def _is_generator(tensors: Tensors) -> bool:
    return "G_synthesis/4x4/Conv/weight" in tensors and "G_mapping/Dense0/weight" in tensors


def _is_discriminator(tensors: Tensors) -> bool:
    return "4x4/Dense0/weight" in tensors and "4x4/Dense1/weight" in tensors


def _recognise(parts: Parts) -> bool:
    return any(_is_generator(tensors) or _is_discriminator(tensors) for tensors in parts.values())


def _convert(parts: Parts, request: Request) -> list[Checkpoint]:
    generators = [tensors for tensors in parts.values() if _is_generator(tensors)]
    discriminators = [tensors for tensors in parts.values() if _is_discriminator(tensors)]
    checkpoints = [_generator(tensors, request) for tensors in generators[-1:]]  # Gs is the last.
    return checkpoints + [_discriminator(tensors, request) for tensors in discriminators[:1]]


def _generator(tensors: Tensors, request: Request) -> Checkpoint:
    out, resolution = Converted(), _highest(tensors, r"G_synthesis/(\d{1,4})x\1/")
    for name, value in tensors.items():
        if name == "dlatent_avg":
            out.state["w_avg"] = value.float()
        elif name.startswith("G_mapping/"):
            out.state[f"mapping.{mapping_key(name.removeprefix('G_mapping/'))}"] = _tensor(name, value)
        elif name.startswith("G_synthesis/"):
            own = name.removeprefix("G_synthesis/")
            if own == "lod":
                continue
            tensor = _tensor(name, value)
            if (match := re.fullmatch(r"(\d+)x\1/Conv0_up/weight", own)) and tensor.ndim == 4:
                tensor = up_kernel(tensor, int(match[1]))
            out.state[f"synthesis.{synthesis_key(own, resolution)}"] = tensor
        elif name != "lod":
            raise WeightsError(f"{request.name}: unknown variable {name[:60]!r}")
    return make_generator(out, request, source="Gs (official names)")


def _discriminator(tensors: Tensors, request: Request) -> Checkpoint:
    out, resolution = Converted(), _highest(tensors, r"(\d{1,4})x\1/")
    for name, value in tensors.items():
        if name != "lod":
            out.state[discriminator_key(name, resolution)] = _tensor(name, value)
    return make_discriminator(out, request, source="D (official names)")


def _highest(tensors: Tensors, pattern: str) -> int:
    return max(int(match[1]) for name in tensors if (match := re.match(pattern, name)))


def _tensor(name: str, value: Tensor) -> Tensor:
    """Official layout to ours: conv [kh, kw, in, out] -> [out, in, kh, kw], dense [in, out] -> [out, in]."""
    if name.endswith("weight"):
        value = value.permute(3, 2, 0, 1) if value.ndim == 4 else value.T if value.ndim == 2 else value
    return value.float()


LAYOUT = Layout("official names", _recognise, _convert)
