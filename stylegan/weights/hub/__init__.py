"""Bytes, verified: from the package, a model hub, a server or Google Drive through the cache. No networks in here."""

from typing import TYPE_CHECKING

from ...runtime.lazy import lazy_names

if TYPE_CHECKING:
    from .client import Access, Fetched, cached_path, discard, fetch, find_weights, upload

__all__ = ["Access", "Fetched", "cached_path", "discard", "fetch", "find_weights", "upload"]

__getattr__, __dir__ = lazy_names(__name__, dict.fromkeys(__all__, "client"))
