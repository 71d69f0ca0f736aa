"""Official variables under their official names and shapes, as torch tensors: lernapparat's intermediate file.

A file is a list [G, D, Gs] of dictionaries of the trainable variables: without noise maps, average w or lod. Some also
have the average w, as a fourth item or under its own name.
"""

import re

from torch import Tensor

from ...errors import WeightsError
from ..checkpoint import Checkpoint
from ..formats.official import discriminator_key, mapping_key, synthesis_key
from .checkpoints import Converted, make_discriminator, make_generator
from .common import Layout, Parts, Request, Tensors, any_part, choose_part, finite, holds, up_kernel

_is_generator = holds("G_synthesis/4x4/Conv/weight", "G_mapping/Dense0/weight")
_is_discriminator = holds("4x4/Dense0/weight", "4x4/Dense1/weight")


def _convert(parts: Parts, request: Request) -> list[Checkpoint]:
    generators = {name: tensors for name, tensors in parts.items() if _is_generator(tensors)}
    discriminators = [tensors for tensors in parts.values() if _is_discriminator(tensors)]
    checkpoints = []
    if generators:
        first, *_, last = [*generators, *generators]  # If they have no names, Gs is the last.
        order = {"averaged": "Gs", "trained": "G"} if "Gs" in generators else {"averaged": last, "trained": first}
        name, notes = choose_part(generators, request, **order)
        checkpoints.append(_generator(generators[name], request, notes))
    return checkpoints + [_discriminator(tensors, request) for tensors in discriminators[:1]]


def _generator(tensors: Tensors, request: Request, notes: tuple[str, ...]) -> Checkpoint:
    out, resolution = Converted(notes=list(notes)), _highest(tensors, r"G_synthesis/(\d{1,4})x\1/")
    for name, value in tensors.items():
        if name == "dlatent_avg":
            out.state["w_avg"] = _tensor(name, value, request)
        elif name.startswith("G_mapping/"):
            out.state[f"mapping.{mapping_key(name.removeprefix('G_mapping/'))}"] = _tensor(name, value, request)
        elif name.startswith("G_synthesis/"):
            own = name.removeprefix("G_synthesis/")
            if own == "lod":
                continue
            tensor = _tensor(name, value, request)
            if (match := re.fullmatch(r"(\d+)x\1/Conv0_up/weight", own)) and tensor.ndim == 4:
                tensor = up_kernel(tensor, int(match[1]))
            out.state[f"synthesis.{synthesis_key(own, resolution)}"] = tensor
        elif name != "lod":
            raise WeightsError(f"{request.path}: unknown variable {name[:60]!r}")
    return make_generator(out, request, source=f"{'G' if request.network == 'G' else 'Gs'} (official names)")


def _discriminator(tensors: Tensors, request: Request) -> Checkpoint:
    out, resolution = Converted(), _highest(tensors, r"(\d{1,4})x\1/")
    for name, value in tensors.items():
        if name != "lod":
            out.state[discriminator_key(name, resolution)] = _tensor(name, value, request)
    return make_discriminator(out, request, source="D (official names)")


def _highest(tensors: Tensors, pattern: str) -> int:
    return max(int(match[1]) for name in tensors if (match := re.match(pattern, name)))


def _tensor(name: str, value: Tensor, request: Request) -> Tensor:
    """Official layout to ours: conv [kh, kw, in, out] -> [out, in, kh, kw], dense [in, out] -> [out, in]."""
    if name.endswith("weight"):
        value = value.permute(3, 2, 0, 1) if value.ndim == 4 else value.T if value.ndim == 2 else value
    return finite(name, value.float(), request)


LAYOUT = Layout("official names", any_part(_is_generator, _is_discriminator), _convert)
