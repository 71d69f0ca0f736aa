"""Perceptual path length (Karras et al. 2019, section 4.1): how much the image changes between two latents.

In Z, l = E[d(G(slerp(z1, z2; t)), G(slerp(z1, z2; t + eps))) / eps^2] (equation 2), in W the same with w and lerp
(equation 3), with t uniform in [0, 1], or 0 for the ends of paths only.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from .. import latents
from ..errors import InputError
from ..extractors import check_perceptual
from ..images.convert import as_rgb
from ..networks import ops
from ..runtime.device import FLOAT32_CPU, to_float64
from .images import Images
from .metric import Definition, Finish
from .run import Run
from .settings import Metric

Space = Literal["z", "w"]

EPSILON = 1e-4
# The size that the distance is made for; larger images are shrunk to it.
_MAX_SIZE = 256


@dataclass(frozen=True)
class Path:
    """Which paths, and where on them to measure."""

    space: Space
    ends: bool  # Measure only at t = 0.
    epsilon: float = EPSILON
    face_crop: bool = True  # Measure only the face; False for images other than aligned faces.


def path_lengths(
    images: Images, distance: Callable[[Tensor, Tensor], Tensor], path: Path, numbers: Sequence[int]
) -> Tensor:
    """d / eps^2 on each of these paths, [N]: path i leads from latent 2i to latent 2i + 1.

    distance: of two batches of images [N, 3, h, w] in [-1, 1], [N]. Both images of a pair have the same noise and, in a
        conditional model, the same label.
    """
    G, epsilon = images.G, path.epsilon
    if G.dtype != torch.float32:
        raise InputError(f"path lengths compare images that hardly differ: expected float32, got a {G.dtype} model")
    labels = images.labels_of(numbers)
    z = [images.z([2 * i + end for i in numbers]) for end in (0, 1)]
    t = torch.zeros(len(numbers), **FLOAT32_CPU) if path.ends else positions(images.seed, numbers)
    start = to_float64(t.to(G.device))[:, None]
    steps = (start, start + epsilon)
    if path.space == "z":
        w = [G.mapping(slerp(z[0], z[1], at).to(z[0]), labels) for at in steps]
    else:
        from_w, to_w = (G.mapping(end, labels) for end in z)
        w = [torch.lerp(to_float64(from_w), to_float64(to_w), at).to(from_w) for at in steps]
    noise = images.noise(numbers)
    both = None if noise is None else [own if own is None or len(own) == 1 else own.repeat(2, 1, 1, 1) for own in noise]
    img = as_rgb(G.synthesis(G.broadcast(torch.cat(w)), noise=both))
    first, second = view(img, path.face_crop).chunk(2)
    return distance(first, second) / epsilon**2


def positions(seed: int, numbers: Sequence[int]) -> Tensor:
    """t of each path, evenly from [0, 1): float32 [N]."""
    drawn = [np.random.RandomState([seed, i]).random_sample() for i in numbers]
    return torch.tensor(drawn, dtype=torch.float32, device="cpu")


def slerp(a: Tensor, b: Tensor, t: Tensor) -> Tensor:
    """Spherical interpolation between directions, [N, D] and t [N, 1]: float64 of unit length."""
    a, b = (torch.nn.functional.normalize(to_float64(x), dim=-1) for x in (a, b))
    return latents.slerp(a, b, t)


def view(img: Tensor, face_crop: bool) -> Tensor:
    """The images for the distance: cropped to the face if chosen, at most 256 pixels wide."""
    size = img.shape[-1]
    if face_crop:  # For images aligned as FFHQ.
        img = img[:, :, size * 3 // 8 : size * 7 // 8, size // 4 : size * 3 // 4]
    return ops.downscale(img, max(1, img.shape[-1] // _MAX_SIZE))


def average(lengths: Tensor) -> float:
    """The mean of the lengths between their 1st and 99th percentile."""
    values = lengths.double().numpy()
    low, high = np.percentile(values, 1, method="lower"), np.percentile(values, 99, method="higher")
    return float(np.mean(values[(values >= low) & (values <= high)]))


def _definition(name: str, space: Space, *, ends: bool = False) -> Definition:
    """The metric of these paths."""

    def measure(run: Run, metric: Metric) -> Finish:
        network = run.network(run.settings.distance, "distance")
        check_perceptual(network)
        images, label = run.images(metric.count), definition.label(metric)
        path = Path(space, ends, face_crop=run.settings.face_crop)
        lengths = run.rows(lambda numbers: path_lengths(images, network.distance, path, numbers), metric.count, label)
        return lambda: {label: {"value": average(lengths), "paths": metric.count}}

    definition = Definition(name, measure, count=100_000, least=100, network="distance")
    return definition


METRICS = [
    _definition("ppl_z", "z"),
    _definition("ppl_w", "w"),
    _definition("ppl_zend", "z", ends=True),
    _definition("ppl_wend", "w", ends=True),
]
