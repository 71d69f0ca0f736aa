"""The interface of extractors: features of images, and distances between images if it is perceptual.

Each family has a file in this folder, which defines it as FAMILY; nothing else names it.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import skip_init

from ..errors import InputError
from ..runtime.device import for_weights


def check_images(images: Tensor) -> None:
    """Raise InputError if images are not float [N, 3, H, W]."""
    if images.ndim != 4 or images.shape[1] != 3 or not images.is_floating_point():
        raise InputError(
            f"images must be floating point [N, 3, H, W] in [-1, 1], got {images.dtype} {list(images.shape)}"
        )


class Extractor(nn.Module, ABC):
    """A fixed network that takes images, float [N, 3, H, W] in [-1, 1], of any size.

    name: its name in results. sha256: of its weights. license: of its weights.
    is_perceptual: whether it has a `distance`.
    """

    name: str
    sha256: str
    license: str
    is_perceptual: bool = False
    __call__: Callable[..., Tensor]

    @abstractmethod
    def features(self, images: Tensor) -> Tensor:
        """One vector per image, float32 [N, feature_dim]; differentiable."""

    def distance(self, a: Tensor, b: Tensor) -> Tensor:
        """Perceptual distance between the images of each pair, float32 [N], 0 for equal ones; differentiable.

        a, b: of one shape. Raises InputError if this extractor is not perceptual.
        """
        check_perceptual(self)
        raise NotImplementedError


def check_perceptual(extractor: Extractor) -> None:
    """Raise InputError if an extractor has no distance."""
    if not extractor.is_perceptual:
        raise InputError(f"{extractor.name} has no distance between images; use st-lpips-vgg or st-lpips-alex")


Tensors = Mapping[str, Tensor]


@dataclass(frozen=True)
class Family:
    """Extractors of one kind: their names, and the source of their weights."""

    names: tuple[str, ...]
    find: Callable[[str], Path] | None = None  # A name -> its file of weights, verified; None = `make` needs none.
    make: Callable[[], Extractor] | None = None  # The only extractor of the family, instead of the fields below.
    recognise: Callable[[Tensors], bool] = lambda tensors: False  # Whether these are such a network's tensors.
    build: Callable[[Tensors, str, Path], Extractor] | None = None  # Tensors, name, file -> the network.
    sha256: Callable[[], dict[str, str]] = dict  # Of known weights: digest -> name.
    is_for_tests: bool = False


def enlarge(images: Tensor, smallest: int) -> Tensor:
    """Enlarge images, bilinearly, so that no side is below `smallest`."""
    check_images(images)
    size = [max(side, smallest) for side in images.shape[2:]]
    if size == list(images.shape[2:]):
        return images
    return F.interpolate(images, size, mode="bilinear", align_corners=False)


def check_pair(a: Tensor, b: Tensor) -> None:
    """Raise InputError if a and b are not images of one shape."""
    check_images(a)
    if a.shape != b.shape:
        raise InputError(f"a and b must have one shape, got {list(a.shape)} and {list(b.shape)}")


def conv2d(
    in_channels: int,
    channels: int,
    kernel: int | tuple[int, int],
    *,
    stride: int = 1,
    padding: int | tuple[int, int] = 0,
    bias: bool = True,
) -> nn.Conv2d:
    """A convolution whose weights are filled in later: unlike torch's, it draws no random numbers."""
    shape = {"stride": stride, "padding": padding, "bias": bias}
    conv: nn.Conv2d = skip_init(nn.Conv2d, in_channels, channels, kernel, **shape, **for_weights())
    return conv
