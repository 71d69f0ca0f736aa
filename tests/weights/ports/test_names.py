"""The files of other ports, name by name: against the descriptions of the layouts, and damaged."""

import json
import re
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from stylegan.errors import UnsafeFileError, WeightsError
from stylegan.weights.checkpoint import Checkpoint

from ...conftest import GOLDEN, SHARED
from . import writers as ports
from .golden_sets import as_discriminator, as_generator, golden_set
from .writers import Variables


def standard_variables() -> tuple[Variables, Variables]:
    """The variables of the official 1024x1024 networks, without memory."""
    g: Variables = {}
    d: Variables = {}
    target = {}
    for line in (GOLDEN / "variables_ffhq1024.txt").read_text().splitlines():
        if line.startswith("# "):
            target = d if line.startswith("# D ") else g if line.startswith("# G ") or "component" in line else {}
        elif match := re.match(r"(\S+)\s+\(([\d, ]*)\)", line):
            shape = [int(n) for n in match[2].replace(" ", "").split(",") if n]
            target[re.sub(r"^G_(synthesis|mapping)/", "", match[1])] = torch.empty(shape, device="meta")
    return g, d


def described(layout: str, key: str) -> dict[str, list[int]]:
    description = json.loads((SHARED / "layouts" / f"{layout}.json").read_text())
    for part in key.split("/"):
        description = description[part]
    return {name: shape for name, shape, *_ in description}


@pytest.mark.skipif(not (SHARED / "layouts").is_dir(), reason="the descriptions of the layouts are not there")
def test_files_of_these_tests_are_as_described() -> None:
    g, d = standard_variables()
    podgorskiy = ports.podgorskiy_generator(g, multiplied=True)
    mapping_f = ports.podgorskiy_mapping(g, multiplied=True, pattern="map_blocks.{}.fc", first=0)
    for layout, key, state in [
        ("genforce", "generator_1024", ports.genforce_generator(g)),
        ("genforce", "discriminator_1024", ports.genforce_discriminator(d)),
        ("interfacegan", "generator_1024", ports.interfacegan(g)),
        ("rosinality", "generator", ports.rosinality_generator(g)),
        ("rosinality", "discriminator_from_rgb_activate", ports.rosinality_discriminator(ports.widened(d))),
        (
            "rosinality",
            "discriminator_no_from_rgb_activate",
            ports.rosinality_discriminator(ports.widened(d), activated=False),
        ),
        ("huangzh13", "generator_1024", ports.huangzh13_generator(g)),
        ("huangzh13", "discriminator_1024", ports.huangzh13_discriminator(d)),
        ("lernapparat", "g_all_1024", ports.lernapparat_generator(g)),
        ("lernapparat", "d_basic_1024", ports.lernapparat_discriminator(d)),
        ("ganspace", "generator_1024", ports.lernapparat_generator(g)),
        ("podgorskiy", "generator", podgorskiy),
        ("podgorskiy", "mapping", ports.podgorskiy_mapping(g, multiplied=True)),
        ("podgorskiy", "discriminator", ports.podgorskiy_discriminator(d, multiplied=True)),
        ("podgorskiy", "dlatent_avg", ports.podgorskiy_average(g)),
        ("alae", "decoder", podgorskiy),
        ("alae", "mapping_f", mapping_f),
        ("stylegan_zoo", "model", ports.stylegan_zoo(g)),
        ("mmgeneration", "1024/generator", ports.mmgeneration_generator(g)),
        ("mmgeneration", "1024/discriminator", ports.mmgeneration_discriminator(ports.widened(d))),
    ]:
        given = {name: list(tensor.shape) for name, tensor in state.items()}
        assert given == described(layout, key), (layout, key)


def test_obsolete_unknown_and_ambiguous_files(read: Callable[..., list[Checkpoint]]) -> None:
    older = {"generator.progression.1.conv1.conv.weight_orig": torch.ones(2, 2, 3, 3)}
    with pytest.raises(WeightsError, match="before 4 July 2019"):
        read({"generator": older, "g_running": older, "discriminator": {}})
    with pytest.raises(WeightsError, match=r"port\.pth: .* synthesis\.first, .*supported are genforce, interfacegan"):
        read({"synthesis.first": torch.ones(1), "mapping.fc0.weight": torch.ones(1)})
    with pytest.raises(WeightsError, match="first tensors are none"):
        read({"state": {"epoch": 3}})
    with pytest.raises(WeightsError, match="expected dictionaries"):
        read(torch.ones(3))
    golden = golden_set("T")
    both = {"a": ports.genforce_generator(golden.g), "b": ports.lernapparat_generator(golden.g)}
    with pytest.raises(WeightsError, match="several layouts: genforce, lernapparat"):
        read(both)


EVERY = {
    "genforce": lambda s: ports.genforce_generator(s.g),
    "genforce D": lambda s: ports.genforce_discriminator(s.d),
    "interfacegan": lambda s: ports.interfacegan(s.g),
    "rosinality": lambda s: ports.rosinality_generator(s.g),
    "rosinality D": lambda s: ports.rosinality_discriminator(s.d),
    "huangzh13": lambda s: ports.huangzh13_generator(s.g),
    "huangzh13 D": lambda s: ports.huangzh13_discriminator(s.d),
    "lernapparat": lambda s: ports.lernapparat_generator(s.g),
    "lernapparat D": lambda s: ports.lernapparat_discriminator(s.d),
    "stylegan_zoo": lambda s: ports.stylegan_zoo(s.g),
    "mmgeneration": lambda s: ports.mmgeneration_generator(s.g),
    "mmgeneration D": lambda s: ports.mmgeneration_discriminator(s.d),
}


@pytest.mark.parametrize("layout", EVERY)
def test_missing_extra_misshapen_and_broken_tensors(
    read: Callable[..., list[Checkpoint]], layout: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stylegan.weights.ports.checkpoints.NUM_W_AVG", 10)  # For speed.
    state = EVERY[layout](golden_set("T"))
    names = [
        name for name in state if not re.search(r"blur|kernel|conv1\.[12]\.weight(_flip)?$|conv2\.0\.weight", name)
    ]
    # Nor blocks that were not trained.
    cut = {"rosinality": r"(progression|to_rgb)\.[3-8]", "rosinality D": r"(progression|from_rgb)\.[0-5]\."}
    names = [name for name in names if not re.search(cut.get(layout, "(?!)"), name)]
    generator = np.random.RandomState(0)
    for i in generator.choice(len(names), 8, replace=False):
        name = names[i]
        changed = dict(state)
        del changed[name]
        optional = re.search(r"w_avg|avg_latent|dlatent_avg|lod|truncation\.truncation", name)
        outcome = _outcome(read, changed)
        assert outcome is not None or optional, f"without {name}"
        for wrong in (torch.ones(7), torch.ones(()), torch.ones(0), torch.ones(2, 3, 5, 1), state[name].half() / 0):
            outcome = _outcome(read, state | {name: wrong})
            assert outcome is not None or re.search(r"lod|truncation\.truncation", name), (name, wrong.shape)
    with pytest.raises(WeightsError, match="unexpected tensors 'surprise'"):
        read(state | {"surprise": torch.ones(3)}, resolution=16)


def _outcome(read: Callable[..., list[Checkpoint]], state: dict[str, Tensor]) -> str | None:
    """What reading and building raises of our errors; anything else fails the test."""
    try:
        for checkpoint in read(state, resolution=16):
            (as_generator if checkpoint.network == "Generator" else as_discriminator)(checkpoint)
    except WeightsError as error:
        return str(error)
    return None


def test_a_small_file_of_many_references_is_refused(read: Callable[..., list[Checkpoint]]) -> None:
    one = torch.ones(1000, 1000)
    with pytest.raises(UnsafeFileError, match="repeat the same values"):
        read({f"mapping.dense{i}.weight": one for i in range(1000)})
