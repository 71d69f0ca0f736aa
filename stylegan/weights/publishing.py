"""A generator on a model hub: its weights, its config, and a card with a grid of images."""

import os
import tempfile
from pathlib import Path
from typing import Any

import torch

from .. import fast, images
from ..runtime.atomic_files import as_path, write_atomically
from ..runtime.checks import typed
from ..version import __version__
from . import hub
from .pretrained import Pretrained


class Publishable(Pretrained):
    """A generator whose images store their provenance, and which can be published with a model card."""

    path: Any  # How its images are computed; see `Generator.path`.

    @property
    def recommended_truncation(self) -> dict[str, Any]:
        """The truncation that the model's authors use."""
        raise NotImplementedError

    def sample(self, n: int = 1, *, truncation_psi: Any = 0.7, labels: Any = None) -> Any:
        """PIL images of the seeds 0 to n - 1."""
        raise NotImplementedError

    def provenance(self) -> dict[str, str]:
        """What every image of this model stores: software, model, source, sha256 of the weights, licence."""
        # For a file, only its name: images must not reveal the folders of this computer.
        source = os.path.basename(os.path.abspath(self.source)) if os.path.exists(self.source) else self.source
        known = {"Software": f"stylegan {__version__}", "model": self.name, "source": source}
        known |= {"weights_sha256": self.weights_sha256, "dtype": str(self.dtype).removeprefix("torch.")}
        known["path"] = fast.resolve_path(self.path, self.device)
        return known | ({"license": str(self.metadata["license"])} if "license" in self.metadata else {})

    @typed
    def push_to_hub(
        self,
        repo_id: str,
        *,
        private: bool = True,
        token: str | bool | None = None,
        revision: str | None = None,
        commit_message: str = "Upload a StyleGAN generator",
        dtype: str | torch.dtype | None = None,
        num_images: int = 16,
    ) -> str:
        """Publish config, weights, and a model card with a grid of images, as one commit; returns the commit's URL.

        repo_id: user/name; created if missing. private: nobody else sees it; an existing public repository is then
        refused. token: None = that of `hf auth login`. revision: an existing branch; None = the main one. dtype: see
        `save`. num_images: how many images the card shows, of the seeds from 0 on.

        The card repeats `G.metadata`: name, license, license_url, dataset, attribution, metrics, limits.
        Raises AuthError or another DownloadError if the hub refuses, InputError for a repository that is public.
        """
        with tempfile.TemporaryDirectory() as folder:
            self.save_pretrained(folder, dtype=dtype)
            self.save_model_card(folder, repo=repo_id, num_images=num_images)
            return hub.upload(
                repo_id,
                Path(folder),
                private=private,
                token=token,
                revision=revision,
                commit_message=commit_message,
            )

    @typed
    def save_model_card(self, folder: str | os.PathLike[str], *, repo: str | None = None, num_images: int = 16) -> None:
        """Write README.md and samples.png into a folder, as `push_to_hub` does; repo: None = the folder itself."""
        from .model_card import model_card

        picture = as_path(folder) / "samples.png"
        psi = self.recommended_truncation["truncation_psi"]
        card = model_card(
            self.metadata,
            repo=repo or str(folder),
            size=f"{self.config['img_resolution']}x{self.config['img_resolution']}",
            parameters=sum(p.numel() for p in self.parameters()),
            psi=psi,
            images=num_images,
            picture=picture.name,
        )
        label_dim = self.config["label_dim"]
        labels = [i % label_dim for i in range(num_images)] if label_dim else None
        samples = self.sample(num_images, truncation_psi=psi, labels=labels)
        images.save(images.grid(samples, columns=min(8, num_images)), picture)
        write_atomically(Path(folder) / "README.md", card.encode())
