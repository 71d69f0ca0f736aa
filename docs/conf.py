"""The documentation's site: `sphinx-build -W docs build/docs`."""

import os
import re
from importlib.metadata import metadata
from itertools import groupby
from pathlib import Path

import click
from sphinx.application import Sphinx
from sphinx.pycode import ModuleAnalyzer

from stylegan import __version__

ROOT = Path(__file__).parents[1]


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


def show_examples(app: Sphinx, ctx: click.Context, lines: list[str]) -> None:
    """The examples of a command, lines that Click keeps as they are, become blocks of code; some have a heading."""
    shown: list[str] = []
    for line in lines:
        if re.match(r"\| {2,}\S", line):
            if not shown or not re.match(r" {3}", shown[-1]):
                shown += ["", ".. code-block:: sh", ""]
            shown.append("   " + line[2:].strip())
        else:
            if shown and shown[-1].startswith("   ") and line:
                shown.append("")
            shown.append(line.removeprefix("| "))
    lines[:] = shown


def without_overloads(self: ModuleAnalyzer) -> None:
    """Analyze a module, but show a function as it is defined, with all arguments and defaults, not its overloads."""
    analyze(self)
    self.overloads = {}


analyze, ModuleAnalyzer.analyze = ModuleAnalyzer.analyze, without_overloads  # type: ignore[method-assign]


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.connect("autodoc-process-docstring", format_docstring)
    app.connect("sphinx-click-process-description", show_examples)


def repository() -> str:
    """Where the source is: as the package says (`project_urls`), else what the builder names; else ""."""
    urls = metadata("stylegan").get_all("Project-URL") or []
    said = [url.removeprefix("Source, ") for url in urls if url.startswith("Source, ") and "/OWNER/" not in url]
    github = "/".join(os.environ.get(name, "") for name in ("GITHUB_SERVER_URL", "GITHUB_REPOSITORY")).strip("/")
    return next(iter([*said, os.environ.get("READTHEDOCS_GIT_CLONE_URL", "") or github]))


# "2026 The stylegan authors", as the licence has it.
project_copyright = re.search(r"^Copyright \(c\) (.+)$", (ROOT / "LICENSE").read_text(), re.MULTILINE)[1]
project, author, release = "stylegan", project_copyright.split(" ", 1)[1], __version__
extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx_click",
    "sphinx_copybutton",
    "sphinx_design",
]
smartquotes = False  # Options begin with two hyphens.
source_suffix = {".md": "markdown"}
exclude_patterns = ["images"]
myst_enable_extensions = ["colon_fence", "substitution"]
myst_heading_anchors = 3
myst_substitutions = {"repository": f"[Source]({repository()})" if repository() else ""}
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_default_options = {"members": True, "show-inheritance": False}
python_use_unqualified_type_names = True

html_theme = "furo"
html_title = f"stylegan {__version__}"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_theme_options: dict[str, object] = {"navigation_with_keys": True}
if repository():
    html_theme_options |= {"source_repository": repository(), "source_branch": "main", "source_directory": "docs/"}
