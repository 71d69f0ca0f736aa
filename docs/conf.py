"""The documentation's site: `sphinx-build -W docs build/docs`."""

import re
from itertools import groupby

from sphinx.application import Sphinx

from stylegan import __version__
from stylegan.weights import manifest


def models_table() -> str:
    """The models of the manifest as Markdown."""
    lines = ["| name | size | what | data | licence | tried |", "|---|---|---|---|---|---|"]
    for entry in manifest.entries().values():
        size = f"{entry.resolution}x{entry.resolution}" if entry.resolution else ""
        what = entry.description.split(": ", 1)[-1].rstrip(".")
        licence = f"[{entry.license}]({entry.license_url})" if entry.license_url else entry.license
        tried = "yes" if entry.tried else "no"
        lines.append(f"| `{entry.name}` | {size} | {what} | {entry.dataset} | {licence} | {tried} |")
    return "\n".join(lines)


def format_docstring(app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    """Our docstrings say `name: what it is`, continued on indented lines: Sphinx knows that as a field list."""
    paragraphs = [list(group) for _, group in groupby(lines, key=bool)]
    lines[:] = [line for paragraph in paragraphs for line in _format_paragraph(paragraph)]


def _format_paragraph(lines: list[str]) -> list[str]:
    flush = [line for line in lines if not line.startswith(" ")]
    fields = [re.match(r"([a-z]\w*(?:, \w+)*): ", line) for line in flush]
    if fields and all(fields):
        return [re.sub(r"^(\w+(?:, \w+)*): ", lambda m: f":param {m[1].replace(' ', '')}: ", line) for line in lines]
    return [line.strip() for line in lines] if flush else lines


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.connect("autodoc-process-docstring", format_docstring)


project, author, release = "stylegan", "the authors of stylegan", __version__
extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx_click",
    "sphinx_copybutton",
]
source_suffix = {".md": "markdown"}
exclude_patterns = ["images"]
myst_enable_extensions = ["colon_fence", "substitution"]
myst_heading_anchors = 3
myst_substitutions = {"models": models_table()}
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_default_options = {"members": True, "show-inheritance": False}
python_use_unqualified_type_names = True

html_theme = "furo"
html_title = f"stylegan {__version__}"
html_theme_options = {"navigation_with_keys": True}
