"""interfacegan: the official averaged generator, transposed; up-scaling kernels from 128x128 as TensorFlow stores them.

A file is one state dict. The port has no labels and no discriminator.
"""

from math import floor

from ..checkpoint import Checkpoint
from .checkpoints import Converted, make_generator
from .common import Layout, Parts, Request, Source


def _recognise(parts: Parts) -> bool:
    return any("synthesis.layer0.first_layer" in tensors for tensors in parts.values())


def _convert(parts: Parts, request: Request) -> list[Checkpoint]:
    tensors = next(tensors for tensors in parts.values() if "synthesis.layer0.first_layer" in tensors)
    port, out = Source(tensors, request), Converted()
    state = out.state

    for i in range(port.count("mapping.dense{}.linear.weight")):
        state[f"mapping.layers.{i}.weight"] = port.take(f"mapping.dense{i}.linear.weight")
        state[f"mapping.layers.{i}.bias"] = port.take(f"mapping.dense{i}.wscale.bias")
    if "truncation.w_avg" in port:
        state["w_avg"] = port.take("truncation.w_avg")

    for i in range(port.count("synthesis.layer{}.epilogue.bias")):
        name = f"synthesis.layer{i}"
        if i == 0:
            out.layer(0, "source.const", port.take(f"{name}.first_layer"))
        elif f"{name}.conv.weight" in port:
            out.layer(i, "source.weight", port.take(f"{name}.conv.weight", 4))
        else:
            # Fused with upscaling: [kh, kw, in, out], and flipped relative to an ordinary convolution.
            out.layer(i, "source.weight", port.take(f"{name}.weight", 4).permute(3, 2, 0, 1).flip(2, 3))
        out.layer(i, "bias", port.take(f"{name}.epilogue.bias"))
        out.layer(i, "noise_strength", port.take(f"{name}.epilogue.apply_noise.weight"))
        out.layer(i, "noise_const", port.take(f"{name}.epilogue.apply_noise.noise"))
        out.layer(i, "style.weight", port.take(f"{name}.epilogue.style_mod.dense.linear.weight"))
        out.layer(i, "style.bias", port.take(f"{name}.epilogue.style_mod.dense.wscale.bias"))
    for i in range(port.count("synthesis.output{}.bias")):
        state[f"synthesis.to_rgb.{4 << i}.weight"] = port.take(f"synthesis.output{i}.conv.weight")
        state[f"synthesis.to_rgb.{4 << i}.bias"] = port.take(f"synthesis.output{i}.bias")
    # The port rounds its level of detail down: it does not blend.
    lod = float(floor(port.take("synthesis.lod", 0).item())) if "synthesis.lod" in port else 0.0
    port.finish(ignore=r"synthesis\.layer\d+\.blur\.kernel|truncation\.truncation")
    return [make_generator(out, request, source="generator (interfacegan layout)", lod=lod)]


LAYOUT = Layout("interfacegan", _recognise, _convert)
