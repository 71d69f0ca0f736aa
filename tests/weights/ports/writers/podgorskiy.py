"""podgorskiy, ALAE, stylegan_zoo."""

from math import sqrt

import torch
from torch import Tensor

from .common import Variables, blur, conv, num_mapping, resolution_of, scopes


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
