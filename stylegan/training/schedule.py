"""Progressive growing: the phase as a function of the images shown (Karras et al. 2017, appendix A.1).

The network trains at the first resolution, fades in the next one, trains at that, and so on. The defaults are those of
the official configuration for eight GPUs.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import log2

from ..errors import InputError
from ..networks.shapes import block_resolutions

# One value for all resolutions, or one for each; missing resolutions have the fallback.
ByResolution = float | Mapping[int, float]

OFFICIAL_BATCH = {4: 512, 8: 256, 16: 128, 32: 64, 64: 32}
OFFICIAL_LEARNING_RATE = {128: 0.0015, 256: 0.002, 512: 0.003, 1024: 0.003}
OFFICIAL_TICK_KIMG = {4: 160, 8: 140, 16: 120, 32: 100, 64: 80, 128: 60, 256: 40, 512: 30, 1024: 20}


@dataclass(frozen=True)
class Phase:
    """The schedule at one moment."""

    lod: float  # Level of detail: 0 = full resolution, 1 = half, 0.5 = the two blended.
    resolution: int  # Of the computed images.
    batch: int  # Images per step, over all processes.
    learning_rate: float
    tick_kimg: float  # Thousands of images between snapshots.


@dataclass(frozen=True)
class Schedule:
    """Progressive growing up to img_resolution."""

    img_resolution: int
    initial_resolution: int = 8  # Where growing starts; img_resolution = no growing.
    initial_fade: float = 0.0  # How far the next resolution is faded in there; above 0, growing starts in a fade.
    training_kimg: ByResolution = 600  # Thousands of images at a resolution before the next one is faded in.
    transition_kimg: ByResolution = 600  # Thousands of images to fade a resolution in.
    batch: ByResolution = field(default_factory=lambda: dict(OFFICIAL_BATCH))
    batch_base: int = 32
    learning_rate: ByResolution = field(default_factory=lambda: dict(OFFICIAL_LEARNING_RATE))
    learning_rate_base: float = 0.001
    tick_kimg: ByResolution = field(default_factory=lambda: dict(OFFICIAL_TICK_KIMG))
    tick_kimg_base: float = 20

    def __post_init__(self) -> None:
        resolutions = block_resolutions(self.img_resolution)
        if self.initial_resolution not in resolutions:
            raise InputError(f"initial_resolution must be one of {resolutions}, got {self.initial_resolution!r}")
        if self.initial_fade and self.initial_resolution == self.img_resolution:
            raise InputError(
                f"initial_fade {self.initial_fade:g} has no resolution above {self.img_resolution} to fade in"
            )

    def lod(self, kimg: float) -> float:
        """Level of detail after this many thousand images."""
        lod = log2(self.img_resolution) - log2(self.initial_resolution)
        resolution, start = self.initial_resolution, 0.0
        if self.initial_fade:  # As if all previous images had been shown.
            kimg += by_resolution(self.training_kimg, resolution, 600)
            kimg += self.initial_fade * by_resolution(self.transition_kimg, resolution * 2, 600)
        while lod > 0:
            start += by_resolution(self.training_kimg, resolution, 600)
            if kimg < start:
                return lod
            resolution *= 2
            fading = by_resolution(self.transition_kimg, resolution, 600)
            if kimg < start + fading:
                return lod - (kimg - start) / fading
            start += fading
            lod -= 1
        return lod

    def at(self, kimg: float) -> Phase:
        """The phase after this many thousand images."""
        lod = self.lod(kimg)
        # At the very start of a fade, the next resolution is not visible yet.
        resolution = self.img_resolution >> int(lod)
        return Phase(
            lod=lod,
            resolution=resolution,
            batch=self.batch_at(resolution),
            learning_rate=by_resolution(self.learning_rate, resolution, self.learning_rate_base),
            tick_kimg=by_resolution(self.tick_kimg, resolution, self.tick_kimg_base),
        )

    def batch_at(self, resolution: int) -> int:
        """Images per step at a resolution, over all processes."""
        return int(by_resolution(self.batch, resolution, self.batch_base))

    def batches(self, kimg: float) -> dict[int, int]:
        """The batch size at every resolution from there on."""
        coming = [r for r in block_resolutions(self.img_resolution) if r >= self.at(kimg).resolution]
        return {resolution: self.batch_at(resolution) for resolution in coming}


def by_resolution(values: ByResolution, resolution: int, fallback: float) -> float:
    """The value at a resolution: the one number, or the entry of that resolution, or the fallback."""
    if isinstance(values, Mapping):
        return values.get(resolution, fallback)
    return values
