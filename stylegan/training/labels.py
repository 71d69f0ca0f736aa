"""Labels of a data set: labels.json, beside the pictures.

    {"labels": {"00000000.png": 2, "00000001.png": null}, "classes": ["cat", "dog", "fox"]}

A label is the index of a class, or a vector of numbers (all of one length), or null for a picture without one, as are
the pictures that are not named. `classes` is optional and gives the number of classes and their names. `labels` may
also be a list of pairs [name, label]. Names are relative to labels.json.
"""

import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..errors import DatasetError, InputError
from .settings import is_number
from .sources import Source, printable

LABELS_FILE = "labels.json"
MAX_CLASSES = 65_536

Label = int | list[float] | None


@dataclass(frozen=True)
class Labels:
    """The labels of all pictures in order: class indices with their names, or vectors (then `classes` is None)."""

    values: list[Label]
    classes: list[str] | None

    @property
    def label_dim(self) -> int:
        if self.classes is not None:
            return len(self.classes)
        return next(len(value) for value in self.values if isinstance(value, list))

    def tensor(self) -> Tensor:
        """Class indices, int64 [N] with -1 for none, or vectors, float32 [N, label_dim] with zeros for none."""
        if self.classes is not None:
            return torch.tensor([-1 if value is None else value for value in self.values])
        zeros = [0.0] * self.label_dim
        return torch.tensor([zeros if value is None else value for value in self.values], dtype=torch.float32)


def rows(labels: Tensor, indices: Sequence[int], label_dim: int) -> Tensor:
    """The labels of some pictures, float32 [len(indices), label_dim]: one-hot for classes, zeros for none."""
    chosen = labels[torch.as_tensor(indices, dtype=torch.int64)]
    if chosen.ndim == 2:
        return chosen
    return (chosen[:, None] == torch.arange(label_dim)).float()


def read_labels(source: Source, *, field: str | None = None) -> Labels | None:
    """The labels of the pictures of a source, in the order of `source.names`; None if it has none.

    field: of a labels.json that holds a record for each picture, {"a.jpg": {"breed": "tabby", "age": 3}}: the field
    that becomes the class, either an index or a name. None = the format above.

    A labels.json of another format is ignored, with a warning. Raises DatasetError if it is malformed.
    """
    name = min((n for n in source.others if n.split("/")[-1] == LABELS_FILE), key=len, default=None)
    where = f"{source.path}/{printable(name or LABELS_FILE)}"
    if name is None:
        if field is not None:
            raise InputError(f"{source.path} has no {LABELS_FILE}, so no field {field!r} of it can be used")
        return None
    folder = name.removesuffix(LABELS_FILE)
    data = _parse(source, name, where)
    table = data.get("labels", data if field is not None else None) if isinstance(data, dict) else None
    if isinstance(table, list):
        table = _from_pairs(table, where)
    if not isinstance(table, dict):
        warnings.warn(f"{where} is ignored: {_why_foreign(data)}", stacklevel=3)
        return None
    if not any(n.removeprefix(folder) in table for n in source.names):
        warnings.warn(f"{where} is ignored: it names none of the pictures", stacklevel=3)
        return None
    values = [table.get(n.removeprefix(folder)) for n in source.names]
    names = data.get("classes")
    if field is not None:
        values, names = _from_records(values, field, where)
    return _checked(values, names, source.names, where)


def labels_from_folders(names: Sequence[str]) -> Labels:
    """The class of each picture from its sub-folder: the first one in which the pictures differ.

    Raises DatasetError if there are fewer than two sub-folders or pictures beside them.
    """
    paths = [name.split("/") for name in names]
    while all(len(path) > 1 and path[0] == paths[0][0] for path in paths):
        paths = [path[1:] for path in paths]
    outside = next((name for name, path in zip(names, paths, strict=True) if len(path) == 1), None)
    if outside is not None:
        raise DatasetError(
            f"{printable(outside)} is in no sub-folder of its own class; for labels from folders, put the pictures "
            "of each class into one folder, and two or more of these beside each other"
        )
    classes = sorted({path[0] for path in paths})
    index = {name: i for i, name in enumerate(classes)}
    return Labels([index[path[0]] for path in paths], classes)


def labels_json(labels: Mapping[str, Label], classes: list[str] | None) -> bytes:
    """The contents of a labels.json."""
    data = {"labels": labels} if classes is None else {"labels": labels, "classes": classes}
    return json.dumps(data, separators=(",", ":")).encode()


def _parse(source: Source, name: str, where: str) -> Any:
    try:
        return json.loads(source.read(name))
    except DatasetError as error:
        raise DatasetError(f"{where} {error}") from error
    except (ValueError, RecursionError) as error:
        raise DatasetError(f"{where} is no JSON ({error}); repair or remove it") from error


def _from_pairs(pairs: list, where: str) -> dict[str, Any]:
    if not all(isinstance(p, list) and len(p) == 2 and isinstance(p[0], str) for p in pairs):
        raise DatasetError(f"{where}: 'labels' is a list, but not of pairs [name, label]")
    return dict(pairs)


def _why_foreign(data: Any) -> str:
    expected = 'expected {"labels": {"picture.png": 0, ...}}'
    record = next(iter(data.values()), None) if isinstance(data, dict) else None
    if not isinstance(record, dict) or not record:
        return expected
    fields = ", ".join(map(repr, list(record)[:10]))
    return f"it holds records with the fields {fields}, {expected}; label_field (--label-field) chooses one"


def _from_records(records: list, field: str, where: str) -> tuple[list, list[str] | None]:
    """Class indices from one field of the records; None where the record or the field is missing."""
    values = [record.get(field) if isinstance(record, dict) else None for record in records]
    known = [value for value in values if value is not None]
    if not known:
        raise InputError(f"{where}: no record has the field {field!r}")
    if not all(isinstance(value, str) for value in known):
        return values, None
    classes = sorted(set(known))
    index = {name: i for i, name in enumerate(classes)}
    return [None if value is None else index[value] for value in values], classes


def _checked(values: list, classes: Any, names: Sequence[str], where: str) -> Labels | None:
    known = [(name, value) for name, value in zip(names, values, strict=True) if value is not None]
    if not known:
        return None
    if isinstance(known[0][1], list):
        length = len(known[0][1])
        for name, value in known:
            if not isinstance(value, list) or len(value) != length or not length or not all(map(is_number, value)):
                raise _wrong(where, name, value, f"{length or 1} or more finite numbers, as many for each picture")
        return Labels(values, None)
    if classes is not None and not (isinstance(classes, list) and all(isinstance(c, str) for c in classes)):
        raise DatasetError(f"{where}: 'classes' must be a list of names")
    limit = MAX_CLASSES if classes is None else len(classes)
    for name, value in known:
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < limit:
            raise _wrong(where, name, value, f"a class index from 0 to {limit - 1}")
    return Labels(values, classes or [str(i) for i in range(max(value for _, value in known) + 1)])


def _wrong(where: str, name: str, value: Any, expected: str) -> DatasetError:
    return DatasetError(f"{where}: the label of {printable(name)} is {str(value)[:80]!r}, expected {expected}")
