"""Pure functions on latents: seeds -> z, w -> ws, truncation and style mixing.

Shapes: z [N, z_dim]; w [N, w_dim]; ws [N, num_ws, w_dim], one w for each synthesis layer.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..errors import InputError
from ..runtime.checks import check_integer, check_number, shown
from ..runtime.tensors import check_tensor
from .bands import Layers, layer_indices


def broadcast(w: Tensor, num_ws: int) -> Tensor:
    """Give every layer the same w: [N, w_dim] -> [N, num_ws, w_dim]."""
    check_tensor(w, ("N", "w_dim"), what="w")
    check_integer(num_ws, what="num_ws", low=1, high=2**10)
    return w[:, None].expand(-1, num_ws, -1)


_CUTOFF = "truncation_cutoff, a layer index or None,"


def truncate(
    ws: Tensor,
    w_avg: Tensor,
    truncation_psi: float | Sequence[float] | Tensor = 0.7,
    truncation_cutoff: int | None = None,
) -> Tensor:
    """Move ws towards the average: w_avg + psi * (ws - w_avg) (Karras et al. 2019, appendix B).

    ws: [N, num_ws, w_dim]; w_avg: [w_dim].
    truncation_psi: 1 changes nothing, 0 gives the average image, below 0 its opposite; or one value for each layer,
        [num_ws] or [N, num_ws].
    truncation_cutoff: only layers below this index are moved; None = all of them. As in the official code, an index
        of 0 or less means none, and one past the last layer all. (The official code writes cutoff None for
        "no truncation"; that is psi 1 or cutoff 0 here.)

    Returns ws: [N, num_ws, w_dim]. Raises InputError for wrong shapes.
    """
    check_tensor(w_avg, ("w_dim",), what="w_avg")
    hint = "; broadcast w to all layers first" if getattr(ws, "ndim", 0) == 2 else ""
    check_tensor(ws, ("N", "num_ws", len(w_avg)), what="ws", hint=hint)
    n, num_ws, _ = ws.shape
    psi = check_psi(truncation_psi, [(), (num_ws,), (n, num_ws)]).to(ws, non_blocking=True).expand(n, num_ws)
    if truncation_cutoff is not None:
        cutoff = check_integer(truncation_cutoff, what=_CUTOFF, low=-(2**31), high=2**31)
        below = torch.arange(num_ws, device=ws.device) < cutoff
        psi = torch.where(below, psi, 1.0)
    # Written so that psi 1 returns ws, and psi 0 the average, to the last bit.
    return torch.lerp(w_avg.to(ws), ws, psi[..., None])


def check_cutoff(truncation_cutoff: int | None, num_ws: int) -> int | None:
    """Return a cutoff chosen for a network; raise InputError unless it is None or from 0 (no layer) to num_ws (all).

    8, the official code's default, is valid for all networks.
    """
    if truncation_cutoff is None:
        return None
    return check_integer(truncation_cutoff, what=_CUTOFF, low=0, high=max(num_ws, 8))


def check_psi(truncation_psi: float | Sequence[float] | Tensor, shapes: Sequence[tuple[int, ...]]) -> Tensor:
    """Return truncation_psi as a float32 tensor if it is finite and has one of these shapes, else raise InputError."""
    return as_numbers(truncation_psi, shapes, what="truncation_psi", meaning="a number (1 = no truncation)")


def as_numbers(value: Any, shapes: Sequence[tuple[int, ...]], *, what: str, meaning: str = "a number") -> Tensor:
    """Return numbers as a float32 tensor if they are finite and have one of these shapes, else raise InputError."""
    try:
        given: Any = value if isinstance(value, Tensor) else np.asarray(value)
        numbers = torch.as_tensor(given, device="cpu") if given.dtype != object else None
    except (TypeError, ValueError, RuntimeError, OverflowError):
        numbers = None
    if numbers is None or numbers.dtype == torch.bool or numbers.is_complex() or numbers.device.type == "meta":
        raise InputError(f"{what} must be {meaning}, got {shown(value)}")
    if tuple(numbers.shape) not in shapes:
        expected = " or ".join(str(list(shape)) if shape else "a number" for shape in shapes)
        raise InputError(f"{what} must be {expected}, got {list(numbers.shape)}")
    numbers = numbers.to(torch.float32)
    if not numbers.isfinite().all():
        raise InputError(f"{what} must be finite, got {shown(value)}")
    return numbers


def slerp(a: Tensor, b: Tensor, t: float | Tensor) -> Tensor:
    """Spherical interpolation: from a at t = 0 to b at t = 1 along a great circle (Karras et al. 2019, section 4.1).

    a, b: [..., dim]; t broadcasts with them, [N, 1] for one value per row. The direction turns at a constant rate, and
    the length changes linearly from a's to b's; opposite vectors, which many great circles join, are joined by a
    straight line. Returns [..., dim]. Raises InputError for shapes that do not fit.
    """
    check_tensor(a, ("...", "dim"), what="a")
    check_tensor(b, ("...", a.shape[-1]), what="b", device=a.device)
    if isinstance(t, Tensor):
        t = t if t.is_floating_point() else t.to(a.dtype)  # 0 and 1 are whole numbers.
        check_tensor(t, ("...",), what="t", device=a.device if t.ndim else None)
    else:
        t = check_number(t, what="t")
    t = torch.as_tensor(t, dtype=a.dtype, device=a.device)
    _check_broadcast(a=a, b=b, t=t)
    length_a, length_b = a.norm(dim=-1, keepdim=True), b.norm(dim=-1, keepdim=True)
    unit_a, unit_b = a / length_a, b / length_b
    angle = (unit_a * unit_b).sum(dim=-1, keepdim=True).clamp(-1, 1).acos()
    arc = (torch.sin((1 - t) * angle) * unit_a + torch.sin(t * angle) * unit_b) / torch.sin(angle)
    on_arc = arc * torch.lerp(length_a, length_b, t)
    # For angles of 0 or 180 degrees up to rounding, and for zero vectors.
    return torch.where(torch.sin(angle) > 1e-4, on_arc, torch.lerp(a, b, t))


def mix_styles(ws_a: Tensor, ws_b: Tensor | Mapping[Any, Tensor], layers: Layers | None = None) -> Tensor:
    """Take the styles of some layers from ws_b and the others from ws_a (Karras et al. 2019, section 3.1).

    ws_a, ws_b: [..., num_ws, w_dim]; the leading dimensions broadcast: [A, 1, ...] with [1, B, ...] mixes all pairs.
    layers: an integer is a crossover: layers before it come from a, the others from b. "coarse" (4x4 to 8x8),
        "middle" (16x16 to 32x32), "fine" (64x64 up; for smaller networks see `bands.bands`), a slice, a range or a
        list of layer indices name the layers of b, and so does their text: "4:8", "4-7", "0,3,5". In slices and lists
        -1 is the last layer. With no layers ([]), the result is ws_a.

    For three or more sources, ws_b is a dictionary of layers and their ws, {"middle": ws_b, "fine": ws_c} or
    {4: ws_b, 8: ws_c}, and `layers` is omitted; if layers are named twice, the last entry counts.

    Returns ws: [..., num_ws, w_dim]. Raises InputError for layers that do not exist or shapes that do not fit.

    >>> a, b, c = (torch.full((1, 10, 512), value) for value in (0.0, 1.0, 2.0))
    >>> mix_styles(a, b, "coarse")[0, :, 0].tolist()
    [1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]
    >>> mix_styles(a, {"middle": b, "fine": c})[0, :, 0].tolist()
    [0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0, 2.0, 2.0]
    """
    if isinstance(ws_b, Mapping) and layers is not None:
        raise InputError(f"a dictionary of sources names the layers itself; leave out layers={shown(layers)}")
    sources: Iterable[tuple[Any, Tensor]] = ws_b.items() if isinstance(ws_b, Mapping) else [(layers, ws_b)]
    check_tensor(ws_a, ("...", "num_ws", "w_dim"), what="ws_a")
    ws, num_ws = ws_a, ws_a.shape[-2]
    for own_layers, own in sources:
        check_tensor(own, ("...", *ws.shape[-2:]), what="ws_b", device=ws.device)
        _check_broadcast(ws_a=ws, ws_b=own)
        replaced = torch.zeros(num_ws, 1, dtype=torch.bool, device="cpu")
        replaced[layer_indices(own_layers, num_ws)] = True
        ws = torch.where(replaced.to(ws.device), own, ws)
    return ws


def cross_over(latents: Sequence[Tensor], crossovers: Tensor, num_ws: int) -> Tensor:
    """Give each image the styles of several latents, one after the other (Karras et al. 2019, section 3.1).

    latents: k tensors w [N, w_dim]. crossovers: [N] for two latents, [N, k - 1] for more, ascending in each row: the
    layers from which the second, third... latent takes over; num_ws and above = never.

    Returns ws: [N, num_ws, w_dim]. Arguments are not checked: this is part of training steps.
    """
    layers = torch.arange(num_ws, device=latents[0].device)
    ws = latents[0][:, None]  # [N, 1, w_dim]
    for w, first in zip(latents[1:], crossovers.to(layers.device).view(len(ws), -1).unbind(1), strict=True):
        ws = torch.where((layers < first[:, None])[:, :, None], ws, w[:, None])  # [N, num_ws, w_dim]
    return ws


def _check_broadcast(**tensors: Tensor) -> None:
    try:
        torch.broadcast_shapes(*(tensor.shape for tensor in tensors.values()))
    except RuntimeError:
        given = " and ".join(f"{name} {list(tensor.shape)}" for name, tensor in tensors.items())
        raise InputError(f"the batches of {given} do not broadcast") from None


def same_average(w_avg: Tensor, other: Tensor) -> bool:
    """Whether two average w [w_dim] belong to one model; copies in half precision differ by less than 1%."""
    if w_avg.shape != other.shape:
        return False
    w_avg, other = w_avg.float(), other.to(w_avg.device, torch.float32)
    return bool((w_avg - other).norm() <= 0.01 * w_avg.norm())


def check_same_average(w_avg: Tensor, other: Tensor, *, what: str, next_step: str) -> None:
    """Raise InputError unless something made with the average w `other` [w_dim] fits the model with w_avg [w_dim]."""
    if not same_average(w_avg, other):
        why = f"its w has {len(other)} numbers, not {len(w_avg)}" if len(other) != len(w_avg) else "its w_avg differs"
        raise InputError(f"{what} belongs to another model ({why}); {next_step}")
