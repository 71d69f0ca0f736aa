"""Evaluate a generator: all metrics at once, and a result with everything needed to repeat them.

Every image is made once for each group of metrics that uses it. torchrun's processes share the work on images; the
first one computes the metrics from the results.
"""

import datetime
import platform
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from ..errors import InputError
from ..generator import Generator
from ..runtime.distributed import World
from ..runtime.precision import no_autocast
from ..version import __version__
from .metric import Values
from .names import definitions, parse_metrics
from .path_length import EPSILON
from .run import Compared, Run
from .settings import Metric, Settings

FORMAT = 1


@no_autocast()
def evaluate(
    G: Generator, settings: Settings | None = None, *, world: World | None = None, progress: bool | None = None
) -> dict[str, Any]:
    """Compute metrics of a generator.

    settings: None = the defaults; metrics that compare with real images need `data`.
    world: the processes that share the work, from `runtime.distributed.connect`; None = only this one.
    progress: show bars; None = on a terminal.

    Returns a dictionary for JSON: "metrics" has a value for each name, and the other entries are what is needed to
    repeat it. It is empty in all processes but the first. The global random state is not touched; the same settings
    give the same values for any number of processes. Raises InputError for conflicting settings.
    """
    settings = settings or Settings()
    metrics = parse_metrics(settings.metrics) if isinstance(settings.metrics, str) else list(settings.metrics)
    comparing = [m for m in metrics if definitions()[m.kind].needs_data]
    _check(settings, comparing)
    run = Run(G, settings, world or World(), progress, compared=_extractors(G, settings, comparing))
    start = time.perf_counter()
    # First the work of all processes, then that of the first one.
    parts = {metric: definitions()[metric.kind].measure(run, metric) for metric in metrics}
    if not run.world.is_first:
        return {}
    values: Values = {}
    for metric, finish in parts.items():
        with run.timed(definitions()[metric.kind].label(metric)), torch.no_grad():
            values |= finish()
    run.seconds["all"] = round(time.perf_counter() - start, 1)
    return _result(run, values)


def _check(settings: Settings, comparing: Sequence[Metric]) -> None:
    settings.check()
    if comparing and settings.data is None:
        raise InputError(f"{comparing[0].kind} compares with real images; give a data set (--data)")


def _extractors(G: Generator, settings: Settings, comparing: Sequence[Metric]) -> dict[str, Compared]:
    """The extractors of the metrics that compare features, by their entry in the result, and the number of images."""
    compared: dict[str, Compared] = {}
    for metric in comparing:
        definition = definitions()[metric.kind]
        entry = definition.network or definition.name
        if entry in compared:
            compared[entry].count = max(compared[entry].count, metric.count)
        else:
            own = None if definition.extractor is None else definition.extractor().to(G.device).eval()
            compared[entry] = Compared(own or settings.extractor, metric.count)
    return compared


def _result(run: Run, values: Values) -> dict[str, Any]:
    settings, G = run.settings, run.G
    return {
        "format": FORMAT,
        "model": {"name": G.name, "source": G.source, "weights_sha256": G.weights_sha256},
        "metrics": values,
        **run.facts,
        "settings": {
            "seed": settings.seed,
            "noise_mode": settings.noise_mode,
            "num_latents": settings.num_latents,
            "truncation_psi": 1,
            "face_crop": settings.face_crop,
            "epsilon": EPSILON,
            "batch_size": run.batch_size,
            "dtype": str(G.dtype).removeprefix("torch."),
        },
        "software": {
            "stylegan": __version__,
            "torch": torch.__version__,
            "numpy": np.__version__,
            "python": platform.python_version(),
        },
        "device": str(G.device),
        "processes": run.world.size,
        "seconds": run.seconds,
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }
