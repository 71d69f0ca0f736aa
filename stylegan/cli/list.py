"""stylegan list: the models known by name."""

import click

from stylegan.cli.common import show_table, where_is
from stylegan.weights import manifest
from stylegan.weights.manifest import DEFAULT_MODEL


@click.command("list")
def list_models() -> None:
    """List the models known by name: resolution, size, licence, and whether they are here already.

    \b
    Example:
      stylegan list
    """
    from stylegan.weights.hub.cache import Cache

    cache = Cache.open()
    rows = [("NAME", "RESOLUTION", "SIZE", "WHERE", "SHA256", "LICENCE")]
    for entry in manifest.entries().values():
        file = entry.files[0]
        rows.append(
            (
                entry.name + (" *" if entry.name == DEFAULT_MODEL else ""),
                f"{entry.resolution}x{entry.resolution}",
                f"{file.size / 1e6:.1f} MB" if file.size else "unknown",
                where_is(entry, cache),
                "known" if file.sha256 else "unverified",
                entry.license,
            )
        )
    show_table(rows)
    click.echo("\n* used where no model is named; `stylegan info NAME` tells more, `stylegan download NAME` fetches")
