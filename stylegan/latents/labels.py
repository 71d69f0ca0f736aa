"""Classes of conditional models: indices, names or vectors -> label vectors."""

from collections.abc import Sequence

import torch
from torch import Tensor

from ..errors import InputError
from ..networks.shapes import check_labels
from ..runtime.checks import check_integers, is_index, shown
from ..runtime.device import FLOAT32_CPU
from ..runtime.tensors import check_tensor

Labels = int | str | Sequence[int | str] | Tensor | None


def label_vectors(labels: Labels, n: int, label_dim: int, *, classes: Sequence[str] = (), model: str) -> Tensor | None:
    """Class indices, names of classes or label vectors -> [n, label_dim]; None for an unconditional model.

    classes: the known names of the classes. model: its name, for messages.

    Raises InputError for unknown classes and wrong shapes.
    """
    if isinstance(labels, str):
        labels = class_index(labels, classes, label_dim, model=model)
    elif isinstance(labels, Sequence):
        labels = [class_index(x, classes, label_dim, model=model) if isinstance(x, str) else x for x in labels]
    if labels is None or label_dim == 0:
        return check_labels(labels, n, label_dim)  # type: ignore[arg-type]
    if isinstance(labels, Tensor) and labels.is_floating_point():
        vectors = labels
        check_tensor(vectors, ("...", label_dim), what="labels")
        if vectors.device.type == "meta" or not vectors.isfinite().all():
            raise InputError(f"labels must be finite, got {shown(labels)}")
    else:
        indices = check_integers(labels, what="a label", limit=label_dim)
        if not is_index(labels) and len(indices) != n:
            raise InputError(
                f"got {len(indices)} classes for {n} images; give one class for all of them, or one for each "
                "(in commands, --label 0,1,2)"
            )
        vectors = torch.eye(label_dim, **FLOAT32_CPU)[indices[0] if is_index(labels) else indices]
    if vectors.shape == (label_dim,):
        vectors = vectors.expand(n, -1)
    return check_labels(vectors, n, label_dim)


def class_index(name: str, classes: Sequence[str], label_dim: int, *, model: str) -> int:
    """The index of a class by its name. Raises InputError, which lists the names, for an unknown class."""
    if name in classes[:label_dim]:
        return list(classes).index(name)
    if not label_dim:
        raise InputError(f"{model} is unconditional: it takes no label, got {name!r}")
    known = f"it has {', '.join(classes[:20])}" if classes else "its classes have no names"
    raise InputError(f"{model} has no class {name!r}; {known}, and the indices 0 to {label_dim - 1}")
