"""Workflows parse, pin actions, ask for the least, and name files and commands that exist; releases are checked."""

import importlib.util
import json
import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from stylegan import __version__, cli

from .conftest import ROOT

WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
each_workflow = pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)

# What jobs may do beyond reading, by workflow and job.
PERMISSIONS = {
    ("docs", "publish"): {"pages": "write", "id-token": "write"},
    ("release", "publish"): {"id-token": "write"},
}


def jobs(path: Path) -> dict[str, dict[str, Any]]:
    return dict(yaml.safe_load(path.read_text(encoding="utf-8"))["jobs"])


def commands(path: Path) -> Iterator[list[str]]:
    """The words of every line that a shell is given."""
    for job in jobs(path).values():
        for step in job.get("steps", []):
            for line in step.get("run", "").splitlines():
                yield shlex.split(line)


def test_there_are_workflows_for_tests_wheels_docs_and_releases() -> None:
    assert [path.stem for path in WORKFLOWS] == ["docs", "release", "tests", "wheels"]


@each_workflow
def test_actions_are_pinned_by_commit_beside_the_version(path: Path) -> None:
    used = re.findall(r"^\s*(?:- )?uses: (.+)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    assert used
    for action in used:
        if action.startswith("./"):
            assert (ROOT / action.split()[0]).is_file()
        else:
            assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action), action


def test_one_action_has_one_version() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in WORKFLOWS)
    pins = set(re.findall(r"([\w-]+/[\w-]+)@([0-9a-f]{40})", text))
    assert len(pins) == len({action for action, _ in pins})


@each_workflow
def test_jobs_may_do_no_more_than_they_need(path: Path) -> None:
    assert yaml.safe_load(path.read_text(encoding="utf-8"))["permissions"] == {}
    for name, job in jobs(path).items():
        granted = job["permissions"]
        assert granted == PERMISSIONS.get((path.stem, name), granted and {"contents": "read"}), name
        assert "uses" in job or job["timeout-minutes"]
        for step in job.get("steps", []):
            if step.get("uses", "").startswith("actions/checkout@"):
                assert step["with"] == {"persist-credentials": False}
            assert "${{" not in step.get("run", ""), "text that others choose would become a script"


@each_workflow
def test_files_and_commands_that_workflows_name_exist(path: Path) -> None:
    for words in commands(path):
        if words[0] == "stylegan":
            assert words[1] in cli.main.commands
        for word in words:
            if re.fullmatch(r"[\w./-]+\.(py|txt)", word):
                assert (ROOT / word).is_file(), word
    extras = (ROOT / "setup.cfg").read_text(encoding="utf-8")
    for group in re.findall(r'"\.\[([\w,]+)\]"', path.read_text(encoding="utf-8")):
        for extra in group.split(","):
            assert f"\n{extra} =\n" in extras
    for job in jobs(path).values():
        assert set([job["needs"]] if isinstance(job.get("needs"), str) else []) <= set(jobs(path))


def test_changes_that_wheels_depend_on_start_their_workflow() -> None:
    text = yaml.safe_load((ROOT / ".github/workflows/wheels.yml").read_text(encoding="utf-8"))
    for pattern in text[True]["pull_request"]["paths"]:  # YAML reads `on` as true.
        assert list(ROOT.glob(pattern)), pattern


@pytest.fixture
def check_release() -> Callable[[str, str, Path], list[str]]:
    spec = importlib.util.spec_from_file_location("check_release", ROOT / ".github/check_release.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    faults: Callable[[str, str, Path], list[str]] = module.faults
    return faults


def ready(folder: Path) -> Path:
    """A checkout whose files say what a release of this version needs."""
    for name in ("setup.cfg", "README.md", "stylegan/version.py"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text((ROOT / name).read_text(encoding="utf-8").replace("OWNER", "someone"))
    (folder / "CHANGELOG.md").write_text(f"# Changelog\n\n## {__version__} (2026-12-01)\n\n- All.\n")
    return folder


def test_a_tag_is_released_where_version_and_changelog_agree(
    check_release: Callable[[str, str, Path], list[str]], tmp_path: Path
) -> None:
    folder = ready(tmp_path)
    assert check_release(f"v{__version__}", "someone/stylegan", folder) == []
    [fault] = check_release("v9.9.9", "someone/stylegan", folder)
    assert f"stylegan/version.py says {__version__}" in fault
    elsewhere = check_release(f"v{__version__}", "another/stylegan", folder)
    assert [fault.split()[0] for fault in elsewhere] == ["setup.cfg", "README.md"]
    (folder / "CHANGELOG.md").write_text(f"# Changelog\n\n## {__version__} (unreleased)\n")
    [fault] = check_release(f"v{__version__}", "someone/stylegan", folder)
    assert fault.startswith("CHANGELOG.md")


def test_the_address_of_the_repository_is_one() -> None:
    """A placeholder, until there is one: in setup.cfg, and in the README's link to Colab."""
    texts = [(ROOT / name).read_text(encoding="utf-8") for name in ("setup.cfg", "README.md")]
    found = [set(re.findall(r"github(?:\.com)?/([\w.-]+)/stylegan\b", text)) for text in texts]
    assert len(found[0]) == 1
    assert found[0] == found[1]


def test_the_link_to_colab_opens_a_notebook_that_installs_it() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    [name] = re.findall(r"colab\.research\.google\.com/github/[\w.-]+/stylegan/blob/main/([\w./-]+)", text)
    cells = json.loads((ROOT / name).read_text(encoding="utf-8"))["cells"]
    first = next("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code")
    assert '"pip", "install", "-q", "stylegan"' in first
