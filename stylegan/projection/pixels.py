"""Steps on the pixels alone: after an encoder, each takes a fraction of the time of one with a perceptual network."""

from typing import Any

import torch
from torch import Tensor

from .coordinates import Coordinates
from .objective import learning_rate_factor, pyramid
from .projector import Settings

# Of Adam at its peak, in deviations of the principal components of w.
_LEARNING_RATE = 0.1

# The least size of the images that are compared.
_MIN_SIZE = 16


def approach(
    ws: Tensor, target: Tensor, coordinates: Coordinates, settings: Settings, bar: Any, *, batch_size: int
) -> Tensor:
    """ws [N, num_ws, w_dim] after `pixel_steps` towards images [N, C, R, R], with the model's own noise maps.

    The loss is the mean squared difference, summed over the model's size, at most 256x256, and its halves down to
    16x16, plus `w_weight` times the mean square of w in whitened coordinates.
    """
    G, steps = coordinates.G, settings.pixel_steps
    goals = [pyramid(part, _MIN_SIZE) for part in target.split(batch_size)]
    u = coordinates.of(ws if settings.space == "w+" else ws[:, :1]).requires_grad_()
    optimizer = torch.optim.Adam([u])
    for step in range(1, steps + 1):
        optimizer.param_groups[0]["lr"] = _LEARNING_RATE * learning_rate_factor(step, steps + 1)
        optimizer.zero_grad(set_to_none=True)
        for part, goal in zip(u.split(batch_size), goals, strict=True):
            img = G.synthesis(coordinates.w(part).expand(-1, G.num_ws, -1))
            # Images do not affect each other's latents, so the gradient of the sum is each one's own.
            loss = settings.w_weight * part.square().mean(dim=(1, 2)).sum()
            for a, b in zip(pyramid(img, _MIN_SIZE), goal, strict=True):
                loss = loss + (a - b).square().mean(dim=(1, 2, 3)).sum()
            loss.backward(inputs=[u])
        optimizer.step()
        bar.update()
    return coordinates.w(u.detach()).expand_as(ws).contiguous()
