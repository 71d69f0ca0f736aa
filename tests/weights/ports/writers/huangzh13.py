"""huangzh13, lernapparat, ganspace."""

from typing import Any

import torch
from torch import Tensor

from .common import Variables, blur, conv, mapping, resolution_of, scopes


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
