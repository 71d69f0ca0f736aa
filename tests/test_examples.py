"""The examples and the README's code run as written, and write pictures."""

import re
import runpy
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).parents[1]


EXAMPLES = [path for path in sorted((ROOT / "examples").glob("*.py")) if path.stem != "ray_generate"]  # In test_ray.py.


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_example(example: Path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(example), run_name="__main__")
    pictures = list(tmp_path.glob("*.png"))
    assert pictures
    for picture in pictures:
        with Image.open(picture) as image:
            assert len(image.convert("L").getcolors(256)) > 50  # A picture, not one colour.


def test_code_of_the_readme(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert blocks
    namespace: dict = {}
    for block in blocks:
        exec(block, namespace)
    assert list(tmp_path.glob("*.png"))


def test_commands_of_the_readme_exist():
    from stylegan import cli

    text = (ROOT / "README.md").read_text()
    for command in set(re.findall(r"^(?:\$ )?stylegan ([a-z]+)", text, re.MULTILINE)):
        assert command in cli.main.commands
