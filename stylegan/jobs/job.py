"""A job: all settings that its images share, that is, all but the seeds."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import torch
from PIL import Image

from ..fast import resolve_path
from ..generator import Generator
from ..images.grids import display_size, resize
from ..runtime.choices import DRAWN_NOISE, NoiseMode
from ..runtime.threads import map_in_order
from ..version import __version__


@dataclass(frozen=True, kw_only=True)
class Job:
    """How images are made from seeds. The fields, except the size, are arguments of `Generator.sample`."""

    G: Generator
    truncation_psi: float = 0.7
    truncation_cutoff: int | None = None
    noise_mode: NoiseMode = "const"
    noise_seed: int | None = None
    label: int | str | None = None
    size: int | None = None  # Width of the images; None = the model's. See `images.display_size`.

    @property
    def width(self) -> int:
        """Width of the images. Raises InputError for a size that the model's images cannot have."""
        return display_size(self.G.img_resolution, self.size or self.G.img_resolution)

    @property
    def has_fresh_noise(self) -> bool:
        """Whether the noise differs in each run."""
        return self.noise_mode in DRAWN_NOISE and self.noise_seed is None

    def render(self, seeds: Iterable[int], batch_size: int) -> Iterator[tuple[int, Image.Image]]:
        """Each seed with its image, in order. At most one batch is rendered ahead, or two on a GPU.

        There, the next batch is computed while the host waits for and converts the current one.
        """
        remaining = iter(seeds)
        groups = iter(lambda: list(islice(remaining, batch_size)), [])
        two = overlaps(self.G.device)
        for batch in map_in_order(self._sample, groups, threads=2, ahead=1) if two else map(self._sample, groups):
            yield from batch

    def _sample(self, seeds: list[int]) -> list[tuple[int, Image.Image]]:
        width = self.width
        sampled = self.G.sample(
            seeds=seeds,
            truncation_psi=self.truncation_psi,
            truncation_cutoff=self.truncation_cutoff,
            noise_mode=self.noise_mode,
            noise_seed=self.noise_seed,
            labels=self.label,
            batch_size=len(seeds),
            progress=False,
        )
        sized = [p if p.width == width else resize(p, width) for p in sampled]
        return list(zip(seeds, sized, strict=True))

    def settings(self) -> dict[str, Any]:
        """The model and the fields that are set, for JSON."""
        chosen = {
            "truncation_psi": self.truncation_psi,
            "truncation_cutoff": self.truncation_cutoff,
            "noise_mode": self.noise_mode,
            "noise_seed": self.noise_seed,
            "label": self.label,
            "size": self.size,
        }
        return {"model": self.G.name} | {key: value for key, value in chosen.items() if value is not None}

    def identity(self) -> dict[str, Any]:
        """The settings, and everything else that affects the images."""
        return {
            "software": f"stylegan {__version__}",
            "weights_sha256": self.G.weights_sha256,
            "path": resolve_path(self.G.path, self.G.device),
            "dtype": str(self.G.dtype).removeprefix("torch."),
        } | self.settings()


def overlaps(device: torch.device) -> bool:
    """Whether host and device work at the same time."""
    return device.type == "cuda"
