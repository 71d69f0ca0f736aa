"""The paper's figures from any generator, as PIL images with captions (Karras et al. 2019).

from stylegan import Generator, figures

figures.style_mixing(Generator.from_pretrained()).save("mixing.png")

May import: errors, runtime, images, latents, generator.
"""

from .mixing import style_mixing
from .noise import noise_deviation, noise_examples, noise_layers
from .truncation import truncation, uncurated

__all__ = ["noise_deviation", "noise_examples", "noise_layers", "style_mixing", "truncation", "uncurated"]
