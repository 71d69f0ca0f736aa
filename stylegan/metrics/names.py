"""Names of metrics, such as fid50k, ppl_wend or ls20k: what is measured, and on how many images."""

import re
from dataclasses import dataclass

from ..errors import InputError

# The numbers of images (paths, for ppl) of the papers.
COUNTS = {
    "fid": 50_000,
    "kid": 50_000,
    "pr": 50_000,
    "ppl_z": 100_000,
    "ppl_w": 100_000,
    "ppl_zend": 100_000,
    "ppl_wend": 100_000,
    "ls": 200_000,
}


@dataclass(frozen=True)
class Metric:
    """One metric to compute."""

    kind: str  # A key of COUNTS.
    count: int

    @property
    def suffix(self) -> str:
        """The number of images as it is written in names."""
        return f"{self.count // 1000}k" if self.count % 1000 == 0 else str(self.count)


def parse_metric(name: str) -> Metric:
    """Read a name: a kind, and a number of images, or that of the papers. Raises InputError for other names.

    >>> parse_metric("fid10k")
    Metric(kind='fid', count=10000)
    >>> parse_metric("ppl_w").count
    100000
    """
    match = re.fullmatch(rf"({'|'.join(COUNTS)})(?:([1-9]\d*)(k?))?", name.strip())
    if not match:
        raise InputError(
            f"unknown metric {name!r}; expected {', '.join(COUNTS)}, with or without a number of images, as in fid10k"
        )
    kind, digits, thousands = match.groups()
    count = int(digits) * (1000 if thousands else 1) if digits else COUNTS[kind]
    least = 100 if kind.startswith("ppl") else 4
    if not least <= count < 2**31:
        raise InputError(f"{name}: expected {least} images or more")
    return Metric(kind, count)


def parse_metrics(names: str) -> list[Metric]:
    """Read names separated by commas, each metric once."""
    return list(dict.fromkeys(parse_metric(name) for name in names.split(",")))
