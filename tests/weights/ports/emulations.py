"""The official networks, and what ports change in them, written out without the library."""

from math import sqrt
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from . import writers as ports
from .writers import Variables, scopes


def emulate(
    g: Variables,
    ws: Tensor,
    noise: list[Tensor],
    *,
    epsilon: float = 1e-8,
    bias_before_blur: bool = False,
    bilinear: bool = False,
) -> Tensor:
    """The synthesis network on official variables; ws: [N, num_ws, w_dim]."""
    x = g["4x4/Const/const"].expand(len(ws), -1, -1, -1)
    for i, scope in enumerate(scopes(ports.resolution_of(g))):
        bias = g[f"{scope}/bias"][:, None, None]
        if i:
            k = g[f"{scope}/weight"]
            k = (k * sqrt(2) / sqrt(k[..., 0].numel())).permute(3, 2, 0, 1)  # [out, in, 3, 3]
        if i and i % 2 == 0:
            if 4 << (i // 2) >= 128:
                k4: Any = sum(F.pad(k, [a, 1 - a, b, 1 - b]) for a in (0, 1) for b in (0, 1))
                x = F.conv_transpose2d(x, k4.transpose(0, 1), stride=2, padding=1)
            else:
                options = {"mode": "bilinear", "align_corners": True} if bilinear else {"mode": "nearest"}
                x = F.conv2d(F.interpolate(x, scale_factor=2, **options), k, padding=1)
            if bias_before_blur:
                x, bias = x + bias, torch.zeros(1)
            x = F.conv2d(x, ports.blur(x.shape[1], "cpu"), padding=1, groups=x.shape[1])
        elif i:
            x = F.conv2d(x, k, padding=1)
        x = F.leaky_relu(x + noise[i] * g[f"{scope}/Noise/weight"][:, None, None] + bias, 0.2)
        x = x - x.mean(dim=(2, 3), keepdim=True)
        x = x / (x.square().mean(dim=(2, 3), keepdim=True) + epsilon).sqrt()
        w = ws[:, i] @ g[f"{scope}/StyleMod/weight"] / sqrt(ws.shape[2]) + g[f"{scope}/StyleMod/bias"]
        scale, shift = w[:, :, None, None].split(x.shape[1], dim=1)
        x = x * (scale + 1) + shift
    weight = g["ToRGB_lod0/weight"]
    return F.conv2d(x, ports.conv(weight) / sqrt(weight.shape[2]), g["ToRGB_lod0/bias"])


def emulate_rosinality(port: dict[str, Tensor], ws: Tensor, noise: list[Tensor], top: int) -> Tensor:
    """The generator up to block `top`, on the tensors of the port as it uses them; noise: one map a block."""

    def equal(name: str) -> Tensor:
        weight = port[f"{name}.weight_orig"]
        return weight * sqrt(2 / weight[0].numel())

    x = port["generator.progression.0.conv1.input"].expand(len(ws), -1, -1, -1)
    for block in range(top + 1):
        name = f"generator.progression.{block}"
        if block >= 5:
            k = port[f"{name}.conv1.0.weight"]
            k = k * sqrt(2 / (k.shape[0] * 9))
            k4: Any = sum(F.pad(k, [a, 1 - a, b, 1 - b]) for a in (0, 1) for b in (0, 1)) / 4
            x = F.conv_transpose2d(x, k4, port[f"{name}.conv1.0.bias"], stride=2, padding=1)
            x = F.conv2d(x, port[f"{name}.conv1.1.weight"], padding=1, groups=x.shape[1])
        elif block:
            x = F.interpolate(x, scale_factor=2)
            x = F.conv2d(x, equal(f"{name}.conv1.1.conv"), port[f"{name}.conv1.1.conv.bias"], padding=1)
            x = F.conv2d(x, port[f"{name}.conv1.2.weight"], padding=1, groups=x.shape[1])
        for half in (1, 2):
            if half == 2:
                x = F.conv2d(x, equal(f"{name}.conv2.conv"), port[f"{name}.conv2.conv.bias"], padding=1)
            strength = port[f"{name}.noise{half}.weight_orig"]
            x = F.leaky_relu(x + strength * sqrt(2 / strength.numel()) * noise[block], 0.2)
            style = f"{name}.adain{half}.style.linear"
            w = F.linear(ws[:, 2 * block + half - 1], equal(style), port[f"{style}.bias"])[:, :, None, None]
            scale, shift = w.chunk(2, dim=1)
            x = scale * F.instance_norm(x, eps=1e-5) + shift
    name = f"generator.to_rgb.{top}.conv"
    return F.conv2d(x, equal(name), port[f"{name}.bias"])


def emulate_discriminator(d: Variables, x: Tensor, *, activations: int = 1, group_size: int = 4) -> Tensor:
    def layer(scope: str, x: Tensor, gain: float = sqrt(2)) -> Tensor:
        w, b = d[f"{scope}/weight"], d[f"{scope}/bias"]
        w = w * gain / sqrt(w[..., 0].numel())
        if w.ndim == 2:
            return x.flatten(1) @ w + b
        return F.conv2d(x, ports.conv(w), b, padding=w.shape[0] // 2)

    x = layer("FromRGB_lod0", x)
    for _ in range(activations):
        x = F.leaky_relu(x, 0.2)
    r = ports.resolution_of(d)
    while r > 4:
        x = F.leaky_relu(layer(f"{r}x{r}/Conv0", x), 0.2)
        x = F.conv2d(x, ports.blur(x.shape[1], "cpu"), padding=1, groups=x.shape[1])
        bias = d[f"{r}x{r}/Conv1_down/bias"][:, None, None]
        # Shrinking adds nothing to a bias, so that it may come before.
        x = F.leaky_relu(F.avg_pool2d(layer(f"{r}x{r}/Conv1_down", x) - bias, 2) + bias, 0.2)
        r //= 2
    n = len(x)
    g = min(group_size, n)
    y = x.reshape(g, -1, *x.shape[1:])
    y = (y.var(dim=0, correction=0) + 1e-8).sqrt().mean(dim=(1, 2, 3), keepdim=True)
    x = torch.cat([x, y.repeat(g, 1, 4, 4)], dim=1)
    x = F.leaky_relu(layer("4x4/Conv", x), 0.2)
    return layer("4x4/Dense1", F.leaky_relu(layer("4x4/Dense0", x), 0.2), gain=1.0)


# mmgeneration and mmagic, on their tensors as they use them.


def _equal(tensors: dict[str, Tensor], name: str, gain: float = sqrt(2)) -> Tensor:
    weight = tensors[f"{name}.weight_orig"]
    return weight * gain / sqrt(weight[0].numel())


def emulate_mmgeneration_mapping(port: dict[str, Tensor], z: Tensor) -> Tensor:
    w = z / (z.square().mean(dim=1, keepdim=True).sqrt() + 1e-6)
    i = 1
    while f"style_mapping.{i}.bias" in port:
        weight = _equal(port, f"style_mapping.{i}.linear", gain=1) * 0.01
        w = F.leaky_relu(F.linear(w, weight, port[f"style_mapping.{i}.bias"] * 0.01), 0.2)
        i += 1
    return w


def emulate_mmgeneration(
    port: dict[str, Tensor], ws: Tensor, noise: list[Tensor], *, scale: int | None = None, share: float = 1.0
) -> Tensor:
    """The generator in BGR; scale: of the image; share: of its last resolution, while growing."""
    blocks = sum(name.endswith("conv2.conv.bias") for name in port)
    last = blocks - 1 if scale is None else scale.bit_length() - 3
    x, images = port["convs.0.conv1.input"].expand(len(ws), -1, -1, -1), []
    for block in range(last + 1):
        name = f"convs.{block}"
        if block:
            x = F.interpolate(x, scale_factor=2)
            x = F.conv2d(x, _equal(port, f"{name}.conv1.0.conv"), port[f"{name}.conv1.0.conv.bias"], padding=1)
            x = F.leaky_relu(x, 0.2)
            kernel = port[f"{name}.conv1.1.kernel"].expand(x.shape[1], 1, 3, 3)
            x = F.conv2d(x, kernel, padding=1, groups=x.shape[1])
        for k in (1, 2):
            if k == 2:
                x = F.conv2d(x, _equal(port, f"{name}.conv2.conv"), port[f"{name}.conv2.conv.bias"], padding=1)
            i = 2 * block + k - 1
            x = F.leaky_relu(x + noise[i] * port[f"{name}.noise_injector{k}.weight"], 0.2)
            affine = f"{name}.adain{k}.affine"
            style = F.linear(ws[:, i], _equal(port, affine), port[f"{affine}.bias"])[:, :, None, None]
            gamma, beta = style.chunk(2, dim=1)
            x = gamma * F.instance_norm(x, eps=1e-5) + beta
        images.append(F.conv2d(x, _equal(port, f"to_rgbs.{block}.conv"), port[f"to_rgbs.{block}.conv.bias"]))
    if share == 1:
        return images[-1]
    return (1 - share) * F.interpolate(images[-2], scale_factor=2) + share * images[-1]


def emulate_mmgeneration_discriminator(port: dict[str, Tensor], img: Tensor, *, share: float = 1.0) -> Tensor:
    """Scores of BGR images."""
    blocks = sum(name.startswith("from_rgb") and name.endswith("bias") for name in port)
    first = blocks - (img.shape[-1].bit_length() - 2)

    def from_rgb(j: int, x: Tensor) -> Tensor:
        return F.leaky_relu(
            F.conv2d(x, _equal(port, f"from_rgb.{j}.conv"), port[f"from_rgb.{j}.conv.bias"], padding=1), 0.2
        )

    x = from_rgb(first, img)
    for j in range(first, blocks - 1):
        x = F.conv2d(x, _equal(port, f"convs.{j}.0.conv"), port[f"convs.{j}.0.conv.bias"], padding=1)
        kernel = port[f"convs.{j}.1.kernel"].expand(x.shape[1], 1, 3, 3)
        x = F.conv2d(F.leaky_relu(x, 0.2), kernel, padding=1, groups=x.shape[1])
        # Shrinking is part of the convolution; the bias comes after.
        x = F.avg_pool2d(F.conv2d(x, _equal(port, f"convs.{j}.2.conv"), padding=1), 2)
        x = F.leaky_relu(x + port[f"convs.{j}.2.conv.bias"][:, None, None], 0.2)
        if j == first and share < 1:
            x = share * x + (1 - share) * from_rgb(j + 1, F.avg_pool2d(img, 2))
    g = min(4, len(x))
    y = x.reshape(g, -1, *x.shape[1:])
    y = (y.var(dim=0, correction=0) + 1e-8).sqrt().mean(dim=(1, 2, 3), keepdim=True)
    x = torch.cat([x, y.repeat(g, 1, 4, 4)], dim=1)
    name = f"convs.{blocks - 1}"
    x = F.leaky_relu(F.conv2d(x, _equal(port, f"{name}.0.conv"), port[f"{name}.0.conv.bias"], padding=1), 0.2)
    x = F.conv2d(x, _equal(port, f"{name}.1.conv"), port[f"{name}.1.conv.bias"]).flatten(1)
    return F.linear(x, _equal(port, "final_linear.0.linear", gain=1), port["final_linear.0.bias"])
