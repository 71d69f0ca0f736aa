"""The loss of an encoder: ws, pixels, perceptual distance, discriminator features, and closeness to W."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import skip_init

from ..discriminator import Discriminator
from ..extractors.base import Extractor
from ..generator import Generator
from ..images.convert import as_rgb
from ..runtime.device import for_weights
from .config import EncoderConfig

_LARGEST = 64  # The perceptual distance uses images averaged down to this size.


class LatentDiscriminator(nn.Module):
    """Tells the w of real samples from encoded ones (Tov et al. 2021, section 4.2): [N, w_dim] -> scores [N]."""

    def __init__(self, w_dim: int, seed: int):
        super().__init__()
        sizes = (w_dim, w_dim, 1)
        self.layers = nn.ModuleList(skip_init(nn.Linear, w_dim, size, **for_weights()) for size in sizes)
        generator = torch.Generator("cpu").manual_seed(seed)
        for parameter in self.parameters():
            if parameter.ndim > 1:
                nn.init.normal_(parameter, std=(2 / parameter.shape[1]) ** 0.5, generator=generator)
            else:
                nn.init.zeros_(parameter)

    def forward(self, w: Tensor) -> Tensor:
        """Positive = a real sample. w: in deviations from the average."""
        for layer in self.layers[:-1]:
            w = F.leaky_relu(layer(w), 0.2)
        scores: Tensor = self.layers[-1](w)[:, 0]
        return scores


@dataclass(frozen=True)
class Objective:
    """What the loss needs besides images and ws."""

    config: EncoderConfig
    G: Generator
    D: Discriminator | None  # None = without the feature loss.
    extractor: Extractor | None  # None = without the perceptual distance.

    def of_ws(self, ws: Tensor, known: Tensor, scale: float) -> Tensor:
        """Mean squared error of ws, relative to the variance of the entries of w; [N]."""
        return (ws - known).square().mean(dim=(1, 2)) / scale**2

    def of_images(self, made: Tensor, target: Tensor) -> dict[str, Tensor]:
        """Terms for reconstructions and their targets, [N, C, R, R]: [N] each."""
        parts = {"pixel": (made - target).square().mean(dim=(1, 2, 3))}
        if self.extractor is not None and self.config.perceptual_weight:
            parts["perceptual"] = self.extractor.distance(as_rgb(_small(made)), as_rgb(_small(target)))
        if self.D is not None and self.config.feature_weight:
            parts["feature"] = self._feature_distance(made, target)
        return parts

    def _feature_distance(self, made: Tensor, target: Tensor) -> Tensor:
        """Mean squared difference of the discriminator's features at 16x16 and below, relative to the targets'."""
        total = torch.zeros(len(made), device=made.device, dtype=torch.float32)
        with torch.no_grad():
            wanted = self.features(target)
        for a, b in zip(self.features(made), wanted, strict=True):
            total = total + (a - b).square().mean(dim=(1, 2, 3)) / b.square().mean().clamp(min=1e-8)
        return total / len(wanted)

    def features(self, img: Tensor) -> list[Tensor]:
        """The discriminator's features of images, from 16x16 down to 4x4."""
        assert self.D is not None
        x, found = self.D.from_rgb[str(self.D.img_resolution)](img), []
        for block in self.D.blocks.values():
            x = block(x, self.D.kernels)
            if x.shape[-1] <= 16:
                found.append(x)
        return found

    def of_offsets(self, ws: Tensor, scale: float) -> Tensor:
        """Mean squared deviation of each layer's w from the mean over layers; [N]."""
        return (ws - ws.mean(dim=1, keepdim=True)).square().mean(dim=(1, 2)) / scale**2


def _small(img: Tensor) -> Tensor:
    return F.avg_pool2d(img, img.shape[-1] // _LARGEST) if img.shape[-1] > _LARGEST else img
