"""Writes the checkpoints of other ports from official variables: the inverse of what the readers do.

`g` and `d` are official variables as torch tensors, under their official names without "G_synthesis/" or "G_mapping/":
conv [kh, kw, in, out], dense [in, out]. Each writer returns a state dict, or the dictionary that the port saves.
"""

import torch
from torch import Tensor


def mapping(g: Variables, pattern: str) -> dict[str, Tensor]:
    """The mapping network with its layers named `pattern.format(0)`, `pattern.format(1)`..."""
    out: dict[str, Tensor] = {}
    for i in range(num_mapping(g)):
        name = pattern.format(i)
        out |= {f"{name}.weight": g[f"Dense{i}/weight"].T.contiguous(), f"{name}.bias": g[f"Dense{i}/bias"]}
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
