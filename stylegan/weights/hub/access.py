"""Options of fetching, and the file that was fetched: plain data."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .cache import Cache


@dataclass(frozen=True)
class Access:
    """How files are fetched: the arguments of `from_pretrained`."""

    cache_dir: str | os.PathLike[str] | None = None  # None = STYLEGAN_CACHE, or the hub client's cache.
    token: str | bool | None = None  # Of the hub; None = the one of `hf auth login`, if any; False = none.
    local_files_only: bool = False  # Use only the cache.
    force_download: bool = False  # Fetch even if it is in the cache.
    verify: bool = False  # Read cached files again, even if they seem unchanged.

    @property
    def cache(self) -> "Cache":
        """The folders."""
        from .cache import Cache  # It imports the hub's client, which bundled models do not need.

        return Cache.open(self.cache_dir)

    @property
    def is_offline(self) -> bool:
        """Whether the network must not be used."""
        if self.local_files_only:
            return True
        from huggingface_hub import constants

        return bool(constants.HF_HUB_OFFLINE)


@dataclass(frozen=True)
class Fetched:
    """A verified file in the cache."""

    path: Path  # The file itself, not a link to it.
    named: Path  # A path with the original name; the hub's client stores files by hash and links to them.
    sha256: str
    is_new: bool  # Whether it was fetched by this call.
    expected: str | None  # The sha256 or sha256 prefix in the manifest or from the hub; None = unknown.

    @property
    def is_verified(self) -> bool:
        """Whether its sha256, or a prefix of it, was known in advance."""
        return self.expected is not None

    @property
    def shown_sha256(self) -> str:
        """The sha256, and what it was compared with unless that was a whole sha256."""
        if self.expected is None:
            return f"{self.sha256} (unverified: no sha256 is known)"
        part = len(self.expected) < len(self.sha256)
        return self.sha256 + (
            f" (its first {len(self.expected)} digits were checked, no more are known)" if part else ""
        )
