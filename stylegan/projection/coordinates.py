"""Whitened coordinates of w: along its principal components, each in units of its standard deviation."""

import torch
from torch import Tensor

from ..generator import Generator
from ..latents.samples import sample_w


class Coordinates:
    """Coordinates [..., w_dim] -> w of a generator, and back."""

    def __init__(self, G: Generator):
        self.G = G
        self.basis = principal_basis(sample_w(G)).to(G.device)

    def of(self, w: Tensor) -> Tensor:
        """Coordinates of w [..., w_dim]."""
        u: Tensor = torch.linalg.solve(self.basis, (w - self.G.w_avg).reshape(-1, self.G.w_dim).T).T
        return u.view(w.shape)

    def w(self, u: Tensor) -> Tensor:
        """The w with these coordinates, [..., w_dim]."""
        return self.G.w_avg + u @ self.basis.T

    def render(self, u: Tensor) -> Tensor:
        """Coordinates [N, w_dim] -> images [N, C, R, R], in batches."""
        size = self.G.default_batch_size(len(u))
        return torch.cat([self.G.synthesis(self.G.broadcast(self.w(part))) for part in u.split(size)])


def principal_basis(w: Tensor) -> Tensor:
    """Principal components of samples of w [N, w_dim], each scaled to its deviation, in columns: [w_dim, w_dim].

    None is shorter than a thousandth of the longest, so that any w has finite coordinates.
    """
    variances, components = torch.linalg.eigh(torch.cov(w.double().T))
    deviations = variances.clamp(min=0).sqrt()
    basis: Tensor = components * deviations.clamp(min=1e-3 * deviations.max().item())
    return basis.float()
