"""Writes the checkpoints of other ports from official variables: the inverse of what the readers do.

`g` and `d` are official variables as torch tensors, under their official names without "G_synthesis/" or "G_mapping/":
conv [kh, kw, in, out], dense [in, out]. Each writer returns a state dict, or the dictionary that the port saves.
"""

from math import sqrt
from typing import Any

import torch
from torch import Tensor

Variables = dict[str, Tensor]


def resolution_of(v: Variables) -> int:
    return max(int(name.split("x")[0]) for name in v if name[0].isdigit())


def scopes(resolution: int) -> list[str]:
    """The official scope of each synthesis layer."""
    names = ["4x4/Const", "4x4/Conv"]
    r = 8
    while r <= resolution:
        names += [f"{r}x{r}/Conv0_up", f"{r}x{r}/Conv1"]
        r *= 2
    return names


def conv(v: Tensor) -> Tensor:
    return v.permute(3, 2, 0, 1).contiguous()


def blur(channels: int, device: Any) -> Tensor:
    taps = torch.tensor([1.0, 2.0, 1.0], device=device)
    return (torch.outer(taps, taps) / 16).expand(channels, 1, 3, 3).clone()


def num_mapping(g: Variables) -> int:
    return sum(f"Dense{i}/weight" in g for i in range(20))


def mapping(g: Variables, pattern: str) -> dict[str, Tensor]:
    """The mapping network with its layers named `pattern.format(0)`, `pattern.format(1)`..."""
    out: dict[str, Tensor] = {}
    for i in range(num_mapping(g)):
        name = pattern.format(i)
        out |= {f"{name}.weight": g[f"Dense{i}/weight"].T.contiguous(), f"{name}.bias": g[f"Dense{i}/bias"]}
    return out


# genforce, sefa, interfacegan


def genforce_generator(g: Variables) -> dict[str, Tensor]:
    out, r = mapping(g, "mapping.dense{}"), resolution_of(g)
    if "LabelConcat/weight" in g:
        out["mapping.label_weight"] = g["LabelConcat/weight"]
    out["truncation.w_avg"] = g["dlatent_avg"]
    out["synthesis.lod"] = g["lod"]
    for i, scope in enumerate(scopes(r)):
        name = f"synthesis.layer{i}"
        if i == 0 and "4x4/Dense/weight" in g:
            scope = "4x4/Dense"
            channels = len(g["4x4/Dense/bias"])
            kernel = g["4x4/Dense/weight"].reshape(-1, channels, 4, 4).transpose(0, 1)
            out[f"{name}.weight"] = kernel.flip(2, 3)
        elif i == 0:
            out[f"{name}.const"] = g["4x4/Const/const"]
        else:
            out[f"{name}.weight"] = conv(g[f"{scope}/weight"])
        out[f"{name}.bias"] = g[f"{scope}/bias"]
        out[f"{name}.style.weight"] = g[f"{scope}/StyleMod/weight"].T.contiguous()
        out[f"{name}.style.bias"] = g[f"{scope}/StyleMod/bias"]
        if f"{scope}/Noise/weight" in g:
            out[f"{name}.apply_noise.weight"] = g[f"{scope}/Noise/weight"]
            out[f"{name}.apply_noise.noise"] = g[f"noise{i}"]
        if i > 1 and i % 2 == 0:
            out[f"{name}.blur.kernel"] = blur(len(g[f"{scope}/bias"]), g["lod"].device)
    top = len(scopes(r)) // 2 - 1
    for k in range(top + 1):
        if f"ToRGB_lod{top - k}/weight" in g:
            out[f"synthesis.output{k}.weight"] = conv(g[f"ToRGB_lod{top - k}/weight"])
            out[f"synthesis.output{k}.bias"] = g[f"ToRGB_lod{top - k}/bias"]
    return out


def genforce_discriminator(d: Variables) -> dict[str, Tensor]:
    out, r, i, lod = {"lod": d["lod"]}, resolution_of(d), 0, 0

    def put(name: str, scope: str) -> None:
        weight = d[f"{scope}/weight"]
        out[f"{name}.weight"] = conv(weight) if weight.ndim == 4 else weight.T.contiguous()
        out[f"{name}.bias"] = d[f"{scope}/bias"]

    while r > 4:
        put(f"input{lod}", f"FromRGB_lod{lod}")
        put(f"layer{i}", f"{r}x{r}/Conv0")
        put(f"layer{i + 1}", f"{r}x{r}/Conv1_down")
        out[f"layer{i + 1}.blur.kernel"] = blur(d[f"{r}x{r}/Conv0/weight"].shape[3], d["lod"].device)
        r, i, lod = r // 2, i + 2, lod + 1
    put(f"input{lod}", f"FromRGB_lod{lod}")
    for k, name in enumerate(("Conv", "Dense0", "Dense1")):
        put(f"layer{i + k}", f"4x4/{name}")
    return out


def interfacegan(g: Variables) -> dict[str, Tensor]:
    out, r = {}, resolution_of(g)
    for i in range(num_mapping(g)):
        out[f"mapping.dense{i}.linear.weight"] = g[f"Dense{i}/weight"].T.contiguous()
        out[f"mapping.dense{i}.wscale.bias"] = g[f"Dense{i}/bias"]
    out["truncation.w_avg"] = g["dlatent_avg"]
    out["truncation.truncation"] = torch.ones(1, len(scopes(r)), 1, device=g["lod"].device)
    out["synthesis.lod"] = g["lod"]
    for i, scope in enumerate(scopes(r)):
        name = f"synthesis.layer{i}"
        if i == 0:
            out[f"{name}.first_layer"] = g["4x4/Const/const"]
        elif i % 2 == 0 and 4 << (i // 2) >= 128:
            out[f"{name}.weight"] = g[f"{scope}/weight"]
        else:
            out[f"{name}.conv.weight"] = conv(g[f"{scope}/weight"])
        if i > 1 and i % 2 == 0:
            out[f"{name}.blur.kernel"] = blur(len(g[f"{scope}/bias"]), g["lod"].device)
        out[f"{name}.epilogue.bias"] = g[f"{scope}/bias"]
        out[f"{name}.epilogue.apply_noise.weight"] = g[f"{scope}/Noise/weight"]
        out[f"{name}.epilogue.apply_noise.noise"] = g[f"noise{i}"]
        out[f"{name}.epilogue.style_mod.dense.linear.weight"] = g[f"{scope}/StyleMod/weight"].T.contiguous()
        out[f"{name}.epilogue.style_mod.dense.wscale.bias"] = g[f"{scope}/StyleMod/bias"]
    top = len(scopes(r)) // 2 - 1
    for k in range(top + 1):
        out[f"synthesis.output{k}.conv.weight"] = conv(g[f"ToRGB_lod{top - k}/weight"])
        out[f"synthesis.output{k}.bias"] = g[f"ToRGB_lod{top - k}/bias"]
    return out


# rosinality


def rosinality_generator(g: Variables) -> dict[str, Tensor]:
    """The blocks of `g`, followed by untrained ones (small, for the tests) up to 1024x1024."""
    out, r, device = {}, resolution_of(g), g["lod"].device
    for i in range(num_mapping(g)):
        out[f"style.{2 * i + 1}.linear.weight_orig"] = g[f"Dense{i}/weight"].T / 100
        out[f"style.{2 * i + 1}.linear.bias"] = g[f"Dense{i}/bias"] / 100
    top = len(scopes(r)) // 2 - 1
    channels = [len(g[f"{scope}/bias"]) for scope in scopes(r)[::2]]
    w_dim = g["4x4/Conv/StyleMod/weight"].shape[0]
    for block in range(9):
        name, trained = f"generator.progression.{block}", block <= top
        if not trained:
            channels.append(max(channels[-1] // 2, 1))
        c, before = channels[block], channels[max(block - 1, 0)]
        own = scopes(r)[2 * block : 2 * block + 2] if trained else []
        if block == 0:
            out[f"{name}.conv1.input"] = g["4x4/Const/const"]
        elif block >= 5:
            weight = 4 * g[f"{own[0]}/weight"].permute(2, 3, 0, 1) if trained else torch.randn(before, c, 3, 3)
            out[f"{name}.conv1.0.weight"] = weight
            out[f"{name}.conv1.0.bias"] = g[f"{own[0]}/bias"] if trained else torch.zeros(c)
            out[f"{name}.conv1.1.weight"] = out[f"{name}.conv1.1.weight_flip"] = blur(c, device)
        else:
            out[f"{name}.conv1.1.conv.weight_orig"] = (
                conv(g[f"{own[0]}/weight"]) if trained else torch.randn(c, before, 3, 3)
            )
            out[f"{name}.conv1.1.conv.bias"] = g[f"{own[0]}/bias"] if trained else torch.zeros(c)
            out[f"{name}.conv1.2.weight"] = out[f"{name}.conv1.2.weight_flip"] = blur(c, device)
        out[f"{name}.conv2.conv.weight_orig"] = conv(g[f"{own[1]}/weight"]) if trained else torch.randn(c, c, 3, 3)
        out[f"{name}.conv2.conv.bias"] = g[f"{own[1]}/bias"] if trained else torch.zeros(c)
        for k in (0, 1):
            strength = g[f"{own[k]}/Noise/weight"] if trained else torch.zeros(c)
            out[f"{name}.noise{k + 1}.weight_orig"] = (strength / sqrt(2 / c)).reshape(1, c, 1, 1)
            style = f"{name}.adain{k + 1}.style.linear"
            weight = g[f"{own[k]}/StyleMod/weight"].T if trained else torch.randn(2 * c, w_dim)
            bias = g[f"{own[k]}/StyleMod/bias"] if trained else torch.zeros(2 * c)
            one = torch.cat([torch.ones(c, device=device), torch.zeros(c, device=device)])
            out[f"{style}.weight_orig"], out[f"{style}.bias"] = weight / sqrt(2), bias + one.to(bias.device)
        rgb = f"ToRGB_lod{top - block}"
        weight = conv(g[f"{rgb}/weight"]) / sqrt(2) if trained else torch.randn(3, c, 1, 1)
        out[f"generator.to_rgb.{block}.conv.weight_orig"] = weight
        out[f"generator.to_rgb.{block}.conv.bias"] = g[f"{rgb}/bias"] if trained else torch.zeros(3)
    return out


def rosinality_discriminator(d: Variables, *, activated: bool = True) -> dict[str, Tensor]:
    """The blocks of `d`, with untrained ones before them up to 1024x1024.

    Conv0 of `d` gives the feature maps of the next block, which official ones do only where the numbers are equal.
    """
    out, r = {}, resolution_of(d)
    top = r.bit_length() - 3
    channels = {4 << k: d[f"{4 << k}x{4 << k}/Conv0/weight"].shape[2] for k in range(1, top + 1)}
    channels[4] = d["4x4/Conv/weight"].shape[3]
    for j in range(9):
        size, block = 4 << (8 - j), 8 - j
        trained, name = block <= top, f"progression.{j}"
        c = channels.setdefault(size, 2)
        after = channels.get(size // 2, 2)
        if size > 4:
            weight = conv(d[f"{size}x{size}/Conv0/weight"]) if trained else torch.randn(after, c, 3, 3)
            out[f"{name}.conv1.0.conv.weight_orig"] = weight
            out[f"{name}.conv1.0.conv.bias"] = d[f"{size}x{size}/Conv0/bias"] if trained else torch.zeros(after)
            weight = conv(d[f"{size}x{size}/Conv1_down/weight"]) if trained else torch.randn(after, after, 3, 3)
            bias = d[f"{size}x{size}/Conv1_down/bias"] if trained else torch.zeros(after)
            second = f"{name}.conv2.1.weight" if size >= 128 else f"{name}.conv2.1.conv.weight_orig"
            out[second], out[second.replace("weight_orig", "bias").replace("weight", "bias")] = weight, bias
            out[f"{name}.conv2.0.weight"] = out[f"{name}.conv2.0.weight_flip"] = blur(len(weight), d["lod"].device)
        else:
            out[f"{name}.conv1.0.conv.weight_orig"] = conv(d["4x4/Conv/weight"])
            out[f"{name}.conv1.0.conv.bias"] = d["4x4/Conv/bias"]
            dense = d["4x4/Dense0/weight"].T
            out[f"{name}.conv2.0.conv.weight_orig"] = dense.reshape(len(dense), -1, 4, 4)
            out[f"{name}.conv2.0.conv.bias"] = d["4x4/Dense0/bias"]
        rgb = f"from_rgb.{j}.0.conv" if activated else f"from_rgb.{j}.conv"
        lod = top - block
        out[f"{rgb}.weight_orig"] = conv(d[f"FromRGB_lod{lod}/weight"]) if trained else torch.randn(c, 3, 1, 1)
        out[f"{rgb}.bias"] = d[f"FromRGB_lod{lod}/bias"] if trained else torch.zeros(c)
    out["linear.linear.weight_orig"] = d["4x4/Dense1/weight"].T / sqrt(2)
    out["linear.linear.bias"] = d["4x4/Dense1/bias"]
    return out


# huangzh13, lernapparat, ganspace


def _epilogues(out: dict[str, Any], g: Variables, name: str, pair: list[str]) -> None:
    for k, scope in enumerate(pair):
        out[f"{name}.epi{k + 1}.top_epi.noise.weight"] = g[f"{scope}/Noise/weight"]
        out[f"{name}.epi{k + 1}.style_mod.lin.weight"] = g[f"{scope}/StyleMod/weight"].T.contiguous()
        out[f"{name}.epi{k + 1}.style_mod.lin.bias"] = g[f"{scope}/StyleMod/bias"]


def _block(out: dict[str, Any], g: Variables, name: str, pair: list[str]) -> None:
    first, second = ("conv0_up", "conv1") if "Conv0_up" in pair[0] else (None, "conv")
    if first:
        out[f"{name}.conv0_up.weight"] = conv(g[f"{pair[0]}/weight"])
        out[f"{name}.conv0_up.bias"] = g[f"{pair[0]}/bias"]
        out[f"{name}.conv0_up.intermediate.kernel"] = blur(1, g["lod"].device)
    else:
        out[f"{name}.const"], out[f"{name}.bias"] = g["4x4/Const/const"], g["4x4/Const/bias"]
    out[f"{name}.{second}.weight"] = conv(g[f"{pair[1]}/weight"])
    out[f"{name}.{second}.bias"] = g[f"{pair[1]}/bias"]
    _epilogues(out, g, name, pair)


def huangzh13_generator(g: Variables, *, converted: bool = False) -> dict[str, Tensor]:
    """`converted`: as their converter leaves it, only the last RGB layer filled."""
    out, r = mapping(g, "g_mapping.map.dense{}"), resolution_of(g)
    if "LabelConcat/weight" in g:
        out["class_embedding.weight"] = g["LabelConcat/weight"]
    names = scopes(r)
    top = len(names) // 2 - 1
    for block in range(top + 1):
        name = f"g_synthesis.blocks.{block - 1}" if block else "g_synthesis.init_block"
        _block(out, g, name, names[2 * block : 2 * block + 2])
    for k in range(top + 1):
        weight, bias = conv(g[f"ToRGB_lod{top - k}/weight"]), g[f"ToRGB_lod{top - k}/bias"]
        untouched = converted and k < top
        out[f"g_synthesis.to_rgb.{k}.weight"] = torch.randn(weight.shape) if untouched else weight
        out[f"g_synthesis.to_rgb.{k}.bias"] = torch.zeros(3) if untouched else bias
    out["truncation.avg_latent"] = g["dlatent_avg"]
    return out


def huangzh13_discriminator(d: Variables) -> dict[str, Tensor]:
    out: dict[str, Tensor] = {}
    r, j = resolution_of(d), 0
    while r >= 4:
        if r > 4:
            out |= _down_block(d, r, f"blocks.{j}")
        out[f"from_rgb.{j}.weight"] = conv(d[f"FromRGB_lod{j}/weight"])
        out[f"from_rgb.{j}.bias"] = d[f"FromRGB_lod{j}/bias"]
        r, j = r // 2, j + 1
    _head(out, d, "final_block.")
    return out


def _down_block(d: Variables, r: int, name: str) -> dict[str, Tensor]:
    """A block of a discriminator, as huangzh13 and lernapparat name its tensors."""
    out, device = {}, d["lod"].device
    for theirs, official in (("conv0", "Conv0"), ("conv1_down", "Conv1_down")):
        out[f"{name}.{theirs}.weight"] = conv(d[f"{r}x{r}/{official}/weight"])
        out[f"{name}.{theirs}.bias"] = d[f"{r}x{r}/{official}/bias"]
    out[f"{name}.blur.kernel"] = blur(1, device)
    out[f"{name}.conv1_down.downscale.blur.kernel"] = torch.full((1, 1, 2, 2), 0.25, device=device)
    return out


def _head(out: dict[str, Any], d: Variables, prefix: str) -> None:
    for name in ("Conv", "Dense0", "Dense1"):
        weight = d[f"4x4/{name}/weight"]
        out[f"{prefix}{name.lower()}.weight"] = conv(weight) if weight.ndim == 4 else weight.T.contiguous()
        out[f"{prefix}{name.lower()}.bias"] = d[f"4x4/{name}/bias"]


def lernapparat_generator(g: Variables) -> dict[str, Tensor]:
    out, r = mapping(g, "g_mapping.dense{}"), resolution_of(g)
    out["g_synthesis.torgb.weight"] = conv(g["ToRGB_lod0/weight"])
    out["g_synthesis.torgb.bias"] = g["ToRGB_lod0/bias"]
    names = scopes(r)
    for block in range(len(names) // 2):
        size = 4 << block
        _block(out, g, f"g_synthesis.blocks.{size}x{size}", names[2 * block : 2 * block + 2])
    return out


def lernapparat_discriminator(d: Variables) -> dict[str, Tensor]:
    r = resolution_of(d)
    out = {"fromrgb.weight": conv(d["FromRGB_lod0/weight"]), "fromrgb.bias": d["FromRGB_lod0/bias"]}
    while r > 4:
        out |= _down_block(d, r, f"{r}x{r}")
        r //= 2
    _head(out, d, "4x4.")
    return out


# podgorskiy, ALAE, stylegan_zoo


def _gain(weight: Tensor, gain: float) -> float:
    """He's constant of a weight [out, in, ...]."""
    return gain / sqrt(weight[0].numel())


def _multiplied(weight: Tensor, gain: float, lr: float, multiplied: bool) -> Tensor:
    return weight * _gain(weight, gain) * lr if multiplied else weight


def podgorskiy_generator(g: Variables, *, multiplied: bool) -> dict[str, Tensor]:
    out, r = {"const": g["4x4/Const/const"]}, resolution_of(g)
    names = scopes(r)
    top = len(names) // 2 - 1
    for block in range(top + 1):
        name = f"decode_block.{block}"
        for k, scope in enumerate(names[2 * block : 2 * block + 2]):
            c = len(g[f"{scope}/bias"])
            out[f"{name}.noise_weight_{k + 1}"] = g[f"{scope}/Noise/weight"].reshape(1, c, 1, 1)
            out[f"{name}.bias_{k + 1}"] = g[f"{scope}/bias"].reshape(1, c, 1, 1)
            style = g[f"{scope}/StyleMod/weight"].T
            out[f"{name}.style_{k + 1}.weight"] = _multiplied(style, 1.0, 1.0, multiplied)
            out[f"{name}.style_{k + 1}.bias"] = g[f"{scope}/StyleMod/bias"]
            if block or k:
                weight = _multiplied(conv(g[f"{scope}/weight"]), sqrt(2), 1.0, multiplied)
                fused = k == 0 and 4 << block >= 128
                out[f"{name}.conv_{k + 1}.weight"] = weight.transpose(0, 1).contiguous() if fused else weight
        out[f"{name}.blur.weight"] = blur(c, g["lod"].device)
        weight = conv(g[f"ToRGB_lod{top - block}/weight"])
        out[f"to_rgb.{block}.to_rgb.weight"] = _multiplied(weight, 1.0, 1.0, multiplied)
        out[f"to_rgb.{block}.to_rgb.bias"] = g[f"ToRGB_lod{top - block}/bias"]
    return out


def podgorskiy_mapping(
    g: Variables, *, multiplied: bool, pattern: str = "block_{}.fc", first: int = 1, lr: float = 0.01
) -> dict[str, Tensor]:
    """lr: multiplier of the learning rate that the official variables are for."""
    out = {}
    for i in range(num_mapping(g)):
        name = pattern.format(i + first)
        out[f"{name}.weight"] = _multiplied(g[f"Dense{i}/weight"].T.contiguous(), sqrt(2), lr, multiplied)
        out[f"{name}.bias"] = g[f"Dense{i}/bias"] * lr if multiplied else g[f"Dense{i}/bias"]
    return out


def podgorskiy_average(g: Variables) -> dict[str, Tensor]:
    return {"buff": g["dlatent_avg"].expand(len(scopes(resolution_of(g))), -1).clone()}


def podgorskiy_discriminator(d: Variables, *, multiplied: bool) -> dict[str, Tensor]:
    out, r, j, device = {}, resolution_of(d), 0, d["lod"].device

    def weight(scope: str, gain: float) -> Tensor:
        w = d[f"{scope}/weight"]
        return _multiplied(conv(w) if w.ndim == 4 else w.T.contiguous(), gain, 1.0, multiplied)

    while r >= 4:
        out[f"from_rgb.{j}.from_rgb.weight"] = weight(f"FromRGB_lod{j}", sqrt(2))
        out[f"from_rgb.{j}.from_rgb.bias"] = d[f"FromRGB_lod{j}/bias"]
        name = f"encode_block.{j}"
        for k, scope in enumerate([f"{r}x{r}/Conv0", f"{r}x{r}/Conv1_down"] if r > 4 else ["4x4/Conv"]):
            out[f"{name}.conv_{k + 1}.weight"] = weight(scope, sqrt(2))
            out[f"{name}.bias_{k + 1}"] = d[f"{scope}/bias"].reshape(1, -1, 1, 1)
        out[f"{name}.blur.weight"] = blur(len(d[f"FromRGB_lod{j}/bias"]), device)
        r, j = r // 2, j + 1
    out[f"{name}.bias_2"] = torch.zeros_like(d["4x4/Dense0/bias"]).reshape(1, -1, 1, 1)  # Not used.
    out[f"{name}.dense.weight"], out[f"{name}.dense.bias"] = weight("4x4/Dense0", sqrt(2)), d["4x4/Dense0/bias"]
    out["fc2.weight"], out["fc2.bias"] = weight("4x4/Dense1", 1.0), d["4x4/Dense1/bias"]
    return out


def stylegan_zoo(g: Variables, *, multiplied: bool = True) -> dict[str, Tensor]:
    out = {f"mapping.{k}": v for k, v in podgorskiy_mapping(g, multiplied=multiplied).items()}
    out |= {f"generator.{k}": v for k, v in podgorskiy_generator(g, multiplied=multiplied).items()}
    return out | {f"dlatent_avg.{k}": v for k, v in podgorskiy_average(g).items()}


def widened(d: Variables) -> Variables:
    """Discriminator variables with rosinality's numbers of feature maps: Conv0 changes them, not Conv1_down."""
    d, generator = dict(d), torch.Generator().manual_seed(0)
    r = resolution_of(d)
    while r > 4:
        after = len(d[f"{r}x{r}/Conv1_down/bias"])
        for name, before in (("Conv0", d[f"{r}x{r}/Conv0/weight"].shape[2]), ("Conv1_down", after)):
            if d["lod"].is_meta:
                d[f"{r}x{r}/{name}/weight"] = torch.empty(3, 3, before, after, device="meta")
                d[f"{r}x{r}/{name}/bias"] = torch.empty(after, device="meta")
            else:
                d[f"{r}x{r}/{name}/weight"] = torch.randn(3, 3, before, after, generator=generator)
                d[f"{r}x{r}/{name}/bias"] = torch.randn(after, generator=generator)
        r //= 2
    return d


# mmgeneration, mmagic


def mmgeneration_generator(g: Variables) -> dict[str, Tensor]:
    """The raw tensors with which this port's layers use the same weights; in what order is its own."""
    out = {f"injected_noise_{i}": g[f"noise{i}"] for i in range(len(scopes(resolution_of(g))))}
    for i in range(num_mapping(g)):
        out[f"style_mapping.{i + 1}.linear.weight_orig"] = g[f"Dense{i}/weight"].T * sqrt(2)
        out[f"style_mapping.{i + 1}.bias"] = g[f"Dense{i}/bias"]
    top = len(scopes(resolution_of(g))) // 2 - 1
    for i, scope in enumerate(scopes(resolution_of(g))):
        name, k = f"convs.{i // 2}", i % 2 + 1
        if i == 0:
            out[f"{name}.conv1.input"] = g["4x4/Const/const"]
        else:
            kernel = conv(g[f"{scope}/weight"])
            if k == 1 and i // 2 >= 5:
                kernel = kernel.flip(2, 3)
            convolution = f"{name}.conv1.0.conv" if k == 1 else f"{name}.conv2.conv"
            out[f"{convolution}.weight_orig"], out[f"{convolution}.bias"] = kernel, g[f"{scope}/bias"]
        if i and k == 1:
            out[f"{name}.conv1.1.kernel"] = blur(1, "cpu")[0, 0]
        out[f"{name}.noise_injector{k}.weight"] = g[f"{scope}/Noise/weight"].mean().reshape(1)
        bias = g[f"{scope}/StyleMod/bias"].clone()
        bias[: len(bias) // 2] += 1
        out[f"{name}.adain{k}.affine.weight_orig"] = g[f"{scope}/StyleMod/weight"].T / sqrt(2)
        out[f"{name}.adain{k}.affine.bias"] = bias
    for b in range(top + 1):
        out[f"to_rgbs.{b}.conv.weight_orig"] = conv(g[f"ToRGB_lod{top - b}/weight"]).flip(0) / sqrt(2)
        out[f"to_rgbs.{b}.conv.bias"] = g[f"ToRGB_lod{top - b}/bias"].flip(0)
    return out


def mmgeneration_discriminator(d: Variables) -> dict[str, Tensor]:
    """From a `widened` official one; its RGB layers get borders, so that all nine taps count."""
    out, r = {}, resolution_of(d)
    n = r.bit_length() - 2
    for j in range(n):
        rgb = conv(d[f"FromRGB_lod{j}/weight"]).flip(1)  # [C, 3, 1, 1]
        taps = torch.linspace(0.2, 1.0, 9, device=rgb.device).reshape(3, 3)
        out[f"from_rgb.{j}.conv.weight_orig"] = rgb * taps
        out[f"from_rgb.{j}.conv.bias"] = d[f"FromRGB_lod{j}/bias"]
        size = r >> j
        names = {"Conv0": 0, "Conv1_down": 2} if size > 4 else {"Conv": 0}
        for scope, k in names.items():
            out[f"convs.{j}.{k}.conv.weight_orig"] = conv(d[f"{size}x{size}/{scope}/weight"])
            out[f"convs.{j}.{k}.conv.bias"] = d[f"{size}x{size}/{scope}/bias"]
        if size > 4:
            out[f"convs.{j}.1.kernel"] = blur(1, "cpu")[0, 0]
    dense = d["4x4/Dense0/weight"].T
    out[f"convs.{n - 1}.1.conv.weight_orig"] = dense.reshape(len(dense), -1, 4, 4)
    out[f"convs.{n - 1}.1.conv.bias"] = d["4x4/Dense0/bias"]
    out["final_linear.0.linear.weight_orig"] = d["4x4/Dense1/weight"].T
    out["final_linear.0.bias"] = d["4x4/Dense1/bias"]
    return out


def mmgeneration(
    g: Variables, d: Variables, *, scale: int | None = None, share: float = 1.0, prefix: str = ""
) -> dict[str, Tensor]:
    """The flat state dict of a file; the trained generator differs from the averaged one. prefix: mmagic's."""
    averaged, top = mmgeneration_generator(g), resolution_of(g)
    out = {"shown_nkimg": torch.tensor(5.0), "_curr_transition_weight": torch.tensor(share)}
    out |= {name: torch.tensor(scale or top, dtype=torch.int32) for name in ("_next_scale_int", "_curr_scale_int")}
    out |= {f"generator.{name}": tensor + 1 for name, tensor in averaged.items()}
    out |= {f"discriminator.{name}": tensor for name, tensor in mmgeneration_discriminator(d).items()}
    return out | {f"generator_ema.{prefix}{name}": tensor for name, tensor in averaged.items()}
