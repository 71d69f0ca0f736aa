"""rosinality."""

from math import sqrt

import torch
from torch import Tensor

from .common import Variables, blur, conv, num_mapping, resolution_of, scopes


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
