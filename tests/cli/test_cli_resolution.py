"""--resolution, of files that do not tell it, in every command that reads a model."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import Result

from stylegan import Generator

from ..conftest import ok
from ..weights.ports import writers as ports
from ..weights.ports.golden_sets import golden_set


@pytest.fixture
def untold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """rosinality's generator of 16x16, of which a block above is neither trained nor as it began."""
    monkeypatch.chdir(tmp_path)
    state = ports.rosinality_generator(golden_set("T").g)
    name = "generator.progression.3.noise1.weight_orig"
    state[name] = torch.ones_like(state[name])
    torch.save({"g_running": state}, "faces.model")
    return "faces.model"


COMMANDS = [
    ["info", "{}"],
    ["convert", "{}", "a.safetensors"],
    ["sample", "--model", "{}", "--seeds", "1"],
    ["directions", "{}", "-n", "1"],
    ["publish", "{}", "card", "--metadata", "license=MIT", "--dry-run"],
    ["evaluate", "{}", "--metrics", "ppl_w200", "--distance", "missing"],
    ["export", "{}"],
    ["blend", "{}", "{}", "--from", "8", "--out", "b.safetensors"],
    ["average", "{}", "{}", "--out", "b.safetensors"],
    ["demo", "--model", "{}"],
]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_every_command_that_reads_a_model_takes_it(
    run: Callable[..., Result], untold: str, command: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    read = []

    def from_pretrained(name: Any, **given: Any) -> Any:
        read.append((name, given.get("resolution")))
        return real(name, **given)

    real = Generator.from_pretrained
    monkeypatch.setattr(Generator, "from_pretrained", from_pretrained)
    monkeypatch.setattr("stylegan.export.export_onnx", lambda *given, **options: [])
    monkeypatch.setattr("stylegan.demo.serve", lambda studio, **options: studio.generator("faces.model"))
    arguments = [argument.format(untold) for argument in command]
    refused = run(*arguments)
    assert "--resolution" in refused.output
    read.clear()
    result = run(*arguments, "--resolution", "16")
    if command[0] == "evaluate":  # Its next question.
        assert "missing" in result.output
    else:
        assert result.exit_code == 0, result.output
    assert set(read) == {(untold, 16)} or command[0] in ("info", "convert")


def test_a_download_takes_it(run: Callable[..., Result], untold: str) -> None:
    assert "--resolution PIXELS" in ok(run("download", "--help"))


def test_the_page_has_no_use_for_it_without_a_file(run: Callable[..., Result]) -> None:
    result = run("demo", "--resolution", "16")
    assert "name the file with --model" in result.output


def test_info_says_what_was_asked_for(run: Callable[..., Result], untold: str) -> None:
    assert json.loads(ok(run("info", untold, "--resolution", "16", "--json")))["resolution"] == 16
