"""FID, KID, precision and recall: closed forms, and three independent implementations on the same features."""

import math

import numpy as np
import pytest
import scipy.linalg
import torch
from torch import Tensor

from stylegan.errors import InputError
from stylegan.metrics import frechet_distance, kernel_distance, precision_recall

from ..references import import_reference


def features(n: int, dim: int, *, seed: int, shift: float = 0.0) -> Tensor:
    """Correlated float32 features, positive as those behind a ReLU."""
    generator = torch.Generator().manual_seed(seed)
    mixing: Tensor = torch.randn(dim, dim, generator=generator) / dim**0.5
    return (torch.randn(n, dim, generator=generator) @ mixing + shift).relu()


def gaussian(n: int, mean: Tensor, cov: Tensor, *, seed: int = 0) -> Tensor:
    """n points whose mean and covariance are exactly these."""
    x = torch.randn(n, len(mean), generator=torch.Generator().manual_seed(seed)).double()
    x -= x.mean(dim=0)
    white = torch.linalg.solve_triangular(torch.linalg.cholesky(x.mT @ x / (n - 1)), x.mT, upper=False).mT
    points: Tensor = white @ torch.linalg.cholesky(cov.double()).mT
    return points + mean.double()


@pytest.fixture(scope="module")
def pair() -> tuple[Tensor, Tensor]:
    return features(700, 48, seed=0), features(500, 48, seed=1, shift=0.3)


# FID.


def test_frechet_distance_is_that_of_scipys_matrix_root(pair: tuple[Tensor, Tensor]) -> None:
    a, b = (x.double().numpy() for x in pair)
    cov_a, cov_b = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    root = scipy.linalg.sqrtm(cov_a @ cov_b).real
    expected = np.sum((a.mean(0) - b.mean(0)) ** 2) + np.trace(cov_a + cov_b - 2 * root)
    assert frechet_distance(*pair) == pytest.approx(expected, rel=1e-6)


def test_frechet_distance_is_that_of_torchmetrics(pair: tuple[Tensor, Tensor]) -> None:
    fid = import_reference("torchmetrics.image.fid")
    moments = [(x.double().mean(0), torch.cov(x.double().mT)) for x in pair]
    assert frechet_distance(*pair) == pytest.approx(fid._compute_fid(*moments[0], *moments[1]).item(), rel=1e-6)


def test_frechet_distance_is_that_of_torch_fidelity(pair: tuple[Tensor, Tensor]) -> None:
    fid = import_reference("torch_fidelity.metric_fid")
    statistics = [fid.fid_features_to_statistics(x.double()) for x in pair]
    expected = fid.fid_statistics_to_metric(*statistics, verbose=False)
    assert frechet_distance(*pair) == pytest.approx(next(iter(expected.values())), rel=1e-6)


def test_frechet_distance_of_gaussians_has_its_closed_form() -> None:
    """Covariances that commute: |m|^2 + sum (sqrt(s_a) - sqrt(s_b))^2."""
    rotation = torch.linalg.qr(torch.randn(5, 5, generator=torch.Generator().manual_seed(3)).double()).Q
    s_a, s_b = torch.tensor([1.0, 4, 9, 0.25, 2]).double(), torch.tensor([4.0, 1, 1, 0.04, 2]).double()
    mean_a, mean_b = torch.zeros(5), torch.tensor([1.0, -2, 0, 0.5, 0])
    a = gaussian(50, mean_a, rotation @ torch.diag(s_a) @ rotation.mT)
    b = gaussian(80, mean_b, rotation @ torch.diag(s_b) @ rotation.mT, seed=1)
    expected = 5.25 + ((s_a.sqrt() - s_b.sqrt()) ** 2).sum().item()
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-9)


def test_frechet_distance_of_a_set_to_itself_is_zero(pair: tuple[Tensor, Tensor]) -> None:
    scale = pair[0].double().var(dim=0).sum().item()
    assert frechet_distance(pair[0], pair[0]) == pytest.approx(0, abs=1e-9 * scale)


def test_frechet_distance_of_few_rows_is_finite_and_symmetric() -> None:
    a, b = features(20, 64, seed=0), features(30, 64, seed=1)
    assert frechet_distance(a, b) == pytest.approx(frechet_distance(b, a), rel=1e-7)


def test_metrics_leave_their_features_as_they_are(pair: tuple[Tensor, Tensor]) -> None:
    a, b = pair[0].double(), pair[1].double()
    before = a.clone()
    frechet_distance(a, b), kernel_distance(a, b, subsets=2), precision_recall(a, b)
    assert torch.equal(a, before)


# KID.


def test_kernel_distance_of_whole_sets_is_torch_fidelitys(pair: tuple[Tensor, Tensor]) -> None:
    kid = import_reference("torch_fidelity.metric_kid")
    a, b = pair[0][:500].double().numpy(), pair[1].double().numpy()
    options = {"kid_kernel": "poly", "kid_kernel_poly_degree": 3, "kid_kernel_poly_gamma": None}
    expected = kid.kernel_mmd(a, b, kid_kernel_poly_coef0=1, **options)
    got, spread = kernel_distance(pair[0][:500], pair[1], subsets=2, subset_size=500)
    assert got == pytest.approx(expected, rel=1e-6)
    assert spread == pytest.approx(0, abs=1e-9)


def test_kernel_distance_of_whole_sets_is_that_of_torchmetrics(pair: tuple[Tensor, Tensor]) -> None:
    kid = import_reference("torchmetrics.image.kid")
    expected = kid.poly_mmd(pair[0][:500].double(), pair[1].double()).item()
    assert kernel_distance(pair[0][:500], pair[1], subsets=1, subset_size=500)[0] == pytest.approx(expected, rel=1e-6)


def test_kernel_distance_of_two_points_each_by_hand() -> None:
    """Kernel (xy + 1)^3 in one dimension: k(0, 1) = 1, k(2, 3) = 343, across 1, 1, 27, 64."""
    a, b = torch.tensor([[0.0], [1.0]]), torch.tensor([[2.0], [3.0]])
    expected = 1 + 343 - 2 * (1 + 1 + 27 + 64) / 4
    assert kernel_distance(a, b, subsets=3) == pytest.approx((expected, 0))


def test_kernel_distance_is_unbiased() -> None:
    """The mean over many pairs of small samples of one distribution is zero within its error."""
    generator = torch.Generator().manual_seed(0)
    values = [
        kernel_distance(*torch.randn(2, 20, 4, generator=generator), subsets=1, subset_size=20)[0] for _ in range(400)
    ]
    assert abs(np.mean(values)) < 4 * np.std(values) / math.sqrt(len(values))


def test_kernel_distance_depends_on_its_seed_alone(pair: tuple[Tensor, Tensor]) -> None:
    first = kernel_distance(*pair, subsets=3, subset_size=50)
    assert first == kernel_distance(*pair, subsets=3, subset_size=50)
    assert first != kernel_distance(*pair, subsets=3, subset_size=50, seed=1)


# Precision and recall.


def test_precision_and_recall_are_those_of_torch_fidelity(pair: tuple[Tensor, Tensor]) -> None:
    prc = import_reference("torch_fidelity.metric_prc")
    real, fake = pair
    precision, recall = prc.calculate_precision_recall_full(fake.double(), real.double())
    found = precision_recall(real, fake)
    assert 0.02 < min(precision, recall) < 0.98
    assert (found.precision, found.recall) == pytest.approx((precision, recall), abs=1e-6)


@pytest.mark.parametrize("neighbours", [1, 3, 5])
def test_precision_and_recall_are_those_of_a_plain_loop(neighbours: int) -> None:
    real, fake = features(90, 6, seed=0).double(), features(60, 6, seed=1, shift=0.2).double()

    def share(points: Tensor, members: Tensor) -> float:
        radii = [sorted((m - other).norm() for other in members)[neighbours] for m in members]
        return float(np.mean([any((p - m).norm() <= r for m, r in zip(members, radii, strict=True)) for p in points]))

    found = precision_recall(real, fake, neighbours=neighbours)
    assert (found.precision, found.recall) == pytest.approx((share(fake, real), share(real, fake)))


def test_blocks_of_rows_do_not_change_precision_and_recall(
    pair: tuple[Tensor, Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = precision_recall(*pair)
    monkeypatch.setattr("stylegan.metrics.pr._ROWS", 64)
    assert precision_recall(*pair) == whole


def test_identical_sets_have_precision_and_recall_one(pair: tuple[Tensor, Tensor]) -> None:
    found = precision_recall(pair[0], pair[0])
    assert (found.precision, found.recall) == (1, 1)


def test_far_sets_have_neither_a_dropped_mode_costs_recall() -> None:
    near, far = features(100, 4, seed=0), features(100, 4, seed=0) + 100
    found = precision_recall(near, far)
    assert (found.precision, found.recall) == (0, 0)
    found = precision_recall(torch.cat([near, far]), near)
    assert (found.precision, found.recall) == (1, 0.5)


def test_features_that_do_not_fit_are_an_error() -> None:
    with pytest.raises(InputError, match=r"must be \[M, 2\], got \[3, 4\]"):
        frechet_distance(torch.zeros(3, 2), torch.zeros(3, 4))
    with pytest.raises(InputError, match="two rows or more"):
        kernel_distance(torch.zeros(1, 2), torch.zeros(3, 2))
    with pytest.raises(InputError, match="3 neighbours need more images, got 3 real"):
        precision_recall(torch.zeros(3, 2), torch.zeros(9, 2))
