"""Checks of tensors at the public edge: type, shape and device."""

from collections.abc import Iterable, Sequence
from math import gcd
from typing import Any

import torch
from torch import Tensor

from ..errors import InputError
from .checks import shown


def check_tensor(
    value: Any,
    shape: Sequence[int | str],  # Sizes, or names of arbitrary ones; "..." first = any leading dimensions.
    *,
    what: str,
    device: torch.device | None = None,  # The required device; None = any.
    hint: str = "",
) -> Tensor:
    """Return value if it is a tensor of floating-point numbers of this shape, else raise InputError."""
    expected = f"[{', '.join(map(str, shape))}]"
    if not isinstance(value, Tensor):
        given = f"an array {list(value.shape)}; use torch.from_numpy" if hasattr(value, "shape") else shown(value)
        raise InputError(f"{what} must be a tensor {expected}, got {given}")
    sizes = list(value.shape)
    wanted = list(shape)
    if wanted[:1] == ["..."]:
        wanted, sizes = wanted[1:], sizes[max(0, len(sizes) - len(wanted) + 1) :]
    if len(sizes) != len(wanted) or any(isinstance(w, int) and s != w for s, w in zip(sizes, wanted, strict=True)):
        raise InputError(f"{what} must be {expected}, got {list(value.shape)}{hint}")
    if not value.is_floating_point() or value.layout != torch.strided:
        kind = str(value.dtype if value.layout == torch.strided else value.layout).removeprefix("torch.")
        raise InputError(f"{what} must be a dense tensor of floating-point numbers, got one of {kind}")
    if device is not None:
        check_device_of(value, device, what=what)
    return value


def check_device_of(value: Tensor, device: torch.device, *, what: str) -> None:
    """Raise InputError unless a tensor is on this device."""
    if value.device != device:
        raise InputError(f"{what} is on {value.device}, expected on {device}; move it with .to({str(device)!r})")


def weighted_sums(tensors: Iterable[Tensor]) -> Tensor:
    """Weighted sums [S] over parts of tensors, one weight per position: changed or moved values change the sums.

    Up to rounding, they detect as much as a sha256, in a fraction of its time and on the tensors' device.
    """
    sums = []
    for tensor in tensors:
        part = gcd(tensor.numel(), 4096)
        weights = torch.arange(1, part + 1, device=tensor.device, dtype=torch.float32) / part
        sums.append(tensor.detach().reshape(-1, part).float() @ weights)
    return torch.cat(sums)
