"""stylegan info: what a model or a weight file is."""

import json
from textwrap import fill
from typing import Any

import click

from stylegan.discriminator import Discriminator
from stylegan.generator import DEFAULT_MODEL, Generator
from stylegan.weights import manifest
from stylegan.weights.loading import build_network, read_weights


@click.command()
@click.argument("model", default=DEFAULT_MODEL, metavar="[FILE|NAME]")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for other programs.")
def info(model: str, as_json: bool) -> None:
    """Tell what a model is: network, resolution, parameters, data, licence, limits.

    \b
    Examples:
      stylegan info
      stylegan info karras2019stylegan-ffhq-1024x1024.pkl
      stylegan info faces-64 --json
    """
    loaded = read_weights(model)
    cls = Discriminator if loaded.checkpoint.network == "Discriminator" else Generator
    network = build_network(cls, loaded)
    facts: dict[str, Any] = {
        "network": loaded.checkpoint.network,
        "resolution": network.img_resolution,
        "parameters": sum(p.numel() for p in network.parameters()),
        "from": loaded.source,
    }
    facts |= loaded.checkpoint.metadata
    if model in manifest.entries():
        entry = manifest.find(model)
        facts |= {"limits": entry.limits, "sha256": entry.sha256}
    facts |= {"config": loaded.checkpoint.config}
    if as_json:
        click.echo(json.dumps(facts, indent=2))
        return
    width = max(map(len, facts))
    for key, value in facts.items():
        text = json.dumps(value) if isinstance(value, dict) else str(value)
        click.echo(f"{key.ljust(width)}  " + fill(text, 100, subsequent_indent=" " * (width + 2)))
