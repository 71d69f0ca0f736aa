"""The images that a command starts from: from seeds, a file of latents, or photos."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from stylegan.cli.photos import Photos
from stylegan.cli.types import Label
from stylegan.errors import InputError
from stylegan.latents.ranges import SeedRanges

if TYPE_CHECKING:  # Help needs no torch: commands import what they need when they run.
    from torch import Tensor

    from stylegan.generator import Generator
    from stylegan.latents.files import Latents


@dataclass(frozen=True)
class Faces:
    """The images that a command starts from."""

    ws: "Tensor"  # [N, num_ws, w_dim], truncated.
    noise: "list[Tensor] | None"  # One map per layer, [N, 1, R, R]; None = the stored noise.
    names: list[str]  # "seed 3", or the names in the file or of the photos.
    psi: float  # Their truncation psi.
    settings: dict[str, object]  # What images made from them store: seeds, file or photos, psi, cutoff, label.

    def noise_for(self, order: "Tensor") -> "list[Tensor] | None":
        """The noise of the images with these indices."""
        return None if self.noise is None else [noise[order.to(noise.device)] for noise in self.noise]


def is_default(parameter: str) -> bool:
    """Whether a parameter of the running command was left at its default."""
    return click.get_current_context().get_parameter_source(parameter) is not ParameterSource.COMMANDLINE


def load_latents(
    G: "Generator", latents: Path | Photos, *, label: Label | None, option: str = "seeds"
) -> "tuple[Latents, dict[str, object]]":
    """Latents from a file or photos, given instead of an option's seeds, and what images made from them store."""
    what = "photos" if isinstance(latents, Photos) else "a file of latents"
    if not is_default(option):
        raise InputError(f"--{option} and {what} both choose the faces; give one of them")
    if label is not None:
        raise InputError(f"--label {label} applies to seeds only, not to {what}")
    if isinstance(latents, Photos):
        return latents.latents(G)
    from stylegan.latents.files import Latents

    return Latents.load(latents, G), latents_settings(latents)


def count_rows(seeds: SeedRanges, latents: Path | Photos | None) -> int:
    """How many faces an image will show, as far as is known before loading; a file has at least one."""
    if isinstance(latents, Photos):
        return len(latents.paths)
    return 1 if latents else len(seeds)


def choose_faces(
    G: "Generator",
    seeds: SeedRanges,
    latents: Path | Photos | None,
    *,
    option: str = "seeds",  # The option that the seeds come from.
    label: Label | None,
    truncation_psi: float | None,  # None = 0.7 for seeds, 1 for a file and photos.
    truncation_cutoff: int | None,
) -> Faces:
    """The faces from seeds, or from a file of latents or photos instead."""
    from stylegan.latents.styles import check_cutoff

    psi = (0.7 if latents is None else 1.0) if truncation_psi is None else truncation_psi
    settings: dict[str, object] = {"truncation_psi": psi}
    if truncation_cutoff is not None:
        settings["truncation_cutoff"] = truncation_cutoff
    if label is not None:
        settings["label"] = label
    if latents is None:
        ws = G.ws(seeds, labels=label, truncation_psi=psi, truncation_cutoff=truncation_cutoff)
        return Faces(ws, None, [f"seed {seed}" for seed in seeds], psi, settings | {"seeds": seeds})
    loaded, kept = load_latents(G, latents, label=label, option=option)
    ws = G.truncate(loaded.ws, psi, check_cutoff(truncation_cutoff, G.num_ws))
    return Faces(ws, loaded.noise, loaded.names, psi, settings | kept)


def latents_settings(path: Path) -> dict[str, object]:
    """What images made from a file of latents store about it."""
    from stylegan.weights.hub.cache import sha256_of

    return {"latents": path.name, "latents_sha256": sha256_of(path)}
