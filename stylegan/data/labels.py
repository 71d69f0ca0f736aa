"""Labels of a data set: labels.json next to the images, or the dataset.json of the tools of StyleGAN2-ADA and 3.

    {"labels": {"00000000.png": 2, "00000001.png": null}, "classes": ["cat", "dog", "fox"]}

A label is a class index, or a vector of numbers, all of one length. Images that are missing or null have none. The
optional `classes` gives the number of classes and their names. `labels` may also be a list of pairs [name, label].
Names are relative to the file; a backslash counts as a slash. Of several such files, the one nearest to the root is
used, and labels.json before dataset.json in the same folder.
"""

import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ..errors import DatasetError, InputError
from ..runtime.checks import is_number
from ..runtime.json_yaml import TABLE, parse_json
from .containers import plain_name
from .sources import Source, printable

LABELS_FILE = "labels.json"
LABELS_FILES = (LABELS_FILE, "dataset.json")  # The first takes precedence.
MAX_CLASSES = 65_536
MAX_LABELS_SIZE = 2**27

Label = int | list[float] | None


@dataclass(frozen=True)
class Labels:
    """The labels of all images in order: class indices with their names, or vectors (then `classes` is None)."""

    values: list[Label]
    classes: list[str] | None

    @property
    def label_dim(self) -> int:
        """Number of classes, or length of the vectors."""
        if self.classes is not None:
            return len(self.classes)
        return next(len(value) for value in self.values if isinstance(value, list))

    def differ(self) -> bool:
        """Whether there is anything to learn: several classes, or labels that differ."""
        return len(self.classes or []) > 1 or any(value != self.values[0] for value in self.values)

    def tensor(self) -> Tensor:
        """Class indices, int64 [N] with -1 for none, or vectors, float32 [N, label_dim] with zeros for none."""
        if self.classes is not None:
            return torch.tensor(
                [-1 if value is None else value for value in self.values], dtype=torch.int64, device="cpu"
            )
        zeros = [0.0] * self.label_dim
        return torch.tensor(
            [zeros if value is None else value for value in self.values], dtype=torch.float32, device="cpu"
        )


def rows(labels: Tensor, indices: Sequence[int], label_dim: int) -> Tensor:
    """The labels of some images, float32 [len(indices), label_dim]: one-hot for classes, zeros for none."""
    chosen = labels[torch.as_tensor(indices, dtype=torch.int64, device="cpu")]
    if chosen.ndim == 2:
        return chosen
    return (chosen[:, None] == torch.arange(label_dim, device="cpu")).float()


def read_labels(source: Source, *, field: str | None = None, required: bool = False) -> Labels | None:
    """The labels of the images of a source, in the order of `source.names`; None if it has none.

    field: of a file with a record for each image, {"a.jpg": {"breed": "tabby", "age": 3}}, the field that holds the
        class, as an index or a name. None = the format above.
    required: raise InputError, with the reason, if there are no labels; implied by `field`.

    A file in another format, or about other images, is ignored with a warning. Raises DatasetError if labels are
    malformed.
    """
    required = required or field is not None
    found = sorted((n.count("/"), LABELS_FILES.index(_last(n)), n) for n in source.others if _last(n) in LABELS_FILES)
    if not found:
        if required:
            raise InputError(f"{source.path} has no labels: no {' or '.join(LABELS_FILES)} is in it; {_ADVICE}")
        return None
    name = found[0][2]
    where = f"{source.path}/{printable(name)}"

    def ignored(reason: str) -> None:
        if required:
            raise InputError(f"{where} gives no labels: {reason}; {_ADVICE}")
        warnings.warn(f"{where} is ignored: {reason}", stacklevel=4)

    data = _parse(source, name, where)
    listed = data.get("labels", data if field is not None else None) if isinstance(data, dict) else None
    if not isinstance(listed, dict | list):
        has_none = isinstance(data, dict) and "labels" in data and data["labels"] is None
        # With null, other tools mark a data set without labels.
        if required or not has_none:
            ignored('its "labels" are null' if has_none else _why_foreign(data))
        return None
    table = _by_name(listed, where)
    names = [n.removeprefix(name.removesuffix(_last(name))) for n in source.names]
    if not any(n in table for n in names):
        given = f", which are named like {printable(names[0])!r}, but {printable(next(iter(table)))!r}" if table else ""
        ignored(f"it names none of the images{given}")
        return None
    missing, unknown = sum(n not in table for n in names), len(table.keys() - set(names))
    if missing and unknown:
        warnings.warn(
            f"{where} names {unknown} images that do not exist; {missing} images are not in it and have no label",
            stacklevel=3,
        )
    values, classes = [table.get(n) for n in names], data.get("classes")
    if field is None and any(isinstance(value, dict) for value in values):
        ignored(_why_foreign({n: value for n, value in table.items() if isinstance(value, dict)}))
        return None
    if field is not None:
        values, classes = _from_records(values, field, where)
    labels = _checked(values, classes, source.names, where)
    if labels is None and required:
        ignored("the label of every image is null")
    return labels


def _last(name: str) -> str:
    return name.split("/")[-1]


def labels_from_folders(names: Sequence[str]) -> Labels:
    """The class of each image, by the first level of sub-folders that differs.

    Raises DatasetError if there are fewer than two such sub-folders, or images outside them.
    """
    paths = [name.split("/") for name in names]
    while all(len(path) > 1 and path[0] == paths[0][0] for path in paths):
        paths = [path[1:] for path in paths]
    outside = next((name for name, path in zip(names, paths, strict=True) if len(path) == 1), None)
    if outside is not None:
        raise DatasetError(
            f"{printable(outside)} is not in a sub-folder of its class; for labels from folders, put the images of "
            "each class into one folder, and two or more such folders next to each other"
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
        data = source.read(name, limit=MAX_LABELS_SIZE)
    except DatasetError as error:
        raise DatasetError(f"{where} {error}") from error
    return parse_json(data, where=where, error=DatasetError, limits=TABLE)


def _by_name(listed: dict[str, Any] | list[Any], where: str) -> dict[str, Any]:
    """The labels, from a dictionary or from pairs, by the plain names of their images."""
    pairs = listed if isinstance(listed, list) else [[name, value] for name, value in listed.items()]
    if not all(isinstance(p, list) and len(p) == 2 and isinstance(p[0], str) for p in pairs):
        raise DatasetError(f"{where}: 'labels' is a list, but its items are not pairs [name, label]")
    table: dict[str, Any] = {}
    for name, value in pairs:
        if table.setdefault(plain_name(name), value) != value:
            raise DatasetError(f"{where}: {printable(name)} has two labels; the second is {str(value)[:80]!r}")
    return table


_ADVICE = (
    "train without labels (conditional=false, labels='none'), or make the data set again with `stylegan dataset "
    "--labels folders`, a class for each folder, or with a labels.json next to the images"
)


def _why_foreign(data: Any) -> str:
    expected = 'expected {"labels": {"image.png": 0, ...}}'
    record = next(iter(data.values()), None) if isinstance(data, dict) else None
    if not isinstance(record, dict) or not record:
        return expected
    fields = ", ".join(map(repr, list(record)[:10]))
    return f"it holds records with the fields {fields}, {expected}; label_field (--label-field) selects one"


def _from_records(records: list[Any], field: str, where: str) -> tuple[list[Any], list[str] | None]:
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


def _checked(values: list[Any], classes: Any, names: Sequence[str], where: str) -> Labels | None:
    known = [(name, value) for name, value in zip(names, values, strict=True) if value is not None]
    if not known:
        return None
    if isinstance(known[0][1], list):
        length = len(known[0][1])
        for name, value in known:
            if not isinstance(value, list) or len(value) != length or not length or not all(map(is_number, value)):
                raise _wrong(where, name, value, f"{length or 1} or more finite numbers, as many as for the others")
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
