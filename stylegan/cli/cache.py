"""stylegan cache: list, verify and prune the cache."""

from pathlib import Path

import click

from stylegan.cli.output import show_table
from stylegan.errors import IntegrityError

_CACHE_DIR = click.option("--cache-dir", metavar="FOLDER", help="The cache.  [default: STYLEGAN_CACHE, or the hub's]")


@click.group()
def cache() -> None:
    """Manage downloaded and converted files.

    \b
    Examples:
      stylegan cache list
      stylegan cache verify
      stylegan cache prune
    """


@cache.command("list")
@_CACHE_DIR
def list_files(cache_dir: str | None) -> None:
    """List the files of the cache: source, size, and whether their sha256 was verified.

    \b
    Example:
      stylegan cache list
    """
    from stylegan.weights.hub.cache import Cache

    folders = Cache.open(cache_dir)
    rows = [("SIZE", "SHA256", "STATE", "FROM")]
    for record in folders.records():
        if not Path(record.path).is_file():
            state = "missing"
        else:
            state = "changed" if not record.is_current else "verified" if record.expected else "unverified"
        rows.append((f"{record.size / 1e6:.1f} MB", record.sha256[:12], state, record.source))
    show_table(rows)
    click.echo(f"\n{len(rows) - 1} files in {folders.hub} and {folders.own}")


@cache.command()
@_CACHE_DIR
def verify(cache_dir: str | None) -> None:
    """Read every file of the cache again and compare it with its recorded sha256.

    \b
    Example:
      stylegan cache verify
    """
    from stylegan.weights.hub.cache import Cache

    folders = Cache.open(cache_dir)
    bad, count = [], 0
    for record, state in folders.verify():
        count += 1
        click.echo(f"{state.ljust(8)} {record.source}")
        if state == "damaged":
            bad.append(record)
    if bad:
        names = ", ".join(record.path for record in bad[:5])
        raise IntegrityError(f"{len(bad)} damaged: {names}; the next load downloads them again")
    click.echo(f"read {count} files of {folders.hub} and {folders.own}: none is damaged")


@cache.command()
@_CACHE_DIR
@click.option("--all", "everything", is_flag=True, help="Delete every file that this library fetched or converted.")
def prune(cache_dir: str | None, everything: bool) -> None:
    """Delete leftovers of interrupted downloads, and records of missing files.

    \b
    Examples:
      stylegan cache prune
      stylegan cache prune --all
    """
    from stylegan.weights.hub.cache import Cache

    freed = Cache.open(cache_dir).prune(everything=everything)
    click.echo(f"freed {freed / 1e6:.1f} MB")
