"""stylegan info: what a model or a weight file is."""

import json
from textwrap import fill
from typing import Any

import click

from stylegan.cli.common import ACCESS_OPTIONS, apply_options, build
from stylegan.errors import WeightsError
from stylegan.generator import DEFAULT_MODEL
from stylegan.weights import manifest
from stylegan.weights.hub import Access
from stylegan.weights.loading import read_weights


@click.command()
@click.argument("model", default=DEFAULT_MODEL, metavar="[NAME|PATH|REPO|URL]")
@click.option("--revision", help="Commit, tag or branch of a hub repository.")
@apply_options(ACCESS_OPTIONS)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for other programs.")
def info(
    model: str, revision: str | None, as_json: bool, cache_dir: str | None, token: str | None, offline: bool
) -> None:
    """Tell what a model is: network, resolution, parameters, data, licence, limits.

    \b
    Examples:
      stylegan info
      stylegan info karras2019stylegan-ffhq-1024x1024.pkl
      stylegan info faces-64 --json
    """
    access = Access(cache_dir, token, offline)
    try:
        loaded = read_weights(model, revision=revision, access=access)
    except WeightsError as error:  # A file that holds a discriminator alone.
        if "holds no Generator" not in str(error):
            raise
        loaded = read_weights(model, network="D", revision=revision, access=access)
    network = build(loaded)
    facts: dict[str, Any] = {
        "network": loaded.checkpoint.network,
        "resolution": network.img_resolution,
        "parameters": sum(p.numel() for p in network.parameters()),
        "from": loaded.source,
    }
    facts |= loaded.checkpoint.metadata | loaded.facts
    if model in manifest.entries():
        entry = manifest.find(model)
        facts |= {"description": entry.description, "tried by its authors": "yes" if entry.tried else "no"}
    facts |= {"config": loaded.checkpoint.config}
    if as_json:
        click.echo(json.dumps(facts, indent=2))
        return
    width = max(map(len, facts))
    for key, value in facts.items():
        text = json.dumps(value) if isinstance(value, dict | list) else str(value)
        click.echo(f"{key.ljust(width)}  " + fill(text, 100, subsequent_indent=" " * (width + 2)))
