"""The definition of a metric. Each is in a file of this folder, which lists it under METRICS."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..extractors import Extractor
from .run import Run
from .settings import Metric

# Results by name: a "value", what it was measured on, and possibly more.
Values = dict[str, dict[str, Any]]
# The work of one process, after all have done the rest.
Finish = Callable[[], Values]


@dataclass(frozen=True)
class Definition:
    """How a metric is named and measured."""

    name: str  # In requests, where a number of images may follow, as in fid10k.
    measure: Callable[[Run, Metric], Finish]  # Called in all processes; what it returns is called in the first one.
    count: int = 50_000  # The number of images of its paper.
    least: int = 4  # The minimum number.
    needs_data: bool = False  # Whether it compares with real images.
    results: tuple[str, ...] = ()  # The names of its values; () = that of the metric.
    network: str | None = None  # The result's entry for the network that sees the images: "extractor", "distance"...
    extractor: Callable[[], Extractor] | None = None  # Its own, for `Run.features`; None = the settings'.
    names_own_count: bool = False  # Whether names of values include the number of images even if it is the paper's.

    def label(self, metric: Metric, result: str | None = None) -> str:
        """The name of a value, such as fid50k or ppl_w. result: one of `results`."""
        suffix = "" if metric.count == self.count and not self.names_own_count else metric.suffix
        return f"{result or self.name}{suffix}"
