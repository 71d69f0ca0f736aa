"""stylegan list: the models known by name."""

import click

from stylegan.generator import DEFAULT_MODEL
from stylegan.weights import manifest


@click.command("list")
def list_models() -> None:
    """List the models known by name: resolution, licence, size and where they are.

    \b
    Example:
      stylegan list
    """
    rows = [("NAME", "RESOLUTION", "SIZE", "WHERE", "LICENCE")]
    for entry in manifest.entries().values():
        name = entry.name + (" *" if entry.name == DEFAULT_MODEL else "")
        side = f"{entry.resolution}x{entry.resolution}"
        rows.append((name, side, f"{entry.size / 1e6:.1f} MB", "bundled", entry.license))
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    for row in rows:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    click.echo("\n* used where no model is named; `stylegan info NAME` tells more")
