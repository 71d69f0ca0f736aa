"""Names of metrics, such as fid50k, ppl_wend or ls20k: what is measured, and on how many images."""

import functools
import re

from ..errors import InputError
from ..runtime.discovery import offered
from .metric import Definition
from .settings import Metric


@functools.cache
def definitions() -> dict[str, Definition]:
    """All metrics by name, as listed under METRICS in the files of this folder."""
    return {one.name: one for several in offered(__package__, "METRICS") for one in several}


def parse_metric(name: str) -> Metric:
    """Parse a name: a metric, and a number of images (default: its paper's). Raises InputError for other names.

    >>> parse_metric("fid10k")
    Metric(kind='fid', count=10000)
    >>> parse_metric("ppl_w").count
    100000
    """
    known = definitions()
    match = re.fullmatch(rf"({'|'.join(known)})(?:([1-9]\d*)(k?))?", name.strip())
    if not match:
        raise InputError(
            f"unknown metric {name!r}; expected {', '.join(known)}, with or without a number of images, as in fid10k"
        )
    kind, digits, thousands = match.groups()
    count = int(digits) * (1000 if thousands else 1) if digits else known[kind].count
    if not known[kind].least <= count < 2**31:
        raise InputError(f"{name}: expected {known[kind].least} images or more")
    return Metric(kind, count)


def parse_metrics(names: str) -> list[Metric]:
    """Parse names separated by commas, each metric once."""
    return list(dict.fromkeys(parse_metric(name) for name in names.split(",")))


def definition_of(value: str) -> Definition | None:
    """The metric that gives a value of this name, such as precision50k or ls_z; None = unknown."""
    for one in definitions().values():
        if any(re.fullmatch(rf"{result}(?:\d+k?)?", value) for result in one.results or (one.name,)):
            return one
    return None
