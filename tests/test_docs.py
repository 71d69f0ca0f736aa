"""The documentation: every link leads somewhere, and every picture is shown."""

import importlib
import re
from pathlib import Path

import pytest
from click import Context

from stylegan import cli
from stylegan.weights import manifest

from .conftest import ROOT

PAGES = sorted(
    [
        *ROOT.glob("*.md"),
        *ROOT.glob("*/*.md"),
        *ROOT.glob("docs/*/*.md"),
        *ROOT.glob("models/*/*.md"),
        *ROOT.glob("examples/*/*.md"),
    ]
)

NAMED = re.compile(rf"^\| `({'|'.join(map(re.escape, manifest.entries()))})` \|.*$", re.MULTILINE)


def links(page: Path) -> list[str]:
    """The targets of links and pictures in a page, but for those to other sites."""
    text = re.sub(r"```.*?```|`[^`\n]*`", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    found = re.findall(r"\]\(([^)\s]+)\)", text)
    return [link for link in found if not re.match(r"[a-z]+:", link)]


def anchors(page: Path) -> set[str]:
    """The headings of a page as links name them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    for link in links(page):
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), f"{link} in {page}"
        assert not anchor or anchor in anchors(target), f"{link} in {page}"


def test_every_picture_is_shown() -> None:
    shown = {(page.parent / link).resolve() for page in PAGES for link in links(page)}
    pictures = {path.resolve() for path in (ROOT / "docs/images").iterdir()}
    assert pictures, "docs/images is empty"
    assert not pictures - shown


def test_every_command_is_on_a_page() -> None:
    pages = "".join(page.read_text(encoding="utf-8") for page in (ROOT / "docs/cli").iterdir())
    assert sorted(re.findall(r":prog: stylegan (\S+)", pages)) == sorted(cli.main.list_commands(Context(cli.main)))


def test_guides_keep_their_measurements_apart() -> None:
    """What was measured is in the reference; speed.md and scale.md are about nothing else."""
    measured = sorted(path.stem for path in (ROOT / "docs").glob("measured-*.md"))
    index = (ROOT / "docs/index.md").read_text(encoding="utf-8")
    assert set(measured) <= set(index.partition(":caption: Reference")[2].split())
    guides = (
        "quickstart",
        "concepts",
        "models",
        "figures",
        "video",
        "demo",
        "web",
        "editing",
        "projection",
        "training",
    )
    for guide in guides:
        text = (ROOT / f"docs/{guide}.md").read_text(encoding="utf-8")
        assert not re.search(r"^\|.*\b(img/s|ms a step|MB|FID)\b.*\|$", NAMED.sub("", text), flags=re.MULTILINE), guide


def test_the_table_of_models_is_that_of_the_manifest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "docs")
    table = importlib.import_module("models_table")
    page = table.PAGE.read_text(encoding="utf-8")
    assert table.with_table(page) == page, "python docs/models_table.py writes it"
    assert table.models_table().count("\n") == len(manifest.entries()) + 1
    for entry in manifest.entries().values():
        (row,) = (line for line in page.splitlines() if line.startswith(f"| `{entry.name}` |"))
        assert entry.license in row
        for file in entry.files:
            assert (file.source.filename if entry.is_bundled else f"({file.source.page})") in row
