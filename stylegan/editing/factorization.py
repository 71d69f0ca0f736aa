"""Closed-form factorization of the style layers: SeFa (Shen and Zhou 2021, equation 8)."""

import torch
from torch import Tensor

from ..errors import InputError
from ..generator import Generator
from ..latents.bands import Layers
from ..latents.directions import Direction
from ..latents.samples import sample_w
from ..runtime.checks import typed
from ..runtime.precision import no_autocast
from .space import check_count, fix_signs, layer_range, make_direction


@typed
@no_autocast()
def sefa(G: Generator, *, n: int = 10, layers: Layers | None = None) -> list[Direction]:
    """The n directions that change the styles most, named sefa:0, sefa:1...

    With A the stacked affine maps from w to the styles of all layers, they are the unit eigenvectors of A^T A with the
    largest eigenvalues. Only the unit of strength needs samples. Signs: the largest component is positive.

    layers: those that are factorized, and that the directions move; None = all, or as in `mix_styles`.

    Raises InputError for a network without styles, and for an invalid n or layers.
    """
    chosen = layer_range(G, layers)
    weight = style_weights(G, chosen)  # [styles, w_dim]
    check_count(n, G.w_dim)
    eigenvalues, eigenvectors = torch.linalg.eigh(weight.T @ weight)  # In ascending order, in columns.
    vectors = fix_signs(eigenvectors.T.flip(0)[:n])
    share = eigenvalues.flip(0) / eigenvalues.sum()
    w = sample_w(G)
    return [
        make_direction(G, f"sefa:{i}", v, w, method="sefa", layers=chosen, facts={"index": i, "share": share[i].item()})
        for i, v in enumerate(vectors)
    ]


def style_weights(G: Generator, layers: tuple[int, int]) -> Tensor:
    """A: the effective weights of the style layers, equalized scale included, [styles, w_dim], float64, on the CPU.

    A layer adds a row for the scale and one for the shift of each of its channels.
    """
    styles = [layer.style for layer in list(G.synthesis.layers)[slice(*layers)]]
    weights = [style.weight.detach().cpu().double() * style.weight_gain for style in styles if style is not None]
    if len(weights) < len(styles):
        raise InputError("this network has no styles to factorize (use_styles=False); use pca")
    return torch.cat(weights)
