"""stylegan blend and stylegan average: the networks that they write, what they say, and what they refuse."""

import os
from collections.abc import Callable
from typing import Any

import pytest
import torch
from click.testing import Result

from stylegan import Generator

from ..conftest import ok, tiny_generator


@pytest.fixture
def models(run: Callable[..., Result]) -> Callable[..., Result]:
    """Two networks of one family and one of another size, in the folder of the test."""
    for name, bias, side in (("parent", 0.0, 16), ("child", 1.0, 16), ("other", 0.0, 32)):
        G = tiny_generator(img_resolution=side)
        for layer in G.synthesis.layers:
            layer.bias.add_(bias)
        G.metadata = {"name": name, "start_from": "parent", "license": f"licence of {name}"}
        G.save(f"{name}.safetensors")
    return run


def test_blend_writes_the_blend_and_says_under_which_licences(models: Callable[..., Result]) -> None:
    arguments = ["blend", "parent.safetensors", "child.safetensors", "--from", 8, "--out", "new.safetensors"]
    text = ok(models(*arguments, "--metadata", "name=mixed"))
    assert "mixed: licence of parent and licence of child" in text
    assert "wrote the blend of parent and child to" in text
    G, A, B = (Generator.from_pretrained(f"{name}.safetensors") for name in ("new", "parent", "child"))
    assert G.weights_sha256 == A.blend(B, resolution=8).weights_sha256
    assert (G.name, G.metadata["blend"]["from"]) == ("mixed", 8)
    assert "licence of child" in ok(models("info", "new.safetensors"))
    refused = models(*arguments)
    assert "new.safetensors exists; --force overwrites it" in refused.output
    ok(models(*arguments, "--force", "--mapping", "b", "--width", 2))
    again = Generator.from_pretrained("new.safetensors")
    assert again.weights_sha256 == A.blend(B, resolution=8, width=2, mapping="other").weights_sha256


def test_a_folder_for_a_hub_and_half_precision(models: Callable[..., Result]) -> None:
    ok(models("blend", "parent.safetensors", "child.safetensors", "--from", 8, "--out", "hub", "--dtype", "float16"))
    assert sorted(os.listdir("hub")) == ["config.json", "model.safetensors"]
    assert Generator.from_pretrained("hub").name == "parent+child"


def test_average_writes_the_mean(models: Callable[..., Result]) -> None:
    text = ok(
        models("average", "parent.safetensors", "child.safetensors", "--weights", "1,3", "--out", "m.safetensors")
    )
    assert "wrote the average of parent and child to" in text
    G, A = (Generator.from_pretrained(f"{name}.safetensors") for name in ("m", "parent"))
    torch.testing.assert_close(G.synthesis.layers[1].bias, A.synthesis.layers[1].bias + 0.75)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["blend", "parent.safetensors", "other.safetensors"], "img_resolution 16, against img_resolution 32"),
        (
            ["blend", "parent.safetensors", "child.safetensors", "--from", 32],
            "--from must be an integer from 4 to 16, got 32",
        ),
        (["blend", "parent.safetensors", "child.safetensors", "--from", 12], "--from must be a power of two"),
        (["blend", "parent.safetensors", "gone.safetensors"], "no such file"),
        (["average", "parent.safetensors"], "expected two or more networks, got only parent.safetensors"),
        (["average", "parent.safetensors", "child.safetensors", "--weights", "1"], "one for each of 2 networks, got 1"),
    ],
)
def test_what_cannot_be_combined_is_one_line_and_writes_nothing(
    models: Callable[..., Result], arguments: list[Any], message: str
) -> None:
    before = sorted(os.listdir())
    result = models(*arguments, "--out", "new.safetensors")
    assert result.exit_code == 1
    assert message in result.output.strip().splitlines()[-1]
    assert sorted(os.listdir()) == before


def test_networks_of_no_common_origin_are_noted(models: Callable[..., Result]) -> None:
    text = ok(models("blend", "faces-128", "avatars-128", "--out", "new.safetensors"))
    assert "note: faces-128 and avatars-128 do not say that they come from one network" in text
    assert "non-commercial research and CC BY 4.0" in text


def test_a_target_that_is_no_weight_file_is_refused_first(models: Callable[..., Result]) -> None:
    result = models("blend", "gone", "gone", "--out", "new.png")
    assert "--out is new.png; expected a .safetensors file or a folder" in result.output
