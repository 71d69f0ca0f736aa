"""FID: the Frechet distance of features of generated and real images (Heusel et al. 2017)."""

import torch
from torch import Tensor

from ..runtime.checks import typed
from ..runtime.device import to_float64
from .features import check_features
from .metric import Definition, Finish
from .run import Run
from .settings import Metric


@typed
def frechet_distance(a: Tensor, b: Tensor) -> float:
    """Frechet distance between the normal distributions with the means and covariances of two sets of features.

    FID (Heusel et al. 2017, equation 6): |mean_a - mean_b|^2 + Tr(cov_a + cov_b - 2 (cov_a cov_b)^(1/2)), in float64,
    covariances with n - 1. a, b: [N, D], [M, D]. Raises InputError for fewer than two rows.
    """
    (mean_a, cov_a), (mean_b, cov_b) = (_moments(x) for x in check_features(a, b))
    # The root of cov_a cov_b has the same trace as that of the symmetric root_a cov_b root_a, whose eigenvalues are
    # real.
    values, vectors = torch.linalg.eigh(cov_a)
    root_a = (vectors * values.clamp(min=0).sqrt()) @ vectors.mT
    cross = torch.linalg.eigvalsh(root_a @ cov_b @ root_a).clamp(min=0).sqrt().sum()
    distance = (mean_a - mean_b).square().sum() + cov_a.trace() + cov_b.trace() - 2 * cross
    return max(0.0, float(distance))


def _moments(x: Tensor) -> tuple[Tensor, Tensor]:
    x = to_float64(x)
    mean = x.mean(dim=0)
    centred = x - mean
    return mean, centred.mT @ centred / (len(x) - 1)


def _measure(run: Run, metric: Metric) -> Finish:
    real, fake = run.features(metric)
    return lambda: {
        _FID.label(metric): {"value": frechet_distance(real, fake), "images": len(fake), "reals": len(real)}
    }


_FID = Definition("fid", _measure, needs_data=True, network="extractor", names_own_count=True)
METRICS = [_FID]
