"""A weight file on this computer, and what is requested from it: plain data."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import WeightsError
from .checkpoint import Checkpoint, NetworkName
from .hub import Fetched
from .manifest import Entry

_CLASSES: dict[NetworkName | None, tuple[str, ...]] = {
    "G": ("Generator",),
    "Gs": ("Generator",),
    "D": ("Discriminator",),
    "E": ("Encoder",),
    None: ("Generator", "Discriminator", "Encoder"),
}


@dataclass(frozen=True)
class WeightFile:
    """A weight file on this computer."""

    path: Path  # Under its original name.
    source: str  # Where it came from, for people.
    config: Path | None = None  # The config.json that describes it, if its header does not.
    model: str = ""  # The name of its folder or repository, if its own says nothing.
    entry: Entry | None = None  # Of the manifest.
    fetched: Fetched | None = None  # How it was downloaded; None = it is a local file.
    sha256: str | None = None  # Of a bundled file.

    @property
    def facts(self) -> dict[str, Any]:
        """Facts to show, besides its source."""
        if self.fetched is not None:
            return {"sha256": self.fetched.shown_sha256}
        return {} if self.sha256 is None else {"sha256": self.sha256}

    @property
    def terms(self) -> str | None:
        """The licence notice to show when it is first downloaded."""
        if self.entry is None or self.fetched is None or not self.fetched.is_new or not self.entry.is_noncommercial:
            return None
        return f"{self.entry.name}: {self.entry.license} ({self.entry.license_url}). {self.entry.attribution}"


# Raises WeightsError for a file that is not the requested one.
Check = Callable[[WeightFile], None]


@dataclass(frozen=True)
class Wanted:
    """What is requested from a file with several possibilities."""

    network: NetworkName | None = "Gs"  # None = Gs, or the network of a file without a generator.
    resolution: int | None = None
    fused_from: int = 128
    is_base: bool = False  # Whether it is the base of a delta, which must not be a delta itself.

    @property
    def key(self) -> str:
        """Part of the name of a converted file."""
        fused = "" if self.fused_from == 128 else f"-fused{self.fused_from}"
        return f"{self.network or 'any'}-{self.resolution or 'any'}{fused}"

    @property
    def classes(self) -> tuple[str, ...]:
        """The acceptable networks, the preferred one first."""
        return _CLASSES[self.network]

    def check(self, checkpoint: Checkpoint, file: WeightFile) -> Checkpoint:
        """Return the checkpoint. Raises WeightsError if it has another network or resolution than requested."""
        if checkpoint.network not in self.classes:
            raise WeightsError(
                f"{file.source}: holds a {checkpoint.network}, expected a {self.classes[0]}, which it lacks"
            )
        made = checkpoint.config.get("img_resolution")
        if self.resolution not in (None, made):
            hint = "" if file.entry else "; leave the resolution out"
            raise WeightsError(
                f"{file.source}: its network is of {made}x{made}, not {self.resolution}x{self.resolution}{hint}"
            )
        return checkpoint
