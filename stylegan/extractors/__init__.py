"""Fixed networks that look at images: features, perceptual distances, and attributes of faces.

May import: errors, runtime, weights.
"""

from .attributes import AttributeClassifier, load_classifier
from .base import Extractor
from .loading import load_extractor

__all__ = ["AttributeClassifier", "Extractor", "load_classifier", "load_extractor"]
