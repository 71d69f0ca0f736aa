"""genforce, sefa, interfacegan."""

import torch
from torch import Tensor

from .common import Variables, blur, conv, mapping, num_mapping, resolution_of, scopes


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
