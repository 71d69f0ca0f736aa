"""The words of other programs: understood with a note of ours, or answered with it."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result
from PIL import Image

import stylegan
from stylegan import cli
from stylegan.cli.neighbours import COMMANDS, OPTIONS, our_arguments
from stylegan.errors import InputError
from stylegan.latents.ranges import SeedRanges

from ..conftest import ok

Run = Callable[..., Result]


def test_the_official_scripts_words_make_the_same_picture(run: Run) -> None:
    text = ok(run("generate", "--network=faces-64", "--trunc", "0.5", "--seeds", "1,2", "--outdir", "theirs.png"))
    for theirs, ours in (
        ("generate", "sample"),
        ("--network", "--model"),
        ("--trunc", "--truncation-psi"),
        ("--outdir", "--out"),
    ):
        assert f"note: {theirs} is called {ours} here" in text
    ok(run("sample", "--model", "faces-64", "--truncation-psi", "0.5", "--seeds", "1,2", "--out", "ours.png"))
    assert np.array_equal(np.asarray(Image.open("theirs.png")), np.asarray(Image.open("ours.png")))


def test_mix_takes_their_columns_and_styles(run: Run) -> None:
    model = ["--model", "faces-64", "--rows", "2"]
    text = ok(run("mix", *model, "--cols", "1", "--styles", "0-3", "--out", "theirs.png"))
    assert "note: --styles is called --layers here; here they are those of the rows" in text
    ok(run("mix", *model, "--columns", "1", "--layers", "0:4", "--out", "ours.png"))
    assert np.array_equal(np.asarray(Image.open("theirs.png")), np.asarray(Image.open("ours.png")))


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("sample --seeds 1 2 3", "sample --seeds 1,2,3"),
        ("sample --seed=1 2..3 5, 6 --size 64", "sample --seed=1,2..3,5,6 --size 64"),
        ("mix --rows 1, 2 --cols 3 4 --out a.png", "mix --rows 1,2 --columns 3,4 --out a.png"),
        ("mix --seeds 1 2 3 --layers coarse middle fine", "mix --seeds 1,2,3 --layers coarse,middle,fine"),
        ("video --seeds 1 2 --seeds 3 4 --no-loop", "video --seeds 1,2 --seeds 3,4 --no-loop"),
        ("edit --seed 1 --strengths -2 0 .5", "edit --seed 1 --strengths -2,0,.5"),
        ("sample --seeds 1 2 --label cat dog", "sample --seeds 1,2 --label cat,dog"),
        ("figure uncurated --seeds 1 2", "figure uncurated --seeds 1,2"),
        # What is no list is left alone.
        ("sample --seeds 1 a.png", "sample --seeds 1 a.png"),
        ("sample --seeds --out 2", "sample --seeds --out 2"),
        ("sample --seeds 1 --size 64 2", "sample --seeds 1 --size 64 2"),
        ("evaluate --seeds 1 faces-64", "evaluate --seeds 1 faces-64"),
    ],
)
def test_lists_may_be_several_words(capsys: pytest.CaptureFixture[str], theirs: str, ours: str) -> None:
    name, *arguments = theirs.split()
    assert [name, *our_arguments(cli.main.commands[name], arguments)] == ours.split()
    assert ("note: read as" in capsys.readouterr().err) == (len(theirs.split()) > len(ours.split()))


def test_commands_within_commands_know_them_too(run: Run) -> None:
    arguments = ["figure", "uncurated", "--network", "faces-64", "--seeds", "1", "--psi=0.5", "--out", "a.png"]
    assert "note: --psi is called --truncation-psi here" in ok(run(*arguments))


def test_no_word_of_others_is_one_of_ours() -> None:
    """Or it could never be reached."""
    assert not COMMANDS.keys() & cli.main.commands.keys()
    assert set(COMMANDS.values()) <= cli.main.commands.keys()
    options = {name for command in cli.main.commands.values() for option in command.params for name in option.opts}
    assert set(OPTIONS.values()) <= options


def test_an_option_that_a_command_has_itself_is_left_alone(run: Run) -> None:
    """`stylegan list` has no --model, so --network stays what it is."""
    assert "No such option" in run("list", "--network", "faces-64").output


@pytest.mark.parametrize("text", ["0..3,9", "0-3 9", "0 1 2 3 9", "0, 1,2 , 3-3 9", "0..3 9"])
def test_seeds_as_others_write_them(text: str) -> None:
    assert list(SeedRanges.parse(text)) == [0, 1, 2, 3, 9]


def test_seeds_that_mean_two_things_are_refused_with_both() -> None:
    with pytest.raises(InputError, match=r"'0:5' could be read in two ways; .*: 0-5, or 0-4 without the last"):
        SeedRanges.parse("0:5")
    for text in ("", "1,,2", "1-", "a", "1...3", "1;2"):
        with pytest.raises(InputError, match="write seeds like"):
            SeedRanges.parse(text)


def test_help_lists_the_commands_in_the_order_of_use(run: Run) -> None:
    text = ok(run("--help"))
    places = [text.index(f"\n  {name} ") for name in ("sample", "mix", "edit", "project", "blend", "info", "train")]
    assert places == sorted(places)


def test_models_are_listed_for_programs(run: Run) -> None:
    listed = json.loads(ok(run("list", "--json")))
    assert [model["name"] for model in listed] == stylegan.list_models()
    (default,) = (model for model in listed if model["is_default"])
    assert (default["name"], default["where"], default["resolution"]) == ("faces-128", "bundled", 128)
    assert len(default["sha256"]) == 64
    assert default["license"] == "non-commercial research"
    assert len(json.loads(ok(run("list", "--all", "--json")))) == len(stylegan.list_models(include_zoo=True))
    assert stylegan.list_models("faces-*") == ["faces-128", "faces-64"]
    assert not Path("stylegan").exists()
