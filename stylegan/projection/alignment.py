"""Alignment of a face: rotated, scaled and shifted so that five points lie as in the model's data."""

from collections.abc import Sequence
from math import ceil, hypot

import numpy as np
from PIL import Image

from ..errors import InputError
from ..generator import Generator
from ..runtime.checks import check_integer, shown, typed
from .photos import check_side

Points = Sequence[tuple[float, float]]

# Where alignments put the eyes, the tip of the nose and the corners of the mouth: x and y as fractions of the side,
# those on the left of the image first.
TEMPLATES: dict[str, Points] = {
    # Measured on the mean of the aligned images.
    "utkface": ((0.291, 0.284), (0.705, 0.284), (0.498, 0.535), (0.348, 0.686), (0.660, 0.686)),
    # The usual five points of images aligned as FFHQ.
    "ffhq": ((0.377, 0.469), (0.623, 0.469), (0.501, 0.613), (0.393, 0.725), (0.611, 0.725)),
}


@typed
def template_of(G: Generator) -> str:
    """The name of the alignment of a model's data, from its description: "ffhq" or "utkface"."""
    dataset = str(G.metadata.get("dataset", "")).lower()
    return "ffhq" if "ffhq" in dataset or "celeba" in dataset else "utkface"


def align(photo: Image.Image, points: Points, resolution: int, *, template: str = "utkface") -> Image.Image:
    """Cut out a face so that five points lie as close as possible to those of a template.

    points: x, y in pixels of the photo: the eye on the left of the photo, the other eye, the tip of the nose, the left
        corner of the mouth, the other corner.
    template: a key of TEMPLATES.

    The transform is a least-squares similarity. Areas outside the photo are filled by mirroring. Returns an image of
    resolution x resolution. Raises InputError for points that do not form a face, or one too small.
    """
    if not isinstance(template, str) or template not in TEMPLATES:
        raise InputError(f"unknown template {shown(template)}; expected one of {', '.join(TEMPLATES)}")
    if not isinstance(photo, Image.Image):
        raise InputError(f"photo must be a PIL image, got {shown(photo)}; `load_photo` reads files")
    check_integer(resolution, what="resolution", low=1, high=2**14)
    try:
        given = np.asarray(points, dtype=np.float64)
    except (TypeError, ValueError, RuntimeError):
        given = np.empty(0)
    if given.shape != (5, 2) or not np.isfinite(given).all():
        raise InputError(f"expected five points x,y: two eyes, nose, two corners of the mouth; got {shown(points)}")
    a, b, x, y = similarity(np.asarray(TEMPLATES[template]), given)
    check_side(hypot(a, b), resolution)
    if a <= 0:
        raise InputError("these points are a face upside down; give those on the left of the photo first, and turn it")
    return cut_square(photo, (a, b, x, y), resolution)


def similarity(source: np.ndarray, target: np.ndarray) -> tuple[float, float, float, float]:
    """The least-squares (a, b, x, y) of (u, v) -> (a u - b v + x, b u + a v + y) from source to target points [N, 2].

    See Umeyama 1991, for the plane.
    """
    mean_source, mean_target = source.mean(axis=0), target.mean(axis=0)
    s, t = source - mean_source, target - mean_target
    square = (s**2).sum()
    a = (s * t).sum() / square
    b = (s[:, 0] * t[:, 1] - s[:, 1] * t[:, 0]).sum() / square
    x, y = mean_target - np.array([a * mean_source[0] - b * mean_source[1], b * mean_source[0] + a * mean_source[1]])
    return float(a), float(b), float(x), float(y)


def cut_square(photo: Image.Image, transform: tuple[float, float, float, float], resolution: int) -> Image.Image:
    """The square of a photo that a similarity maps the unit square to, at resolution x resolution.

    transform: from `similarity`, in pixels of the photo. Areas outside the photo are filled by mirroring.
    """
    a, b, x, y = transform
    corners = np.array([(x, y), (x + a, y + b), (x - b, y + a), (x + a - b, y + b + a)])
    left, top = np.maximum(np.ceil(-corners.min(axis=0)) + 2, 0).astype(int)
    right, bottom = np.maximum(np.ceil(corners.max(axis=0) - photo.size) + 2, 0).astype(int)
    if max(left, right) >= photo.width or max(top, bottom) >= photo.height:
        raise InputError("the face lies outside the photo; its points or crop must be in pixels of the upright photo")
    padded = Image.fromarray(np.pad(np.asarray(photo), ((top, bottom), (left, right), (0, 0)), mode="reflect"))
    # Drawn larger than the photo's own pixels, then averaged: a transform alone would skip pixels.
    finer = max(1, ceil(hypot(a, b) / resolution))
    size = resolution * finer
    # Pillow maps each pixel of the result to its source.
    matrix = (a / size, -b / size, x + left, b / size, a / size, y + top)
    drawn = padded.transform((size, size), Image.Transform.AFFINE, matrix, resample=Image.Resampling.BICUBIC)
    return drawn.reduce(finer) if finer > 1 else drawn
