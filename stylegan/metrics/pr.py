"""Precision and recall of generated images, by their features (Kynkaanniemi et al. 2019)."""

from dataclasses import asdict, dataclass

import torch
from torch import Tensor

from ..errors import InputError
from ..runtime.checks import typed
from ..runtime.device import to_float64
from .features import check_features
from .metric import Definition, Finish, Values
from .run import Run
from .settings import Metric

# Rows whose distances to all others are held at once: 1,024 x 50,000 float32 are 200 MB.
_ROWS = 1024


@dataclass(frozen=True)
class PrecisionRecall:
    """precision: the share of generated images in the real manifold; recall: of real ones in the generated."""

    precision: float
    recall: float


@typed
def precision_recall(real: Tensor, fake: Tensor, *, neighbours: int = 3) -> PrecisionRecall:
    """Improved precision and recall (Kynkaanniemi et al. 2019, equations 1 and 2).

    real, fake: [N, D], [M, D]. A point is in the manifold of a set if its distance to some member is at most that
    member's distance to its k-th nearest neighbour. Raises InputError if a set has no k-th neighbour.
    """
    real, fake = check_features(real, fake)
    if not 1 <= neighbours < min(len(real), len(fake)):
        raise InputError(f"{neighbours} neighbours need more images, got {len(real)} real and {len(fake)} generated")
    # Centring does not change distances, and reduces rounding errors.
    centre = to_float64(real).mean(dim=0).to(real.device, torch.float32)
    real, fake = (x.float() - centre for x in (real, fake))
    return PrecisionRecall(_share_within(fake, real, neighbours), _share_within(real, fake, neighbours))


def _share_within(points: Tensor, members: Tensor, neighbours: int) -> float:
    """The share of points inside the ball of some member."""
    # The nearest neighbour of a member is the member itself.
    nearest = [_squared_distances(rows, members).topk(neighbours + 1, largest=False) for rows in members.split(_ROWS)]
    radii = torch.cat([found.values[:, -1] for found in nearest])
    inside = [(_squared_distances(rows, members) <= radii).any(dim=1) for rows in points.split(_ROWS)]
    return to_float64(torch.cat(inside)).mean().item()


def _squared_distances(x: Tensor, y: Tensor) -> Tensor:
    """[N, D], [M, D] -> [N, M]."""
    return torch.addmm(y.square().sum(dim=1), x, y.mT, alpha=-2).add_(x.square().sum(dim=1, keepdim=True))


def _measure(run: Run, metric: Metric) -> Finish:
    real, fake = run.features(metric)

    def finish() -> Values:
        counts = {"images": len(fake), "reals": len(real)}
        found = asdict(precision_recall(real, fake))
        return {_PR.label(metric, name): {"value": value, **counts} for name, value in found.items()}

    return finish


_PR = Definition(
    "pr", _measure, needs_data=True, results=("precision", "recall"), network="extractor", names_own_count=True
)
METRICS = [_PR]
