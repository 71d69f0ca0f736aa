"""Trained networks to start from: read, and compared with the settings of the new run."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from math import ceil, log2
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from ..discriminator import Discriminator
from ..errors import InputError, WeightsError
from ..generator import Generator
from ..networks.generator import complete, whole_config
from ..networks.shapes import feature_maps, resolution_of
from ..weights.checkpoint import Checkpoint, config_from_json
from ..weights.loading import Loaded, build_network, read_weights
from .checkpoints import config_of, list_checkpoints, read_tensors
from .config import FEATURE_MAPS, TrainingConfig
from .presets import PRESETS

# Metadata that models made from a model inherit.
_INHERITED = ("license", "license_url", "attribution", "citation")


@dataclass(frozen=True)
class Source:
    """Trained networks to start from."""

    name: str  # As given.
    networks: Mapping[str, Checkpoint]  # G, Gs, and D if there is one.
    preset: str  # Configuration of the paper, or the nearest one.

    @cached_property
    def generator(self) -> dict[str, Any]:
        """All arguments of the generator, including defaults."""
        return whole_config(self.networks["Gs"].config)

    @cached_property
    def discriminator(self) -> dict[str, Any] | None:
        """All arguments of the discriminator."""
        return complete(Discriminator, self.networks["D"].config) if "D" in self.networks else None

    @property
    def resolution(self) -> int:
        """Height and width of the images."""
        return int(self.generator["img_resolution"])

    @property
    def can_grow(self) -> bool:
        """Whether all networks have an RGB layer at every resolution."""
        D = self.discriminator
        return bool(self.generator["synthesis"]["progressive"] and (D is None or D["progressive"]))

    def lod(self, resolution: int) -> float:
        """Level of detail at which a network of that resolution shows the same as the model."""
        own = float(self.generator["synthesis"]["lod"]) if self.generator["synthesis"]["progressive"] else 0.0
        return max(own + log2(resolution / self.resolution), 0.0)

    def settle(self, config: TrainingConfig) -> TrainingConfig:
        """The settings of a run from here: omitted ones are the model's, and so is where its schedule begins.

        Raises InputError, with the settings to use, if others conflict with the model.
        """
        G, D, resolution = self.generator, self.discriminator, config.img_resolution()
        mapping, maps = G["mapping"], {name: G["synthesis"][name] for name in FEATURE_MAPS}
        values = {
            "preset": self.preset,
            "z_dim": G["z_dim"],
            "w_dim": G["w_dim"],
            "hidden_dim": mapping["hidden_dim"],
            "mapping_layers": mapping["num_layers"],
            **maps,
        }
        if D is not None:
            values["mbstd_group_size"] = max(D["mbstd_group_size"], 1)
        settled, lod = config.filled(values), self.lod(resolution)
        if config.initial_resolution is None:
            coarser = ceil(lod)
            settled = settled.filled({"initial_resolution": resolution >> coarser, "initial_fade": coarser - lod})

        differing = config.differing(values)
        if {settled.preset, self.preset} <= {"E", "F"}:  # The same networks.
            differing.pop("preset", None)
        if mapping["num_layers"] < 2:  # No hidden layer, or no layer at all.
            differing.pop("hidden_dim", None)
        if mapping["num_layers"] == 0:
            differing.pop("w_dim", None)
        shared = [2**i for i in range(1 if D else 2, int(log2(min(resolution, self.resolution))) + 1)]
        if all(feature_maps(r, **maps) == feature_maps(r, **settled.feature_maps()) for r in shared):
            differing = {name: value for name, value in differing.items() if name not in FEATURE_MAPS}
        if D is not None and (D["mbstd_group_size"] > 1) == (settled.value("mbstd_group_size") > 1):
            differing.pop("mbstd_group_size", None)  # No weight depends on it.
        if differing:
            given = ", ".join(f"{name} {getattr(config, name)}" for name in differing)
            model = ", ".join(f"{name} {value}" for name, value in differing.items())
            fitting = " ".join(f"--set {name}={value}" for name, value in differing.items())
            raise InputError(
                f"{self.name} was made with other settings: it has {model}; got {given}. Use {fitting}, or leave "
                f"{'it' if len(differing) == 1 else 'them'} out"
            )
        if not self.can_grow:
            if resolution != self.resolution:
                raise InputError(
                    f"{self.name} has one RGB layer, for images of {self.resolution}x{self.resolution}, and can "
                    f"neither grow nor shrink; got {resolution}x{resolution}. Use --resolution {self.resolution}, "
                    "with images of that size or more"
                )
            if settled.schedule().lod(0) > 0:
                raise InputError(
                    f"{self.name} has one RGB layer, for images of {resolution}x{resolution}, and cannot start at "
                    f"{settled.initial_resolution}x{settled.initial_resolution}; leave initial_resolution out"
                )
        return settled

    def metadata(self) -> dict[str, Any]:
        """What a run inherits: the model's licence, attribution and name, and the metadata of it and its origins."""
        known = dict(self.networks["Gs"].metadata)
        origins = known.pop("lineage", [])
        inherited = {name: known[name] for name in _INHERITED if known.get(name)}
        name = known.get("name") or Path(self.name).name
        return inherited | {"start_from": name, "lineage": [known, *(origins if isinstance(origins, list) else [])]}


def read_source(source: str | os.PathLike[str], config: TrainingConfig) -> Source:
    """Read the networks G, D and Gs, or those that there are.

    source: the folder of a run, one of its checkpoints, or anything that `Generator.from_pretrained` reads. An official
        pickle has all three networks; a file with only a generator lacks the discriminator.
    config: of the new run, for runs of earlier versions whose own settings are missing.

    Raises InputError if it holds no generator; NotFoundError or WeightsError as in reading.
    """
    path = Path(source)
    checkpoints = list_checkpoints(path / "checkpoints")
    if checkpoints or path in list_checkpoints(path.parent):
        return _read_run(str(source), checkpoints[-1] if checkpoints else path, config)
    try:
        resolution, Gs = None, read_weights(source, network=None).checkpoint
    except WeightsError:
        if config.resolution is None:
            raise
        # The settings may give what a file of another port leaves open.
        resolution, Gs = config.resolution, read_weights(source, network=None, resolution=config.resolution).checkpoint
    if Gs.network != "Generator":
        raise InputError(f"{source}: holds a {Gs.network}; expected a generator, or all networks of a run")
    found = {"G": Gs, "Gs": Gs}
    for name in ("G", "D"):
        try:
            other = read_weights(source, network=name, resolution=resolution).checkpoint
        except WeightsError:
            continue
        if other.network == ("Discriminator" if name == "D" else "Generator"):
            found[name] = other
    preset = Gs.metadata.get("preset")
    return _source(str(source), found, preset if isinstance(preset, str) else None)


def _read_run(name: str, path: Path, config: TrainingConfig) -> Source:
    """The networks of a checkpoint of a run."""
    tensors, counters = read_tensors(path)
    parts = {part: _below(tensors, f"{part}.") for part in ("G", "D", "Gs")}
    folder, run = path.parent.parent, counters.get("run")
    if run is None:
        run = _described_by_settings(config_of(path), config, parts, counters)
    metadata = {"name": folder.resolve().name} | run.get("metadata", {})
    if (folder / "config.json").is_file():
        metadata |= config_from_json(folder / "config.json").metadata
    networks = {
        part: Checkpoint("Discriminator" if part == "D" else "Generator", run["networks"][part[0]], tensors, metadata)
        for part, tensors in parts.items()
    }
    try:
        return _source(name, networks, run["settings"].get("preset"))
    except WeightsError as error:
        if counters.get("run") is not None or config_of(path) is not None:
            raise
        raise InputError(
            f"{name}: a run of an earlier version, without the config.yaml that says how it was made; put it into "
            f"{folder}, or give the settings of its networks (z_dim, fmap_base...). With the present ones, {error}"
        ) from error


def _described_by_settings(
    own: TrainingConfig | None,
    config: TrainingConfig,
    parts: Mapping[str, Mapping[str, Tensor]],
    counters: Mapping[str, Any],
) -> dict[str, Any]:
    """`TrainingState.run` of a run of earlier versions, from its settings and its tensors.

    own: its settings; None = those of the new run, config.
    """
    resolution = stored_resolution(parts["G"])
    own = replace(own or replace(config, initial_resolution=resolution), resolution=resolution)
    embed = parts["G"].get("mapping.embed.weight")
    shape = {
        "img_channels": len(parts["G"][f"synthesis.to_rgb.{resolution}.bias"]),
        "label_dim": 0 if embed is None else embed.shape[1],
    }
    G, D = own.make_generator(**shape).config, own.make_discriminator(**shape).config
    lod = own.schedule().at(counters["images"] / 1000).lod
    networks = {"G": G | {"synthesis": G["synthesis"] | {"lod": lod}}, "D": D | {"lod": lod}}
    return {"networks": networks, "settings": own.kept()}


def _source(name: str, networks: Mapping[str, Checkpoint], preset: str | None) -> Source:
    """A source whose weights fit its config. Raises WeightsError if they do not."""
    for part, checkpoint in networks.items():
        cls: type[nn.Module] = Discriminator if part == "D" else Generator
        build_network(cls, Loaded(checkpoint, f"{part} of {name}"))
    source = Source(name, networks, preset or "")
    return source if preset in PRESETS else replace(source, preset=_nearest_preset(source.generator))


def _nearest_preset(generator: Mapping[str, Any]) -> str:
    """The configuration of the paper nearest to a generator of other origin."""
    synthesis = generator["synthesis"]
    if not synthesis["use_styles"]:
        return "B" if synthesis["blur_filter"] else "A"
    if not synthesis["const_input"]:
        return "C"
    return "F" if synthesis["use_noise"] else "D"


def stored_resolution(tensors: Mapping[str, Tensor]) -> int:
    """The highest resolution among tensors of a network."""
    return max(resolution_of(key) for key in tensors)


def _below(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {key.removeprefix(prefix): tensor for key, tensor in tensors.items() if key.startswith(prefix)}
