"""Verified files: from the package, a model hub, a server or Google Drive, through the cache.

sources.py      allowed sources of a file
access.py       how files are fetched; the fetched file
client.py       source -> verified file in the cache
huggingface.py  downloads by the hub's client; listing.py: the weight file of a repository
transfer.py     downloads over https; drive.py: from Google Drive
patience.py     time limits and retries; failures.py: errors
cache.py        folders, records and locks
"""

from typing import TYPE_CHECKING

from ...runtime.lazy import lazy_names

if TYPE_CHECKING:
    from .access import Access, Fetched
    from .client import cached_path, discard, fetch
    from .huggingface import upload
    from .listing import find_weights

__all__ = ["Access", "Fetched", "cached_path", "discard", "fetch", "find_weights", "upload"]

__getattr__, __dir__ = lazy_names(
    __name__,
    dict.fromkeys(("Access", "Fetched"), "access")
    | dict.fromkeys(("cached_path", "discard", "fetch"), "client")
    | {"find_weights": "listing", "upload": "huggingface"},
)
