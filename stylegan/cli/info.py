"""stylegan info: what a model or a weight file is."""

import json
from textwrap import TextWrapper
from typing import TYPE_CHECKING, Any

import click

from stylegan.cli.models import build, where_is
from stylegan.cli.options import ACCESS_OPTIONS, apply_options, resolution_option
from stylegan.weights import manifest
from stylegan.weights.manifest import DEFAULT_MODEL

if TYPE_CHECKING:
    from stylegan.weights.hub import Access


@click.command()
@click.argument("model", default=DEFAULT_MODEL, metavar="[NAME|PATH|REPO|URL]")
@click.option("--revision", help="Commit, tag or branch of a hub repository.")
@resolution_option
@apply_options(ACCESS_OPTIONS)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for other programs.")
def info(
    model: str,
    revision: str | None,
    resolution: int | None,
    as_json: bool,
    cache_dir: str | None,
    token: str | None,
    offline: bool,
) -> None:
    """Describe a model: network, resolution, parameters, data, licence, limits.

    \b
    Examples:
      stylegan info
      stylegan info karras2019stylegan-ffhq-1024x1024.pkl
      stylegan info avatars-128 --json
    """
    from stylegan.weights.hub import Access

    access = Access(cache_dir, token, offline)
    entry = manifest.entries().get(model)
    if entry is not None and where_is(entry, access.cache) == "to download":
        facts = _facts_of_entry(entry)
    else:
        facts = _facts_of_weights(model, revision, resolution, access)
    if entry is not None:
        tried = entry.tried_on or ("yes" if entry.tried else "no")
        facts |= {"description": entry.description, "tried by its authors": tried}
    if as_json:
        click.echo(json.dumps(facts, indent=2))
        return
    width = max(map(len, facts))
    for key, value in facts.items():
        click.echo(f"{key.ljust(width)}  {_wrapped(value, ' ' * (width + 2))}")


def _wrapped(value: Any, indent: str) -> str:
    """A fact as wrapped lines, one text of a list after another; addresses stay whole."""
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        texts = value
    else:
        texts = [json.dumps(value) if isinstance(value, dict | list) else str(value)]
    wrapper = TextWrapper(100, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
    return f"\n{indent}".join(map(wrapper.fill, texts))


def _facts_of_entry(entry: manifest.Entry) -> dict[str, Any]:
    """What the manifest says about a model whose file is not on this computer."""
    file = entry.files[0]
    facts: dict[str, Any] = {
        "resolution": entry.resolution,
        "from": f"{file.source}; not downloaded yet, `stylegan download {entry.name}` fetches it",
        "size": f"{file.size / 1e6:.1f} MB" if file.size else "unknown",
        "sha256": _shown_sha256(file),
    }
    if others := entry.files[1:]:
        facts["or from"] = [f"{other.source}, sha256 {_shown_sha256(other)}" for other in others]
    return facts | entry.facts


def _shown_sha256(file: manifest.File) -> str:
    if file.sha256 is None:
        return "unverified: no sha256 is known"
    return file.sha256 if file.known == "known" else f"{file.sha256}... (the first {file.known} are known)"


def _facts_of_weights(model: str, revision: str | None, resolution: int | None, access: "Access") -> dict[str, Any]:
    """What a weight file says about itself."""
    from stylegan.weights.loading import read_weights

    loaded = read_weights(model, network=None, revision=revision, resolution=resolution, access=access)
    network = build(loaded)
    facts: dict[str, Any] = {
        "network": loaded.checkpoint.network,
        "resolution": network.img_resolution,
        "parameters": sum(p.numel() for p in network.parameters()),
        "from": loaded.source,
    }
    return facts | loaded.checkpoint.metadata | loaded.facts | {"config": loaded.checkpoint.config}
