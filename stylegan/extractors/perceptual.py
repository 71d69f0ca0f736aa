"""Perceptual distance between images, from the activations of a convolutional network.

LPIPS (Zhang et al. 2018, equation 1): the activations of each stage are scaled to unit length over the channels, at
every position; the squared differences are weighted by channel, averaged over positions and summed over stages.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ..runtime.device import FLOAT32_CPU
from .base import Extractor, check_pair, enlarge


class PerceptualNetwork(Extractor):
    """Stages of convolutions, and a weight for each channel of each stage's output.

    Its features are the activations of the last stage, averaged over positions.
    """

    is_perceptual = True
    shift: Tensor
    scale: Tensor

    def __init__(
        self,
        stages: Sequence[nn.Module],  # Each takes the previous one's output.
        widths: Sequence[int],  # Output channels of the stages.
        *,
        name: str,
        license: str,
        shift: Sequence[float] = (0.0, 0.0, 0.0),  # Images are shifted and scaled before the first stage.
        scale: Sequence[float] = (1.0, 1.0, 1.0),
        smallest: int = 8,  # Smaller images are enlarged to this height and width.
    ):
        super().__init__()
        self.name, self.license, self.smallest = name, license, smallest
        self.stages = nn.ModuleList(stages)
        self.weights = nn.ParameterList(torch.ones(width, **FLOAT32_CPU) for width in widths)
        self.register_buffer("shift", torch.tensor(shift, **FLOAT32_CPU).view(1, 3, 1, 1))
        self.register_buffer("scale", torch.tensor(scale, **FLOAT32_CPU).view(1, 3, 1, 1))

    def activations(self, images: Tensor) -> list[Tensor]:
        """Each stage's output, float32 [N, C, h, w]."""
        x = (enlarge(images, self.smallest).float() - self.shift) / self.scale
        found = []
        for stage in self.stages:
            x = stage(x)
            found.append(x)
        return found

    def features(self, images: Tensor) -> Tensor:
        """The last stage's activations, averaged over positions: float32 [N, C]; differentiable."""
        return self.activations(images)[-1].mean(dim=(2, 3))

    def distance(self, a: Tensor, b: Tensor) -> Tensor:
        """Perceptual distance between the images of each pair, float32 [N], 0 for equal ones; differentiable."""
        check_pair(a, b)
        total = torch.zeros(len(a), device=a.device, dtype=torch.float32)
        for x, weight in zip(self.activations(torch.cat([a, b])), self.weights, strict=True):
            unit_a, unit_b = unit_length(x).chunk(2)
            total = total + torch.einsum("nchw,c->nhw", (unit_a - unit_b).square(), weight).mean(dim=(1, 2))
        return total

    def embed(self, images: Tensor) -> Tensor:
        """One long vector per image, float32 [N, D], whose squared distances are perceptual; differentiable.

        For comparing many images with few: each is processed once. `distance` needs less memory for a pair.
        """
        parts = []
        for x, weight in zip(self.activations(images), self.weights, strict=True):
            scale = (weight / x[0, 0].numel()).sqrt()[:, None, None]
            parts.append((unit_length(x) * scale).flatten(1))
        return torch.cat(parts, dim=1)


def unit_length(x: Tensor) -> Tensor:
    """Scale the channels at every position to unit length: [N, C, h, w]; zeros stay zeros, with finite gradients."""
    length: Tensor = torch.linalg.vector_norm(x, dim=1, keepdim=True)
    return x / (length + 1e-10)
