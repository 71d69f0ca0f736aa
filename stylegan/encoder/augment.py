"""Variation of real images: people's photos are framed and lit in more ways than aligned data."""

from math import pi

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

_SHARE = 0.7  # Of the images; the others stay as they are.
_LUMA = (0.299, 0.587, 0.114)


def augment(img: Tensor, random: np.random.RandomState) -> Tensor:
    """Images [N, C, R, R] in [-1, 1], most of them zoomed, shifted, rotated and relit a little.

    What lies outside an image is its reflection. Light does not change alpha.
    """
    n, is_varied = len(img), random.uniform(size=len(img)) < _SHARE
    scale = np.exp(random.uniform(-0.12, 0.25, size=n))  # Above 1, the face becomes smaller.
    angle = random.uniform(-8, 8, size=n) * pi / 180
    shift = random.uniform(-0.12, 0.12, size=(n, 2))  # 1 is half the image.
    brightness, contrast, saturation = random.uniform([-0.2, 0.8, 0.6], [0.2, 1.2, 1.2], size=(n, 3)).T
    rotation = np.stack([np.cos(angle), -np.sin(angle), np.sin(angle), np.cos(angle)], axis=1).reshape(n, 2, 2)
    theta = np.concatenate([rotation * scale[:, None, None], shift[:, :, None]], axis=2)
    grid = F.affine_grid(torch.from_numpy(theta).to(img), list(img.shape), align_corners=False)
    varied = F.grid_sample(img, grid, padding_mode="reflection", align_corners=False)
    colours = img.shape[1] - (img.shape[1] in (2, 4))
    lit, alpha = varied[:, :colours], varied[:, colours:]
    if colours == 3:
        grey = (lit * lit.new_tensor(_LUMA)[:, None, None]).sum(dim=1, keepdim=True)
        lit = torch.lerp(grey, lit, _of_images(saturation, img))
    lit = (lit * _of_images(contrast, img) + _of_images(brightness, img)).clamp(-1, 1)
    return torch.where(_of_images(is_varied, img) > 0, torch.cat([lit, alpha], dim=1), img)


def _of_images(values: np.ndarray, img: Tensor) -> Tensor:
    """A value for each image, [N, 1, 1, 1]."""
    return torch.from_numpy(values).to(img)[:, None, None, None]
