"""The paper's tables, with your own results next to the published numbers (Karras et al. 2019, tables 1 to 4).

The published numbers are of FFHQ at 1024x1024 (table 1 also of CelebA-HQ), with Inception and LPIPS; numbers of other
data or networks can only be compared with each other. The extractors are therefore named below each table.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ..errors import InputError

TableName = Literal["configurations", "mixing", "paths", "mapping"]

# A column: its title, and the metric that fills it, in the latent space of the row.
Column = tuple[str, str]
_FID: Column = ("FID", "fid")
_PATHS: tuple[Column, ...] = (
    ("path, full", "ppl_{space}"),
    ("path, end", "ppl_{space}end"),
    ("separability", "ls_{space}"),
)


@dataclass(frozen=True)
class Row:
    """One row of a table: its key, its label, and the published numbers."""

    key: str
    title: str
    published: tuple[float | None, ...]
    space: str = "w"


@dataclass(frozen=True)
class Table:
    """A table of the paper."""

    title: str
    first: str  # What the rows are.
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    data: tuple[str, ...] = ("FFHQ",)  # Of the published numbers: all columns for each data set.


_MIXING_COLUMNS = tuple((f"FID, {n} latent" + "s" * (n > 1), f"fid@{n}") for n in (1, 2, 3, 4))

TABLES: dict[str, Table] = {
    "configurations": Table(
        "Table 1: generator designs",
        "configuration",
        (_FID,),
        (
            Row("A", "A: baseline progressive GAN", (7.79, 8.04)),
            Row("B", "B: + tuning, bilinear up and down", (6.11, 5.25)),
            Row("C", "C: + mapping and styles", (5.34, 4.85)),
            Row("D", "D: + no traditional input", (5.07, 4.88)),
            Row("E", "E: + noise inputs", (5.06, 4.42)),
            Row("F", "F: + mixing regularization", (5.17, 4.40)),
        ),
        data=("CelebA-HQ", "FFHQ"),
    ),
    "mixing": Table(
        "Table 2: mixing regularization, and images that mix several latents",
        "mixing",
        _MIXING_COLUMNS,
        (
            Row("0", "E: 0%", (4.42, 8.22, 12.88, 17.41)),
            Row("50", "50%", (4.41, 6.10, 8.71, 11.61)),
            Row("90", "F: 90%", (4.40, 5.11, 6.88, 9.03)),
            Row("100", "100%", (4.83, 5.17, 6.63, 8.40)),
        ),
    ),
    "paths": Table(
        "Table 3: perceptual path length and linear separability",
        "method",
        _PATHS,
        (
            Row("B", "B: traditional generator, Z", (412.0, 415.3, 10.78), "z"),
            Row("D", "D: style-based generator, W", (446.2, 376.6, 3.61)),
            Row("E", "E: + noise inputs, W", (200.5, 160.6, 3.54)),
            Row("50", "+ mixing 50%, W", (231.5, 182.1, 3.51)),
            Row("F", "F: + mixing 90%, W", (234.0, 195.9, 3.79)),
        ),
    ),
    "mapping": Table(
        "Table 4: depth of the mapping network",
        "method",
        (_FID, *_PATHS),
        (
            Row("traditional-0", "B: traditional, depth 0, Z", (5.25, 412.0, 415.3, 10.78), "z"),
            Row("traditional-8", "traditional, depth 8, Z", (4.87, 896.2, 902.0, 170.29), "z"),
            Row("traditional-8", "traditional, depth 8, W", (4.87, 324.5, 212.2, 6.52)),
            Row("style-0", "style-based, depth 0, Z", (5.06, 283.5, 285.5, 9.88), "z"),
            Row("style-1", "style-based, depth 1, W", (4.60, 219.9, 209.4, 6.81)),
            Row("style-2", "style-based, depth 2, W", (4.43, 217.8, 199.9, 6.25)),
            Row("style-8", "F: style-based, depth 8, W", (4.40, 234.0, 195.9, 3.79)),
        ),
    ),
}


def make_table(name: str, results: Sequence[tuple[str, Mapping[str, Any]]]) -> str:
    """A table of the paper as Markdown.

    results: pairs of a row's key (see TABLES) and what `evaluate` returned; several of one key are combined, such as
    those of table 2, one for each number of latents. Rows without a result show only published numbers. Raises
    InputError for unknown keys, and for results measured in different ways.
    """
    if name not in TABLES:
        raise InputError(f"unknown table {name!r}; expected one of {', '.join(TABLES)}")
    table = TABLES[name]
    keys = list(dict.fromkeys(row.key for row in table.rows))
    for key, _ in results:
        if key not in keys:
            raise InputError(f"{key!r} is not a row of table {name}; expected one of {', '.join(keys)}")
    titles = [title for title, _ in table.columns]
    header = [table.first, *titles, *(f"{title} ({data})" for data in table.data for title in titles)]
    lines = [f"**{table.title}**", "", _line(header), _line(["---"] + ["---:"] * (len(header) - 1))]
    for row in table.rows:
        own = [result for key, result in results if key == row.key]
        cells = [_cell(own, metric.format(space=row.space)) for _, metric in table.columns]
        lines.append(_line([row.title, *cells, *(_number(value) for value in row.published)]))
    return "\n".join([*lines, "", *_notes([result for _, result in results])]) + "\n"


def _cell(results: Sequence[Mapping[str, Any]], metric: str) -> str:
    """The value of a metric, with any number of images, in the first result that has it."""
    kind, _, latents = metric.partition("@")
    for result in results:
        if latents and str(result["settings"]["num_latents"]) != latents:
            continue
        for name, entry in result["metrics"].items():
            if name.rstrip("0123456789k") == kind:
                return _number(entry["value"])
    return ""


def _notes(results: Sequence[Mapping[str, Any]]) -> list[str]:
    """What the results were measured with, which must be the same for all."""
    notes = []
    for what, title in (("extractor", "FID with"), ("distance", "path lengths with"), ("data", "data")):
        found = {result[what]["sha256"]: result[what]["name"] for result in results if what in result}
        if len(found) > 1:
            raise InputError(f"the results differ in their {what} ({', '.join(found.values())}) and cannot be compared")
        notes += [f"{title} {name}" for name in found.values()]
    counts = {
        name: entry.get("images", entry.get("paths")) for result in results for name, entry in result["metrics"].items()
    }
    notes += [f"{name}: {count:,} images" for name, count in counts.items() if count]
    return ["Own numbers: " + "; ".join(notes) + "."] if notes else []


def _number(value: float | None) -> str:
    """Two decimals as in the paper, or three significant digits of small values: extractors differ in scale."""
    if value is None:
        return ""
    return f"{value:.1f}" if abs(value) >= 100 else f"{value:.2f}" if abs(value) >= 0.1 or not value else f"{value:.3g}"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
