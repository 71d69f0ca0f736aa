"""Inception-v3 of 2015 (Szegedy et al. 2016), whose features are used for published FID, KID and precision/recall.

The graph is TensorFlow's inception-2015-12-05, with its three differences from later definitions: images are enlarged
from the corners of the pixels, average pooling omits the border, and the last block has max pooling. Tensors are named
as in pytorch-fid's conversion of the weights.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import WeightsError
from ..runtime.device import for_weights
from ..weights import hub, manifest
from ..weights.downloads import fetch_first
from .base import Extractor, Family, check_images, conv2d

NAME = "inception-2015"
LICENSE = "Apache-2.0"
_SIZE = 299

# A convolution: name, channels, height and width of its kernel, stride.
Layer = tuple[str, int, tuple[int, int], int]
# Convolutions one after the other; the last entry may be two, whose results are concatenated.
Chain = Sequence[Layer | tuple[Layer, Layer]]
Pool = Literal["average", "max", "halve"]


class ConvBN(nn.Module):
    """Convolution, batch norm with the stored statistics, ReLU."""

    __call__: Callable[..., Tensor]

    def __init__(self, in_channels: int, channels: int, kernel: tuple[int, int], stride: int, pad: bool):
        super().__init__()
        padding = (kernel[0] // 2, kernel[1] // 2) if pad else (0, 0)
        self.conv = conv2d(in_channels, channels, kernel, stride=stride, padding=padding, bias=False)
        self.bn = nn.BatchNorm2d(channels, eps=1e-3, **for_weights())

    def forward(self, x: Tensor) -> Tensor:
        """[N, in_channels, H, W] -> [N, channels, H', W']."""
        return F.relu(self.bn(self.conv(x)))


class Mixed(nn.Module):
    """Parallel chains of convolutions, with pooling as the last branch; their channels are concatenated."""

    __call__: Callable[..., Tensor]

    def __init__(self, in_channels: int, chains: Sequence[Chain], pool: Pool, pool_channels: int = 0):
        super().__init__()
        self.chains: list[list[tuple[str, ...]]] = []
        self.pool: Pool = pool
        for chain in chains:
            channels, names = in_channels, []
            for step in chain:
                layers = [step] if isinstance(step[0], str) else list(step)
                for name, width, kernel, stride in layers:
                    self.add_module(name, ConvBN(channels, width, kernel, stride, pad=stride == 1))
                channels = sum(layer[1] for layer in layers)
                names.append(tuple(layer[0] for layer in layers))
            self.chains.append(names)
        if pool != "halve":
            self.branch_pool = ConvBN(in_channels, pool_channels, (1, 1), 1, pad=False)

    def forward(self, x: Tensor) -> Tensor:
        """[N, in_channels, H, W] -> [N, C, H', W'], the branches' channels in order."""
        found = []
        for chain in self.chains:
            y = x
            for names in chain:
                y = torch.cat([self.get_submodule(name)(y) for name in names], dim=1)
            found.append(y)
        return torch.cat([*found, self._pooled(x)], dim=1)

    def _pooled(self, x: Tensor) -> Tensor:
        if self.pool == "halve":
            return F.max_pool2d(x, 3, stride=2)
        if self.pool == "max":
            return self.branch_pool(F.max_pool2d(x, 3, stride=1, padding=1))
        return self.branch_pool(F.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False))


def _at_35(in_channels: int, pool_channels: int) -> Mixed:
    chains: list[Chain] = [
        [("branch1x1", 64, (1, 1), 1)],
        [("branch5x5_1", 48, (1, 1), 1), ("branch5x5_2", 64, (5, 5), 1)],
        [
            ("branch3x3dbl_1", 64, (1, 1), 1),
            ("branch3x3dbl_2", 96, (3, 3), 1),
            ("branch3x3dbl_3", 96, (3, 3), 1),
        ],
    ]
    return Mixed(in_channels, chains, "average", pool_channels)


def _from_35_to_17() -> Mixed:
    chains: list[Chain] = [
        [("branch3x3", 384, (3, 3), 2)],
        [
            ("branch3x3dbl_1", 64, (1, 1), 1),
            ("branch3x3dbl_2", 96, (3, 3), 1),
            ("branch3x3dbl_3", 96, (3, 3), 2),
        ],
    ]
    return Mixed(288, chains, "halve")


def _at_17(width: int) -> Mixed:
    chains: list[Chain] = [
        [("branch1x1", 192, (1, 1), 1)],
        [
            ("branch7x7_1", width, (1, 1), 1),
            ("branch7x7_2", width, (1, 7), 1),
            ("branch7x7_3", 192, (7, 1), 1),
        ],
        [
            ("branch7x7dbl_1", width, (1, 1), 1),
            ("branch7x7dbl_2", width, (7, 1), 1),
            ("branch7x7dbl_3", width, (1, 7), 1),
            ("branch7x7dbl_4", width, (7, 1), 1),
            ("branch7x7dbl_5", 192, (1, 7), 1),
        ],
    ]
    return Mixed(768, chains, "average", 192)


def _from_17_to_8() -> Mixed:
    chains: list[Chain] = [
        [("branch3x3_1", 192, (1, 1), 1), ("branch3x3_2", 320, (3, 3), 2)],
        [
            ("branch7x7x3_1", 192, (1, 1), 1),
            ("branch7x7x3_2", 192, (1, 7), 1),
            ("branch7x7x3_3", 192, (7, 1), 1),
            ("branch7x7x3_4", 192, (3, 3), 2),
        ],
    ]
    return Mixed(768, chains, "halve")


def _at_8(in_channels: int, pool: Pool) -> Mixed:
    chains: list[Chain] = [
        [("branch1x1", 320, (1, 1), 1)],
        [
            ("branch3x3_1", 384, (1, 1), 1),
            (("branch3x3_2a", 384, (1, 3), 1), ("branch3x3_2b", 384, (3, 1), 1)),
        ],
        [
            ("branch3x3dbl_1", 448, (1, 1), 1),
            ("branch3x3dbl_2", 384, (3, 3), 1),
            (("branch3x3dbl_3a", 384, (1, 3), 1), ("branch3x3dbl_3b", 384, (3, 1), 1)),
        ],
    ]
    return Mixed(in_channels, chains, pool, 192)


class Inception2015(Extractor):
    """Features of the last pooling layer, 2048 of them."""

    license = LICENSE

    def __init__(self, *, name: str = NAME) -> None:
        super().__init__()
        self.name = name
        self.Conv2d_1a_3x3 = ConvBN(3, 32, (3, 3), 2, pad=False)
        self.Conv2d_2a_3x3 = ConvBN(32, 32, (3, 3), 1, pad=False)
        self.Conv2d_2b_3x3 = ConvBN(32, 64, (3, 3), 1, pad=True)
        self.Conv2d_3b_1x1 = ConvBN(64, 80, (1, 1), 1, pad=False)
        self.Conv2d_4a_3x3 = ConvBN(80, 192, (3, 3), 1, pad=False)
        self.Mixed_5b, self.Mixed_5c, self.Mixed_5d = _at_35(192, 32), _at_35(256, 64), _at_35(288, 64)
        self.Mixed_6a = _from_35_to_17()
        self.Mixed_6b, self.Mixed_6c, self.Mixed_6d, self.Mixed_6e = _at_17(128), _at_17(160), _at_17(160), _at_17(192)
        self.Mixed_7a = _from_17_to_8()
        self.Mixed_7b, self.Mixed_7c = _at_8(1280, "average"), _at_8(2048, "max")

    def features(self, images: Tensor) -> Tensor:
        """One vector per image, float32 [N, 2048]; differentiable."""
        check_images(images)
        x = (images.float() + 1) * 127.5
        x = (resize_from_corners(x, _SIZE) - 128) / 128
        x = self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(x)))
        x = F.max_pool2d(x, 3, stride=2)  # [N, 64, 73, 73]
        x = F.max_pool2d(self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(x)), 3, stride=2)  # [N, 192, 35, 35]
        x = self.Mixed_6a(self.Mixed_5d(self.Mixed_5c(self.Mixed_5b(x))))  # [N, 768, 17, 17]
        x = self.Mixed_6e(self.Mixed_6d(self.Mixed_6c(self.Mixed_6b(x))))
        x = self.Mixed_7c(self.Mixed_7b(self.Mixed_7a(x)))  # [N, 2048, 8, 8]
        return x.mean(dim=(2, 3))


def resize_from_corners(x: Tensor, size: int) -> Tensor:
    """Bilinear resizing as TensorFlow 1 does it: pixel i of the result lies at i * (old size / new size) of the old."""

    def along(x: Tensor, dim: int) -> Tensor:
        length = x.shape[dim]
        # The position is computed in float32, as there.
        position = torch.arange(size, dtype=torch.float32, device=x.device) * (length / size)
        low = position.floor().long().clamp(max=length - 1)
        share = (position - low).view([-1 if d == dim else 1 for d in range(4)])
        return torch.lerp(x.index_select(dim, low), x.index_select(dim, (low + 1).clamp(max=length - 1)), share)

    return along(along(x, 2), 3)


def is_inception(tensors: Mapping[str, Tensor]) -> bool:
    """Whether these are this network's tensors."""
    return "Conv2d_1a_3x3.conv.weight" in tensors


def build_inception(tensors: Mapping[str, Tensor], name: str, where: Path) -> Inception2015:
    """The network with these tensors, named as in pytorch-fid's file. Raises WeightsError if they do not fit."""
    network = Inception2015(name=name)
    # Features need neither the classifier nor the batch counts.
    used = {
        key: tensor.float().clone()
        for key, tensor in tensors.items()
        if not key.startswith("fc.") and not key.endswith("num_batches_tracked")
    }
    expected = {key: t for key, t in network.state_dict().items() if not key.endswith("num_batches_tracked")}
    wrong = [key for key, tensor in expected.items() if key not in used or used[key].shape != tensor.shape]
    wrong += [key for key in used if key not in expected]
    if wrong:
        raise WeightsError(
            f"{where}: not the weights of inception-2015; "
            f"missing, left over or of another shape: {', '.join(wrong[:5])}"
        )
    network.load_state_dict(used, strict=False)
    return network


def fetch_inception(name: str) -> Path:
    """The file of weights. Raises DownloadError or IntegrityError, see `fetch_first`."""
    entry = manifest.extractors()[name]
    return fetch_first(entry, entry.files, hub.Access(), use="stylegan evaluate MODEL --data DATA --extractor").path


FAMILY = Family(
    (NAME,),
    find=fetch_inception,
    recognise=is_inception,
    build=build_inception,
    sha256=lambda: {str(file.sha256): NAME for file in manifest.extractors()[NAME].files},
)
