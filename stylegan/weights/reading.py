"""The bytes of a weight file -> a checkpoint: ours, the official code's or another port's, told by its content."""

from dataclasses import replace
from pathlib import Path

from ..runtime.file_kinds import kind_of
from .checkpoint import Checkpoint, config_from_json, has_our_header, load_checkpoint
from .files import Wanted, WeightFile
from .folders import UNNAMED
from .hub import Access


def read(file: WeightFile, wanted: Wanted, access: Access) -> Checkpoint:
    """The checkpoint of a file that was fetched. access: its cache keeps what was downloaded and had to be converted.

    Raises WeightsError if the file is not what it should be, or holds another network or resolution than is wanted.
    """
    asked = wanted if file.entry is None else replace(wanted, resolution=wanted.resolution or file.entry.resolution)
    if is_native(file.path):
        config = None if file.config is None else config_from_json(file.config)
        checkpoint = asked.check(load_checkpoint(file.path, config=config), file)
    else:
        from .conversion import convert_file  # Files of our own need none of its readers.

        checkpoint = convert_file(file, asked, access)
    if file.model and checkpoint.metadata.get("name") in UNNAMED:
        checkpoint.metadata["name"] = file.model
    if file.entry is not None:
        checkpoint.metadata = checkpoint.metadata | file.entry.facts
        if checkpoint.network == "Generator":
            checkpoint.config = checkpoint.config | file.entry.options
    return checkpoint


def is_native(path: Path) -> bool:
    """Whether a file is in our format: with our header, or described by a config.json beside it."""
    if kind_of(path) != "safetensors":
        return False
    if has_our_header(path):
        return True
    from .ports import is_port_safetensors

    return not is_port_safetensors(path)
