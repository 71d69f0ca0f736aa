"""Steps on the pixels alone: after an encoder, each takes a fraction of the time of one with a perceptual network."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ..generator import Generator
from .coordinates import Coordinates
from .objective import MAX_SIZE, learning_rate_factor
from .projector import Settings

# Of Adam at its peak, in deviations of the principal components of w.
_LEARNING_RATE = 0.1

# The least size of the images that are compared.
_MIN_SIZE = 16


def approach(ws: Tensor, target: Tensor, G: Generator, settings: Settings, bar: Any, *, batch_size: int) -> Tensor:
    """ws [N, num_ws, w_dim] after `pixel_steps` towards images [N, C, R, R], with the model's own noise maps.

    The loss is the mean squared difference, summed over the model's size, at most 256x256, and its halves down to
    16x16, plus `w_weight` times the mean square of w in whitened coordinates.
    """
    coordinates, steps = Coordinates(G), settings.pixel_steps
    u = coordinates.of(ws if settings.space == "w+" else ws[:, :1]).requires_grad_()
    optimizer = torch.optim.Adam([u])
    for step in range(1, steps + 1):
        optimizer.param_groups[0]["lr"] = _LEARNING_RATE * learning_rate_factor(step, steps + 1)
        optimizer.zero_grad(set_to_none=True)
        for part, goal in zip(u.split(batch_size), target.split(batch_size), strict=True):
            img = G.synthesis(coordinates.w(part).expand(-1, G.num_ws, -1))
            # Images do not affect each other's latents, so the gradient of the sum is each one's own.
            loss = settings.w_weight * part.square().mean(dim=(1, 2)).sum()
            for a, b in zip(_sizes(img), _sizes(goal), strict=True):
                loss = loss + (a - b).square().mean(dim=(1, 2, 3)).sum()
            loss.backward(inputs=[u])
        optimizer.step()
        bar.update()
    return coordinates.w(u.detach()).expand_as(ws).contiguous()


def _sizes(img: Tensor) -> list[Tensor]:
    """Images, at most 256x256, and their halves."""
    sizes = [F.avg_pool2d(img, img.shape[-1] // MAX_SIZE) if img.shape[-1] > MAX_SIZE else img]
    while sizes[-1].shape[-1] > _MIN_SIZE:
        sizes.append(F.avg_pool2d(sizes[-1], 2))
    return sizes
