"""genforce, sefa and the hub's huggan/stylegan_* files: official weights, transposed.

A file holds {generator, discriminator, generator_smooth}, at the top level or under "models", or one network. It does
not say whether layers below 128x128 were trained with transposed convolutions (their option fused_scale).
"""

from ...errors import WeightsError
from ..checkpoint import Checkpoint
from .checkpoints import Converted, from_highest, make_discriminator, make_generator
from .common import Layout, Parts, Request, Source, Tensors, any_part, choose_part, holds, is_zero, up_kernel


def _is_generator(tensors: Tensors) -> bool:
    return "synthesis.layer0.const" in tensors or "synthesis.layer0.style.weight" in tensors


_is_discriminator = holds("input0.weight", "layer0.weight")


def _convert(parts: Parts, request: Request) -> list[Checkpoint]:
    generators = {name: tensors for name, tensors in parts.items() if _is_generator(tensors)}
    discriminators = {name: tensors for name, tensors in parts.items() if _is_discriminator(tensors)}
    checkpoints = []
    if generators:
        name, notes = choose_part(generators, request, averaged="generator_smooth", trained="generator")
        checkpoints.append(_generator(name, generators, request, notes))
    for name, tensors in list(discriminators.items())[:1]:
        checkpoints.append(_discriminator(name, tensors, request))
    return checkpoints


def _generator(part: str, generators: Parts, request: Request, notes: tuple[str, ...]) -> Checkpoint:
    port, out = Source(generators[part], request), Converted(notes=list(notes))
    state = out.state
    if request.fused_from == 128:
        out.notes.append("fused_scale is taken for 'auto': the file does not tell it (stylegan convert --fused-scale)")

    out.copy_mapping(port, "mapping.dense{}")
    if "mapping.label_weight" in port:
        state["mapping.embed.weight"] = port.take("mapping.label_weight", 2).T
    if "truncation.w_avg" in port:
        state["w_avg"] = port.take("truncation.w_avg")
        # Their weight averaging skips buffers: only the w_avg of the other generator is updated.
        other = generators.get("generator", {}).get("truncation.w_avg")
        if is_zero(state["w_avg"]) and other is not None:
            state["w_avg"] = other.float()
            out.notes.append("w_avg is that of the part 'generator'")

    for i in range(port.count("synthesis.layer{}.bias")):
        name, resolution = f"synthesis.layer{i}", 4 << (i // 2)
        if i == 0 and f"{name}.const" in port:
            out.layer(0, "source.const", port.take(f"{name}.const"))
        elif i == 0:
            # A 4x4 kernel over one pixel, flipped: the only such weight of this port.
            kernel = port.take(f"{name}.weight", 4).flip(2, 3)  # [C, w_dim, 4, 4]
            out.layer(0, "source.dense.weight", kernel.permute(0, 2, 3, 1).reshape(-1, kernel.shape[1]))
        else:
            weight = port.take(f"{name}.weight", 4)
            if i % 2 == 0:
                weight = up_kernel(weight, resolution, fused_from=request.fused_from)
            out.layer(i, "source.weight", weight)
        out.layer(i, "bias", port.take(f"{name}.bias"))
        out.layer(i, "style.weight", port.take(f"{name}.style.weight"))
        out.layer(i, "style.bias", port.take(f"{name}.style.bias"))
        if f"{name}.apply_noise.weight" in port:
            out.layer(i, "noise_strength", port.take(f"{name}.apply_noise.weight"))
            noise = port.take(f"{name}.apply_noise.noise")
            if tuple(noise.shape) != (1, 1, resolution, resolution):
                raise WeightsError(
                    f"{request.path}: noise of layer {i} is {list(noise.shape)}; only noise that varies by pixel "
                    "(noise_type 'spatial') is that of StyleGAN"
                )
            out.layer(i, "noise_const", noise)
    for i in range(port.count("synthesis.output{}.weight")):
        out.copy(port, f"synthesis.output{i}", f"synthesis.to_rgb.{4 << i}")
    lod = port.take("synthesis.lod", 0).item() if "synthesis.lod" in port else 0.0
    port.finish(ignore=r"synthesis\.layer\d+\.blur\.kernel")
    return make_generator(out, request, source=_named(part, "generator"), lod=lod)


def _discriminator(part: str, tensors: Tensors, request: Request) -> Checkpoint:
    port, out = Source(tensors, request), Converted()
    steps = port.count("input{}.weight")
    for i, resolution in from_highest(steps):
        out.copy(port, f"input{i}", f"from_rgb.{resolution}.conv")
    names = {2 * (steps - 1) + i: f"head.{name}" for i, name in enumerate(("conv", "dense0", "dense1"))}
    for i in range(2 * (steps - 1)):
        names[i] = f"blocks.{4 << (steps - 1 - i // 2)}.conv{i % 2}"
    for i, ours in names.items():
        out.copy(port, f"layer{i}", ours)
    lod = port.take("lod", 0).item() if "lod" in port else 0.0
    port.finish(ignore=r"layer\d+\.blur\.kernel")
    return make_discriminator(out, request, source=_named(part, "discriminator"), lod=lod)


def _named(part: str, network: str) -> str:
    return f"{part or network} (genforce layout)"


LAYOUT = Layout("genforce", any_part(_is_generator, _is_discriminator), _convert)
