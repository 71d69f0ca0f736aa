"""How a model is evaluated."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, get_args

from torch import Tensor

from ..errors import InputError
from ..extractors import Extractor
from ..runtime.checks import check_choice
from ..runtime.choices import (
    DEFAULT_CLASSIFIERS,
    DEFAULT_DISTANCE,
    DEFAULT_EVALUATION_NOISE,
    DEFAULT_EXTRACTOR,
    DEFAULT_METRICS,
    NoiseMode,
)


@dataclass(frozen=True)
class Metric:
    """One metric to compute."""

    kind: str  # The name of its definition.
    count: int  # Of images; of paths, for path lengths.

    @property
    def suffix(self) -> str:
        """The number of images as in names."""
        return f"{self.count // 1000}k" if self.count % 1000 == 0 else str(self.count)


class Classifier(Protocol):
    """What linear separability needs from an attribute: `extractors.AttributeClassifier`, or any object with these."""

    name: str

    def logits(self, images: Tensor) -> Tensor:
        """Log-odds of the attribute, [N], for float images [N, 3, H, W] in [-1, 1]."""
        ...


@dataclass(frozen=True)
class Settings:
    """How a model is evaluated."""

    metrics: str | Sequence[Metric] = DEFAULT_METRICS  # Names separated by commas; see `parse_metric`.
    data: str | os.PathLike[str] | None = None  # Zip or folder of real images, for metrics that need them.
    extractor: str | Extractor = DEFAULT_EXTRACTOR  # Whose features are compared.
    distance: str | Extractor = DEFAULT_DISTANCE  # The distance of ppl.
    classifiers: Sequence[str | Classifier] = DEFAULT_CLASSIFIERS  # The attributes of ls.
    seed: int = 0  # Image i has z of seed + i.
    noise_mode: NoiseMode = DEFAULT_EVALUATION_NOISE  # "random" = separate noise for each image; see `G.sample`.
    num_latents: int = 1  # Latents mixed in each generated image.
    face_crop: bool = True  # Whether ppl measures only the face, at its position in aligned images.
    batch_size: int | None = None  # Images computed together; None = by resolution.
    cache_dir: str | os.PathLike[str] | None = None  # Where features of data sets are cached; None = the usual cache.

    def check(self) -> None:
        """Raise InputError for invalid settings."""
        if self.num_latents < 1:
            raise InputError(f"num_latents must be 1 or more, got {self.num_latents}")
        check_choice(self.noise_mode, what="noise_mode", choices=get_args(NoiseMode))
