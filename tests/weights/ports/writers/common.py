"""What the writers of several ports use."""

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
