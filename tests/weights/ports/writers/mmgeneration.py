"""mmgeneration, mmagic."""

from math import sqrt

import torch
from torch import Tensor

from .common import Variables, blur, conv, num_mapping, resolution_of, scopes


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
