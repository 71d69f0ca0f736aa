"""stylegan table: the paper's tables with your own results."""

from pathlib import Path
from typing import Any

import click

from stylegan.errors import InputError
from stylegan.runtime.atomic_files import write_atomically
from stylegan.runtime.json_yaml import check_object, read_json

# What a table shows from a result.
_FIELDS = {"metrics": dict[str, dict[str, Any]], "settings": dict[str, Any], "format": int}
_METRIC = {"value": float | None, "images": int | None, "paths": int | None}


@click.command()
@click.argument("name", type=click.Choice(["configurations", "mixing", "paths", "mapping"]))
@click.argument("results", nargs=-1, metavar="[ROW=RESULT.json]...")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="File to write.  [default: print]")
def table(name: str, results: tuple[str, ...], out: Path | None) -> None:
    """Write a table of the paper as Markdown, with results of `stylegan evaluate --out` next to published ones.

    \b
    Tables and their rows:
      configurations   table 1: A B C D E F
      mixing           table 2: 0 50 90 100 (percent); one result for each --num-latents
      paths            table 3: B D E 50 F
      mapping          table 4: traditional-0 traditional-8 style-0 style-1 style-2 style-8

    \b
    Examples:
      stylegan table configurations E=runs/e.json F=runs/f.json
      stylegan table mixing 90=f-1.json 90=f-2.json 0=e-1.json 0=e-2.json --out mixing.md
    """
    from stylegan.metrics.tables import make_table

    text = make_table(name, [read_result(item) for item in results])
    if out is None:
        click.echo(text, nl=False)
    else:
        write_atomically(out, text.encode())


def read_result(item: str) -> tuple[str, dict[str, Any]]:
    """Read ROW=FILE. Raises InputError if the file is not a result of `stylegan evaluate`."""
    row, equals, path = item.partition("=")
    if not equals:
        raise InputError(f"{item!r}: expected ROW=RESULT.json")
    where = f"{path}: not a result that `stylegan evaluate --out` wrote"
    try:
        found = read_json(path, error=InputError)
    except InputError as error:
        raise InputError(f"{where}; {error}") from error
    result = check_object(found, _FIELDS, where=where, error=InputError)
    parts: dict[str, tuple[Any, dict[str, Any]]] = {name: (entry, _METRIC) for name, entry in result["metrics"].items()}
    parts["settings"] = (result["settings"], {"num_latents": int})
    about = {"name": str, "sha256": str}
    parts |= {name: (result[name], about) for name in ("extractor", "distance", "data") if name in result}
    for name, (entry, fields) in parts.items():
        check_object(entry, fields, where=f"{where}: {name}", error=InputError)
    return row, result
