"""run.json of an encoder's training: its settings, model and data set."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from ..errors import InputError
from ..runtime.atomic_files import write_atomically
from ..runtime.json_yaml import check_object, read_json
from .config import EncoderConfig

NAME = "run.json"


@dataclass(frozen=True)
class EncoderRun:
    """What a run was begun with."""

    config: EncoderConfig
    model: str  # What `Generator.from_pretrained` takes.
    data: str  # The path of the data set.

    @classmethod
    def load(cls, folder: Path) -> Self | None:
        """The run in a folder; None = there is none. Raises InputError if its file is damaged."""
        path = folder / NAME
        if not path.is_file():
            return None
        fields = {"settings": dict[str, Any], "model": str, "data": str}
        found = check_object(read_json(path, error=InputError), fields, where=str(path), error=InputError)
        return cls(EncoderConfig.of(found["settings"]), found["model"], found["data"])

    def save(self, folder: Path, **facts: str) -> None:
        """Write it into a folder, complete or not at all. facts: further entries, for information."""
        described = {"settings": self.config.as_dict(), "model": self.model, "data": self.data, **facts}
        write_atomically(folder / NAME, (json.dumps(described, indent=2) + "\n").encode())
