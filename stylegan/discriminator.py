"""The discriminator of a training run, with its weight files: images -> logits."""

from .networks.discriminator import DiscriminatorNetwork
from .weights.pretrained import Pretrained


class Discriminator(DiscriminatorNetwork, Pretrained):
    """A discriminator network that can be loaded and saved; for arguments and `forward` see `DiscriminatorNetwork`."""

    _network = "D"
