"""Metrics of generators: FID, KID, precision and recall, perceptual path length, linear separability.

May import: errors, version, runtime, networks, images, weights, latents, generator, data, extractors.
"""

from .distributions import PrecisionRecall, frechet_distance, kernel_distance, precision_recall
from .evaluation import Settings, evaluate
from .linear_separability import Separability, separability

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
