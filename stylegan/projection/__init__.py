"""Projection into latent space: photo -> latents from which a model approximately reproduces it.

May import: errors, runtime, images, weights, latents, generator, extractors, encoder.
"""

from .alignment import TEMPLATES, align, template_of
from .faces import Face, cut_face, detect_face
from .optimize import Projection, project
from .photos import load_photo, to_square
from .projector import Method, Settings
from .tuning import Tuned, tune

__all__ = [
    "TEMPLATES",
    "Face",
    "Method",
    "Projection",
    "Settings",
    "Tuned",
    "align",
    "cut_face",
    "detect_face",
    "load_photo",
    "project",
    "template_of",
    "to_square",
    "tune",
]
