"""Configurations A to F of the paper's table 1, as arguments of the networks.

    G = Generator(img_resolution=256, **PRESETS["F"].generator)
    D = Discriminator(img_resolution=256, **PRESETS["F"].discriminator)

E and F are the same networks: F is trained with mixing regularization (section 3.1).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # The table alone needs no torch.
    from ..discriminator import Discriminator
    from ..generator import Generator


@dataclass(frozen=True)
class Preset:
    """One configuration. The networks take further arguments (resolution, feature maps) in addition."""

    description: str
    generator: Mapping[str, Any]  # Arguments of Generator that differ from its defaults.
    discriminator: Mapping[str, Any] = field(default_factory=dict)
    style_mixing_prob: float = 0.0  # Probability of mixing two latents in training.

    def build(self, **options: Any) -> "tuple[Generator, Discriminator]":
        """Make both networks, untrained. options: arguments of both (img_resolution, img_channels, label_dim)."""
        from ..discriminator import Discriminator
        from ..generator import Generator

        return Generator(**self.generator, **options), Discriminator(**self.discriminator, **options)


_TRADITIONAL = {"use_styles": False, "use_pixel_norm": True, "use_instance_norm": False}
_DENSE_INPUT = {"const_input": False, "use_noise": False}
NO_TRUNCATION = {"truncation_psi": 1.0, "truncation_cutoff": None}

PRESETS: Mapping[str, Preset] = MappingProxyType(
    {
        "A": Preset(
            "baseline progressive GAN",
            {
                "mapping": {"num_layers": 0},
                "synthesis": {**_TRADITIONAL, **_DENSE_INPUT, "blur_filter": None},
                **NO_TRUNCATION,
            },
            {"blur_filter": None},
        ),
        "B": Preset(
            "+ tuning, including bilinear up- and downsampling",
            {"mapping": {"num_layers": 0}, "synthesis": {**_TRADITIONAL, **_DENSE_INPUT}, **NO_TRUNCATION},
        ),
        "C": Preset("+ mapping network and styles", {"synthesis": _DENSE_INPUT}),
        "D": Preset("+ remove the traditional input", {"synthesis": {"use_noise": False}}),
        "E": Preset("+ noise inputs", {}),
        "F": Preset("+ mixing regularization", {}, style_mixing_prob=0.9),
    }
)
