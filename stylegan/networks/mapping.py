"""Mapping network f: Z -> W (Karras et al. 2019, section 2, figure 1b)."""

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor, nn

from ..errors import InputError
from ..runtime.precision import full_float32
from ..runtime.tensors import check_tensor
from . import ops
from .config import check_config
from .layers import Dense, Nonlinearity, NonlinearityName, activate, initialize
from .shapes import check_labels


class MappingNetwork(nn.Module):
    """An 8-layer perceptron from the latent z to the intermediate latent w."""

    __call__: Callable[..., Tensor]

    def __init__(
        self,
        *,
        z_dim: int = 512,  # Size of the input latent.
        w_dim: int = 512,  # Size of the intermediate latent.
        label_dim: int = 0,  # Size of the label vectors; 0 = unconditional.
        num_layers: int = 8,  # Number of dense layers; 0 = w is the (normalized) input itself.
        hidden_dim: int = 512,  # Size of the hidden layers.
        lr_multiplier: float = 0.01,  # Learning rate relative to the synthesis network (appendix C).
        nonlinearity: NonlinearityName = "lrelu",  # Activation after every layer, the last one included.
        equalized_lr: bool = True,
        normalize_z: bool = True,  # Pixel norm on z, over the concatenation with the embedded label if there is one.
        seed: int | None = 0,  # Seed of the initial weights; None = leave them uninitialised, to be loaded.
    ):
        check_config(locals())
        super().__init__()
        self.z_dim, self.w_dim, self.label_dim, self.normalize_z = z_dim, w_dim, label_dim, normalize_z
        self.nonlinearity = Nonlinearity(nonlinearity)
        # The label embedding has neither bias nor equalized learning rate.
        self.embed = Dense(label_dim, z_dim, gain=label_dim**0.5, equalized_lr=False, bias=False) if label_dim else None
        in_dim = z_dim * 2 if label_dim else z_dim
        dims = [in_dim] + [hidden_dim] * (num_layers - 1) + [w_dim] if num_layers else [in_dim]
        if dims[-1] != w_dim:
            raise InputError(f"without mapping layers w_dim must equal the size of the input, {in_dim}; got {w_dim}")
        self.layers = nn.ModuleList(
            Dense(a, b, lr_multiplier=lr_multiplier, equalized_lr=equalized_lr) for a, b in pairwise(dims)
        )
        if seed is not None:
            initialize(self, seed)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Map latents to intermediate latents.

        z: [N, z_dim], normally distributed. labels: [N, label_dim], one-hot or soft; None for unconditional networks.
        Returns w: [N, w_dim]. Raises InputError for other shapes.
        """
        weight = next(self.parameters(), None)
        device = None if weight is None else weight.device
        check_tensor(z, ("N", self.z_dim), what="z", device=device, hint="; G.z(seeds) draws it")
        labels = check_labels(labels, z.shape[0], self.label_dim)
        x = z.to(torch.float32 if weight is None else weight.dtype)
        with full_float32(self, x):
            if self.embed is not None and labels is not None:
                x = torch.cat([x, self.embed(labels.to(x))], dim=1)  # [N, 2 * z_dim]
            if self.normalize_z:
                x = ops.pixel_norm(x)
            for layer in self.layers:
                x = activate(layer(x), self.nonlinearity)
        return x
