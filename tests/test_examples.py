"""The examples and the README's code run as written, and write pictures."""

import re
import runpy
import shlex
from pathlib import Path
from typing import Any

import click
import pytest
from PIL import Image

from .conftest import ROOT

ELSEWHERE = ("ray_generate", "paper")  # In test_ray.py and test_paper.py.
EXAMPLES = [path for path in sorted((ROOT / "examples").glob("*.py")) if path.stem not in ELSEWHERE]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_example(example: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(example), run_name="__main__")
    pictures = list(tmp_path.glob("*.png"))
    assert pictures
    for picture in pictures:
        with Image.open(picture) as image:
            assert len(image.convert("L").getcolors(256) or []) > 50  # A picture, not one colour.


def test_code_of_the_readme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert blocks
    namespace: dict[str, Any] = {}
    for block in blocks:
        exec(block, namespace)
    assert list(tmp_path.glob("*.png"))


def test_commands_of_the_readme_exist() -> None:
    from stylegan import cli

    text = (ROOT / "README.md").read_text()
    for command in set(re.findall(r"^(?:\$ )?stylegan ([a-z]+)", text, re.MULTILINE)):
        assert command in cli.main.commands


def test_commands_beside_pictures_are_valid() -> None:
    from stylegan import cli

    for page in ("figures.md", "video.md"):
        text = (ROOT / "docs" / page).read_text()
        commands = re.findall(r"^stylegan (.*)$", text, re.MULTILINE)
        assert commands
        for command in commands:
            names = shlex.split(command)
            found: click.Command = cli.main
            while isinstance(found, click.Group):
                found = found.commands[names.pop(0)]
            out = found.make_context("stylegan", names).params["out"]
            assert (ROOT / "docs" / "images" / out).is_file()
            assert f"](images/{out})" in text
