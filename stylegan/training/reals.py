"""Real images on their way to the discriminator."""

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from .. import ops
from ..images import from_uint8


def process_reals(img: Tensor, lod: float, *, mirror: Tensor | None = None, enlarge: bool = True) -> Tensor:
    """Convert real images to what the discriminator sees at a level of detail.

    img: uint8 [N, C, R, R], at the resolution of the level of detail's integer part (see `shrink`).
    lod: its fractional part fades out the detail that half the resolution cannot show.
    mirror: [N] of bool, the images to flip left to right; None = none.
    enlarge: repeat pixels by 2^int(lod), to the resolution of the network.

    Returns float32 [N, C, R', R'] in [-1, 1].
    """
    x = from_uint8(img)
    if mirror is not None:
        x = torch.where(mirror.to(x.device)[:, None, None, None], x.flip(3), x)
    if lod % 1:
        x = torch.lerp(x, ops.upscale(ops.downscale(x)), lod % 1)
    return ops.upscale(x, 2 ** int(lod)) if enlarge else x


def shrink(img: Tensor, resolution: int) -> Tensor:
    """Average blocks of pixels down to a resolution and round: uint8 [N, C, R, R] -> [N, C, resolution, resolution].

    A data set holds each picture once; this makes its coarser levels. The work is Pillow's, not PyTorch's: this runs in
    the thread that reads ahead, and the first parallel operation of a second thread would start workers of its own,
    with which OpenMP no longer lets those of the training step spin between two operations; on two cores every step was
    a tenth to a sixth slower for the rest of the run.
    """
    factor = img.shape[-1] // resolution
    if factor <= 1:
        return img
    rows = Image.fromarray(img.cpu().numpy().reshape(-1, img.shape[-1]))
    return torch.from_numpy(np.array(rows.reduce(factor))).view(*img.shape[:-2], resolution, resolution)
