"""KID: the kernel distance of features of generated and real images (Binkowski et al. 2018)."""

import numpy as np
import torch
from torch import Tensor

from ..runtime.checks import check_integer, check_integers, typed
from ..runtime.device import to_float64
from .features import check_features
from .metric import Definition, Finish, Values
from .run import Run
from .settings import Metric


@typed
def kernel_distance(
    a: Tensor, b: Tensor, *, subsets: int = 100, subset_size: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """Squared maximum mean discrepancy with the kernel (x.y / D + 1)^3, unbiased, averaged over random subsets.

    KID (Binkowski et al. 2018, section 4). a, b: [N, D], [M, D]; a subset is at most as large as the smaller set.
    Returns the mean over the subsets and their standard deviation.
    """
    a, b = check_features(a, b)
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


def _measure(run: Run, metric: Metric) -> Finish:
    real, fake = run.features(metric)

    def finish() -> Values:
        mean, std = kernel_distance(real, fake, seed=run.settings.seed)
        return {_KID.label(metric): {"value": mean, "std_of_subsets": std, "images": len(fake), "reals": len(real)}}

    return finish


_KID = Definition("kid", _measure, needs_data=True, network="extractor", names_own_count=True)
METRICS = [_KID]
