"""How the running command was called, as its images store it and `stylegan remake` calls it again."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from stylegan.cli.faces import is_default
from stylegan.cli.types import LayersType, SeedsType
from stylegan.latents.ranges import SeedRanges


def recorded(**used: object) -> dict[str, object]:
    """The command, all its options except --out, and the sha256 of its files, which are named without folders.

    used: values that the command used instead of those of some options; None = none.
    """
    from stylegan.weights.hub.cache import sha256_of

    context = click.get_current_context()
    values = [(option, (context.params | used)[str(option.name)]) for option in context.command.params]
    given = [(option, value) for option, value in values if value is not None and "--out" not in option.opts]
    values_alone = [one for _, value in given for one in (value if isinstance(value, tuple) else [value])]
    names = _names([value for value in values_alone if isinstance(value, Path)])
    if names:  # Files may replace seeds or names that were not given.
        given = [(option, value) for option, value in given if not _is_replaceable(option)]
    arguments = [argument for option, value in given for argument in _written(option, value, names)]
    known: dict[str, object] = {"command": _command(context), "arguments": json.dumps(arguments)}
    files = {name: sha256_of(path) for path, name in names.items()}
    return known | ({"files": json.dumps(files)} if files else {})


def _names(paths: list[Path]) -> dict[Path, str]:
    """Distinct names of files: a second photo.jpg is 1/photo.jpg."""
    names: dict[Path, str] = {}
    for path in dict.fromkeys(paths):
        names[path] = f"{len(names)}/{path.name}" if path.name in names.values() else path.name
    return names


def _is_replaceable(option: click.Parameter) -> bool:
    """Whether an option names seeds or directions, by default."""
    names_inputs = isinstance(option.type, SeedsType) or "--direction" in option.opts
    return names_inputs and is_default(str(option.name))


def _command(context: click.Context) -> str:
    """The words of a command below `stylegan`: "mix", "figure noise"."""
    words = []
    while context.parent is not None:
        words.append(str(context.info_name))
        context = context.parent
    return " ".join(reversed(words))


def _written(option: click.Parameter, value: Any, names: dict[Path, str]) -> Iterator[str]:
    """An option as it could be typed, with an equals sign, since a negative number looks like an option."""
    if isinstance(option, click.Argument):
        yield from (_text(one, names) for one in value)
        return
    name = max(option.opts, key=len)
    if isinstance(value, bool):
        yield name if value else max(option.secondary_opts, key=len)
        return
    values = value if option.multiple else [value]
    # One layer alone would be a crossover.
    end = "," if isinstance(option.type, LayersType) and isinstance(value, list) and len(value) == 1 else ""
    for one in values:
        yield f"{name}={_text(one, names)}{end}"


def _text(value: Any, names: dict[Path, str]) -> str:
    from stylegan.images.settings import setting_text

    if isinstance(value, SeedRanges | slice):
        return setting_text(value)
    if isinstance(value, list | tuple):
        return ",".join(_text(one, names) for one in value)
    # An image must not reveal the folders of this computer.
    if isinstance(value, Path):
        return names[value]
    is_file = isinstance(value, str) and os.path.exists(value)
    return os.path.basename(os.path.abspath(value)) if is_file else str(value)
