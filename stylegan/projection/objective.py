"""The loss of projection, and its schedules (Karras et al. 2020, "Analyzing and Improving...", appendix D)."""

from collections.abc import Callable, Sequence
from math import cos, pi

import torch
import torch.nn.functional as F
from torch import Tensor

from ..images.convert import as_rgb

# From images [N, 3, H, W] in [-1, 1] to vectors [N, D] whose squared distances are perceptual.
Embed = Callable[[Tensor], Tensor]

# Perceptual networks were trained at this size; larger images are averaged down to it.
MAX_SIZE = 256

# The least that they take: the coarsest size of the pyramid.
MIN_SIZE = 32


def learning_rate_factor(step: int, steps: int) -> float:
    """Share of the full learning rate: linear warm-up in the first twentieth, cosine decay in the last quarter."""
    t = step / steps
    return min(1.0, t / 0.05) * (0.5 - 0.5 * cos(pi * min(1.0, (1 - t) / 0.25)))


def exploration(step: int, steps: int) -> float:
    """Noise on w, in deviations of each principal component: 0.15 t^2, with t from 1 to 0 in three quarters."""
    return 0.15 * max(0.0, 1 - step / steps / 0.75) ** 2


def at_most(img: Tensor) -> Tensor:
    """Images [N, C, R, R], averaged down to 256x256 if they are larger."""
    return F.avg_pool2d(img, img.shape[-1] // MAX_SIZE) if img.shape[-1] > MAX_SIZE else img


def pyramid(img: Tensor, smallest: int) -> list[Tensor]:
    """Images, at most 256x256, and their halves down to this size."""
    sizes = [at_most(img)]
    while sizes[-1].shape[-1] >= 2 * smallest:
        sizes.append(F.avg_pool2d(sizes[-1], 2))
    return sizes


def embed_images(img: Tensor, embed: Embed) -> Tensor:
    """Embed images [N, C, H, W] in [-1, 1] at every size of a pyramid, over which the squared distance is the mean.

    The sizes are the images' own, at most 256x256, and its halves down to 32x32, as RGB (`images.as_rgb`). A perceptual
    network has a fixed receptive field, so at one size it sees less of a face in a larger image.
    """
    parts = [embed(as_rgb(size)) for size in pyramid(img, MIN_SIZE)]
    weight: float = len(parts) ** 0.5
    return torch.cat(parts, dim=1) / weight


def perceptual_distance(a: Tensor, b: Tensor) -> Tensor:
    """Squared distance of embeddings [N, D]: [N]."""
    return (a - b).square().sum(dim=1)


def noise_regularization(maps: Sequence[Tensor]) -> Tensor:
    """Penalty that keeps noise maps [N, 1, R, R] from encoding the image: squared autocorrelation, [N].

    Each map counts at its own size and, averaged over 2x2 pixels and doubled to keep its variance, at every smaller one
    down to 8x8. The shifts are one pixel right and one down, with wraparound.
    """
    total = torch.zeros(len(maps[0]), device=maps[0].device, dtype=torch.float32)
    for noise in maps:
        while True:
            for axis in (2, 3):
                total = total + (noise * noise.roll(1, axis)).mean(dim=(1, 2, 3)).square()
            if noise.shape[-1] <= 8:
                break
            noise = F.avg_pool2d(noise, 2) * 2
    return total


def normalize_noise(maps: Sequence[Tensor]) -> None:
    """Give each map [N, 1, R, R] zero mean and unit variance, in place."""
    with torch.no_grad():
        for noise in maps:
            noise -= noise.mean(dim=(1, 2, 3), keepdim=True)
            noise *= noise.square().mean(dim=(1, 2, 3), keepdim=True).rsqrt()
