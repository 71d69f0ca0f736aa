"""The style-based generator of Karras, Laine and Aila (2018) in PyTorch: exact, fast and safe.

import stylegan

G = stylegan.Generator.from_pretrained()
G.sample(seeds=[5])[0].save("face.png")
"""

from .discriminator import Discriminator
from .errors import StyleGANError
from .generator import Generator
from .images import grid
from .latents import mix_styles, truncate, z_from_seeds
from .mapping import MappingNetwork
from .projection import project
from .synthesis import SynthesisNetwork
from .version import __version__

__all__ = [
    "Discriminator",
    "Generator",
    "MappingNetwork",
    "StyleGANError",
    "SynthesisNetwork",
    "__version__",
    "grid",
    "mix_styles",
    "project",
    "truncate",
    "z_from_seeds",
]
