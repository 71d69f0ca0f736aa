"""stylegan list: the models known by name."""

import click

from stylegan.cli.models import where_is
from stylegan.cli.output import show_table
from stylegan.weights import manifest
from stylegan.weights.manifest import DEFAULT_MODEL, Entry


@click.command("list")
@click.option("--all", "show_all", is_flag=True, help="Include networks that others trained.")
def list_models(show_all: bool) -> None:
    """List the models known by name: resolution, size, location, licence and source.

    \b
    Examples:
      stylegan list
      stylegan list --all
    """
    from stylegan.weights.hub.cache import Cache

    cache = Cache.open()
    entries = manifest.entries().values()
    shown = [entry for entry in entries if show_all or not entry.zoo]
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


def _sources(entry: Entry) -> str:
    """The first source, and the number of others."""
    more = len(entry.holding("Gs")) - 1
    return entry.files[0].source.host + (f" +{more}" if more else "")
