"""Put the numbers of a command's tables into the tables of a page, and tell which changed.

    python -m benchmarks.editing --model faces-128 | python models/tables.py docs/measured-editing.md

Tables are Markdown. A number goes to the row and the column of the same names, in the first table of the page that has
both; emphasis and remarks around it stay. Every change is printed, then the lines of this and further pages that seem
to quote a number that changed: a person has to read those again.
"""

import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

NUMBER = re.compile(r"(?<![\w.])[-+]?(?:\d[\d,]*\.?\d*|\.\d+)(?:e[-+]?\d+)?%?(?![\w])")


@dataclass(frozen=True)
class Cell:
    """A cell of a table: where it stands, and the names of its row and column."""

    line: int
    index: int  # The column's.
    row: str
    column: str
    text: str


@dataclass(frozen=True)
class Change:
    """A replaced number."""

    cell: Cell
    old: str
    new: str


def cells(text: str) -> Iterator[Cell]:
    """The cells of all tables of a text, without headings and the first column."""
    heading: list[str] | None = None
    for number, line in enumerate(text.splitlines()):
        if not line.startswith("|"):
            heading = None
            continue
        row = split(line)
        if heading is None:
            heading = row
        elif not set("".join(row)) <= set("-:"):
            for index, (column, cell) in enumerate(zip(heading, row, strict=False)):
                if index:
                    yield Cell(number, index, row[0], column, cell)


def split(line: str) -> list[str]:
    """The cells of a line of a table."""
    return [cell.strip() for cell in line.strip().removeprefix("|").removesuffix("|").split("|")]


def update(page: str, output: str) -> tuple[str, list[Change], list[Cell]]:
    """The page with the numbers from the output's tables; the changes, and the cells without a place in the page."""
    places: dict[tuple[str, str], Cell] = {}
    for cell in cells(page):
        places.setdefault((cell.row, cell.column), cell)
    lines, changes, homeless = page.split("\n"), [], []
    for new in cells(output):
        place = places.get((new.row, new.column))
        if not new.text:
            continue
        if place is None:
            homeless.append(new)
            continue
        found = NUMBER.search(place.text)
        old = found[0] if found else place.text
        if not same(old, new.text):
            row = split(lines[place.line])
            row[place.index] = place.text.replace(old, new.text, 1) if old else new.text
            lines[place.line] = f"| {' | '.join(row)} |"
            changes.append(Change(place, old, new.text))
    return "\n".join(lines), changes, homeless


def same(old: str, new: str) -> bool:
    """Whether a page's number equals the new one, to the page's digits."""
    if not NUMBER.fullmatch(old) or not NUMBER.fullmatch(new):
        return old == new
    return abs(value(old) - value(new)) <= 0.501 * unit(old)


def quotes(text: str, numbers: Sequence[str]) -> list[int]:
    """The lines outside tables, from 0, with one of the numbers, perhaps rounded, to two digits or more."""
    exact = [number for number in numbers if significant(number) >= 2]
    return [
        i
        for i, line in enumerate(text.split("\n"))
        if not line.startswith("|")
        and any(
            significant(quoted) >= 2 and same(quoted, number) for quoted in NUMBER.findall(line) for number in exact
        )
    ]


def value(number: str) -> float:
    """What a number of a page means."""
    return float(number.replace(",", "").removesuffix("%")) / (100 if number.endswith("%") else 1)


def significant(number: str) -> int:
    """How many digits a number has, without leading zeros."""
    return len(re.sub(r"e.*|\D", "", number).lstrip("0"))


def unit(number: str) -> float:
    """The value of one unit in a number's last digit."""
    mantissa, _, exponent = number.removesuffix("%").partition("e")
    places = len(mantissa.partition(".")[2])
    return float(10 ** (int(exponent or 0) - places - 2 * number.endswith("%")))


@click.command()
@click.argument("page", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("further", nargs=-1, type=click.Path(exists=True, dir_okay=False, path_type=Path))
def main(page: Path, further: tuple[Path, ...]) -> None:
    """Put the numbers of tables on standard input into PAGE; show lines of it and of FURTHER that quote old ones."""
    output = sys.stdin.read()
    if not list(cells(output)):
        raise click.ClickException("no table on standard input")
    text, changes, homeless = update(page.read_text(encoding="utf-8"), output)
    page.write_text(text, encoding="utf-8")
    for change in changes:
        where = f"{page}:{change.cell.line + 1}: {change.cell.row}, {change.cell.column}"
        click.echo(f"{where}: {change.old or 'nothing'} -> {change.new}")
    for cell in homeless:
        click.echo(f"{page} has no place for {cell.row}, {cell.column}: {cell.text}")
    old = [change.old for change in changes if NUMBER.fullmatch(change.old)]
    for path in (page, *further):
        lines = path.read_text(encoding="utf-8").split("\n")
        for i in quotes("\n".join(lines), old):
            click.echo(f"read again {path}:{i + 1}: {lines[i].strip()}")


if __name__ == "__main__":
    main()
