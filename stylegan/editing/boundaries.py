"""Boundaries from scored samples: InterFaceGAN (Shen, Gu, Tang and Zhou 2020, sections 2.2 and 2.3)."""

import dataclasses
from collections.abc import Sequence

import torch
from torch import Tensor

from ..errors import InputError, StyleGANError
from ..generator import Generator
from ..latents.bands import Layers
from ..latents.directions import Direction
from ..latents.samples import sample_w
from ..runtime.checks import typed
from ..runtime.precision import no_autocast
from ..runtime.tensors import check_tensor
from .space import layer_range, make_direction

# A wide margin: with hundreds of components and thousands of samples, scikit-learn's C = 1 fits their noise, and the
# normal changes scores half as much for its length.
_C = 1e-3


@typed
@no_autocast()
def boundary(
    G: Generator,
    name: str,
    w: Tensor,
    scores: Tensor,
    *,
    fraction: float = 0.25,
    layers: Layers | None = None,
) -> Direction:
    """The normal of the plane that separates the samples with the highest scores from those with the lowest.

    w: [N, w_dim] from `sample_w`, without truncation. scores: [N], of the images; more = further along.
    fraction: share of the samples taken from each end, at most 0.5. 70% of them train a linear SVM (scikit-learn, extra
        "editing"), and the others measure its accuracy, which is stored in the direction's facts.
    layers: those that the direction moves; None = all, or as in `mix_styles`.

    Raises InputError for wrong shapes, scores that are all equal, or too few samples.
    """
    check_tensor(w, ("N", G.w_dim), what="w", hint="; w is that of one layer: ws[:, 0]")
    check_tensor(scores, (len(w),), what="scores")
    per_side = int(fraction * len(w))
    if not 0 < fraction <= 0.5 or per_side < 10:
        raise InputError(f"{len(w)} samples and fraction {fraction} leave {per_side} of each side; expected 10 or more")
    if not scores.isfinite().all() or scores.min() == scores.max():
        raise InputError("scores must be finite and differ, or there is nothing to separate")
    order = scores.cpu().argsort(stable=True)
    chosen = torch.stack([order[:per_side], order[-per_side:]], dim=1).flatten()  # Low, high, low, high...
    x, high = w.cpu()[chosen].double(), torch.arange(2 * per_side, device="cpu") % 2
    # Both ends are sorted by score: a fixed permutation makes training and test parts alike.
    shuffled = torch.randperm(2 * per_side, generator=torch.Generator("cpu").manual_seed(0), device="cpu")
    split = int(0.7 * 2 * per_side)
    normal, accuracy = _linear_svm(x, high, train=shuffled[:split], test=shuffled[split:])
    facts = {"accuracy": accuracy, "samples": len(w), "fraction": fraction}
    return make_direction(
        G,
        name,
        normal,
        w,
        method="boundary",
        layers=layer_range(G, layers),
        facts=facts,
        strengths=(
            -2.0,
            2.0,
        ),  # Attributes change, and are distorted, sooner than principal components.
    )


@typed
@no_autocast()
def orthogonalize(G: Generator, direction: Direction, others: Sequence[Direction]) -> Direction:
    """The part of a direction that is orthogonal to all others (section 2.3).

    Moving along it changes the scores of the other boundaries less. Its facts name the others. Raises InputError if
    nothing of it is left.
    """
    if not others:
        raise InputError("there is nothing to be orthogonal to: others is empty")
    basis, _ = torch.linalg.qr(torch.stack([other.vector.double() for other in others], dim=1))  # [w_dim, others]
    vector = direction.vector.double()
    left = vector - basis @ (basis.T @ vector)
    if left.norm() < 1e-3:
        names = ", ".join(other.name for other in others)
        raise InputError(f"nothing of the direction {direction.name!r} is orthogonal to {names}")
    left = (left / left.norm()).float()
    std = (sample_w(G).double() @ left.double()).std().item()
    facts = direction.facts | {"at_right_angles_to": [other.name for other in others]}
    return dataclasses.replace(direction, vector=left, std=std, facts=facts)


def _linear_svm(x: Tensor, labels: Tensor, *, train: Tensor, test: Tensor) -> tuple[Tensor, float]:
    """The normal [w_dim] of a linear SVM, towards label 1, and its accuracy on held-out samples."""
    try:
        from sklearn.svm import LinearSVC
    except ImportError as error:
        raise StyleGANError('boundaries need scikit-learn: pip install "stylegan[editing]"') from error
    # One scale for all components, so the plane is the same in w itself.
    mean, scale = x[train].mean(dim=0), x[train].std()
    scaled = ((x - mean) / scale).numpy()
    svm = LinearSVC(dual=False, C=_C).fit(scaled[train.numpy()], labels[train].numpy())
    accuracy = svm.score(scaled[test.numpy()], labels[test].numpy())
    return torch.from_numpy(svm.coef_[0]), float(accuracy)
