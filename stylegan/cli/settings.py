"""Settings of a training run: --set NAME=VALUE, and the required data set."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import click

from stylegan.cli.options import CommandT
from stylegan.errors import InputError
from stylegan.runtime.json_yaml import parse_yaml


def settings_option(help: str) -> Callable[[CommandT], CommandT]:
    """--set, as the argument `settings`; `parse_settings` reads it."""
    return click.option("--set", "settings", multiple=True, metavar="NAME=VALUE", help=f"{help} Repeatable.")


def parse_settings(items: Iterable[str]) -> dict[str, Any]:
    """The values of NAME=VALUE by name, each read as YAML. Raises InputError for malformed items."""
    values = {}
    for item in items:
        name, equals, value = item.partition("=")
        if not equals:
            raise InputError(f"--set {item!r}: expected NAME=VALUE, such as batch=32")
        where = f"--set {item!r}: expected a value such as 32, true or {{8: 256}}"
        values[name] = parse_yaml(value, where=where, error=InputError)
    return values


def without_data(out: Path, *, resume: bool) -> InputError:
    """The error for a missing data set. resume: the run to be resumed does not exist."""
    if resume:
        return InputError(f"{out}: there is no run to resume; check --out, or give --data to begin one")
    return InputError("no data set; give one with --data, `stylegan dataset` makes one from any images")
