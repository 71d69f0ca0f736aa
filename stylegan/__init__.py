"""The style-based generator of Karras, Laine and Aila (2018) in PyTorch: exact, fast and safe.

import stylegan

G = stylegan.Generator.from_pretrained()
G.sample(seeds=[5])[0].save("face.png")

These modules need no separate import: stylegan.figures, .animation, .editing, .projection, .metrics, .training...
"""

from typing import TYPE_CHECKING

from .runtime import moved
from .runtime.lazy import lazy_names
from .version import __version__

if TYPE_CHECKING:
    from .discriminator import Discriminator
    from .encoder import Encoder
    from .errors import StyleGANError
    from .generator import Generator
    from .images.grids import grid
    from .latents.seeds import z_from_seeds
    from .latents.styles import mix_styles, truncate
    from .networks.mapping import MappingNetwork
    from .networks.synthesis import SynthesisNetwork
    from .projection import project
    from .weights.manifest import list_models

__all__ = [
    "Discriminator",
    "Encoder",
    "Generator",
    "MappingNetwork",
    "StyleGANError",
    "SynthesisNetwork",
    "__version__",
    "grid",
    "list_models",
    "mix_styles",
    "project",
    "truncate",
    "z_from_seeds",
]

_HOMES = {
    "Discriminator": "discriminator",
    "Encoder": "encoder",
    "Generator": "generator",
    "MappingNetwork": "networks.mapping",
    "StyleGANError": "errors",
    "SynthesisNetwork": "networks.synthesis",
    "grid": "images.grids",
    "list_models": "weights.manifest",
    "mix_styles": "latents.styles",
    "project": "projection",
    "truncate": "latents.styles",
    "z_from_seeds": "latents.seeds",
}

_ROOMS = (
    *("animation", "data", "editing", "encoder", "errors", "export", "extractors", "fast", "figures", "generator"),
    *("images", "jobs", "latents", "metrics", "networks", "projection", "runtime", "training", "weights"),
)

# Old names that also worked without a separate import; see `runtime.moved`.
_OLD = ("bands", "latent_files", "layers", "ops", "presets")

__getattr__, __dir__ = lazy_names(__name__, _HOMES | dict.fromkeys((*_ROOMS, *_OLD), ""))

moved.find_old_names()
