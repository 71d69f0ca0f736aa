"""One evaluation: what its metrics share, computed when the first of them needs it."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from ..data.sources import Source
from ..extractors import Extractor, load_extractor
from ..generator import Generator
from ..runtime.batching import steady_batch_size
from ..runtime.distributed import World
from ..weights.hub.cache import Cache
from .features import RealFeatures, check_finite
from .images import Images, labels_for
from .processes import rows_of_all
from .settings import Metric, Settings


class Run:
    """An evaluation of a generator by some metrics.

    Every image is made once for all metrics that compare features. All processes work together on this.
    """

    def __init__(
        self,
        G: Generator,
        settings: Settings,
        world: World,
        progress: bool | None = None,
        *,
        to_compare: Sequence[Metric] = (),  # The metrics that compare with real images.
    ):
        self.G, self.settings, self.world, self.progress = G, settings, world, progress
        self.facts: dict[str, Any] = {}  # What the result says besides the values: networks, data.
        self.seconds: dict[str, float] = {}
        self._compared = max((metric.count for metric in to_compare), default=0)

    @property
    def batch_size(self) -> int:
        """Images computed together."""
        return self.settings.batch_size or steady_batch_size(self.G.img_resolution, self.G.device)

    def features(self, metric: Metric) -> tuple[Tensor, Tensor]:
        """Features of real and of generated images, as many as the metric asks for: [at most count, D] each."""
        real, fake = self._features
        return real[: metric.count], fake[: metric.count]

    def images(self, n: int, *, labels: Tensor | None = None, num_latents: int = 1) -> Images:
        """Generated images by their number. labels: None = for a conditional model, classes drawn evenly."""
        settings = self.settings
        if labels is None:
            labels = labels_for(self.G, None, n, seed=settings.seed)
        return Images(self.G, settings.seed, settings.noise_mode, labels, num_latents)

    def network(self, given: str | Extractor, fact: str) -> Extractor:
        """A feature extractor, by name or as an object. fact: its entry in the result."""
        network = load_extractor(given, device=self.G.device) if isinstance(given, str) else given
        self.facts[fact] = {name: getattr(network, name, "") for name in ("name", "sha256", "license")}
        return network

    def rows(self, compute: Callable[[range], Tensor], n: int, what: str) -> Tensor:
        """Rows 0 to n of what `compute` finds for a range of numbers, float32 [n, ...]; see `rows_of_all`."""
        with torch.no_grad(), self.timed(what):
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
        """Note how many seconds this takes."""
        start = time.perf_counter()
        yield
        self.seconds[what] = round(self.seconds.get(what, 0.0) + time.perf_counter() - start, 1)

    @cached_property
    def _features(self) -> tuple[Tensor, Tensor]:
        """Those of as many images as any metric compares."""
        G, n = self.G, self._compared
        assert self.settings.data is not None
        Source(self.settings.data).close()  # What is wrong with it is said before a network is fetched.
        extractor = self.network(self.settings.extractor, "extractor")
        reals = self._reals(extractor)
        real = reals.features(n, self.rows, self.world)
        labels = labels_for(G, reals.dataset if G.label_dim else None, n, seed=self.settings.seed)
        images = self.images(n, labels=labels, num_latents=self.settings.num_latents)
        fake = self.rows(lambda numbers: extractor.features(images.images(numbers)), n, "generated images")
        self.facts["data"] = {
            "name": reals.path.name,
            "sha256": reals.data_sha256,
            "resolution": G.img_resolution,
            "pictures_used": len(real),
        }
        return real, fake

    def _reals(self, extractor: Extractor) -> RealFeatures:
        assert self.settings.data is not None
        return RealFeatures(
            self.settings.data,
            extractor,
            resolution=self.G.img_resolution,
            seed=self.settings.seed,
            cache=Cache.open(self.settings.cache_dir),
            progress=self.progress,
        )
