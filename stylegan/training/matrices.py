"""Matrices for augmentation: geometric transforms, [N, 3, 3], and colour transforms, [N, 4, 4]."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from ..runtime.device import FLOAT32_CPU


def product(*matrices: Tensor) -> Tensor:
    """The matrix of several transforms, the last one first."""
    result = matrices[0]
    for matrix in matrices[1:]:
        result = result @ matrix
    return result


def _matrix(rows: Sequence[Sequence[Tensor | float]], n: int) -> Tensor:
    return torch.stack(
        [torch.stack([torch.as_tensor(v, **FLOAT32_CPU).float().expand(n) for v in row], dim=-1) for row in rows], 1
    )


def scaling(x: Tensor, y: Tensor) -> Tensor:
    """Scale along both axes."""
    return _matrix([[x, 0, 0], [0, y, 0], [0, 0, 1]], len(x))


def moving(x: Tensor, y: Tensor) -> Tensor:
    """Translate along both axes."""
    return _matrix([[1, 0, x], [0, 1, y], [0, 0, 1]], len(x))


def rotation(angle: Tensor) -> Tensor:
    """Rotate by an angle in radians."""
    cos, sin = angle.cos(), angle.sin()
    return _matrix([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]], len(angle))


def turning(quarters: Tensor) -> Tensor:
    """Rotation by multiples of 90 degrees, without rounding errors."""
    cos, sin = (torch.tensor(v, **FLOAT32_CPU)[quarters.long() % 4] for v in ([1.0, 0, -1, 0], [0, 1.0, 0, -1]))
    return _matrix([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]], len(quarters))


def _colour(linear: Tensor) -> Tensor:
    """A linear colour transform [N, 3, 3] as [N, 4, 4]."""
    matrix = torch.eye(4, **FLOAT32_CPU).repeat(len(linear), 1, 1)
    matrix[:, :3, :3] = linear
    return matrix


def along_greys(along: Tensor, across: Tensor) -> Tensor:
    """Scale the grey part of a colour, and the rest."""
    grey = torch.full((3, 3), 1 / 3, **FLOAT32_CPU)
    return _colour(torch.eye(3, **FLOAT32_CPU) * across[:, None, None] + grey * (along - across)[:, None, None])


def around_greys(angle: Tensor) -> Tensor:
    """Rotate the hue: around the luma axis (Rodrigues)."""
    cos, sin = angle.cos()[:, None, None], angle.sin()[:, None, None]
    cross = torch.tensor([[0.0, -1, 1], [1, 0, -1], [-1, 1, 0]], **FLOAT32_CPU) / math.sqrt(3)
    turned = torch.eye(3, **FLOAT32_CPU) * cos + cross * sin + torch.full((3, 3), 1 / 3, **FLOAT32_CPU) * (1 - cos)
    return _colour(turned)


def brightening(added: Tensor) -> Tensor:
    """Add to all colours."""
    matrix = torch.eye(4, **FLOAT32_CPU).repeat(len(added), 1, 1)
    matrix[:, :3, 3] = added[:, None]
    return matrix
