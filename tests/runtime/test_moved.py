"""Old paths of modules: they import, with a warning, what is found under the new ones."""

import importlib
import os
import subprocess
import sys
import warnings

import pytest

from stylegan.runtime.moved import MOVED

from ..conftest import ROOT


@pytest.mark.parametrize("old", MOVED)
def test_an_old_path_gives_the_module_of_today(old: str) -> None:
    sys.modules.pop(f"stylegan.{old}", None)
    with pytest.warns(DeprecationWarning, match=f"stylegan.{old} is now stylegan.{MOVED[old]}"):
        module = importlib.import_module(f"stylegan.{old}")
    assert module is importlib.import_module(f"stylegan.{MOVED[old]}")


def test_a_module_below_an_old_path_is_found() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        old = importlib.import_module("stylegan.weights.layouts.rosinality")
    assert old is importlib.import_module("stylegan.weights.ports.rosinality")


def test_an_old_module_needs_no_import_of_its_own() -> None:
    script = "import stylegan, sys\n"
    for name in ("bands", "latent_files", "layers", "ops", "presets"):
        script += f"assert stylegan.{name} is sys.modules['stylegan.{MOVED[name]}']\n"
    subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script], check=True, env=os.environ | {"PYTHONPATH": str(ROOT)}
    )


def test_what_never_was_there_is_not_found() -> None:
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("stylegan.latent_file")
