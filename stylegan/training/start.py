"""Starting from trained networks: to continue, fine-tune or grow a model.

A new run takes the model's network arguments (of any origin), level of detail, licence and lineage. Counters, moments
and training settings are its own.
"""

import logging
import os
from collections.abc import Mapping
from math import log2

import torch
from torch import Tensor, nn

from ..discriminator import Discriminator
from ..errors import InputError
from ..generator import Generator
from ..networks.shapes import resolution_of
from .config import FEATURE_MAPS
from .source import Source, read_source, stored_resolution
from .state import TrainingState

_log = logging.getLogger(__name__)


def start_from(state: TrainingState, source: str | os.PathLike[str] | Source) -> None:
    """Take only the networks of a model: counters and moments stay those of a new run.

    source: what `read_source` takes or returns. The networks of the state become the model's, with all its options, at
        the resolution of the state. Resolutions that the model lacks keep their initial weights, so that it can grow;
        those above the state's are dropped.

    Raises InputError, with the settings to use, if the state's differ; NotFoundError or WeightsError as in reading.
    """
    if not isinstance(source, Source):
        source = read_source(source, state.config)
    config = source.settle(state.config)
    _check_data(source, state.G)
    resolution, seed = config.img_resolution(), config.seed
    lod = source.lod(resolution)
    of_both = {"img_resolution": resolution}
    synthesis = source.generator["synthesis"] | config.feature_maps() | {"lod": lod}
    G = Generator(**source.generator | of_both | {"synthesis": synthesis}, seed=seed)
    if source.discriminator is None:
        like = {"img_channels": G.img_channels, "label_dim": G.label_dim}
        D = config.make_discriminator(**like)
        _log.warning("%s holds no discriminator; a new one must first catch up with the generator", source.name)
    else:
        own = dict(source.discriminator)
        if all(own[name] == source.generator["synthesis"][name] for name in FEATURE_MAPS):
            own |= config.feature_maps()
        if own["mbstd_group_size"] > 1:
            own["mbstd_group_size"] = config.value("mbstd_group_size")
        D = Discriminator(**own | of_both | {"lod": lod}, seed=seed + 1)
    state.config = config
    state.replace_networks(G, D)
    for name, given in source.networks.items():
        _take_over(state.networks()[name], given.state_dict)
    state.metadata = source.metadata()
    if "D" in source.networks:
        state.start_resolution = min(resolution, source.resolution >> int(source.lod(source.resolution)))
    if config.schedule().lod(0) > lod + 1e-6:
        at = config.value("initial_resolution")
        _log.warning(
            "training starts at %dx%d as set, below what %s shows: the rest is faded in again", at, at, source.name
        )
    if source.lod(source.resolution) < log2(source.resolution / resolution):
        _log.warning(
            "%s shows images of %dx%d; cut to %dx%d, the first images are others: the RGB layer of a resolution "
            "learns nothing while the model is trained at higher ones",
            *(source.name, source.resolution, source.resolution, resolution, resolution),
        )
    _log.info(
        "starting from %s: %dx%d, now at level of detail %g of %dx%d",
        *(source.name, source.resolution, source.resolution, lod, resolution, resolution),
    )


def _check_data(source: Source, G: Generator) -> None:
    """Raise InputError if the data set has other labels or channels than the model."""
    channels, labels = source.generator["img_channels"], source.generator["label_dim"]
    if channels != G.img_channels:
        raise InputError(
            f"{source.name} makes images of {channels} channels, the data set has {G.img_channels}; "
            f"`stylegan dataset --channels {channels}` makes one that fits"
        )
    if labels != G.label_dim:
        has = f"has {labels} labels" if labels else "has no labels"
        next_step = (
            f"give a data set with {labels} labels, and --set conditional=true"
            if labels
            else "leave conditional out (--set conditional=false)"
        )
        given = f"this run has {G.label_dim}" if G.label_dim else "this run has none"
        raise InputError(f"{source.name} {has}, {given}; {next_step}")


@torch.no_grad()
def _take_over(network: nn.Module, given: Mapping[str, Tensor]) -> None:
    """Copy what both have, up to the lower of the two resolutions."""
    target = network.state_dict()
    shared = min(stored_resolution(target), stored_resolution(given))
    for key, tensor in target.items():
        if key in given and resolution_of(key) <= shared:
            tensor.copy_(given[key])
