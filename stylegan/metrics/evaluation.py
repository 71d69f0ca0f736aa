"""Evaluate a generator: all metrics in one go, and a result that says everything needed to repeat them.

Every image is made once for each group of metrics that looks at it. What needs many images is shared out among the
processes of torchrun; what is computed from the numbers that come out is done by the first one.
"""

import datetime
import os
import platform
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from ..errors import InputError
from ..extractors import Extractor, load_classifier, load_extractor
from ..generator import Generator
from ..runtime.batching import steady_batch_size
from ..runtime.distributed import World
from ..runtime.precision import no_autocast
from ..version import __version__
from ..weights.hub.cache import Cache
from . import distributions
from .features import RealFeatures, check_finite
from .images import Images, NoiseMode, labels_for
from .linear_separability import Separability, check_keep, score, separability_of_all
from .names import Metric, parse_metrics
from .path_length import EPSILON, Path, average, path_lengths
from .processes import rows_of_all

FORMAT = 1
DEFAULT_METRICS = "fid50k,kid50k,pr50k,ppl_w,ppl_z,ppl_wend,ppl_zend,ls"
DEFAULT_EXTRACTOR = "inception-2015"
DEFAULT_DISTANCE = "st-lpips-vgg"
DEFAULT_CLASSIFIERS = ("gender", "age")

_NEEDS_DATA = ("fid", "kid", "pr")


class Classifier(Protocol):
    """What linear separability asks of an attribute: `extractors.AttributeClassifier`, or anything that has these."""

    name: str

    def logits(self, images: Tensor) -> Tensor:
        """Log-odds of the attribute, [N], for float images [N, 3, H, W] in [-1, 1]."""
        ...


@dataclass(frozen=True)
class Settings:
    """How a model is evaluated."""

    metrics: str | Sequence[Metric] = DEFAULT_METRICS  # Names separated by commas; see `parse_metric`.
    data: str | os.PathLike[str] | None = None  # Zip or folder of real pictures, for fid, kid and pr.
    extractor: str | Extractor = DEFAULT_EXTRACTOR  # Whose features fid, kid and pr compare.
    distance: str | Extractor = DEFAULT_DISTANCE  # Whose distance ppl is measured in.
    classifiers: Sequence[str | Classifier] = DEFAULT_CLASSIFIERS  # The attributes of ls.
    seed: int = 0  # Image i has z of seed + i.
    noise_mode: NoiseMode = "random"  # "random" = noise of its own for each image, "const" = the stored noise.
    num_latents: int = 1  # Latents that each image of fid, kid and pr mixes.
    face_crop: bool = True  # Whether ppl looks at the face alone, where aligned pictures have it.
    batch_size: int | None = None  # Images computed together; None = by resolution.
    cache_dir: str | os.PathLike[str] | None = None  # Where features of data sets are kept; None = the usual cache.


@dataclass
class _Run:
    """One evaluation on its way."""

    G: Generator
    settings: Settings
    world: World
    progress: bool | None
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def batch_size(self) -> int:
        return self.settings.batch_size or steady_batch_size(self.G.img_resolution, self.G.device)

    def rows(self, compute: Callable[[range], Tensor], n: int, what: str) -> Tensor:
        """See `rows_of_all`."""
        with torch.no_grad():
            rows = rows_of_all(
                compute,
                n,
                batch_size=self.batch_size,
                world=self.world,
                device=self.G.device,
                what=what,
                progress=self.progress,
            )
        return check_finite(rows, what)

    @contextmanager
    def timed(self, what: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.seconds[what] = round(time.perf_counter() - start, 1)


@no_autocast()
def evaluate(
    G: Generator, settings: Settings | None = None, *, world: World | None = None, progress: bool | None = None
) -> dict[str, Any]:
    """Compute metrics of a generator.

    settings: None = the defaults; fid, kid and pr need `data`.
    world: the processes that share the work, of `training.distributed.connect`; None = this one alone.
    progress: show bars; None = on a terminal.

    Returns a dictionary that JSON can hold: "metrics" has a value for each name, the other entries what is needed to
    repeat it. In processes other than the first it is empty. The global random state is not touched; the same settings
    give the same numbers, whatever the number of processes. Raises InputError for settings that do not fit together.
    """
    settings = settings or Settings()
    metrics = parse_metrics(settings.metrics) if isinstance(settings.metrics, str) else list(settings.metrics)
    _check(settings, metrics)
    run = _Run(G, settings, world or World(), progress)
    start = time.perf_counter()
    # First everything that all processes work on, then everything that one does.
    parts: list[Callable[[], dict[str, Any]]] = []
    facts: dict[str, Any] = {}
    if fidelity := [m for m in metrics if m.kind in _NEEDS_DATA]:
        parts.append(_fidelity(run, fidelity, facts))
    if paths := [m for m in metrics if m.kind.startswith("ppl")]:
        parts.append(_paths(run, paths, facts))
    parts += [_separability(run, m, facts) for m in metrics if m.kind == "ls"]
    if not run.world.is_first:
        return {}
    values: dict[str, Any] = {}
    for part in parts:
        values |= part()
    run.seconds["all"] = round(time.perf_counter() - start, 1)
    return _result(run, values, facts)


def _check(settings: Settings, metrics: Sequence[Metric]) -> None:
    names = [m.kind for m in metrics if m.kind in _NEEDS_DATA]
    if names and settings.data is None:
        raise InputError(f"{names[0]} compares with real pictures; name a data set (--data)")
    if settings.num_latents < 1:
        raise InputError(f"num_latents must be 1 or more, got {settings.num_latents}")
    if settings.noise_mode not in ("random", "const"):
        raise InputError(f"noise_mode must be 'random' or 'const', got {settings.noise_mode!r}")


def _fidelity(run: _Run, metrics: Sequence[Metric], facts: dict[str, Any]) -> Callable[[], dict[str, Any]]:
    """fid, kid and pr: features of generated and real images."""
    settings, G, n = run.settings, run.G, max(m.count for m in metrics)
    extractor = _extractor(settings.extractor, G.device)
    assert settings.data is not None
    reals = RealFeatures(
        settings.data,
        extractor,
        resolution=G.img_resolution,
        seed=settings.seed,
        cache=Cache.open(settings.cache_dir),
        progress=run.progress,
    )
    with run.timed("real images"):
        real = reals.features(n, run.rows, run.world)
    labels = labels_for(G, reals.dataset if G.label_dim else None, n, seed=settings.seed)
    images = Images(G, settings.seed, settings.noise_mode, labels, settings.num_latents)
    with run.timed("generated images"):
        fake = run.rows(lambda numbers: extractor.features(images.images(numbers)), n, "generated images")
    facts["extractor"] = _about(extractor)
    facts["data"] = {
        "name": reals.path.name,
        "sha256": reals.data_sha256,
        "resolution": G.img_resolution,
        "pictures_used": len(real),
    }
    return lambda: {name: value for m in metrics for name, value in _compare(run, m, real, fake).items()}


def _compare(run: _Run, metric: Metric, real: Tensor, fake: Tensor) -> dict[str, Any]:
    real, fake = real[: metric.count], fake[: metric.count]
    counts = {"images": len(fake), "reals": len(real)}
    with run.timed(f"{metric.kind}{metric.suffix}"):
        if metric.kind == "fid":
            return {f"fid{metric.suffix}": {"value": distributions.frechet_distance(real, fake)} | counts}
        if metric.kind == "kid":
            mean, std = distributions.kernel_distance(real, fake, seed=run.settings.seed)
            return {f"kid{metric.suffix}": {"value": mean, "std_of_subsets": std} | counts}
        found = distributions.precision_recall(real, fake)
        return {
            f"precision{metric.suffix}": {"value": found.precision} | counts,
            f"recall{metric.suffix}": {"value": found.recall} | counts,
        }


def _paths(run: _Run, metrics: Sequence[Metric], facts: dict[str, Any]) -> Callable[[], dict[str, Any]]:
    """ppl: lengths of paths."""
    settings, G = run.settings, run.G
    network = _extractor(settings.distance, G.device)
    if not network.is_perceptual:
        raise InputError(f"{network.name} has no distance between images; use st-lpips-vgg or st-lpips-alex")
    facts["distance"] = _about(network)
    found: dict[str, tuple[Metric, Tensor]] = {}
    for metric in metrics:
        path = Path("z" if "_z" in metric.kind else "w", metric.kind.endswith("end"), face_crop=settings.face_crop)
        labels = labels_for(G, None, metric.count, seed=settings.seed)
        images = Images(G, settings.seed, settings.noise_mode, labels)
        name = metric.kind if metric.count == 100_000 else metric.kind + metric.suffix

        def compute(numbers: range, images: Images = images, path: Path = path) -> Tensor:
            return path_lengths(images, network.distance, path, numbers)

        with run.timed(name):
            found[name] = metric, run.rows(compute, metric.count, name)
    return lambda: {
        name: {"value": average(lengths), "paths": metric.count} for name, (metric, lengths) in found.items()
    }


def _separability(run: _Run, metric: Metric, facts: dict[str, Any]) -> Callable[[], dict[str, Any]]:
    """ls: attributes of images, and planes in the spaces of their latents."""
    settings, G, keep = run.settings, run.G, check_keep(metric.count)
    classifiers = [load_classifier(c, device=G.device) if isinstance(c, str) else c for c in settings.classifiers]
    if not classifiers:
        raise InputError("ls needs a classifier or more")
    images = Images(G, settings.seed, settings.noise_mode, labels_for(G, None, metric.count, seed=settings.seed))

    def attributes(numbers: range) -> Tensor:
        img = images.images(numbers)
        return torch.stack([classifier.logits(img) for classifier in classifiers], dim=1)

    with run.timed("attributes"):
        logits = run.rows(attributes, metric.count, "attributes")
    facts["classifiers"] = [{"name": c.name, "sha256": getattr(c, "sha256", "")} for c in classifiers]

    def finish() -> dict[str, Any]:
        values = {}
        suffix = "" if metric.count == 200_000 else metric.suffix
        for space, latents in (("z", images.z), ("w", images.w)):
            with run.timed(f"ls_{space}{suffix}"), torch.no_grad():
                points = torch.cat([latents(part).cpu() for part in _chunks(metric.count)])
                found = separability_of_all(points, logits, keep=keep)
            names = [c.name for c in classifiers]
            values[f"ls_{space}{suffix}"] = {"value": score([f.entropy for f in found]), "images": metric.count} | {
                "attributes": {name: _about_plane(f) for name, f in zip(names, found, strict=True)}
            }
        return values

    return finish


def _about_plane(found: Separability) -> dict[str, Any]:
    return {
        "conditional_entropy": found.entropy,
        "accuracy": found.accuracy,
        "kept": found.kept,
        "share_positive": found.positive,
    }


def _chunks(n: int, size: int = 1000) -> list[range]:
    return [range(i, min(i + size, n)) for i in range(0, n, size)]


def _extractor(given: str | Extractor, device: torch.device) -> Extractor:
    return load_extractor(given, device=device) if isinstance(given, str) else given


def _about(extractor: Extractor) -> dict[str, str]:
    return {"name": extractor.name, "sha256": extractor.sha256, "license": extractor.license}


def _result(run: _Run, values: dict[str, Any], facts: dict[str, Any]) -> dict[str, Any]:
    settings, G = run.settings, run.G
    return {
        "format": FORMAT,
        "model": {"name": G.name, "source": G.source, "weights_sha256": G.weights_sha256},
        "metrics": values,
        **facts,
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
