"""The state of a training run: networks, optimizers, counters."""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from ..discriminator import Discriminator
from ..errors import CheckpointError
from ..fast import CompiledKernels, native_or_torch_kernels
from ..generator import Generator
from ..runtime.distributed import own_device
from ..runtime.memory import keep_freed_memory
from .config import TrainingConfig
from .optim import LOSS_SCALE, Adam


@dataclass
class TrainingState:
    """Everything that changes during training, and the settings."""

    config: TrainingConfig
    G: Generator
    D: Discriminator
    Gs: Generator  # The generator with averaged weights: the one to use.
    G_optimizer: Adam
    D_optimizer: Adam
    step: int = 0
    images: int = 0  # Real images shown so far.
    resolution: int = 0  # Of the optimizers' moments; 0 = none yet.
    seconds: float = 0.0  # Time spent so far, over all parts of the run.
    skipped: int = 0  # Steps skipped because a loss or gradient was NaN or infinite,
    skipped_in_a_row: int = 0  # and how many of them in a row until now.
    augment_p: float = 0.0  # Probability of each change by ADA,
    real_signs: list[float] = field(default_factory=list)  # and what it adapts to: see `augment.adapt`.
    loss_scale: float = LOSS_SCALE  # Of float16, see `optim.next_loss_scale`,
    steps_at_scale: int = 0  # and the steps since it changed.
    start_resolution: int = 0  # Of the model whose discriminator it started from; 0 = none, or unknown.
    data: dict[str, Any] = field(default_factory=dict)  # Identity of its data set; empty = unknown.
    metadata: dict[str, Any] = field(default_factory=dict)  # Of the averaged generator.

    @property
    def kimg(self) -> float:
        """Thousands of real images shown so far."""
        return self.images / 1000

    def networks(self) -> dict[str, nn.Module]:
        """The networks by their names in files."""
        return {"G": self.G, "D": self.D, "Gs": self.Gs}

    def optimizers(self) -> dict[str, tuple[Adam, nn.Module]]:
        """The optimizers by their names in files, each with its network."""
        return {"G_optimizer": (self.G_optimizer, self.G), "D_optimizer": (self.D_optimizer, self.D)}

    def replace_networks(self, G: Generator, D: Discriminator) -> None:
        """Train these networks from now on; the optimizers are reset."""
        new = _prepared(self.config, G, D)
        self.G, self.D, self.Gs = new.G, new.D, new.Gs
        self.G_optimizer, self.D_optimizer = new.G_optimizer, new.D_optimizer

    def run(self) -> dict[str, Any]:
        """A checkpoint's description of the run, for JSON; the networks are at their current level of detail."""
        lod = self.config.schedule().at(self.kimg).lod
        G = self.G.config | {"synthesis": self.G.config["synthesis"] | {"lod": lod}}
        networks = {"G": G, "D": self.D.config | {"lod": lod}}
        return {"networks": networks, "settings": self.config.kept(), "data": self.data, "metadata": self.metadata}

    def tensors(self) -> dict[str, Tensor]:
        """All tensors by name: weights, buffers and moments."""
        tensors = {f"{name}.{key}": t for name, net in self.networks().items() for key, t in net.state_dict().items()}
        for name, (optimizer, network) in self.optimizers().items():
            for key, parameter in network.named_parameters():
                for moment, tensor in optimizer.state.get(parameter, {}).items():
                    tensors[f"{name}.{moment}.{key}"] = tensor
        return tensors

    def load_tensors(self, tensors: Mapping[str, Tensor]) -> None:
        """Load all tensors. Raises CheckpointError if one is missing, left over or of another shape."""
        left = dict(tensors)
        for name, network in self.networks().items():
            for key, target in network.state_dict().items():
                _fill(target, left.pop(f"{name}.{key}", None), f"{name}.{key}")
        for name, (optimizer, network) in self.optimizers().items():
            optimizer.state.clear()
            for key, parameter in network.named_parameters():
                for moment in ("exp_avg", "exp_avg_sq"):
                    if (given := left.pop(f"{name}.{moment}.{key}", None)) is not None:
                        target = torch.zeros_like(parameter)
                        _fill(target, given, f"{name}.{moment}.{key}")
                        optimizer.state[parameter][moment] = target
        if left:
            raise CheckpointError(f"the checkpoint holds tensors of another network: {', '.join(sorted(left)[:5])}")


def new_state(config: TrainingConfig, *, img_channels: int = 3, label_dim: int = 0) -> TrainingState:
    """The state at the start of a run. On a CPU, the process keeps freed memory from here on (`keep_freed_memory`)."""
    G = config.make_generator(img_channels=img_channels, label_dim=label_dim)
    D = config.make_discriminator(img_channels=img_channels, label_dim=label_dim)
    return _prepared(config, G, D)


def _prepared(config: TrainingConfig, G: Generator, D: Discriminator) -> TrainingState:
    """The state of these networks, with the device, memory layout and kernels of the settings."""
    device = own_device(config.device)
    if device.type == "cpu":
        keep_freed_memory()
    for network in (G, D):
        network.to(device)
        for parameter in network.parameters():
            if config.channels_last and parameter.ndim == 4:
                parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    Gs = deepcopy(G).eval().requires_grad_(False)
    if config.compile or config.channels_last:
        kernels = CompiledKernels() if config.compile else native_or_torch_kernels()
        G.synthesis.kernels = D.kernels = kernels
    return TrainingState(config, G, D, Gs, Adam(G.parameters()), Adam(D.parameters()))


def _fill(target: Tensor, given: Tensor | None, name: str) -> None:
    if given is None or given.shape != target.shape:
        got = "nothing" if given is None else str(list(given.shape))
        raise CheckpointError(
            f"{name} must be {list(target.shape)}, got {got}: the checkpoint was made with other settings"
        )
    with torch.no_grad():
        target.copy_(given)
