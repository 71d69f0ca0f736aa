"""FreezeD (Mo, Cho, Shin 2020, "Freeze the Discriminator"): the layers of D near the image keep a model's weights.

They detect textures and edges, which most images share. With a few hundred training images, the other layers overfit
less if these are frozen. Layers are counted from the image, as in `--freezed` of StyleGAN2-ADA: FromRGB at the model's
resolution, then the two convolutions of each block. Those at 4x4 are always trained, as are layers that the model lacks
if the run grows to a higher resolution.
"""

from ..discriminator import Discriminator
from ..errors import InputError


def frozen_layers(D: Discriminator, count: int, resolution: int) -> tuple[str, ...]:
    """The names of the first `count` layers of D, from the image on.

    resolution: of the model whose discriminator the run started from; 0 = none. Raises InputError if there is nothing
        to freeze, or fewer layers.
    """
    if not count:
        return ()
    if not resolution:
        raise InputError(
            f"freeze_d {count} freezes layers of a trained discriminator, but this run has none from a model; start it "
            "with start_from and a model that has a discriminator (the bundled ones have), or leave freeze_d out"
        )
    blocks = [block for block in map(int, D.blocks) if block <= resolution]
    layers = [f"from_rgb.{resolution}", *(f"blocks.{block}.conv{i}" for block in blocks for i in (0, 1))]
    if count > len(layers):
        raise InputError(
            f"freeze_d must be from 0 to {len(layers)} for a discriminator of {resolution}x{resolution}, got {count}: "
            "the layers at 4x4 are always trained"
        )
    return tuple(layers[:count])
