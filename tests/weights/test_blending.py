"""Blends and averages of networks: which weights come from where, what is refused, what is handed down."""

import warnings
from typing import Any

import pytest
import torch

from stylegan import Generator
from stylegan.errors import InputError
from stylegan.networks.shapes import resolution_of

from ..conftest import tiny_generator


def network(seed: int, name: str = "child", **options: Any) -> Generator:
    """A 32x32 network, every number of which is its own; fine-tuned, it says, from `parent`."""
    G = tiny_generator(img_resolution=32, **options)
    generator = torch.Generator().manual_seed(seed)
    for tensor in G.state_dict().values():
        tensor.copy_(torch.randn(tensor.shape, generator=generator))
    G.metadata = {"name": name, "license": "CC0"} | ({} if name == "parent" else {"start_from": "parent"})
    return G


@pytest.fixture(scope="module")
def parent() -> Generator:
    return network(1, "parent")


@pytest.fixture(scope="module")
def child() -> Generator:
    return network(2)


def origins(G: Generator, parent: Generator, child: Generator) -> dict[str, str]:
    """For each tensor of G, the network that it is of, to the last bit."""
    own, a, b = G.state_dict(), parent.state_dict(), child.state_dict()
    return {
        key: "parent" if torch.equal(own[key], a[key]) else "child" if torch.equal(own[key], b[key]) else "both"
        for key in own
    }


def test_from_a_resolution_on_the_layers_are_the_other_s(parent: Generator, child: Generator) -> None:
    found = origins(parent.blend(child, resolution=16), parent, child)
    for key, origin in found.items():
        assert origin == ("child" if resolution_of(key) >= 16 else "parent"), key
    # Layers 4 and 5 work at 16x16; the RGB layer of a resolution goes with it, the mapping network stays.
    assert found["synthesis.layers.3.source.weight"] == "parent"
    assert found["synthesis.layers.4.style.weight"] == "child"
    assert found["synthesis.to_rgb.32.weight"] == "child"
    assert found["synthesis.to_rgb.8.weight"] == "parent"
    assert found["mapping.layers.0.weight"] == found["w_avg"] == "parent"


def test_the_others_mapping_is_taken_on_request(parent: Generator, child: Generator) -> None:
    found = origins(parent.blend(child, resolution=4, mapping="other"), parent, child)
    assert set(found.values()) == {"child"}
    only_mapping = origins(parent.blend(child, resolution=32, mapping="other"), parent, child)
    assert only_mapping["w_avg"] == only_mapping["mapping.layers.7.bias"] == "child"
    assert only_mapping["synthesis.layers.0.bias"] == "parent"


def test_a_width_spreads_the_change_over_resolutions(parent: Generator, child: Generator) -> None:
    blend = parent.blend(child, resolution=16, width=2).state_dict()
    a, b = parent.state_dict(), child.state_dict()
    for layer, share in ((0, 0.0), (2, 0.25), (4, 0.75), (6, 1.0)):
        key = f"synthesis.layers.{layer}.bias"
        torch.testing.assert_close(blend[key], torch.lerp(a[key], b[key], share))
    wide = parent.blend(child, resolution=16, width=4).state_dict()
    for layer, share in ((0, 0.125), (2, 0.375), (4, 0.625), (6, 0.875)):
        key = f"synthesis.layers.{layer}.bias"
        torch.testing.assert_close(wide[key], torch.lerp(a[key], b[key], share))
    # The mean of two maps would be weaker than either.
    for layer, origin in ((2, a), (4, b)):
        assert torch.equal(
            wide[f"synthesis.layers.{layer}.noise_const"], origin[f"synthesis.layers.{layer}.noise_const"]
        )


def test_a_network_blended_or_averaged_with_itself_is_itself(parent: Generator) -> None:
    for made in (parent.blend(parent, width=3), parent.average([parent, parent])):
        assert made.weights_sha256 == parent.weights_sha256


def test_what_comes_out_is_a_generator_like_the_first(parent: Generator, child: Generator) -> None:
    G = parent.blend(child, resolution=16)
    assert not G.training
    assert not any(p.requires_grad for p in G.parameters())
    assert G.sample(seeds=[1], output_type="pt").isfinite().all()
    assert not torch.equal(G.sample(seeds=[1], output_type="pt"), parent.sample(seeds=[1], output_type="pt"))
    before = parent.weights_sha256
    for p in G.parameters():
        p.zero_()
    assert parent.weights_sha256 == before


def test_it_can_be_trained_when_it_was_made_in_inference_mode(parent: Generator, child: Generator) -> None:
    with torch.inference_mode():
        G = parent.blend(child)
    assert not any(tensor.is_inference() for tensor in G.state_dict().values())


def test_half_precision_and_path_are_those_of_the_first(parent: Generator, child: Generator) -> None:
    half = network(1, "parent")
    half.synthesis.to(torch.bfloat16)
    half.path = "plain"
    G = half.blend(child)
    assert (G.dtype, G.path, G.mapping.layers[0].weight.dtype) == (torch.bfloat16, "plain", torch.float32)


def test_an_average_is_weighted(parent: Generator, child: Generator) -> None:
    third = network(3, "third")
    mean = parent.average([child, third], weights=[2, 1, 1]).state_dict()
    a, b, c = (G.state_dict() for G in (parent, child, third))
    for key in ("w_avg", "mapping.layers.2.weight", "synthesis.layers.4.source.weight"):
        torch.testing.assert_close(mean[key], a[key] / 2 + b[key] / 4 + c[key] / 4)
    assert torch.equal(mean["synthesis.layers.4.noise_const"], a["synthesis.layers.4.noise_const"])
    even = parent.average([child]).state_dict()
    torch.testing.assert_close(even["w_avg"], (a["w_avg"] + b["w_avg"]) / 2)


def test_another_architecture_is_refused_with_the_difference(parent: Generator) -> None:
    for options, message in (
        ({"img_resolution": 16}, "img_resolution 32, against .*img_resolution 16"),
        ({"synthesis": {"blur_filter": None}}, r"blur_filter \[1, 2, 1\], against blur_filter None"),
        ({"synthesis": {"fmap_max": 8}}, "fmap_max 16, against fmap_max 8"),
        (
            {"synthesis": {"quirks": {"bias_before_blur": True}}},
            "bias_before_blur False, against bias_before_blur True",
        ),
        ({"synthesis": {"lod": 1.0}}, "lod 0.0, against lod 1.0"),
        ({"w_dim": 16}, "w_dim 24, against w_dim 16"),
    ):
        other = tiny_generator(**{"img_resolution": 32} | options)
        with pytest.raises(InputError, match=f"parent and unnamed have other architectures: {message}"):
            parent.blend(other)
        with pytest.raises(InputError, match="only networks of one architecture"):
            parent.average([other])


def test_settings_that_make_the_same_network_are_no_difference(parent: Generator) -> None:
    same = tiny_generator(
        img_resolution=32, truncation_psi=0.5, synthesis={"fmap_base": 256, "fmap_max": 16, "blur_filter": (1, 2, 1)}
    )
    parent = tiny_generator(img_resolution=32, synthesis={"fmap_base": 512})
    for G in (parent, same):
        G.metadata = {"name": "parent"}
    parent.blend(same)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"resolution": 64}, "resolution must be an integer from 4 to 32, got 64"),
        ({"resolution": 24}, "resolution must be a power of two from 4 to 32, got 24"),
        ({"resolution": "16"}, "resolution must be an integer from 4 to 32, got '16'"),
        ({"width": -1}, "width must be a number from 0 to 16, got -1"),
        ({"mapping": "child"}, "mapping must be one of 'own', 'other'; got 'child'"),
    ],
)
def test_bad_arguments_are_one_clear_error(
    parent: Generator, child: Generator, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError) as error:
        parent.blend(child, **arguments)
    assert message in str(error.value)


def test_what_is_no_generator_or_no_weight_is_refused(parent: Generator, child: Generator) -> None:
    with pytest.raises(InputError, match="expected a Generator besides parent, got 'child'"):
        parent.blend("child")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="weights must be one for each of 2 networks, got 1"):
        parent.average([child], weights=[1])
    with pytest.raises(InputError, match="a weight must be a number from 0"):
        parent.average([child], weights=[1, -1])
    with pytest.raises(InputError, match="must not all be 0"):
        parent.average([child], weights=[0, 0])
    with pytest.raises(InputError, match="meta device"):
        parent.blend(network(2).to("meta"))


def test_licences_and_origins_of_all_are_kept(parent: Generator, child: Generator) -> None:
    child = network(2)
    child.metadata |= {"license": "CC BY-NC 4.0", "attribution": "Photos by A.", "dataset": "drawings"}
    child.metadata["lineage"] = [{"name": "parent", "license": "CC0"}]
    G = parent.blend(child, resolution=16, width=1)
    assert G.metadata["license"] == "CC0 and CC BY-NC 4.0"
    assert (G.name, G.metadata["attribution"], G.metadata["dataset"]) == ("parent+child", "Photos by A.", "drawings")
    assert [known["name"] for known in G.metadata["lineage"]] == ["parent", "child"]
    assert G.metadata["blend"] == {
        "from": 16,
        "width": 1,
        "mapping": "own",
        "of": ["parent", "child"],
        "weights_sha256": [parent.weights_sha256, child.weights_sha256],
    }
    assert G.sample()[0].info["license"] == "CC0 and CC BY-NC 4.0"
    del child.metadata["license"]
    assert parent.blend(child).metadata["license"] == "CC0 and unknown"


def test_networks_that_share_no_origin_are_warned_of(parent: Generator, child: Generator) -> None:
    stranger = network(4, "stranger")
    stranger.metadata = {"name": "stranger"}
    with pytest.warns(UserWarning, match="parent and stranger do not say that they come from one network") as found:
        parent.blend(stranger)
    assert found[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        parent.blend(child)
        child.average([network(5, "sister")])
