"""Recognizes networks other than StyleGAN 1 by the names of their tensors, so that error messages can name them."""

import re

from .common import Parts

_STYLEGAN1 = "this library reads StyleGAN 1 (2018); use the code that the file is from"

# The name of a tensor of each. The first match counts.
_FAMILIES = [
    (r"(.*\.)?convs\.\d+\.conv\.(style_)?modulation\..*", "a StyleGAN2 (rosinality's port, or MMGeneration's)"),
    (r"(.*\.)?(constant_input\.input|convs\.\d+\.conv\.style_modulation\..*)", "a StyleGAN2 (MMGeneration's)"),
    (r"(.*\.)?noise2feat\.linear\.weight_orig", "a Progressive GAN (MMGeneration's)"),
    (r"(.*\.)?(S|SE|G|GE|D|D_aug)\.(net|initial_conv|initial_block|blocks)\b.*", "a StyleGAN2 (lucidrains' port)"),
    (r"(.*\.)?synthesis\.(input\.(freqs|phases|affine\.weight)|L\d+_\d+_\d+\..*)", "a StyleGAN3"),
    (r"(.*\.)?synthesis\.b\d+\.(const|conv[01]\.affine\.weight|torgb\.affine\.weight)", "a StyleGAN2 (ada-pytorch)"),
    (r"(.*\.)?b\d+\.(fromrgb|skip|conv[01])\.weight", "a discriminator of StyleGAN2 or StyleGAN3"),
    (r"(.*\.)?synthesis\.(early_layer\..*|layer\d+\.style\.(fc|w)\..*|output\d+\.style\..*)", "a StyleGAN2 (genforce)"),
    (r"(.*\.)?(G_synthesis/)?\d+x\d+/(Conv\d?\w*|ToRGB)/mod_(weight|bias)", "a StyleGAN2 (TensorFlow)"),
    (r"(.*\.)?(down_blocks|up_blocks|mid_block|time_embed\w*|diffusion_model)\..*", "a diffusion model, no GAN"),
]


def name_foreign(parts: Parts) -> str | None:
    """Names a known network that this library does not read, and says what to do; None = unknown."""
    for pattern, family in _FAMILIES:
        known = re.compile(pattern)
        if any(known.fullmatch(key[:200]) for tensors in parts.values() for key in tensors):
            return f"holds {family}; {_STYLEGAN1}"
    return None
