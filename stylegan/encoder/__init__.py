"""Encoders, from images to the ws of one generator, and their training.

May import: errors, runtime, images, fast, weights, latents, generator, discriminator, data, extractors.
"""

from typing import TYPE_CHECKING

from ..runtime.lazy import lazy_names

if TYPE_CHECKING:
    from .config import EncoderConfig
    from .encoder import LOOKS, Encoder
    from .training import new_encoder, train_encoder

__all__ = ["LOOKS", "Encoder", "EncoderConfig", "new_encoder", "train_encoder"]

__getattr__, __dir__ = lazy_names(
    __name__,
    {"LOOKS": "encoder", "Encoder": "encoder", "EncoderConfig": "config"}
    | dict.fromkeys(("new_encoder", "train_encoder"), "training"),
)
