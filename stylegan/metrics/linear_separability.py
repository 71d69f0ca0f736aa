"""Linear separability (Karras et al. 2019, section 4.2): how well a plane in latent space splits an attribute."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..errors import InputError
from ..extractors import load_classifier
from ..runtime.checks import typed
from ..runtime.tensors import check_tensor
from .metric import Definition, Finish, Values
from .run import Run
from .settings import Classifier, Metric


@dataclass(frozen=True)
class Separability:
    """One attribute in one latent space."""

    entropy: float  # H(Y|X) in bits: the entropy of the class given the side of the plane.
    accuracy: float  # The share of latents on the right side of the plane.
    kept: int  # Latents that the plane was fitted to.
    positive: float  # The share of them whose class is the positive one.


def most_confident(logits: Tensor, keep: int) -> Tensor:
    """Indices of the `keep` logits, [N], farthest from 0; of equal ones the first."""
    return logits.abs().argsort(descending=True, stable=True)[:keep]


@typed
def separability(latents: Tensor, logits: Tensor) -> Separability:
    """Fit a linear SVM to the classes given by the logits, and compare its classes with them.

    latents: [N, D]; logits: [N], log-odds of the positive class. Needs scikit-learn. As in the official code, the plane
        is fitted and evaluated on the same latents, with the SVM's default settings.
    """
    check_tensor(latents, ("N", "D"), what="latents")
    check_tensor(logits, (len(latents),), what="logits", device=latents.device)
    if not latents.numel() or not (latents.isfinite().all() and logits.isfinite().all()):
        raise InputError(f"latents and logits must be finite and at least one, got latents {list(latents.shape)}")
    classes = (logits > 0).cpu().numpy()
    found = classes if classes.all() or not classes.any() else _side_of_plane(latents, classes)
    counts = np.array([[np.sum((found == x) & (classes == y)) for y in (False, True)] for x in (False, True)])
    accuracy = float(np.mean(found == classes))
    return Separability(conditional_entropy(counts), accuracy, len(classes), float(np.mean(classes)))


def _side_of_plane(latents: Tensor, classes: np.ndarray) -> np.ndarray:
    try:
        from sklearn.svm import LinearSVC
    except ImportError as error:
        raise InputError('linear separability needs scikit-learn: pip install "stylegan[metrics]"') from error

    points = latents.cpu().double().numpy()
    # The primal problem: there are more points than dimensions, and it needs no random order.
    found: np.ndarray = LinearSVC(dual=False).fit(points, classes).predict(points)
    return found.astype(bool)


def conditional_entropy(counts: np.ndarray) -> float:
    """H(Y|X) in bits, from counts [X, Y]."""
    joint = counts / counts.sum()
    given = np.broadcast_to(joint.sum(axis=1, keepdims=True), joint.shape)
    there = joint > 0
    return float(-np.sum(joint[there] * np.log2(joint[there] / given[there])))


def score(entropies: Sequence[float]) -> float:
    """exp of the sum of the entropies over all attributes; 1 = every attribute is perfectly separable."""
    return float(np.exp(np.sum(entropies)))


def separability_of_all(latents: Tensor, logits: Tensor, *, keep: int) -> list[Separability]:
    """Separability of each attribute, on the latents that its classifier is most confident of.

    latents: [N, D]; logits: [N, A]. Returns A results.
    """
    results = []
    for own in logits.unbind(dim=1):
        kept = most_confident(own, keep)
        results.append(separability(latents[kept], own[kept]))
    return results


def check_keep(samples: int) -> int:
    """How many samples are kept: the more confident half, as 100,000 of 200,000 in the paper."""
    if samples < 4:
        raise InputError(f"linear separability needs 4 images or more, got {samples}")
    return samples // 2


def _measure(run: Run, metric: Metric) -> Finish:
    """Attributes of images, and planes in the spaces of their latents."""
    n, keep, classifiers = metric.count, check_keep(metric.count), _classifiers(run)
    images = run.images(n)

    def attributes(numbers: range) -> Tensor:
        img = images.images(numbers)
        return torch.stack([classifier.logits(img) for classifier in classifiers], dim=1)

    logits = run.rows(attributes, n, "attributes")

    def finish() -> Values:
        values = {}
        for name, latents in (("ls_z", images.z), ("ls_w", images.w)):
            points = torch.cat([latents(range(i, min(i + 1000, n))).cpu() for i in range(0, n, 1000)])
            found = separability_of_all(points, logits, keep=keep)
            about = {c.name: _about(plane) for c, plane in zip(classifiers, found, strict=True)}
            value = score([plane.entropy for plane in found])
            values[_LS.label(metric, name)] = {"value": value, "images": n, "attributes": about}
        return values

    return finish


def _classifiers(run: Run) -> list[Classifier]:
    """The classifiers of the settings, loaded."""
    found = [load_classifier(c, device=run.G.device) if isinstance(c, str) else c for c in run.settings.classifiers]
    if not found:
        raise InputError("ls needs one classifier or more")
    run.facts["classifiers"] = [{"name": c.name, "sha256": getattr(c, "sha256", "")} for c in found]
    return found


def _about(plane: Separability) -> dict[str, Any]:
    return {
        "conditional_entropy": plane.entropy,
        "accuracy": plane.accuracy,
        "kept": plane.kept,
        "share_positive": plane.positive,
    }


_LS = Definition("ls", _measure, count=200_000, results=("ls_z", "ls_w"))
METRICS = [_LS]
