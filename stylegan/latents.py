"""Pure functions on latents: seeds -> z, w -> ws, truncation and style mixing.

Shapes: z [N, z_dim]; w [N, w_dim]; ws [N, num_ws, w_dim], one w for each synthesis layer.
"""

import operator
from collections.abc import Iterable, Sequence
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from .errors import InputError

Seeds = int | Iterable[int]
Layers = int | Literal["coarse", "middle", "fine"] | slice | Sequence[int]

# The bands of the paper's style mixing (section 3.1): 4x4 to 8x8, 16x16 to 32x32, and 64x64 up.
BANDS = {"coarse": slice(0, 4), "middle": slice(4, 8), "fine": slice(8, None)}


def z_from_seeds(seeds: Seeds, z_dim: int = 512) -> Tensor:
    """Draw a latent from each seed: [N, z_dim], float32, on the CPU.

    The draw is that of the official examples, `numpy.random.RandomState(seed).randn(z_dim)`: the same numbers on
    every platform. Raises InputError for anything but integers from 0 to 2^32 - 1.

    >>> z_from_seeds([0, 1], z_dim=4).shape
    torch.Size([2, 4])
    """
    draws = [np.random.RandomState(seed).randn(z_dim) for seed in check_seeds(seeds)]
    return torch.from_numpy(np.asarray(draws, dtype=np.float32).reshape(len(draws), z_dim))


def noise_from_seeds(seeds: Seeds, shapes: Sequence[tuple[int, int]]) -> list[Tensor]:
    """Draw normal noise maps from each seed, one for each (height, width) in shapes: a list of [N, 1, H, W].

    The maps of a seed depend on that seed alone. Raises InputError like `z_from_seeds`.
    """
    states = [np.random.RandomState(seed) for seed in check_seeds(seeds)]
    # Layer by layer within each seed, so that the coarse layers of a larger network get the same maps.
    return [
        torch.from_numpy(np.asarray([s.standard_normal((1, h, w)) for s in states], dtype=np.float32))
        for h, w in shapes
    ]


def check_seeds(seeds: Seeds) -> list[int]:
    """Return seeds as a list of integers that numpy's RandomState takes, else raise InputError."""
    return check_integers(seeds, what="a seed", limit=2**32)


def check_integers(values: Any, *, what: str, limit: int) -> list[int]:
    """Return an integer, or some, as a list if all are from 0 to limit - 1, else raise InputError."""
    given = [values] if _is_index(values) else values
    if isinstance(given, str | bytes) or not isinstance(given, Iterable):
        raise InputError(f"expected an integer or a sequence of integers, got {values!r} for {what}")
    checked = list(given)
    for value in checked:
        if not _is_index(value) or not 0 <= value < limit:
            raise InputError(f"{what} must be an integer from 0 to {limit - 1}, got {value!r}")
    return [operator.index(value) for value in checked]


def _is_index(value: Any) -> bool:
    """Whether a value is an integer: Python's, numpy's or a tensor without dimensions, but no bool."""
    if isinstance(value, bool) or getattr(value, "ndim", 0) > 0:
        return False
    try:
        operator.index(value)
    except TypeError:
        return False
    return True


def broadcast(w: Tensor, num_ws: int) -> Tensor:
    """Give every layer the same w: [N, w_dim] -> [N, num_ws, w_dim]."""
    if w.ndim != 2:
        raise InputError(f"w must be [N, w_dim], got {list(w.shape)}")
    return w[:, None].expand(-1, num_ws, -1)


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
    truncation_cutoff: only layers below this index are moved; None = all of them, 0 or less = none.
        (The official code writes cutoff None for "no truncation"; that is psi 1 or cutoff 0 here.)

    Returns ws: [N, num_ws, w_dim]. Raises InputError for wrong shapes.
    """
    if ws.ndim != 3 or ws.shape[-1:] != w_avg.shape:
        hint = "; broadcast w to all layers first" if ws.ndim == 2 else ""
        raise InputError(f"ws must be [N, num_ws, {w_avg.numel()}], got {list(ws.shape)}{hint}")
    n, num_ws, _ = ws.shape
    psi = check_psi(truncation_psi, [(), (num_ws,), (n, num_ws)]).to(ws, non_blocking=True).expand(n, num_ws)
    if truncation_cutoff is not None:
        if not _is_index(truncation_cutoff):
            raise InputError(f"truncation_cutoff must be a layer index or None, got {truncation_cutoff!r}")
        below = torch.arange(num_ws, device=ws.device) < truncation_cutoff
        psi = torch.where(below, psi, 1.0)
    # Written so that psi 1 returns ws, and psi 0 the average, to the last bit.
    return torch.lerp(w_avg.to(ws), ws, psi[..., None])


def check_psi(truncation_psi: float | Sequence[float] | Tensor, shapes: Sequence[tuple[int, ...]]) -> Tensor:
    """Return truncation_psi as a float32 tensor if it is finite and has one of these shapes, else raise InputError."""
    try:
        psi = torch.as_tensor(truncation_psi, dtype=torch.float32)
    except (TypeError, ValueError, RuntimeError):
        raise InputError(f"truncation_psi must be a number (1 = no truncation), got {truncation_psi!r}") from None
    if tuple(psi.shape) not in shapes:
        expected = " or ".join(str(list(shape)) if shape else "a number" for shape in shapes)
        raise InputError(f"truncation_psi must be {expected}, got {list(psi.shape)}")
    if not psi.isfinite().all():
        raise InputError(f"truncation_psi must be finite, got {truncation_psi!r}")
    return psi


def slerp(a: Tensor, b: Tensor, t: float | Tensor) -> Tensor:
    """Spherical interpolation: from a at t = 0 to b at t = 1 along a great circle (Karras et al. 2019, section 4.1).

    a, b: [..., dim]; t broadcasts with them, [N, 1] for one value for each row. The direction turns at an even rate and
    the length changes evenly from that of a to that of b; opposite vectors, between which there is no one way, are
    joined by a straight line. Returns [..., dim]. Raises InputError for shapes that do not fit.
    """
    if a.shape[-1:] != b.shape[-1:]:
        raise InputError(f"a and b must both be [..., dim], got {list(a.shape)} and {list(b.shape)}")
    length_a, length_b = a.norm(dim=-1, keepdim=True), b.norm(dim=-1, keepdim=True)
    unit_a, unit_b = a / length_a, b / length_b
    angle = (unit_a * unit_b).sum(dim=-1, keepdim=True).clamp(-1, 1).acos()
    t = torch.as_tensor(t, dtype=a.dtype, device=a.device)
    arc = (torch.sin((1 - t) * angle) * unit_a + torch.sin(t * angle) * unit_b) / torch.sin(angle)
    on_arc = arc * torch.lerp(length_a, length_b, t)
    # Where the angle is 0 or 180 degrees to within rounding, and of vectors of length 0.
    return torch.where(torch.sin(angle) > 1e-4, on_arc, torch.lerp(a, b, t))


def mix_styles(ws_a: Tensor, ws_b: Tensor, layers: Layers) -> Tensor:
    """Take the styles of some layers from ws_b and the others from ws_a (Karras et al. 2019, section 3.1).

    ws_a, ws_b: [..., num_ws, w_dim]; the leading dimensions broadcast: [A, 1, ...] with [1, B, ...] mixes all pairs.
    layers: an integer is a crossover: layers before it come from a, the others from b. "coarse" (4x4 to 8x8),
        "middle" (16x16 to 32x32), "fine" (64x64 up), a slice or a list of layer indices name the layers of b; with
        none of them ("fine" of a network below 64x64), the result is ws_a. Call again to cross over more than once.

    Returns ws: [..., num_ws, w_dim]. Raises InputError for layers that do not exist or shapes that do not fit.

    >>> a, b = torch.zeros(1, 10, 512), torch.ones(1, 10, 512)
    >>> mix_styles(a, b, "coarse")[0, :, 0].tolist()
    [1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]
    """
    if ws_a.ndim < 2 or ws_a.shape[-2:] != ws_b.shape[-2:]:
        raise InputError(
            f"ws_a and ws_b must both be [..., num_ws, w_dim], got {list(ws_a.shape)} and {list(ws_b.shape)}"
        )
    try:
        torch.broadcast_shapes(ws_a.shape, ws_b.shape)
    except RuntimeError:
        raise InputError(
            f"the batches of ws_a {list(ws_a.shape)} and ws_b {list(ws_b.shape)} do not broadcast"
        ) from None
    num_ws = ws_a.shape[-2]
    from_b = torch.zeros(num_ws, 1, dtype=torch.bool)
    from_b[layer_indices(layers, num_ws)] = True
    return torch.where(from_b.to(ws_a.device), ws_b, ws_a)


def layer_indices(layers: Layers, num_ws: int) -> slice | list[int]:
    """The layers that an argument `layers` means, as an index; see `mix_styles`. Raises InputError for others."""
    given: Any = layers
    if isinstance(given, str):
        if given not in BANDS:
            raise InputError(f"unknown band {given!r}; expected one of {', '.join(map(repr, BANDS))}")
        return BANDS[given]
    if isinstance(given, slice):
        return list(range(num_ws))[given]
    if _is_index(given):
        if not 0 <= given <= num_ws:
            raise InputError(f"the crossover must be from 0 to {num_ws}, got {given}")
        return slice(operator.index(given), None)
    if not isinstance(given, Iterable):
        raise InputError(f"layers must be a crossover index, a band, a slice or a list of indices; got {given!r}")
    indices = list(given)
    for i in indices:
        if not _is_index(i) or not -num_ws <= i < num_ws:
            raise InputError(f"this network has layers 0 to {num_ws - 1}, got {i!r}")
    return [operator.index(i) for i in indices]


def same_average(w_avg: Tensor, other: Tensor) -> bool:
    """Whether two average w [w_dim] are those of one model; copies stored in half precision differ by less than 1%."""
    if w_avg.shape != other.shape:
        return False
    w_avg, other = w_avg.float(), other.to(w_avg.device, torch.float32)
    return bool((w_avg - other).norm() <= 0.01 * w_avg.norm())


def check_same_average(w_avg: Tensor, other: Tensor, *, what: str, next_step: str) -> None:
    """Raise InputError unless what was made with the average w `other` [w_dim] fits the model with w_avg [w_dim]."""
    if not same_average(w_avg, other):
        why = f"its w has {len(other)} numbers, not {len(w_avg)}" if len(other) != len(w_avg) else "its w_avg differs"
        raise InputError(f"{what} belongs to another model ({why}); {next_step}")
