"""Files of latents: ws, optional noise maps, the model that they belong to, and a name for each.

`stylegan project` writes such files; other commands' `--latents` reads them, and arrays of other tools.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor

from ..errors import InputError
from ..runtime.atomic_files import as_path
from ..runtime.checks import typed
from ..runtime.tensor_files import load_tensors, save_tensors
from ..weights.formats.arrays import is_array_file, read_arrays
from .protocol import Generator
from .styles import check_same_average

_FIELDS = {"model": str, "names": list[str], "facts": dict[str, Any]}


@dataclass(frozen=True, eq=False)
class Latents:
    """The latents of some images of a model."""

    ws: Tensor  # [N, num_ws, w_dim]
    noise: list[Tensor] | None  # One map per layer, [N, 1 or C, R, R]; None = the model's stored noise.
    names: list[str]  # N short texts, for headings and file names.
    w_avg: Tensor  # [w_dim], the average w of the model, by which it is recognised.
    model: str  # The name of the model, for people.
    facts: dict[str, Any] = field(default_factory=dict)  # How they were made.

    @classmethod
    @typed
    def of(
        cls,
        G: Generator,
        ws: Tensor,
        *,
        noise: Sequence[Tensor] | None = None,
        names: Sequence[str] | None = None,
        facts: dict[str, Any] | None = None,
    ) -> Self:
        """The latents of images of a model; names: None = 0, 1, 2... Raises InputError for wrong shapes."""
        G.synthesis.check_ws(ws)
        names = [str(i) for i in range(len(ws))] if names is None else list(names)
        latents = cls(ws, None if noise is None else list(noise), names, G.w_avg, G.name, facts or {})
        latents.check(G)
        return latents

    @typed
    def check(self, G: Generator) -> None:
        """Raise InputError if these are not latents of this model."""
        next_step = f"choose the model that they were made with ({self.model})"
        check_same_average(G.w_avg, self.w_avg, what="the file of latents", next_step=next_step)
        G.synthesis.check_ws(self.ws)
        if len(self.names) != len(self.ws) or not self.names:
            raise InputError(f"latents need a name for each of {len(self.ws)} rows, got {len(self.names)}")
        if self.noise is not None:
            G.synthesis.check_noise(self.noise, len(self.ws))
            if any(noise is None or len(noise) != len(self.ws) for noise in self.noise):
                raise InputError(f"the noise of latents must be one map for each layer and each of {len(self.ws)} rows")

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write one .safetensors file, complete or not at all."""
        maps = {f"noise.{i}": noise for i, noise in enumerate(self.noise or [])}
        description = {"model": self.model, "names": self.names, "facts": self.facts}
        save_tensors(path, {"ws": self.ws, "w_avg": self.w_avg} | maps, kind="latents", description=description)

    @classmethod
    @typed
    def load(cls, path: str | os.PathLike[str], G: Generator) -> Self:
        """Read latents of this model onto its device. Raises InputError if there are none, or they do not match.

        Besides our own files, .npy, .npz and torch.save files of other tools are read, such as projected_w.npz:
        w [w_dim] or [N, w_dim], or styles [num_ws, w_dim] or [N, num_ws, w_dim]. They do not say which model they
        belong to. If there are as many rows as the model has layers, they are the styles of one image.
        """
        if is_array_file(as_path(path)):
            return cls._of_arrays(path, G)
        tensors, description = load_tensors(path, kind="latents", fields=_FIELDS)
        try:
            ws, w_avg = tensors.pop("ws").to(G.device, torch.float32), tensors.pop("w_avg")
            maps = [tensors.pop(f"noise.{i}").to(G.device) for i in range(len(tensors))] or None
            latents = cls(ws, maps, description["names"], w_avg, description["model"], description["facts"])
        except KeyError as error:
            raise InputError(f"{path}: incomplete latents, {error} is missing") from error
        try:
            latents.check(G)
        except InputError as error:
            raise InputError(f"{path}: {error}") from error
        return latents

    @classmethod
    def _of_arrays(cls, path: str | os.PathLike[str], G: Generator) -> Self:
        """The arrays of another tool, interpreted by their shapes."""
        parts, names = [], []
        for name, array in read_arrays(path, what="latents").items():
            ws = array[None] if array.shape == (G.num_ws, G.w_dim) or array.ndim == 1 else array
            ws = ws[:, None] if ws.ndim == 2 else ws  # [N, 1 or num_ws, w_dim]
            if ws.ndim != 3 or ws.shape[1] not in (1, G.num_ws) or ws.shape[2] != G.w_dim:
                raise InputError(
                    f"{path}: expected w [N, {G.w_dim}] or styles [N, {G.num_ws}, {G.w_dim}] for {G.name}, "
                    f"got {list(array.shape)}"
                )
            parts.append(ws.expand(-1, G.num_ws, -1))
            names += [name] if len(ws) == 1 else [f"{name}-{i}" for i in range(len(ws))]
        return cls.of(G, torch.cat(parts).to(G.device), names=names, facts={"file": Path(path).name})
