"""The reader of official pickles: takes them at every protocol, runs nothing, refuses everything else."""

import collections
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from stylegan import Discriminator, Generator
from stylegan.errors import UnsafeFileError, WeightsError
from stylegan.weights.formats.official_pickle import OfficialNetwork, read_official_pickle

from ...conftest import GOLDEN
from .official import Network, as_official


def test_plain_data(networks: dict[str, OfficialNetwork]) -> None:
    assert list(networks) == ["G", "D", "Gs"]
    Gs = networks["Gs"]
    assert (Gs.build_func_name, networks["D"].build_func_name) == ("G_style", "D_basic")
    assert Gs.static_kwargs["resolution"] == 16
    assert list(Gs.components) == ["synthesis", "mapping"]
    assert Gs.components["synthesis"].variables["4x4/Conv/weight"].shape == (3, 3, 8, 8)
    assert Gs.variables["lod"].shape == ()


@pytest.mark.parametrize("protocol", range(6))
def test_every_protocol_and_the_source_is_never_run(
    networks: dict[str, OfficialNetwork], dump: Callable[..., Path], protocol: int
) -> None:
    path = dump(tuple(as_official(network) for network in networks.values()), protocol)
    again = read_official_pickle(path)
    assert list(again) == ["G", "D", "Gs"]
    for name, network in networks.items():
        assert again[name].static_kwargs == network.static_kwargs
        for part in (None, "synthesis", "mapping") if name != "D" else (None,):
            one, two = ((n if part is None else n.components[part]).variables for n in (network, again[name]))
            assert one.keys() == two.keys()
            assert all((one[key] == two[key]).all() and one[key].shape == two[key].shape for key in one)
    Generator.from_pretrained(path)
    Discriminator.from_pretrained(path)


def test_version_2_and_single_networks(networks: dict[str, OfficialNetwork], dump: Callable[..., Path]) -> None:
    G = Generator.from_pretrained(dump(as_official(networks["Gs"], version=2)))
    assert torch.equal(G.w_avg, Generator.from_pretrained(GOLDEN / "T" / "network_nosrc.pkl").w_avg)
    state = as_official(networks["D"], version=2).state
    del state["components"]
    Discriminator.from_pretrained(dump(Network(**state)))


def test_version_4_is_stylegan_1_of_stylegan_2s_repository(
    networks: dict[str, OfficialNetwork], dump: Callable[..., Path]
) -> None:
    def version_4(network: OfficialNetwork) -> Network:
        components = {key: as_official(value, version=4) for key, value in network.components.items()}
        return as_official(network, version=4, components=components)

    path = dump(tuple(version_4(network) for network in networks.values()))
    G, expected = Generator.from_pretrained(path), Generator.from_pretrained(GOLDEN / "T" / "network_nosrc.pkl")
    assert (G.sample(2, output_type="np") == expected.sample(2, output_type="np")).all()
    D, expected_D = (
        Discriminator.from_pretrained(path),
        Discriminator.from_pretrained(GOLDEN / "T" / "network_nosrc.pkl"),
    )
    assert all(
        torch.equal(a, b) for a, b in zip(D.state_dict().values(), expected_D.state_dict().values(), strict=True)
    )


@pytest.mark.parametrize("version", [3, 4, 5])
@pytest.mark.parametrize("function", ["G_main", "D_stylegan2", "G_synthesis_stylegan_revised"])
def test_networks_of_stylegan_2_are_named(
    networks: dict[str, OfficialNetwork], dump: Callable[..., Path], version: int, function: str
) -> None:
    other = as_official(networks["G"], version=version, build_func_name=function, custom=1)
    with pytest.raises(WeightsError, match=rf"network\.pkl: a network of StyleGAN2 \('{function}'\)"):
        Generator.from_pretrained(dump((other, other, other)))


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("_reconstruct_persistent_obj@torch_utils.persistence", "StyleGAN2-ADA or StyleGAN3"),
        ("Network@tfutil", "Progressive GAN"),
    ],
)
def test_programs_of_others_are_named(tmp_path: Path, where: str, message: str) -> None:
    name, module = where.split("@")
    (tmp_path / "a.pkl").write_bytes(f"c{module}\n{name}\n)R.".encode())
    with pytest.raises(UnsafeFileError, match=rf"a\.pkl: asks for .*{message}.*reads StyleGAN 1"):
        Generator.from_pretrained(tmp_path / "a.pkl")


@pytest.mark.parametrize("wrong", [np.nan, np.inf, -np.inf, 1e300])
@pytest.mark.parametrize(
    "where", ["Gs/dlatent_avg", "Gs/lod", "synthesis/8x8/Conv1/weight", "mapping/Dense0/bias", "D/lod"]
)
def test_values_that_are_no_finite_float32_are_named(
    networks: dict[str, OfficialNetwork], dump: Callable[..., Path], where: str, wrong: float
) -> None:
    part, name = where.split("/", 1)
    owner = networks["D" if part == "D" else "Gs"]
    network = owner.components.get(part, owner)
    values = {key: np.array(value, "f8") for key, value in network.variables.items()}
    values[name].reshape(-1)[0] = wrong
    changed = as_official(network, variables=list(values.items()))
    if network is not owner:
        changed = as_official(owner, components={**changed_components(owner), part: changed})
    path = dump(tuple(changed if n is owner else as_official(n) for n in networks.values()))
    if wrong == 1e300 and name == "lod":
        return  # Beyond any level of detail, which the network itself refuses.
    with pytest.raises(WeightsError, match=rf"network\.pkl: variable '{name}' holds NaN or infinity"):
        (Discriminator if part == "D" else Generator).from_pretrained(path)


def changed_components(network: OfficialNetwork) -> dict[str, Network]:
    return {key: as_official(value) for key, value in network.components.items()}


@pytest.mark.parametrize("wrong", [float("nan"), float("inf")])
def test_options_that_are_not_finite_are_refused(
    networks: dict[str, OfficialNetwork], dump: Callable[..., Path], wrong: float
) -> None:
    G = as_official(networks["Gs"], static_kwargs={"truncation_psi": wrong})
    with pytest.raises(WeightsError, match="official option truncation_psi is"):
        Generator.from_pretrained(dump(G))


def without_average(network: OfficialNetwork) -> Network:
    return as_official(network, variables=[(k, v) for k, v in network.variables.items() if k != "dlatent_avg"])


def test_an_average_that_is_kept_apart_from_gs(networks: dict[str, OfficialNetwork], dump: Callable[..., Path]) -> None:
    average = np.array(networks["Gs"].variables["dlatent_avg"])
    G, D, Gs = as_official(networks["G"]), as_official(networks["D"]), without_average(networks["Gs"])
    bare = without_average(networks["G"])
    for value in (
        (G, D, Gs),
        (bare, D, Gs, average),
        [bare, D, Gs, average[None]],
        (bare, D, Gs, {"dlatent_avg": average}),
    ):
        loaded = Generator.from_pretrained(dump(value))
        assert np.array_equal(
            loaded.w_avg.numpy(), networks["G"].variables["dlatent_avg"] if value[0] is G else average
        )
        assert "keeps apart" in loaded.metadata["notes"][0]
    with pytest.raises(WeightsError, match="missing 'w_avg'"):
        Generator.from_pretrained(dump((bare, D, Gs)))


@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_variables_alone_under_their_official_names(
    networks: dict[str, OfficialNetwork], dump: Callable[..., Path], protocol: int
) -> None:
    def raw(network: OfficialNetwork) -> dict[str, np.ndarray]:
        named = {f"G_{part}": one.variables for part, one in network.components.items()}
        inner: dict[str, Any] = {
            f"{part}/{key}": value for part, values in named.items() for key, value in values.items()
        }
        return collections.OrderedDict(dict(inner or network.variables) | ({} if not inner else {"lod": np.float32(0)}))

    average = np.array(networks["Gs"].variables["dlatent_avg"])
    G, D, Gs = (raw(networks[name]) for name in ("G", "D", "Gs"))
    expected = Generator.from_pretrained(GOLDEN / "T" / "network_nosrc.pkl")
    for value in (
        [G, D, Gs, average],
        {"G": G, "D": D, "Gs": Gs, "dlatent_avg": average},
        list((Gs | {"dlatent_avg": average}).items()),
    ):
        loaded = Generator.from_pretrained(dump(value, protocol))
        assert "as trained" not in str(loaded.metadata)
        assert torch.equal(loaded.w_avg, expected.w_avg)
        for key, tensor in loaded.synthesis.state_dict().items():
            assert torch.equal(tensor, expected.synthesis.state_dict()[key]), key


def test_memory_orders_and_byte_orders(networks: dict[str, OfficialNetwork], dump: Callable[..., Path]) -> None:
    expected = networks["D"].variables["4x4/Conv/weight"]
    for array in (np.asfortranarray(expected), expected.astype(">f4"), expected.astype("f8")):
        network = as_official(networks["D"], variables=[("4x4/Conv/weight", array)])
        for protocol in (2, 4, 5):
            given = read_official_pickle(dump(network, protocol))["D"].variables["4x4/Conv/weight"]
            assert (given == expected).all()


def test_damaged_files(networks: dict[str, OfficialNetwork], dump: Callable[..., Path]) -> None:
    path = GOLDEN / "T" / "network_nosrc.pkl"
    data = path.read_bytes()
    for damaged in (
        b"",
        data[:100],
        data[:-1],
        data[: len(data) // 2],
        b"<html>404</html>",
        b"version https://git-lfs",
    ):
        path = dump(None)
        path.write_bytes(damaged)
        with pytest.raises(WeightsError):
            read_official_pickle(path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"version": 1}, "format version 1; expected 2, 3 or 4"),
        ({"extra": 1}, "unknown key 'extra'"),
        ({"variables": [("a", 1, 2)]}, "expected .name, value."),
        ({"variables": [("a", "text")]}, "expected an array"),
        ({"static_kwargs": {"resolution": {"nested": 1}}}, "option 'resolution' is a dict"),
        ({"components": {"mapping": 3}}, "expected a network"),
        ({"name": 3}, "no name"),
    ],
)
def test_malformed_networks(
    networks: dict[str, OfficialNetwork], dump: Callable[..., Path], changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(WeightsError, match=message):
        read_official_pickle(dump(as_official(networks["Gs"], **changes)))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"build_func_name": "G_paper"}, "'G_paper'; only the official G_style and D_basic"),
        ({"components": {}}, "lacks its component"),
        ({"variables": [("surprise", np.zeros(3, "f4"))]}, "unknown variable 'surprise'"),
        ({"static_kwargs": {"truncation_psi": "much"}}, "truncation_psi is 'much'"),
        ({"variables": []}, "missing 'w_avg'"),
    ],
)
def test_networks_that_cannot_be_converted(
    networks: dict[str, OfficialNetwork], dump: Callable[..., Path], changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(WeightsError, match=message):
        Generator.from_pretrained(dump(as_official(networks["Gs"], **changes)))


def test_arrays_must_fit_their_bytes(networks: dict[str, OfficialNetwork], dump: Callable[..., Path]) -> None:
    data = pickle.dumps(as_official(networks["D"], variables=[("w", np.zeros((3, 5), "f4"))]), 4)
    path = dump(None)
    path.write_bytes(data.replace(b"K\x03K\x05\x86", b"K\x03K\x06\x86"))
    with pytest.raises(WeightsError, match="has 60 bytes"):
        read_official_pickle(path)
