"""The command line: what it says of mistakes, and what it suggests."""

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from click.testing import Result

from ..conftest import ok


@pytest.mark.parametrize(
    "command",
    [
        ["sample", "--seeds"],
        ["sample", "--out", "faces/", "--seeds"],
        ["sample", "--out", "faces/", "--format", "tar", "--seeds"],
        ["edit", "--seeds"],
        ["mix", "--rows"],
        ["mix", "--columns"],
        ["truncate", "--seeds"],
        ["video", "--seeds"],
        ["video", "--base-seeds"],
        ["figure", "uncurated", "--seeds"],
        ["figure", "style-mixing", "--sources-a"],
    ],
)
@pytest.mark.parametrize("nothing", ["", " "])
def test_no_seeds_are_a_usage_error_of_every_command(
    run: Callable[..., Result], command: list[str], nothing: str
) -> None:
    result = run(*command, nothing)
    assert result.exit_code == 2
    assert re.search(rf"Invalid value for '{command[-1]}'.*: it is empty; give seeds such as 0-9,12", result.output)
    assert not os.listdir()


def test_a_shard_of_a_folder_may_have_no_seeds(run: Callable[..., Result]) -> None:
    assert "wrote 0 images" in ok(run("sample", "--seeds", "0-1", "--shard", "0/4", "--out", "faces/"))


def test_the_nearest_option_is_suggested(run: Callable[..., Result]) -> None:
    for command in (["sample"], ["figure", "uncurated"]):
        result = run(*command, "--sedes", 1)
        assert result.exit_code == 2
        assert result.output.strip().endswith("Error: no such option --sedes; did you mean --seeds?")
    assert "did you mean" not in run("sample", "--xyzzy").output


def test_a_torch_without_cuda_is_told_as_such(run: Callable[..., Result], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cuda, "is_built", lambda: False)
    assert "no device 'cuda:77' here: this PyTorch has no CUDA" in run("sample", "--device", "cuda:77").output


def test_empty_files_are_called_empty(run: Callable[..., Result]) -> None:
    for name in ("a.safetensors", "a.npy", "a.pt", "a.jpg"):
        Path(name).touch()
    for command in (
        ["sample", "--model", "a.safetensors"],
        ["sample", "--model", "a.pt"],
        ["edit", "--latents", "a.safetensors"],
        ["edit", "--latents", "a.npy"],
        ["edit", "--directions", "a.pt"],
        ["project", "a.jpg", "--out", "run"],
    ):
        result = run(*command)
        assert result.exit_code == 1
        assert f"{command[-1] if command[0] != 'project' else 'a.jpg'}: an empty file" in result.output
        assert "fetch" not in result.output


@pytest.mark.parametrize("command", [["sample"], ["truncate"], ["edit"], ["figure", "uncurated"]])
def test_pictures_are_replaced_without_asking(run: Callable[..., Result], command: list[str]) -> None:
    Path("a.png").write_bytes(b"older")
    ok(run(*command, "--model", "faces-64", "--seeds", 1, "--out", "a.png"))
    assert Path("a.png").read_bytes()[:4] == b"\x89PNG"
