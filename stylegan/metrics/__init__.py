"""Metrics of generators: FID, KID, precision and recall, perceptual path length, linear separability.

One file each, discovered automatically: see `metric.Definition`.
May import: errors, version, runtime, networks, images, weights, latents, generator, data, extractors.
"""

from .evaluation import evaluate
from .fid import frechet_distance
from .kid import kernel_distance
from .linear_separability import Separability, separability
from .pr import PrecisionRecall, precision_recall
from .settings import Settings

__all__ = [
    "PrecisionRecall",
    "Separability",
    "Settings",
    "evaluate",
    "frechet_distance",
    "kernel_distance",
    "precision_recall",
    "separability",
]
