"""Processing of real images for the discriminator."""

import torch
from torch import Tensor

from ..data.dataset import box_downscale
from ..images.convert import from_uint8
from ..networks import ops


def process_reals(
    img: Tensor, lod: float, *, mirror: Tensor | None = None, enlarge: bool = True, fade: Tensor | None = None
) -> Tensor:
    """Convert real images to what the discriminator sees at a level of detail.

    img: uint8 [N, C, R, R], at the resolution of the level of detail's integer part (see `shrink`).
    lod: its fractional part fades out detail that half the resolution cannot show.
    mirror: [N] of bool, which images to flip left to right; None = none.
    enlarge: repeat pixels by 2^int(lod), to the resolution of the network.
    fade: lod's fractional part as a tensor [], which replaces it unless it is 0; see `ops.fade`.

    Returns float32 [N, C, R', R'] in [-1, 1].
    """
    x = from_uint8(img)
    if mirror is not None:
        x = torch.where(mirror.to(x.device)[:, None, None, None], x.flip(3), x)
    if lod % 1:
        x = ops.fade(x, ops.upscale(ops.downscale(x)), lod, fade)
    return ops.upscale(x, 2 ** int(lod)) if enlarge else x


def shrink(img: Tensor, resolution: int) -> Tensor:
    """Average blocks of pixels down to a resolution and round: uint8 [N, C, R, R] -> [N, C, resolution, resolution].

    A data set stores each image once; this computes the lower resolutions. It runs in the prefetching thread, so it
    uses NumPy: a parallel PyTorch operation in a second thread would start its own OpenMP workers, after which those of
    the training step no longer spin between operations; on two cores, steps were then 10 to 17% slower.
    """
    size = img.shape[-1]
    if size <= resolution:
        return img
    planes = box_downscale(img.cpu().numpy().reshape(-1, size, size, 1), size // resolution)
    return torch.from_numpy(planes).view(*img.shape[:-2], resolution, resolution)
