"""Where people run the library without a checkout: a Space, a container, a shell that completes."""

import json
import os
import re
import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
import yaml

from stylegan.weights.manifest import DEFAULT_MODEL

from .conftest import ROOT

SPACE = ROOT / "examples" / "space"


def test_the_space_shows_the_demo_with_the_bundled_models(space_address: str) -> None:
    with urllib.request.urlopen(f"{space_address}/config", timeout=60) as answer:
        config = json.load(answer)
    choices = [choice for part in config["components"] for choice in part["props"].get("choices") or []]
    assert [DEFAULT_MODEL, DEFAULT_MODEL] in choices
    assert ["avatars-128", "avatars-128"] in choices


def test_the_head_of_the_space_is_what_the_hub_needs() -> None:
    _, head, text = (SPACE / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    card = yaml.safe_load(head)
    assert (SPACE / card["app_file"]).is_file()
    assert card["sdk"] == "gradio"
    assert f"gradio=={card['sdk_version']}\n" in (ROOT / "constraints.txt").read_text()  # What the tests run with.
    assert card["python_version"] == "3.11"
    assert len(card["short_description"]) <= 60
    assert text.strip()
    assert (SPACE / "requirements.txt").read_text().splitlines()[-1] == "stylegan[demo]"


def test_the_container_is_built_from_what_it_copies(tmp_path: Path) -> None:
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    (tmp_path / "source").mkdir()
    for name in " ".join(re.findall(r"^COPY (.+) \./", text, re.MULTILINE)).split():
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, tmp_path / "source" / name)
    command = [sys.executable, "-m", "build", "--no-isolation", "--wheel", "--outdir", str(tmp_path), "source"]
    subprocess.run(
        command, check=True, capture_output=True, cwd=tmp_path, env=os.environ | {"STYLEGAN_KERNELS": "none"}
    )
    assert list(tmp_path.glob("*.whl"))
    last = text[text.rindex("\nFROM ") :]
    assert "gcc" not in last
    assert last.index("\nUSER stylegan\n") < last.index('\nENTRYPOINT ["stylegan"]\n')


def complete(shell: str, **variables: str) -> str:
    env = os.environ | {"PYTHONPATH": str(ROOT), "_STYLEGAN_COMPLETE": shell} | variables
    command = [sys.executable, "-c", "from stylegan.cli import main; main(prog_name='stylegan')"]
    return subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_complete_by_the_lines_of_the_guide(shell: str) -> None:
    if shell == "bash" and shutil.which("bash") is None:
        pytest.skip("needs bash")
    assert f"_STYLEGAN_COMPLETE={shell}_source stylegan" in (ROOT / "docs/cli.md").read_text(encoding="utf-8")
    script = complete(f"{shell}_source")
    assert f"_STYLEGAN_COMPLETE={shell}_complete" in script
    assert "_stylegan_completion" in script


def test_commands_options_and_values_complete() -> None:
    assert complete("bash_complete", COMP_WORDS="stylegan sam", COMP_CWORD="1") == "plain,sample\n"
    assert "plain,--seeds" in complete("bash_complete", COMP_WORDS="stylegan video --see", COMP_CWORD="2")
    assert "plain,smooth" in complete("bash_complete", COMP_WORDS="stylegan video --easing sm", COMP_CWORD="3")
