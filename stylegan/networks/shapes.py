"""What the networks share: resolutions, feature maps, levels of detail, labels."""

import re
from math import log2

from torch import Tensor

from ..errors import InputError
from ..runtime.checks import check_number
from ..runtime.tensors import check_tensor


def block_resolutions(img_resolution: int) -> list[int]:
    """The resolutions of a network: 4, 8, ... img_resolution, a power of two."""
    return [2**i for i in range(2, img_resolution.bit_length())]


def resolution_of(name: str) -> int:
    """The resolution that a weight belongs to, by its name; 0 = all."""
    if match := re.match(r"synthesis\.layers\.(\d+)\.", name):
        return 4 << int(match[1]) // 2
    match = re.match(r"(?:synthesis\.to_rgb|from_rgb|blocks)\.(\d+)\.", name)
    return int(match[1]) if match else 0


def feature_maps(resolution: int, *, fmap_base: int, fmap_decay: float, fmap_max: int) -> int:
    """Number of feature maps at a resolution: fmap_base / (resolution / 2)^fmap_decay, and at most fmap_max."""
    stage = int(log2(resolution)) - 1
    channels = min(int(fmap_base / 2.0 ** (stage * fmap_decay)), fmap_max)
    if channels < 1:
        raise InputError(
            f"fmap_base {fmap_base} and fmap_max {fmap_max} leave no feature maps at {resolution}x{resolution}"
        )
    return channels


def check_lod(lod: float, img_resolution: int) -> float:
    """Return the level of detail if the network has it, else raise InputError."""
    return check_number(lod, what=f"lod at resolution {img_resolution}", low=0, high=log2(img_resolution) - 2)


def check_labels(labels: Tensor | None, n: int, label_dim: int) -> Tensor | None:
    """Return labels if they are [n, label_dim], None for an unconditional network; else raise InputError."""
    if label_dim == 0:
        if labels is not None and not (isinstance(labels, Tensor) and labels.numel() == 0):
            raise InputError("this network is unconditional: it takes no labels")
        return None
    if labels is None:
        raise InputError(
            f"this network is conditional: choose one of its {label_dim} classes by labels=0 (in commands, --label 0), "
            f"or pass labels [N, {label_dim}], one-hot or soft"
        )
    return check_tensor(labels, (n, label_dim), what="labels")
