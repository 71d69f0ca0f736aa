"""A data set's identity, so that a resumed run notices a changed data set."""

import hashlib
import logging
from collections.abc import Mapping
from typing import Any

from ..data.dataset import ImageDataset
from ..errors import InputError
from .snapshot import Images

_log = logging.getLogger(__name__)

# Images hashed of a data set without a digest of its own.
_HASHED = 64


def describe_data(dataset: Images, *, labels: bool) -> dict[str, Any]:
    """A data set's identity for JSON: counts, and a digest of its images in order.

    labels: whether to include the labels, because they are trained on.
    """
    if isinstance(dataset, ImageDataset):
        digest = dataset.digest(labels=labels)
    else:
        step = max(len(dataset) // _HASHED, 1)
        img, vectors = dataset.batch(list(range(0, len(dataset), step)))
        shown = hashlib.sha256(img.numpy().tobytes())
        if labels and vectors is not None:
            shown.update(vectors.numpy().tobytes())
        digest = shown.hexdigest()
    return {
        "pictures": len(dataset),
        "img_channels": dataset.img_channels,
        "label_dim": dataset.label_dim if labels else 0,
        "sha256": digest,
    }


def check_data(known: Mapping[str, Any], given: Mapping[str, Any], *, may_change: bool) -> None:
    """Raise InputError if the data set is not the run's, unless it may change.

    known: the checkpoint's entry; empty if it was written by an earlier version.
    """
    if not known:
        _log.info("the checkpoint does not say which images it was trained on, so they cannot be compared")
        return
    if known == given:
        return
    counts = {"pictures": "images", "img_channels": "channels", "label_dim": "labels"}
    changes = [f"{given[n]} {what}, not {known.get(n)}" for n, what in counts.items() if given[n] != known.get(n)]
    change = "; ".join(changes) or f"as many images ({given['pictures']}), but not the same or in another order"
    if not may_change:
        raise InputError(
            f"the data set is not the one that this run was trained on: {change}. Give that with --data, or continue "
            "with this one by --allow-data-change"
        )
    _log.warning("the run continues with another data set: %s", change)
