"""Principal components of w: GANSpace (Haerkoenen et al. 2020, section 2.1)."""

import torch

from ..generator import Generator
from ..latents.bands import Layers
from ..latents.directions import Direction
from ..latents.samples import sample_w
from ..runtime.checks import typed
from ..runtime.choices import SAMPLES
from ..runtime.precision import no_autocast
from .space import check_count, fix_signs, layer_range, make_direction


@typed
@no_autocast()
def pca(G: Generator, *, n: int = 10, layers: Layers | None = None, samples: int = SAMPLES) -> list[Direction]:
    """The n directions along which w varies most, named pca:0, pca:1...

    layers: those that the directions move; None = all, or as in `mix_styles`.
    samples: number of w to compute the components from, of seeds 0 to samples - 1.

    The facts of a direction hold its index and explained variance. Signs: the largest component is positive. Raises
    InputError for an invalid n or layers.
    """
    chosen = layer_range(G, layers)
    check_count(n, G.w_dim)
    w = sample_w(G, samples)
    variances, components = torch.linalg.eigh(torch.cov(w.double().T))  # In ascending order, in columns.
    vectors = fix_signs(components.T.flip(0)[:n])
    share = variances.flip(0) / variances.sum()
    facts = [{"index": i, "explained_variance": share[i].item(), "samples": samples} for i in range(n)]
    return [
        make_direction(G, f"pca:{i}", vector, w, method="pca", layers=chosen, facts=own)
        for i, (vector, own) in enumerate(zip(vectors, facts, strict=True))
    ]
