"""What the networks agree on: resolutions, feature maps, levels of detail, labels."""

from math import log2

from torch import Tensor

from .errors import InputError


def block_resolutions(img_resolution: int) -> list[int]:
    """The resolutions of a network: 4, 8, ... img_resolution. Raises InputError if it is no power of two above 4."""
    if not isinstance(img_resolution, int) or img_resolution < 8 or img_resolution & (img_resolution - 1):
        raise InputError(f"img_resolution must be a power of two, 8 or more; got {img_resolution!r}")
    return [2**i for i in range(2, img_resolution.bit_length())]


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
    highest = log2(img_resolution) - 2
    if not 0 <= lod <= highest:
        raise InputError(f"lod must be from 0 to {highest:g} at resolution {img_resolution}, got {lod!r}")
    return float(lod)


def check_labels(labels: Tensor | None, n: int, label_dim: int) -> Tensor | None:
    """Return labels if they are [n, label_dim], None for an unconditional network; else raise InputError."""
    if label_dim == 0:
        if labels is not None and labels.numel() > 0:
            raise InputError("this network is unconditional: it takes no labels")
        return None
    if labels is None:
        raise InputError(f"this network is conditional: pass labels [N, {label_dim}], one-hot or soft")
    if labels.shape != (n, label_dim):
        raise InputError(f"labels must be [{n}, {label_dim}], got {list(labels.shape)}")
    return labels
