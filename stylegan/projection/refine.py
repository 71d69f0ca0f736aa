"""Least squares on the pixels, which recovers the w of an image made by the model."""

from collections.abc import Callable

import torch
from torch import Tensor

from ..errors import InputError
from ..generator import Generator
from ..runtime.device import to_float64
from .objective import at_most

# Step of the finite differences, in deviations of a principal component of w.
_DIFFERENCE = 0.001

# Candidates for a step, each as a pull towards the average and as one towards the current u: small ones suit the end of
# the search, large ones its start.
_DAMPINGS = tuple(10.0**k for k in range(-5, 5))

# Pixels whose derivatives are converted to float64 at once.
_PIXELS = 2**14


def check_refinable(G: Generator) -> None:
    """Raise InputError for a generator in low precision."""
    if G.dtype != torch.float32:
        raise InputError(f"refine needs a model in float32, got {G.dtype}, whose rounding hides differences of images")


def refine_each(render: Callable[[Tensor], Tensor], u: Tensor, target: Tensor) -> Tensor:
    """`refine_step` for each of several images [N, C, R, R] and their coordinates [N, D]."""
    return torch.stack([refine_step(render, *each) for each in zip(u, target, strict=True)])


@torch.no_grad()
def refine_step(render: Callable[[Tensor], Tensor], u: Tensor, target: Tensor) -> Tensor:
    """One Gauss-Newton step with Levenberg-Marquardt damping: coordinates with a smaller pixel difference.

    render: from coordinates [N, D] to images [N, C, R, R]. u: [D], the current coordinates, in deviations each. target:
        [C, R, R]. The Jacobian comes from finite differences of D + 1 images. Of several dampings, which pull towards
        the average or towards u, the one with the nearest image wins; u itself if none is nearer. Images above 256x256
        are averaged down.
    """
    goal = _pixels(target[None])[0]
    steps = _DIFFERENCE * torch.eye(len(u) + 1, len(u), device=u.device, dtype=torch.float32)
    near = _pixels(render(u + steps))
    here = near[-1]  # Where the last row of steps, which is 0, leads.
    slopes = (near[:-1] - here) / _DIFFERENCE  # [D, P]
    exact = to_float64(u)
    matrix, slope, eye = exact.new_zeros(len(u), len(u)), torch.zeros_like(exact), torch.diag(torch.ones_like(exact))
    for part, rest in zip(slopes.split(_PIXELS, dim=1), (goal - here).split(_PIXELS), strict=True):
        part = to_float64(part)
        matrix += part @ part.T
        slope += part @ to_float64(rest)
    tried = [exact + torch.linalg.solve(matrix + d * eye, slope - pull * exact) for d in _DAMPINGS for pull in (d, 0.0)]
    found = torch.stack([u, *(t.to(u) for t in tried)])
    errors = (_pixels(render(found)) - goal).square().sum(dim=1)
    return found[errors.nan_to_num(nan=float("inf")).argmin()]


def _pixels(img: Tensor) -> Tensor:
    """[N, C, R, R] -> [N, C * R * R], at most 256x256."""
    return at_most(img).flatten(1)
