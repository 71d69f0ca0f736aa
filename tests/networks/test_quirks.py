"""Options for other implementations' weights: one argument, and still those of files and callers of before."""

import copy
import json
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch

from stylegan import Generator
from stylegan.discriminator import Discriminator
from stylegan.errors import InputError
from stylegan.networks.quirks import DiscriminatorQuirks, Quirks, spread_quirks
from stylegan.weights.checkpoint import Checkpoint, save_checkpoint

from ..conftest import tiny_generator

OF_G: dict[str, Any] = {
    "instance_norm_epsilon": 1e-2,
    "bias_before_blur": True,
    "noise_per_resolution": True,
    "bilinear_upscale": True,
}
OF_D: dict[str, Any] = {"from_rgb_activations": 2, "widen_first": True}


def generator(**synthesis: Any) -> Generator:
    """With biases, so that it matters where they are added."""
    G = tiny_generator(synthesis=synthesis)
    for name, p in G.named_parameters():
        if name.endswith("bias") or "noise_strength" in name:
            p.data = torch.linspace(-1, 1, p.numel()).reshape(p.shape)
    return G


def image(G: Generator) -> torch.Tensor:
    img: torch.Tensor = G.sample(seeds=[1], output_type="pt", noise_mode="random", noise_seed=2)
    return img


def discriminator(**options: Any) -> Discriminator:
    return Discriminator(img_resolution=16, fmap_base=64, fmap_max=16, blur_filter=[1, 2, 1], **options)


@pytest.mark.parametrize("name", OF_G)
def test_a_field_may_stand_beside_quirks_or_in_it(name: str) -> None:
    field = {name: OF_G[name]}
    flat, mapping, quirks = generator(**field), generator(quirks=field), generator(quirks=Quirks(**field))
    assert torch.equal(image(flat), image(mapping))
    assert torch.equal(image(quirks), image(mapping))
    assert flat.config == mapping.config == quirks.config
    assert mapping.config["synthesis"]["quirks"] == field
    assert not torch.equal(image(mapping), image(generator()))


def test_the_same_of_a_discriminator() -> None:
    flat, mapping = discriminator(**OF_D), discriminator(quirks=OF_D)
    img = torch.linspace(-1, 1, 3 * 16 * 16).reshape(1, 3, 16, 16)
    assert torch.equal(flat(img), mapping(img))
    assert flat.config == mapping.config == discriminator(quirks=DiscriminatorQuirks(**OF_D)).config
    assert {name: p.shape for name, p in flat.named_parameters()} != {
        name: p.shape for name, p in discriminator().named_parameters()
    }


def test_files_of_before_are_the_same_networks(tmp_path: Path) -> None:
    G, D = generator(quirks=OF_G), discriminator(quirks=OF_D)
    for network, cls in ((G, Generator), (D, Discriminator)):
        config = spread_quirks(network.config)
        assert "quirks" not in json.dumps(config)
        save_checkpoint(tmp_path / "file.safetensors", Checkpoint(cls.__name__, config, network.state_dict()))
        loaded = cls.from_pretrained(tmp_path / "file.safetensors")
        assert loaded.config == network.config
        if isinstance(loaded, Generator):
            assert torch.equal(image(loaded), image(G))
            assert loaded.weights_sha256 == G.weights_sha256


def test_the_digest_is_that_of_before() -> None:
    G = generator(quirks=OF_G)
    flat = copy.deepcopy(G.config)
    flat["synthesis"] |= flat["synthesis"].pop("quirks")
    assert G.weights_sha256 == Checkpoint("Generator", flat, G.state_dict()).sha256()
    assert spread_quirks(flat) == flat
    assert spread_quirks(generator().config) == generator().config
    own = spread_quirks(discriminator().config)
    assert (own["from_rgb_activations"], own["widen_first"]) == (1, False)


def test_configs_with_quirks_are_json_and_remake_the_network() -> None:
    config = json.loads(json.dumps(generator(quirks=Quirks(**OF_G)).config))
    assert Generator(**config).config["synthesis"]["quirks"] == OF_G
    config = json.loads(json.dumps(discriminator(quirks=DiscriminatorQuirks(**OF_D)).config))
    assert Discriminator(**config).config["quirks"] == OF_D
    assert pickle.loads(pickle.dumps(Quirks(**OF_G))) == Quirks(**OF_G)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"quirks": {"bias_before_blurr": True}},
            "unknown field 'bias_before_blurr'; Quirks has instance_norm_epsilon",
        ),
        ({"quirks": {"widen_first": True}}, "unknown field 'widen_first'"),
        ({"quirks": [1]}, r"quirks must be Quirks, a dictionary of its fields or None, got \[1\]"),
        ({"quirks": {"bias_before_blur": 1}}, "bias_before_blur must be True or False, got 1"),
        ({"quirks": {"instance_norm_epsilon": -1}}, "instance_norm_epsilon must be a number from 0 to 1, got -1"),
        ({"quirks": {"bias_before_blur": True}, "bias_before_blur": True}, "bias_before_blur is given twice"),
    ],
)
def test_other_quirks_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        generator(**options)


def test_activation_before_the_filter() -> None:
    """And once more after the noise; a layer without a filter is an official one."""
    fields = {"quirks": {"activate_before_blur": True}}
    G, official = generator(**fields), generator()
    assert not torch.equal(image(G), image(official))
    assert G.config["synthesis"]["quirks"] == fields["quirks"]
    torch.testing.assert_close(image(generator(**fields, blur_filter=None)), image(generator(blur_filter=None)))


@pytest.mark.parametrize("fields", [{"from_rgb_kernel": 3}, {"linear_dense": True}])
def test_other_layers_of_a_discriminator(fields: dict[str, Any]) -> None:
    D = discriminator(quirks=fields)
    assert D.config["quirks"] == {"from_rgb_activations": 1, "widen_first": False} | fields
    img = torch.linspace(-1, 1, 3 * 16 * 16).reshape(1, 3, 16, 16)
    assert not torch.equal(D(img), discriminator()(img))


def test_other_quirks_of_a_discriminator_are_refused() -> None:
    with pytest.raises(InputError, match="from_rgb_kernel must be 1 or 3, got 5"):
        discriminator(quirks={"from_rgb_kernel": 5})
    with pytest.raises(InputError, match="linear_dense must be True or False, got 2"):
        discriminator(quirks={"linear_dense": 2})
    with pytest.raises(InputError, match="from_rgb_activations must be an integer from 0 to 2, got 3"):
        discriminator(quirks={"from_rgb_activations": 3})
    with pytest.raises(InputError, match="unknown field 'bilinear_upscale'; DiscriminatorQuirks has"):
        discriminator(bilinear_upscale=True)
