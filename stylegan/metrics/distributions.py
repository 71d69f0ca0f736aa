"""How far two sets of features are apart: pure functions of features, without images or networks."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..errors import InputError
from ..runtime.checks import check_integer, check_integers, typed
from ..runtime.device import to_float64
from ..runtime.tensors import check_tensor

# Rows whose distances to all others are held at once: 1,024 x 50,000 float32 are 200 MB.
_ROWS = 1024


@typed
def frechet_distance(a: Tensor, b: Tensor) -> float:
    """Frechet distance between the normal distributions with the means and covariances of two sets of features.

    FID (Heusel et al. 2017, equation 6): |mean_a - mean_b|^2 + Tr(cov_a + cov_b - 2 (cov_a cov_b)^(1/2)), in float64,
    covariances with n - 1. a, b: [N, D], [M, D]. Raises InputError for fewer than two rows.
    """
    (mean_a, cov_a), (mean_b, cov_b) = (_moments(x) for x in _checked(a, b))
    # The trace of the root of cov_a cov_b is that of the symmetric root_a cov_b root_a, whose eigenvalues are real.
    values, vectors = torch.linalg.eigh(cov_a)
    root_a = (vectors * values.clamp(min=0).sqrt()) @ vectors.mT
    cross = torch.linalg.eigvalsh(root_a @ cov_b @ root_a).clamp(min=0).sqrt().sum()
    distance = (mean_a - mean_b).square().sum() + cov_a.trace() + cov_b.trace() - 2 * cross
    return max(0.0, distance.item())


def _moments(x: Tensor) -> tuple[Tensor, Tensor]:
    x = to_float64(x)
    mean = x.mean(dim=0)
    centred = x - mean
    return mean, centred.mT @ centred / (len(x) - 1)


@typed
def kernel_distance(
    a: Tensor, b: Tensor, *, subsets: int = 100, subset_size: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """Squared maximum mean discrepancy with the kernel (x.y / D + 1)^3, unbiased, averaged over random subsets.

    KID (Binkowski et al. 2018, section 4). a, b: [N, D], [M, D]; a subset is at most as large as the smaller set.
    Returns the mean over the subsets and their standard deviation.
    """
    a, b = _checked(a, b)
    check_integer(subsets, what="subsets", low=1, high=100_000)
    check_integer(subset_size, what="subset_size", low=2, high=2**31)
    check_integers(seed, what="seed", limit=2**32)
    size = min(subset_size, len(a), len(b))
    random = np.random.RandomState(seed)
    values = []
    for _ in range(subsets):
        rows_a, rows_b = (torch.from_numpy(random.permutation(len(x))[:size]) for x in (a, b))
        values.append(_squared_mmd(to_float64(a[rows_a]), to_float64(b[rows_b])))
    return float(np.mean(values)), float(np.std(values))


def _squared_mmd(x: Tensor, y: Tensor) -> float:
    """The unbiased estimate for two sets of one size."""
    n, dim = x.shape

    def kernel(p: Tensor, q: Tensor) -> Tensor:
        return (p @ q.mT / dim + 1) ** 3

    within = sum(k.sum() - k.trace() for k in (kernel(x, x), kernel(y, y)))
    return (within / (n * (n - 1)) - 2 * kernel(x, y).mean()).item()


@dataclass(frozen=True)
class PrecisionRecall:
    """precision: the share of generated images among the real; recall: the share of real ones among the generated."""

    precision: float
    recall: float


@typed
def precision_recall(real: Tensor, fake: Tensor, *, neighbours: int = 3) -> PrecisionRecall:
    """Improved precision and recall (Kynkaanniemi et al. 2019, equations 1 and 2).

    real, fake: [N, D], [M, D]. A point is among a set if it is no farther from some member of it than that member is
    from its own k-th nearest neighbour. Raises InputError if a set has no k-th neighbour.
    """
    real, fake = _checked(real, fake)
    if not 1 <= neighbours < min(len(real), len(fake)):
        raise InputError(f"{neighbours} neighbours need more images, got {len(real)} real and {len(fake)} generated")
    # Distances do not change, and are rounded less, around a centre.
    centre = to_float64(real).mean(dim=0).to(real.device, torch.float32)
    real, fake = (x.float() - centre for x in (real, fake))
    return PrecisionRecall(_share_within(fake, real, neighbours), _share_within(real, fake, neighbours))


def _share_within(points: Tensor, members: Tensor, neighbours: int) -> float:
    """The share of points that lie in the ball of some member."""
    # The nearest neighbour of a member is the member itself.
    nearest = [_squared_distances(rows, members).topk(neighbours + 1, largest=False) for rows in members.split(_ROWS)]
    radii = torch.cat([found.values[:, -1] for found in nearest])
    inside = [(_squared_distances(rows, members) <= radii).any(dim=1) for rows in points.split(_ROWS)]
    return to_float64(torch.cat(inside)).mean().item()


def _squared_distances(x: Tensor, y: Tensor) -> Tensor:
    """[N, D], [M, D] -> [N, M]."""
    return torch.addmm(y.square().sum(dim=1), x, y.mT, alpha=-2).add_(x.square().sum(dim=1, keepdim=True))


def _checked(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    check_tensor(a, ("N", "D"), what="features")
    check_tensor(b, ("M", a.shape[1]), what="features of the other set", device=a.device)
    if min(len(a), len(b)) < 2 or not a.shape[1] or not (a.isfinite().all() and b.isfinite().all()):
        raise InputError(f"features must be finite, two rows or more, got {list(a.shape)} and {list(b.shape)}")
    return a, b
