"""models/remake.py and models/tables.py: what follows from a model is made once, and numbers reach their pages."""

import json
import runpy
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from stylegan import Generator, cli
from stylegan.images import recall
from stylegan.weights import manifest

from .conftest import ROOT

REMAKE, TABLES = (runpy.run_path(str(ROOT / f"models/{name}.py")) for name in ("remake", "tables"))
BUNDLED = [name for name, entry in manifest.entries().items() if entry.is_bundled]
PAGE = """# Page

| metric | one | two |
|---|---|---|
| fid | **7.67** (of halves: 3.1) | 5.2 |
| kid | 1.3e-5 | |

In one, fid is 7.7; 5.2 of 7.6 is not.
"""


def test_a_number_takes_its_place_in_a_table() -> None:
    text, changes, homeless = TABLES["update"](PAGE, "| metric | one |\n|---|---|\n| fid | 6.01 |\n| pr | 0.5 |\n")
    assert "| fid | **6.01** (of halves: 3.1) | 5.2 |" in text
    assert text.replace("6.01", "7.67") == PAGE
    assert [(change.old, change.new) for change in changes] == [("7.67", "6.01")]
    assert [cell.row for cell in homeless] == ["pr"]


@pytest.mark.parametrize("number", ["7.67", "7.671", "7.6650"])
def test_a_number_with_more_digits_is_no_change(number: str) -> None:
    assert TABLES["update"](PAGE, f"| metric | one |\n|---|---|\n| fid | {number} |\n")[:2] == (PAGE, [])


def test_sentences_that_quote_a_number_are_found() -> None:
    assert TABLES["quotes"](PAGE, ["7.67"]) == [7]
    assert TABLES["quotes"](PAGE, ["8.67"]) == []
    assert TABLES["quotes"]("99.5% of all", ["99.5%"]) == [0]


def test_what_changed_is_printed_with_its_line(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(PAGE)
    result = CliRunner().invoke(TABLES["main"], [str(page)], input="| metric | one |\n|---|---|\n| fid | 6.01 |\n")
    assert f"{page}:5: fid, one: 7.67 -> 6.01" in result.output
    assert f"read again {page}:8: In one, fid is 7.7" in result.output
    assert "**6.01**" in page.read_text()


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The state of what was made, in another place."""
    monkeypatch.setitem(REMAKE["work_off"].__globals__, "MADE", tmp_path / "made.json")
    return tmp_path / "made.json"


def test_steps_run_once_and_go_on_after_a_failure(made: Path) -> None:
    calls: list[str] = []

    def step(name: str, command: str = "a", error: bool = False) -> Any:
        def make() -> None:
            calls.append(name)
            if error:
                raise KeyboardInterrupt

        return REMAKE["Step"]("pictures", name, "faces-128", command, make)

    def run(*steps: Any, force: bool = False) -> None:
        REMAKE["work_off"](steps, REMAKE["Given"](), force=force, only_list=False)

    with pytest.raises(KeyboardInterrupt):
        run(step("one"), step("two", error=True))
    run(step("one"), step("two"))
    assert calls == ["one", "two", "two"]
    run(step("one"), step("two"))
    assert calls[3:] == []
    run(step("one", command="b"), step("two"))
    assert calls[3:] == ["one"]
    run(step("two"), force=True)
    assert calls[4:] == ["two"]


def test_a_step_without_its_data_waits(made: Path, capsys: pytest.CaptureFixture[str]) -> None:
    step = REMAKE["Step"]("numbers", "x", "faces-128", "a", lambda: pytest.fail("was made"), ("held_out",))
    REMAKE["work_off"]([step], REMAKE["Given"](), force=False, only_list=False)
    assert "needs --held-out" in capsys.readouterr().out
    assert not made.exists()


def test_another_model_makes_steps_due() -> None:
    step = REMAKE["Step"]
    prints = [REMAKE["fingerprint"](step("x", "x", name, "a", print)) for name in ("faces-128", "faces-64")]
    assert prints[0] != prints[1]


def test_every_command_beside_a_picture_is_valid() -> None:
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    found = REMAKE["commands"](pages)
    assert {"mix.webp", "directions-closed-form.webp", "walk.webp"} < set(found)
    for words in found.values():
        if words[0] == "stylegan":
            assert words[1] in cli.main.commands
        else:
            assert (ROOT / words[1]).is_file()


def test_every_picture_of_the_pages_has_a_step() -> None:
    steps = [step for model in BUNDLED for step in REMAKE["steps"](model, REMAKE["Given"]())]
    named = {step.what for step in steps if step.group == "pictures"}
    shots = {"demo.webp", "demo-mix.webp", "demo-photo.webp", "demo-phone.webp"}
    shots |= {"web.webp", "web-phone.webp", "web-photo.webp", "web-photo-phone.webp"}
    trained = {"blend.webp"}  # By the commands in docs/own-model.md, in hours.
    assert {path.name for path in (ROOT / "docs/images").iterdir()} == named | shots | trained


@pytest.mark.parametrize(("name", "least"), [("faces-128", 11), ("avatars-128", 2)])
def test_pictures_were_made_by_the_bundled_model(name: str, least: int) -> None:
    """Those that say by which weights; `python models/remake.py --only pictures` makes them again."""
    told = [recall(path) for path in (ROOT / "docs/images").iterdir()]
    known = [found["weights_sha256"] for found in told if found.get("model") == name]
    assert len(known) >= least
    assert set(known) == {Generator.from_pretrained(name).weights_sha256}


def test_the_manifest_gets_size_and_sha256_of_the_files(tmp_path: Path) -> None:
    write_entry = runpy.run_path(str(ROOT / "models/bundle.py"))["write_entry"]
    original = (ROOT / "stylegan/weights_manifest.json").read_bytes()
    path = tmp_path / "manifest.json"
    path.write_bytes(original)
    write_entry("faces-128", path, ROOT / "stylegan/assets")
    assert path.read_bytes() == original
    for name in ("faces-64.safetensors", "discriminator-faces-64.safetensors"):
        (tmp_path / name).write_bytes(b"new")
    write_entry("faces-64", path, tmp_path)
    assert {file["size"] for file in json.loads(path.read_text())["models"]["faces-64"]["files"]} == {3}
