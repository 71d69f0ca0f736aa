"""An evaluation: what its metrics share, computed when first needed."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
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
from .features import RealFeatures, RealImages, check_finite
from .images import Images, labels_for
from .processes import rows_of_all
from .settings import Metric, Settings


@dataclass
class Compared:
    """What metrics compare: an extractor's features of `count` real and as many generated images."""

    extractor: str | Extractor
    count: int


class Run:
    """An evaluation of a generator by some metrics.

    Every image is made once for all metrics that compare features, whatever the extractor. All processes work together
    on this.
    """

    def __init__(
        self,
        G: Generator,
        settings: Settings,
        world: World,
        progress: bool | None = None,
        *,
        compared: Mapping[str, Compared] | None = None,  # By the extractor's entry in the result; None = nothing.
    ):
        self.G, self.settings, self.world, self.progress = G, settings, world, progress
        self.facts: dict[str, Any] = {}  # Other entries of the result: networks, data.
        self.seconds: dict[str, float] = {}
        self._compared = compared or {}

    @property
    def batch_size(self) -> int:
        """Images computed together."""
        return self.settings.batch_size or steady_batch_size(self.G.img_resolution, self.G.device)

    def features(self, metric: Metric, network: str = "extractor") -> tuple[Tensor, Tensor]:
        """Features of real and of generated images, as many as the metric needs: [at most count, D] each.

        network: that of its `Definition`; "extractor" = the extractor of the settings.
        """
        real, fake = self._features[network]
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
        """Rows 0 to n - 1 of what `compute` returns for a range of numbers, float32 [n, ...]; see `rows_of_all`."""
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
        """Record how many seconds this takes."""
        start = time.perf_counter()
        yield
        self.seconds[what] = round(self.seconds.get(what, 0.0) + time.perf_counter() - start, 1)

    @cached_property
    def _features(self) -> dict[str, tuple[Tensor, Tensor]]:
        """Features of real and generated images by extractor, as many as any of its metrics compares."""
        data, seed = self.settings.data, self.settings.seed
        assert data is not None
        Source(data).close()  # Fails before a network is downloaded.
        networks = {entry: self.network(one.extractor, entry) for entry, one in self._compared.items()}
        reals = RealImages(data, self.G.img_resolution, seed, device=self.G.device, progress=self.progress)
        cache = Cache.open(self.settings.cache_dir)
        real = {
            entry: RealFeatures(reals, network, cache).features(self._compared[entry].count, self.rows, self.world)
            for entry, network in networks.items()
        }
        fake = self._fake_features(reals, networks)
        self.facts["data"] = {
            "name": reals.path.name,
            "sha256": reals.sha256,
            "resolution": reals.resolution,
            "pictures_used": max(map(len, real.values())),
        }
        return {entry: (real[entry], fake[entry]) for entry in networks}

    def _fake_features(self, reals: RealImages, networks: Mapping[str, Extractor]) -> dict[str, Tensor]:
        """Features of generated images, each made once, with the labels of the real ones."""
        n = max(one.count for one in self._compared.values())
        labels = labels_for(self.G, reals.dataset if self.G.label_dim else None, n, seed=self.settings.seed)
        images = self.images(n, labels=labels, num_latents=self.settings.num_latents)
        widths: list[int] = []

        def features(numbers: range) -> Tensor:
            img = images.images(numbers)
            found = [network.features(img).float() for network in networks.values()]
            widths[:] = [one.shape[1] for one in found]
            return torch.cat(found, dim=1)

        rows = self.rows(features, n, "generated images")
        return dict(zip(networks, rows.split(widths, dim=1), strict=True))
