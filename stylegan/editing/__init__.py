"""Directions in latent space: find them, save them, move along them with `G.edit`.

May import: errors, runtime, images, weights, latents, generator.
"""

from ..latents.bundled import bundled_directions
from ..latents.directions import Direction, load_directions, save_directions
from .attributes import attribute_directions
from .boundaries import boundary, orthogonalize
from .components import pca
from .factorization import sefa
from .find import directions_in, find_direction
from .gradients import COLOURS, gradient_directions

__all__ = [
    "COLOURS",
    "Direction",
    "attribute_directions",
    "boundary",
    "bundled_directions",
    "directions_in",
    "find_direction",
    "gradient_directions",
    "load_directions",
    "orthogonalize",
    "pca",
    "save_directions",
    "sefa",
]
