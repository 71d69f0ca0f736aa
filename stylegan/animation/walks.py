"""Walks: functions from times [F] in [0, 1] to ws [F, num_ws, w_dim], not truncated."""

from collections.abc import Callable
from typing import Any, get_args

import torch
from torch import Tensor

from ..errors import InputError
from ..generator import Generator
from ..latents.bands import Layers
from ..latents.labels import Labels
from ..latents.seeds import Seeds, check_seeds
from ..latents.styles import slerp
from ..runtime.checks import typed
from ..runtime.choices import Easing, Space
from ..runtime.tensors import check_tensor

Walk = Callable[[Tensor], Tensor]


@typed
def seed_walk(
    G: Generator,
    seeds: Seeds,
    *,
    space: Space = "w",
    loop: bool = True,
    easing: Easing = "smooth",
    labels: Labels = None,
) -> Walk:
    """A walk from seed to seed; with one seed, it stands still.

    space: "w" = straight lines in W, which is smoother; "z" = great circles in Z (paper, section 4.1).
    loop: the last stretch leads back to the first seed: time 1 is time 0.
    easing: "smooth" = every stretch takes the same time, slower near the seeds; "linear" = the same without slowing;
        "constant" = constant speed, so longer stretches take longer.
    labels: for conditional models: a class index, one for each seed, or vectors; see `G.sample`.

    Raises InputError for unknown choices, no seeds, or wrong labels.
    """
    _check_choice("space", space, Space)
    _check_choice("easing", easing, Easing)
    numbers = check_seeds(seeds)
    if not numbers:
        raise InputError("a walk needs at least one seed")
    vectors = G.label_vectors(labels, len(numbers))
    with torch.no_grad():
        z = G.z(numbers)
        w = G.mapping(z, vectors)
    if space == "w" or len(numbers) == 1:
        return ws_walk(G.broadcast(w), loop=loop, easing=easing)
    starts, ends = _stretches(len(numbers), loop)
    angles = torch.cosine_similarity(z[starts], z[ends], dim=-1).clamp(-1, 1).acos()
    boundaries = _boundaries(angles if easing == "constant" else None, len(ends))

    def walk(times: Tensor) -> Tensor:
        stretch, t = _position(times, boundaries, smooth=easing == "smooth")
        a, b, t = starts[stretch], ends[stretch], t[:, None].to(w)
        between = None if vectors is None else torch.lerp(vectors[a], vectors[b], t)
        with torch.no_grad():
            return G.broadcast(G.mapping(slerp(z[a], z[b], t), between))

    return walk


@typed
def ws_walk(ws: Tensor, *, loop: bool = True, easing: Easing = "smooth") -> Walk:
    """A walk along straight lines between styles, such as those of projected photos; one alone stands still.

    ws: [N, num_ws, w_dim], not truncated. The other arguments are those of `seed_walk`.
    """
    _check_choice("easing", easing, Easing)
    if not len(check_tensor(ws, ("N", "num_ws", "w_dim"), what="ws")):
        raise InputError("a walk needs styles of at least one image, got none")
    if len(ws) == 1:
        return lambda times: ws.expand(len(times), -1, -1)
    starts, ends = _stretches(len(ws), loop)
    lengths = (ws[ends] - ws[starts]).flatten(1).norm(dim=1)
    boundaries = _boundaries(lengths if easing == "constant" else None, len(ends))

    def walk(times: Tensor) -> Tensor:
        stretch, t = _position(times, boundaries, smooth=easing == "smooth")
        return torch.lerp(ws[starts[stretch]], ws[ends[stretch]], t[:, None, None].to(ws))

    return walk


def stay(walk: Walk) -> Walk:
    """Stand still where a walk begins."""
    return lambda times: walk(torch.zeros_like(times))


@typed
def mix_walks(G: Generator, base: Walk, other: Walk, layers: Layers) -> Walk:
    """Style mixing over time: the styles of `layers` follow `other`, all others `base`; see `latents.mix_styles`."""
    return lambda times: G.mix_styles(base(times), other(times), layers)


def _stretches(n: int, loop: bool) -> tuple[Tensor, Tensor]:
    """Where each stretch between n points starts and ends, as indices."""
    ends = torch.arange(n, device="cpu").roll(-1) if loop else torch.arange(1, n, device="cpu")
    return torch.arange(len(ends), device="cpu"), ends


def _boundaries(lengths: Tensor | None, n: int) -> Tensor:
    """Times at which n stretches start, and 1: equal parts, or in proportion to lengths. [n + 1], float64."""
    # Integers are divided, so that a frame's time i / n is exactly the same number.
    boundaries = torch.arange(n + 1, dtype=torch.float64, device="cpu") / n
    if lengths is not None and lengths.sum() > 0:
        boundaries[1:] = lengths.cpu().double().cumsum(0) / lengths.cpu().double().sum()
    return boundaries


def _position(times: Tensor, boundaries: Tensor, *, smooth: bool) -> tuple[Tensor, Tensor]:
    """The stretch that each time falls into, and the position on it, from 0 to 1."""
    stretch = (torch.searchsorted(boundaries, times.double(), right=True) - 1).clamp(0, len(boundaries) - 2)
    start, end = boundaries[stretch], boundaries[stretch + 1]
    t = ((times - start) / (end - start).clamp(min=1e-12)).clamp(0, 1)
    return stretch, t * t * (3 - 2 * t) if smooth else t


def _check_choice(name: str, value: object, choices: Any) -> None:
    if value not in get_args(choices):
        raise InputError(f"{name} must be one of {', '.join(map(repr, get_args(choices)))}; got {value!r}")
