"""ALAE: its decoder and its mapping network F are a StyleGAN; its encoder has no counterpart.

A file is {"models": {generator_s, mapping_fl_s, dlatent_avg, ...}, "auxiliary": ...}, weights always multiplied.
"""

from ..checkpoint import Checkpoint
from .checkpoints import make_generator
from .common import Layout, Parts, Request, Source, refused
from .podgorskiy import CONV, choose_decoder, take_networks

_GENERATORS, _MAPPINGS = ("generator_s", "generator"), ("mapping_fl_s", "mapping_fl")


def _is_alae(parts: Parts) -> bool:
    return any("map_blocks.0.fc.weight" in parts.get(name, {}) for name in _MAPPINGS)


def _has_decoder(parts: Parts) -> bool:
    return any(CONV in parts.get(name, {}) for name in _GENERATORS)


def _convert(parts: Parts, request: Request) -> list[Checkpoint]:
    pairs = dict(zip(_GENERATORS, _MAPPINGS, strict=True))
    found = {name: parts[name] for name in _GENERATORS if CONV in parts.get(name, {})}
    name, generator, out = choose_decoder(found, [name for name in found if pairs[name] in parts], request)
    mapping = Source(parts.get(pairs[name], {}), request)
    take_networks(generator, mapping, out, parts, pattern="map_blocks.{}.fc", first=0, multiplied=True, lr=0.1)
    out.notes.append("the encoder is left out: StyleGAN has none")
    return [make_generator(out, generator.request, source=f"{name} (ALAE layout)", lr_multiplier=0.1)]


LAYOUT = Layout("alae", lambda parts: _is_alae(parts) and _has_decoder(parts), _convert)
OTHER_LAYOUT = refused(
    "ALAE without StyleGAN's decoder",
    lambda parts: _is_alae(parts) and not _has_decoder(parts),
    "an ALAE whose decoder is fully connected or that of DCGAN, not StyleGAN's; it cannot be converted",
)
