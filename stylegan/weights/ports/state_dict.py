"""The state dict of our own networks without their config: `torch.save(G.state_dict(), path)`.

Sizes are inferred from the tensors. Everything else (the filter, the level of detail, quirks of other ports) is
assumed to be as in the official code, and noted; `G.save` writes a file with all of it.
"""

from ..checkpoint import Checkpoint
from .checkpoints import Converted, make_discriminator, make_generator
from .common import Layout, Parts, Request, Tensors

_GENERATOR, _DISCRIMINATOR = "synthesis.layers.0.bias", "head.dense1.weight"
_NOTE = "a state dict tells no config: filter, options and level of detail are taken to be the defaults; use G.save"


def _recognise(parts: Parts) -> bool:
    return any(_GENERATOR in tensors or _DISCRIMINATOR in tensors for tensors in parts.values())


def _convert(parts: Parts, request: Request) -> list[Checkpoint]:
    found = []
    for tensors in parts.values():
        if _GENERATOR in tensors:
            found.append(make_generator(_own(tensors), request, source="state dict of a Generator"))
        elif _DISCRIMINATOR in tensors:
            found.append(make_discriminator(_own(tensors), request, source="state dict of a Discriminator"))
    return found


def _own(tensors: Tensors) -> Converted:
    return Converted(dict(tensors), [_NOTE])


LAYOUT = Layout("state_dict", _recognise, _convert, is_ours=True)
