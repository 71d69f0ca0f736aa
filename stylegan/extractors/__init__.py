"""Feature extractors: features of images, perceptual distances, and attributes of faces.

May import: errors, runtime, fast, weights.
"""

from .attributes import AttributeClassifier, load_classifier
from .base import Extractor, check_perceptual
from .loading import load_extractor

__all__ = ["AttributeClassifier", "Extractor", "check_perceptual", "load_classifier", "load_extractor"]
