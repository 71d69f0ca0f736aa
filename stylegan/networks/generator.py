"""The generator's networks as one: mapping, average w, synthesis (Karras et al. 2019, figure 1b)."""

import inspect
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ..runtime.batching import default_batch_size
from ..runtime.checks import check_integer
from ..runtime.deprecated import KeptSetting
from ..runtime.device import new_weight
from ..runtime.hints import OF_NETWORKS, hinted
from .config import check_config, check_nested
from .layers import initialize
from .mapping import MappingNetwork
from .synthesis import Renderer, SynthesisNetwork


class GeneratorNetwork(nn.Module):
    """Mapping network, average w and synthesis network (Karras et al. 2019, figure 1b)."""

    w_avg: Tensor  # [w_dim]

    @hinted(nameless="write img_resolution=64 for a new network, from_pretrained({}) for a trained one", **OF_NETWORKS)
    def __init__(
        self,
        *,
        z_dim: int = 512,  # Size of the input latent.
        w_dim: int = 512,  # Size of the intermediate latent.
        label_dim: int = 0,  # Size of the label vectors; 0 = unconditional.
        img_resolution: int = 1024,  # Height and width of the image: a power of two, 8 or more.
        img_channels: int = 3,
        truncation_psi: float = 0.7,  # The truncation that the model's authors use, for information;
        truncation_cutoff: int | None = 8,  # see `recommended_truncation`.
        mapping: Mapping[str, Any] | None = None,  # Further arguments of MappingNetwork; None = its defaults.
        synthesis: Mapping[str, Any] | None = None,  # Further arguments of SynthesisNetwork; None = its defaults.
        seed: int | None = 0,  # Seed of the initial weights; None = leave them uninitialised, to be loaded.
    ):
        check_config(locals())
        shared = ("z_dim", "w_dim", "label_dim", "img_resolution", "img_channels", "seed")
        mapping = check_nested("mapping", mapping, MappingNetwork, given=shared)
        synthesis = check_nested("synthesis", synthesis, SynthesisNetwork, given=shared)
        super().__init__()
        self._config: dict[str, Any] = {
            "z_dim": z_dim,
            "w_dim": w_dim,
            "label_dim": label_dim,
            "img_resolution": img_resolution,
            "img_channels": img_channels,
            "truncation_psi": truncation_psi,
            "truncation_cutoff": truncation_cutoff,
            "mapping": mapping,
            "synthesis": synthesis,
        }
        self.z_dim, self.w_dim, self.label_dim = z_dim, w_dim, label_dim
        self.img_resolution, self.img_channels = img_resolution, img_channels
        self.mapping = MappingNetwork(z_dim=z_dim, w_dim=w_dim, label_dim=label_dim, seed=None, **mapping)
        self.register_buffer("w_avg", new_weight(w_dim).zero_())
        self.synthesis = SynthesisNetwork(
            w_dim=w_dim, img_resolution=img_resolution, img_channels=img_channels, seed=None, **synthesis
        )
        self.synthesis.renderer = self.new_renderer()
        self.num_ws = self.synthesis.num_ws
        if seed is not None:
            initialize(self, seed)

    def new_renderer(self) -> Renderer | None:
        """A renderer that replaces the modules; None = the modules compute images."""
        return None

    @property
    def config(self) -> dict[str, Any]:
        """The arguments that make this network again, with its current level of detail."""
        return self._config | {"synthesis": self._config["synthesis"] | {"lod": self.synthesis.lod}}

    @property
    def recommended_truncation(self) -> dict[str, Any]:
        """The truncation that the model's authors use, as arguments: `G.sample(4, **G.recommended_truncation)`.

        For information only: by default, `sample` truncates all layers with psi 0.7, for every model.
        """
        cutoff = self._config["truncation_cutoff"]
        cutoff = None if cutoff is None else max(0, min(cutoff, self.num_ws))
        return {"truncation_psi": self._config["truncation_psi"], "truncation_cutoff": cutoff}

    truncation_psi = KeptSetting()
    truncation_cutoff = KeptSetting()

    @property
    def device(self) -> torch.device:
        """The device of its weights."""
        return self.w_avg.device

    @property
    def dtype(self) -> torch.dtype:
        """The data type of the synthesis network."""
        return self.synthesis.dtype

    def release_memory(self) -> None:
        """Free the prepared weights and buffers of the fast paths; the next call prepares them again."""
        self.synthesis.release_memory()

    def default_batch_size(self, n: int) -> int:
        """batch_size, or if it is None the one for n images by resolution and free memory."""
        if check_integer(n, what="n", low=1, high=2**63) == 1:
            return 1
        return default_batch_size(n, self.img_resolution, self.device, self.synthesis.image_bytes)


def whole_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """All arguments of a generator with this config and of its parts, defaults included."""
    own = complete(GeneratorNetwork, config)
    for name, part in (("mapping", MappingNetwork), ("synthesis", SynthesisNetwork)):
        further = complete(part, own[name] or {})
        own[name] = {key: value for key, value in further.items() if key not in own}
    return own


def complete(network: type[nn.Module], given: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a network with all defaults, without the seed."""
    return {name: p.default for name, p in inspect.signature(network).parameters.items() if name != "seed"} | dict(
        given
    )
