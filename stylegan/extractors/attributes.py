"""Attributes of a face: small classifiers of gender and age, for metrics and for finding directions.

They were trained on photographs by `models/attributes/train.py`; their card gives their accuracy. They say how a face
looks to a network trained on these photographs and labels, and nothing about a person.
"""

import os
from collections.abc import Callable
from importlib import resources
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import skip_init

from ..errors import NotFoundError
from ..runtime.device import check_device, for_weights
from ..weights.checkpoint import load_checkpoint
from ..weights.hub.cache import sha256_of
from ..weights.loading import Loaded, build_network
from .base import check_images, conv2d

ClassifierName = Literal["gender", "age"]

_FOLDER = resources.files("stylegan") / "assets"


class AttributeClassifier(nn.Module):
    """A convolutional network with one output, the value of an attribute.

    For an attribute of two classes, the value is the log-odds of `positive`. For a quantity, it has its own unit, and
    `logits` compares it with a threshold.
    """

    __call__: Callable[..., Tensor]

    def __init__(
        self,
        *,
        name: str,  # Of the attribute.
        positive: str,  # The meaning of a positive logit.
        channels: list[int],  # Of the convolutions, each of which halves the size.
        resolution: int = 64,  # Images are resized to this height and width.
        mean: float = 0.0,  # The value is mean + std * output.
        std: float = 1.0,
        threshold: float = 0.0,  # The logit is (value - threshold) / scale.
        scale: float = 1.0,
        seed: int | None = 0,  # Of the initial weights; None = leave them uninitialised, to be loaded.
    ):
        super().__init__()
        self.config: dict[str, Any] = {
            "name": name,
            "positive": positive,
            "channels": list(channels),
            "resolution": resolution,
            "mean": mean,
            "std": std,
            "threshold": threshold,
            "scale": scale,
        }
        self.name, self.positive, self.resolution = name, positive, resolution
        self.mean, self.std, self.threshold, self.scale = mean, std, threshold, scale
        self.metadata: dict[str, Any] = {}
        self.sha256 = ""
        self.convs = nn.ModuleList(conv2d(i, o, 3, stride=2, padding=1) for i, o in pairwise([3, *channels]))
        self.head: nn.Linear = skip_init(nn.Linear, channels[-1], 1, **for_weights())
        if seed is not None:
            self._initialize(seed)

    def forward(self, images: Tensor) -> Tensor:
        """images: float [N, 3, H, W] in [-1, 1], of any size. Returns the attribute's value, [N]; differentiable."""
        check_images(images)
        size = (self.resolution, self.resolution)
        if images.shape[2:] != size:
            images = F.interpolate(images, size, mode="bilinear", align_corners=False, antialias=True)
        x = images.float()
        for conv in self.convs:
            x = F.leaky_relu(conv(x), 0.1)
        output: Tensor = self.head(x.mean(dim=(2, 3)))[:, 0]
        return self.mean + self.std * output

    def logits(self, images: Tensor) -> Tensor:
        """Log-odds that the attribute is `positive`, [N]; the images as in `forward`."""
        return (self(images) - self.threshold) / self.scale

    def _initialize(self, seed: int) -> None:
        """He initialization, from a separate generator."""
        generator = torch.Generator("cpu").manual_seed(seed)
        for parameter in self.parameters():
            if parameter.ndim > 1:
                nn.init.normal_(parameter, std=(2 / parameter[0].numel()) ** 0.5, generator=generator)
            else:
                nn.init.zeros_(parameter)

    def extra_repr(self) -> str:
        """What `repr` shows of it."""
        return f"{self.name}: {self.positive}"


@torch.inference_mode(False)
def load_classifier(
    name_or_file: ClassifierName | str | os.PathLike[str], *, device: str | torch.device | None = None
) -> AttributeClassifier:
    """Load a classifier: evaluation mode, gradients of its weights off.

    name_or_file: "gender" (the value is the log-odds of female), "age" (in years), or a file that
        `models/attributes/train.py` wrote.
    device: None = the CPU.

    The bundled weights are for non-commercial research only, like their data. Raises NotFoundError for an unknown name
    or missing file, WeightsError if the file is damaged.
    """
    if name_or_file in get_args(ClassifierName):
        with resources.as_file(_FOLDER / f"{name_or_file}.safetensors") as path:
            return _load(path, device)
    path = Path(name_or_file)
    if not path.is_file():
        names = ", ".join(map(repr, get_args(ClassifierName)))
        raise NotFoundError(f"unknown classifier {str(name_or_file)!r}; expected {names}, or a file")
    return _load(path, device)


def _load(path: Path, device: str | torch.device | None) -> AttributeClassifier:
    checkpoint = load_checkpoint(path)
    classifier = build_network(AttributeClassifier, Loaded(checkpoint, str(path)))
    classifier.metadata, classifier.sha256 = checkpoint.metadata, sha256_of(path)
    return classifier.to(check_device(device)).eval().requires_grad_(False)
