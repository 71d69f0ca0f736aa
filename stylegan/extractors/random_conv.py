"""A convolutional network with fixed random weights: a stand-in without a download.

Its distances and features order images plausibly, but no published number uses it.
"""

import hashlib
from itertools import pairwise

import torch
from torch import nn

from .base import Family, conv2d
from .perceptual import PerceptualNetwork

WIDTHS = (32, 64, 128)
SEED = 0


def random_conv() -> PerceptualNetwork:
    """Three convolutions 3x3 that halve the size, with normal weights of a fixed seed (He et al. 2015)."""
    generator = torch.Generator("cpu").manual_seed(SEED)
    convs = [conv2d(i, o, 3, stride=2, padding=1, bias=False) for i, o in pairwise((3, *WIDTHS))]
    stages = [nn.Sequential(conv, nn.ReLU()) for conv in convs]
    network = PerceptualNetwork(stages, WIDTHS, name="random-conv", license="MIT")
    digest = hashlib.sha256()
    for weight in (conv.weight for conv in convs):
        nn.init.normal_(weight, std=(2 / weight[0].numel()) ** 0.5, generator=generator)
        digest.update(weight.detach().numpy().tobytes())
    network.sha256 = digest.hexdigest()
    return network


FAMILY = Family(("random-conv",), make=random_conv, is_for_tests=True)
