"""Writes the table of models in docs/models.md from the manifest: python docs/models_table.py."""

import re
from pathlib import Path

from stylegan.weights import manifest
from stylegan.weights.hub.sources import Source

PAGE = Path(__file__).with_name("models.md")
HEAD = "| name | resolution | what | data | licence | sources, in this order, and what is known of the sha256 | tried |"

# By `manifest.File.known`.
CHECKS = {"known": ": sha256", "unverified": "", "8 digits": ": 8 digits"}


def models_table() -> str:
    """The models of the manifest as Markdown."""
    lines = [HEAD, re.sub(r"[^|]+", "---", HEAD)]
    for entry in manifest.entries().values():
        what = entry.description.split(": ", 1)[-1].rstrip(".")
        licence = f"[{entry.license}]({entry.license_url})"
        sources = "; ".join(f"{linked(file.source)}{CHECKS[file.known]}" for file in entry.files)
        tried = entry.tried_on or ("yes" if entry.tried else "no")
        cells = [
            f"`{entry.name}`",
            f"{entry.resolution}x{entry.resolution}",
            what,
            entry.dataset,
            licence,
            sources,
            tried,
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def linked(source: Source) -> str:
    """Where a file is, with the address of its page; of a bundled one, its name."""
    return f"`{source.filename}`" if source.kind == "bundled" else f"[{source.host}]({source.page})"


def with_table(page: str) -> str:
    """The text of the page with the table as it should be."""
    return re.sub(r"(?m)^\| name \| resolution \|.*\n(\|.*\n)*", lambda _: models_table() + "\n", page)


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
