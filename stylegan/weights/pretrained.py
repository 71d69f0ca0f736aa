"""Networks that load from and save to weight files: shared by generators, discriminators and encoders."""

import os
from typing import Any, ClassVar, Self

import torch
from torch import nn

from .. import weights
from ..errors import InputError
from ..runtime.device import check_device
from ..runtime.hints import OF_FILES, hinted
from ..runtime.precision import no_autocast
from ..runtime.tensors import weighted_sums
from . import manifest
from .hub import Access
from .manifest import DEFAULT_MODEL


class Pretrained(nn.Module):
    """A network with a config, from which it can be made again, and a description of its weights."""

    _network: "ClassVar[weights.NetworkName]"  # Its name in files with several networks.

    def __init__(self) -> None:
        super().__init__()
        self.metadata: dict[str, Any] = {}  # Of the weights: name, dataset, license, kimg...
        self.source = "initial weights"  # Where they came from, for people.
        self._digest: tuple[Any, str] | None = None  # A state of the weights, and its sha256.

    @classmethod
    @hinted(**OF_FILES)
    @torch.inference_mode(False)  # Inference tensors cannot be trained, and changes to them cannot be detected.
    def from_pretrained(
        cls,
        name_or_path: str | os.PathLike[str] = DEFAULT_MODEL,
        *,
        device: str | torch.device | None = None,
        resolution: int | None = None,
        revision: str | None = None,
        cache_dir: str | os.PathLike[str] | None = None,
        token: str | bool | None = None,
        local_files_only: bool = False,
        force_download: bool = False,
    ) -> Self:
        """Load a network: float32, evaluation mode, gradients off.

        name_or_path: as in `Generator.from_pretrained`, for a model or a file with such a network. The files with a
            discriminator are ours, official .pkl files and training checkpoints of other ports; those with an encoder
            are what `stylegan encoder train` wrote, or its folder.

        The other arguments and the errors are those of `Generator.from_pretrained`.
        """
        access = Access(cache_dir, token, local_files_only, force_download)
        return cls._load(name_or_path, device=device, resolution=resolution, revision=revision, access=access)

    @classmethod
    def _load(
        cls,
        name_or_path: str | os.PathLike[str],
        *,
        device: str | torch.device | None,
        resolution: int | None,
        revision: str | None,
        access: Access,
    ) -> Self:
        """Weights -> a network in evaluation mode, gradients off."""
        loaded = weights.read_weights(
            name_or_path, network=cls._network, resolution=resolution, revision=revision, access=access
        )
        made = weights.build_network(cls, loaded)
        made.metadata, made.source = loaded.checkpoint.metadata, loaded.source
        return made.to(check_device(device)).eval().requires_grad_(False)

    @property
    def config(self) -> dict[str, Any]:
        """The arguments that make this network again."""
        raise NotImplementedError

    @property
    def device(self) -> torch.device:
        """The device of its parameters."""
        return next(self.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        """The data type of its computation."""
        return next(self.parameters()).dtype

    @property
    def name(self) -> str:
        """The model's name, or "unnamed"."""
        return str(self.metadata.get("name", "unnamed"))

    @property
    def location(self) -> str:
        """The argument of `from_pretrained` that loads it again: a path, a model's name, a repository or a URL."""
        is_by_name = not os.path.exists(self.source) and self.name in manifest.entries()
        return self.name if is_by_name else self.source

    @property
    def classes(self) -> list[str]:
        """The names of a conditional model's classes, if known."""
        classes = self.metadata.get("classes")
        return [str(c) for c in classes] if isinstance(classes, list) else []

    def checkpoint(self) -> "weights.Checkpoint":
        """The network as data: config, tensors and metadata."""
        return weights.Checkpoint(type(self).__name__, self.config, self.state_dict(), self.metadata)

    def save(self, path: str | os.PathLike[str], *, dtype: str | torch.dtype | None = None) -> None:
        """Write one safetensors file that `from_pretrained` reads under any name; completely or not at all.

        dtype: type to store, float16 for half the size; None = that of the network.
        """
        weights.save_checkpoint(path, self.checkpoint(), dtype=dtype)

    def save_pretrained(self, folder: str | os.PathLike[str], *, dtype: str | torch.dtype | None = None) -> None:
        """Write the hub convention, a folder with config.json and model.safetensors. dtype: see `save`."""
        weights.save_folder(folder, self.checkpoint(), dtype=dtype)

    def check_weights(self) -> None:
        """Raise InputError for a network on the meta device."""
        if self.device.type == "meta":
            raise InputError("this network is on the meta device, where there are no numbers; load it onto another one")

    @property
    @no_autocast()
    def weights_sha256(self) -> str:
        """The sha256 of config and weights, by which images identify their network; see `Checkpoint.sha256`.

        It is computed on first use, and again after any change of the weights.
        """
        self.check_weights()
        tensors = list(self.state_dict().values())
        # Changes in place increment the version, except those through `.data`, numpy, or captured CUDA graphs.
        state = [(t.data_ptr(), t.dtype, 0 if t.is_inference() else t._version) for t in tensors]
        key = (state, self.config, weighted_sums(tensors).tolist())
        if self._digest is None or self._digest[0] != key:
            self._digest = key, self.checkpoint().sha256()
        return self._digest[1]

    def __repr__(self) -> str:
        side = self.config["img_resolution"]
        millions = sum(p.numel() for p in self.parameters()) / 1e6
        return (
            f"{type(self).__name__}({self.name}: {side}x{side}, {millions:.1f} M parameters, "
            f"{str(self.dtype).removeprefix('torch.')} on {self.device}, "
            f"from {self.source}, licence: {self.metadata.get('license', 'unknown')})"
        )
