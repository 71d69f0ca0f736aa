"""Bytes, verified: from the package, a model hub, a server or Google Drive through the cache. No networks in here.

sources.py      where a file may come from
access.py       how it is fetched, and what is known of it then
client.py       a file in the cache, verified
huggingface.py  through the hub's client; listing.py: which file of a repository
transfer.py     over https; drive.py: from Google Drive
patience.py     how long and how often; failures.py: what went wrong
cache.py        the folders, records and locks
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
