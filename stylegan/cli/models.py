"""Models by name: where they are, and the network of their checkpoint."""

from typing import TYPE_CHECKING

from stylegan.weights import manifest

if TYPE_CHECKING:  # Help needs no torch: commands import what they need when they run.
    from stylegan.discriminator import Discriminator
    from stylegan.encoder import Encoder
    from stylegan.generator import Generator
    from stylegan.weights.hub.cache import Cache
    from stylegan.weights.loading import Loaded


def build(loaded: "Loaded") -> "Generator | Discriminator | Encoder":
    """The network of a checkpoint, of any class."""
    from stylegan.discriminator import Discriminator
    from stylegan.encoder import Encoder
    from stylegan.generator import Generator
    from stylegan.weights.loading import build_network

    if loaded.checkpoint.network == "Encoder":
        return build_network(Encoder, loaded)
    if loaded.checkpoint.network == "Discriminator":
        return build_network(Discriminator, loaded)
    return build_network(Generator, loaded)


def where_is(entry: manifest.Entry, cache: "Cache") -> str:
    """Where a model of the manifest is: "bundled", "cached" or "to download"."""
    from stylegan.weights import hub

    if entry.is_bundled:
        return "bundled"
    return "cached" if any(hub.cached_path(file.source, cache) for file in entry.files) else "to download"
