"""The discriminator of a training run, with its weight files: images -> logits."""

import os

import torch

from .networks.discriminator import DiscriminatorNetwork
from .runtime.hints import OF_FILES, hinted
from .weights.hub import Access
from .weights.pretrained import Pretrained


class Discriminator(DiscriminatorNetwork, Pretrained):
    """A discriminator network that can be loaded and saved; its arguments and `forward` are those of the network."""

    @classmethod
    @hinted(**OF_FILES)
    @torch.inference_mode(False)  # Inference tensors could not be trained, nor changes of them be noticed.
    def from_pretrained(
        cls,
        name_or_path: str | os.PathLike[str],
        *,
        device: str | torch.device | None = None,
        resolution: int | None = None,
        revision: str | None = None,
        cache_dir: str | os.PathLike[str] | None = None,
        token: str | bool | None = None,
        local_files_only: bool = False,
        force_download: bool = False,
    ) -> "Discriminator":
        """Load a discriminator: float32, evaluation mode, gradients off.

        name_or_path: as in `Generator.from_pretrained`, for a file with a discriminator: ours, an official .pkl file,
            or a training checkpoint of another port. The other arguments and the errors are also the same.
        """
        access = Access(cache_dir, token, local_files_only, force_download)
        return cls._load(name_or_path, "D", device=device, resolution=resolution, revision=revision, access=access)
