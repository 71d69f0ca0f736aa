"""stylegan_zoo (oovm's StyleGAN-Zoo): podgorskiy's networks, enlarged by interpolation below 128x128.

A file (*.mat, written by torch.save) is one state dict: mapping, generator and average w.
"""

from ..checkpoint import Checkpoint
from .checkpoints import Converted, make_generator
from .common import Layout, Parts, Request, Source, mean_row
from .podgorskiy import CONV, is_multiplied, take_decoder, take_mapping


def _recognise(parts: Parts) -> bool:
    return any(f"generator.{CONV}" in tensors and "mapping.block_1.fc.weight" in tensors for tensors in parts.values())


def _convert(parts: Parts, request: Request) -> list[Checkpoint]:
    tensors = next(tensors for tensors in parts.values() if f"generator.{CONV}" in tensors)
    port, out = Source(tensors, request), Converted()
    convolutions = [(tensor, 1.0) for key, tensor in tensors.items() if key.endswith(".conv_2.weight")]
    denses = [(tensor, 0.01) for key, tensor in tensors.items() if key.endswith(".fc.weight")]
    multiplied = is_multiplied(convolutions + denses)
    take_mapping(port, out, "mapping.block_{}.fc", first=1, multiplied=multiplied, lr=0.01)
    take_decoder(port, out, prefix="generator.", multiplied=multiplied)
    if "dlatent_avg.buff" in port:
        out.state["w_avg"] = mean_row(port.take("dlatent_avg.buff"), out.notes)
    port.finish(ignore=r"generator\.decode_block\.\d+\.blur\.weight")
    out.notes += [
        "bilinear_upscale is what the port computes; weights that were trained officially want it off",
        "the port's removal of blobs, on by default there, is not reproduced",
    ]
    return [make_generator(out, request, source="generator (stylegan_zoo layout)", quirks={"bilinear_upscale": True})]


LAYOUT = Layout("stylegan_zoo", _recognise, _convert)
