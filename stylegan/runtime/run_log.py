"""The log of a run: one JSON object a line."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import CheckpointError
from .atomic_files import explained, write_atomically
from .json_yaml import check_object, parse_json

# Fields of every entry.
_FIELDS = {"step": int | None, "kimg": float}  # Distances of snapshots have no steps.


def read_log(path: Path) -> list[dict[str, Any]]:
    """The entries of a log; an incomplete last line, after a kill, is omitted."""
    entries = []
    for line in path.read_bytes().splitlines() if path.exists() else []:
        try:
            entry = parse_json(line, where=str(path), error=CheckpointError)
            entries.append(check_object(entry, _FIELDS, where=str(path), error=CheckpointError))
        except CheckpointError:
            break
    return entries


def rewind_log(path: Path, step: int) -> None:
    """Delete entries after a step, from which training continues."""
    kept = [entry for entry in read_log(path) if (entry.get("step") or 0) <= step]
    write_atomically(path, "".join(json.dumps(entry) + "\n" for entry in kept).encode())


def append_log(path: Path, entry: Mapping[str, Any]) -> None:
    """Add one line."""
    with explained(path), path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(entry) + "\n")
