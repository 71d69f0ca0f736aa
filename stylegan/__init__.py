"""The style-based generator of Karras, Laine and Aila (2018) in PyTorch: exact, fast and safe.

import stylegan

G = stylegan.Generator.from_pretrained()
G.sample(seeds=[5])[0].save("face.png")

Further modules need no import of their own: stylegan.figures, .animation, .editing, .projection, .metrics, .training...
"""

# Names are loaded when they are first asked for (PEP 562), so that the help of a command needs no torch.
from importlib import import_module
from typing import TYPE_CHECKING, Any

from .version import __version__

if TYPE_CHECKING:
    from .discriminator import Discriminator
    from .errors import StyleGANError
    from .generator import Generator
    from .images import grid
    from .latents import mix_styles, truncate, z_from_seeds
    from .mapping import MappingNetwork
    from .projection import project
    from .synthesis import SynthesisNetwork

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

_HOMES = {
    "Discriminator": "discriminator",
    "Generator": "generator",
    "MappingNetwork": "mapping",
    "StyleGANError": "errors",
    "SynthesisNetwork": "synthesis",
    "grid": "images",
    "mix_styles": "latents",
    "project": "projection",
    "truncate": "latents",
    "z_from_seeds": "latents",
}

_MODULES = (
    "animation",
    "bands",
    "editing",
    "errors",
    "export",
    "extractors",
    "fast",
    "figures",
    "generator",
    "images",
    "jobs",
    "latent_files",
    "latents",
    "layers",
    "metrics",
    "ops",
    "presets",
    "projection",
    "training",
    "weights",
)


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        value = getattr(import_module(f".{_HOMES[name]}", __name__), name)
        globals()[name] = value  # The next time, it is there.
        return value
    if name in _MODULES:
        return import_module(f".{name}", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_MODULES})
