"""stylegan list: the models known by name."""

import json

import click

from stylegan.cli.models import where_is
from stylegan.cli.output import show_table
from stylegan.weights import manifest
from stylegan.weights.manifest import DEFAULT_MODEL, Entry


@click.command("list")
@click.option("--all", "show_all", is_flag=True, help="Include networks that others trained.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for other programs.")
def list_models(show_all: bool, as_json: bool) -> None:
    """List the models known by name: resolution, size, location, licence and source.

    \b
    Examples:
      stylegan list
      stylegan list --all
      stylegan list --json
    """
    from stylegan.weights.hub.cache import Cache

    cache = Cache.open()
    entries = manifest.entries().values()
    shown = [entry for entry in entries if show_all or not entry.zoo]
    if as_json:
        click.echo(json.dumps([_facts(entry, where_is(entry, cache)) for entry in shown], indent=2))
        return
    rows = [("NAME", "RESOLUTION", "SIZE", "WHERE", "SHA256", "LICENCE", "SOURCE")]
    for entry in shown:
        file = entry.files[0]
        rows.append(
            (
                entry.name + (" *" if entry.name == DEFAULT_MODEL else ""),
                f"{entry.resolution}x{entry.resolution}",
                f"{file.size / 1e6:.1f} MB" if file.size else "unknown",
                where_is(entry, cache),
                file.known,
                entry.license,
                _sources(entry),
            )
        )
    show_table(rows)
    click.echo("\n* the default; `stylegan info NAME` shows more, `stylegan download NAME` fetches a model")
    if left := len(entries) - len(shown):
        click.echo(f"{left} more networks, trained by others and not tried: `stylegan list --all`")


def _facts(entry: Entry, where: str) -> dict[str, object]:
    """What the table shows, and the rest of the manifest's facts."""
    file = entry.files[0]
    own: dict[str, object] = {"name": entry.name, "resolution": entry.resolution, "where": where, "size": file.size}
    own |= {"sha256": file.sha256, "sources": [str(one.source) for one in entry.holding("Gs")]}
    return own | {"description": entry.description, "is_default": entry.name == DEFAULT_MODEL} | entry.facts


def _sources(entry: Entry) -> str:
    """The first source, and the number of others."""
    more = len(entry.holding("Gs")) - 1
    return entry.files[0].source.host + (f" +{more}" if more else "")
