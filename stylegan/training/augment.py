"""Augmentation of all images that the discriminator sees, real or generated, for small data sets.

DiffAugment (Zhao et al. 2020) changes every image; ADA (Karras et al. 2020, "Training generative adversarial networks
with limited data") makes each change with a probability p that adapts to the discriminator's overfitting. Both are
twice differentiable, for the generator's gradients and for R1.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Literal, Self

import torch
from torch import Tensor

from ..runtime.device import FLOAT32_CPU
from .matrices import along_greys, around_greys, brightening, moving, product, rotation, scaling, turning

AugmentName = Literal["none", "diffaugment", "ada"]

# An augmentation with fixed draws: img [N, C, R, R] -> [N, C, R, R], float32.
Augment = Callable[[Tensor], Tensor]


def keep(img: Tensor) -> Tensor:
    """No augmentation."""
    return img


def draw_augment(
    name: AugmentName,
    p: float,
    n: int,
    resolution: int,
    *,
    generator: torch.Generator,
    samples: Tensor,
    device: torch.device | str = "cpu",
) -> Augment:
    """Draw for a batch of n images of a resolution, and keep the draws of the given samples. p: for ADA."""
    if name == "diffaugment":
        return DiffAugment.draw(n, generator=generator).of(samples, device)
    if name == "ada" and p > 0:
        return Ada.draw(n, p, resolution, generator=generator).of(samples, device)
    return keep


class _Draws:
    """Tensors with one entry per image."""

    def of(self, samples: Tensor, device: torch.device | str = "cpu") -> Self:
        """The draws of some images."""
        return type(self)(*(getattr(self, f.name)[samples].to(device) for f in fields(self)))  # type: ignore[arg-type]


@dataclass(frozen=True)
class DiffAugment(_Draws):
    """Colour, translation and cutout (Zhao et al. 2020, section 3.3), which do not depend on the resolution."""

    brightness: Tensor  # [N], added.
    saturation: Tensor  # [N], times the distance from the mean of a pixel's channels.
    contrast: Tensor  # [N], times the distance from the mean of the image.
    shift: Tensor  # [N, 2], right and down, as fractions of the image; zeros are shifted in.
    hole: Tensor  # [N, 2], centre of a half-size square that becomes zero, as fractions of the image.

    @classmethod
    def draw(cls, n: int, *, generator: torch.Generator) -> "DiffAugment":
        """Draw for n images."""
        u = torch.rand(7, n, generator=generator, **FLOAT32_CPU)
        return cls(u[0] - 0.5, 2 * u[1], u[2] + 0.5, (u[3:5].T - 0.5) / 4, u[5:7].T)

    def __call__(self, img: Tensor) -> Tensor:
        """img: [N, C, R, R]; returns it changed, float32 at least."""
        colours, rest = _parted(_at_least_float32(img))
        x = colours + _per_image(self.brightness)
        x = _stretch(x, x.mean(dim=1, keepdim=True), self.saturation)
        x = _stretch(x, x.mean(dim=(1, 2, 3), keepdim=True), self.contrast)
        x = torch.cat([x, rest], dim=1)
        size = x.shape[-1]
        places = torch.arange(size, device=x.device)

        sources = places - (self.shift * size).round().long()[:, :, None]  # [N, 2, R]
        columns, rows = sources.clamp(0, size - 1).unbind(1)
        x = x.gather(2, rows[:, None, :, None].expand_as(x)).gather(3, columns[:, None, None, :].expand_as(x))
        shown = (sources >= 0) & (sources < size)

        start = (self.hole * size).long()[:, :, None] - size // 4
        hidden = (places >= start) & (places < start + size // 2)
        seen = _outer(shown) & ~_outer(hidden)
        return x * seen[:, None]


@dataclass(frozen=True)
class Ada(_Draws):
    """Pixel blits, geometry and colour (Karras et al. 2020, appendix B), as two matrices for each image.

    An image is sampled with cubic interpolation and mirrored beyond its borders, where the authors sample an image of
    twice the size. Their frequency filters, noise and cutout, which did not help them, are omitted.
    """

    geometry: Tensor  # [N, 3, 3], from (x, y, 1) in the result to that in the image, in pixels from the centre.
    colour: Tensor  # [N, 4, 4], of (red, green, blue, 1).

    @classmethod
    def draw(cls, n: int, p: float, resolution: int, *, generator: torch.Generator) -> "Ada":
        """Draw for n images of a resolution; each change applies to a share p of them, at most 1."""

        def chosen(values: Tensor, otherwise: float, share: float = p) -> Tensor:
            return torch.where(torch.rand(n, generator=generator, **FLOAT32_CPU) < share, values, otherwise)

        def uniform(low: float, high: float) -> Tensor:
            return low + (high - low) * torch.rand(n, generator=generator, **FLOAT32_CPU)

        def normal(deviation: float) -> Tensor:
            return deviation * torch.randn(n, generator=generator, **FLOAT32_CPU)

        def moved(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
            both = torch.rand(n, generator=generator, **FLOAT32_CPU) < p
            return x * both * resolution, y * both * resolution

        # Blits: mirror, rotate by multiples of 90 degrees, shift by whole pixels.
        mirror = chosen(1 - 2 * uniform(0, 2).floor(), 1)
        turns = chosen(uniform(0, 4).floor(), 0)
        x, y = (pixels.round() for pixels in moved(uniform(-0.125, 0.125), uniform(-0.125, 0.125)))

        # Geometry. Together, the two rotations rotate a share p.
        half_p = 1 - math.sqrt(1 - p)
        zoom = chosen(2 ** normal(0.2), 1)
        angle = chosen(uniform(-math.pi, math.pi), 0, half_p)
        stretch = chosen(2 ** normal(0.2), 1)
        angle2 = chosen(uniform(-math.pi, math.pi), 0, half_p)
        x2, y2 = moved(normal(0.125), normal(0.125))

        # From the result back to the image: the inverse of the first change is leftmost.
        geometry = product(
            scaling(mirror, torch.ones(n, **FLOAT32_CPU)),
            turning(-turns),
            moving(-x, -y),
            scaling(1 / zoom, 1 / zoom),
            rotation(-angle),
            scaling(1 / stretch, stretch),
            rotation(-angle2),
            moving(-x2, -y2),
        )

        # Colour, along and around the luma axis.
        brightness = chosen(normal(0.2), 0)
        contrast = chosen(2 ** normal(0.5), 1)
        luma = chosen(uniform(0, 2).floor(), 0)
        hue = chosen(uniform(-math.pi, math.pi), 0)
        saturation = chosen(2 ** normal(1), 1)
        colour = product(
            along_greys(torch.ones(n, **FLOAT32_CPU), saturation),
            around_greys(hue),
            along_greys(1 - 2 * luma, torch.ones(n, **FLOAT32_CPU)),
            along_greys(contrast, contrast),
            brightening(brightness),
        )
        return cls(geometry, colour)

    def __call__(self, img: Tensor) -> Tensor:
        """img: [N, C, R, R]; returns it changed, float32 at least."""
        return recolour(warp(_at_least_float32(img), self.geometry), self.colour)


def warp(img: Tensor, geometry: Tensor) -> Tensor:
    """Sample an image at given positions, with cubic interpolation (Keys 1981), mirrored beyond its borders.

    img: [N, C, H, W]; geometry: [N, 3, 3], from positions (x, y, 1) in the result to those in the image, in pixels from
        the centre. Whole pixels are copied exactly. It uses gathers, which can be differentiated any number of times.
    """
    n, c, h, w = img.shape
    x, y = (torch.arange(size, device=img.device, dtype=torch.float32) - (size - 1) / 2 for size in (w, h))
    places = torch.stack(
        [x.expand(h, w), y[:, None].expand(h, w), torch.ones(h, w, device=img.device, dtype=torch.float32)]
    )
    x, y = (geometry[:, :2] @ places.flatten(1)).unbind(1)  # [N, HW]
    columns, across = _taps(x + (w - 1) / 2, w)
    rows, down = _taps(y + (h - 1) / 2, h)
    flat, out = img.flatten(2), torch.zeros_like(img).flatten(2)
    for row, weight in zip(rows, down, strict=True):
        for column, weight2 in zip(columns, across, strict=True):
            index = (row * w + column)[:, None].expand(n, c, h * w)
            out = out + flat.gather(2, index) * (weight * weight2)[:, None]
    return out.view(n, c, h, w)


def recolour(img: Tensor, colour: Tensor) -> Tensor:
    """Apply a matrix [N, 4, 4] of (red, green, blue, 1) to each pixel; grey images take the mean of the result.

    img: [N, C, H, W], grey or RGB, with or without alpha, which stays.
    """
    linear, added = colour[:, :3, :3], colour[:, :3, 3:]
    img, rest = _parted(img)
    if img.shape[1] == 1:
        linear, added = linear.sum(dim=2, keepdim=True).mean(dim=1, keepdim=True), added.mean(dim=1, keepdim=True)
    linear, added = linear.to(img.dtype), added.to(img.dtype)
    return torch.cat([torch.baddbmm(added, linear, img.flatten(2)).view_as(img), rest], dim=1)


def adapt(p: float, real_signs: Sequence[float], images: int, *, target: float, kimg: float) -> float:
    """The new p of ADA (Karras et al. 2020, section 3.1).

    real_signs: means of the sign of the discriminator's scores of real images since p last changed: they approach 1 as
        it overfits. images: number shown since then; p goes from 0 to 1 in `kimg` thousands.
    """
    excess = sum(real_signs) / len(real_signs) - target
    change = images / (kimg * 1000) * (0 if excess == 0 else math.copysign(1, excess))
    return min(max(p + change, 0.0), 1.0)


def _parted(img: Tensor) -> tuple[Tensor, Tensor]:
    """The colour channels, one or three, and the rest: alpha, or none."""
    count = 1 if img.shape[1] < 3 else 3
    return img[:, :count], img[:, count:]


def _at_least_float32(img: Tensor) -> Tensor:
    return img.to(torch.promote_types(img.dtype, torch.float32))


def _per_image(values: Tensor) -> Tensor:
    return values[:, None, None, None]


def _stretch(x: Tensor, centre: Tensor, factor: Tensor) -> Tensor:
    return centre + (x - centre) * _per_image(factor)


def _outer(masks: Tensor) -> Tensor:
    """Masks of columns and rows, [N, 2, R], as masks of pixels, [N, R, R]."""
    return masks[:, 1, :, None] & masks[:, 0, None, :]


def _taps(position: Tensor, size: int) -> tuple[list[Tensor], list[Tensor]]:
    """The four pixels around each position along an axis, and their weights."""
    first = position.floor()
    t = position - first
    weights = [
        ((-0.5 * t + 1) * t - 0.5) * t,
        (1.5 * t - 2.5) * t * t + 1,
        ((-1.5 * t + 2) * t + 0.5) * t,
        (0.5 * t - 0.5) * t * t,
    ]
    pixels = [(first.long() + offset) % (2 * size) for offset in (-1, 0, 1, 2)]
    return [torch.minimum(i, 2 * size - 1 - i) for i in pixels], weights
