"""Writes the checkpoints of other ports from official variables: the inverse of what the readers do.

`g` and `d` are official variables as torch tensors, under their official names without "G_synthesis/" or "G_mapping/":
conv [kh, kw, in, out], dense [in, out]. Each writer returns a state dict, or the dictionary that the port saves.
"""

from .common import Variables, blur, conv, mapping, num_mapping, resolution_of, scopes, widened
from .genforce import genforce_discriminator, genforce_generator, interfacegan
from .huangzh13 import huangzh13_discriminator, huangzh13_generator, lernapparat_discriminator, lernapparat_generator
from .mmgeneration import mmgeneration, mmgeneration_discriminator, mmgeneration_generator
from .podgorskiy import (
    podgorskiy_average,
    podgorskiy_discriminator,
    podgorskiy_generator,
    podgorskiy_mapping,
    stylegan_zoo,
)
from .rosinality import rosinality_discriminator, rosinality_generator

__all__ = [
    "Variables",
    "blur",
    "conv",
    "genforce_discriminator",
    "genforce_generator",
    "huangzh13_discriminator",
    "huangzh13_generator",
    "interfacegan",
    "lernapparat_discriminator",
    "lernapparat_generator",
    "mapping",
    "mmgeneration",
    "mmgeneration_discriminator",
    "mmgeneration_generator",
    "num_mapping",
    "podgorskiy_average",
    "podgorskiy_discriminator",
    "podgorskiy_generator",
    "podgorskiy_mapping",
    "resolution_of",
    "rosinality_discriminator",
    "rosinality_generator",
    "scopes",
    "stylegan_zoo",
    "widened",
]
