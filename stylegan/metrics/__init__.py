"""Metrics of generators: FID, KID, precision and recall, perceptual path length, linear separability."""

from .distributions import PrecisionRecall, frechet_distance, kernel_distance, precision_recall
from .evaluate import Settings, evaluate
from .separability import Separability, separability

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
