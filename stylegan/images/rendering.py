"""Images in batches, as PIL images, one array or one tensor."""

from collections.abc import Callable
from typing import Any, get_args

import numpy as np
import torch
from PIL.Image import Image
from torch import Tensor

from ..errors import InputError
from ..runtime.batching import batches
from ..runtime.checks import check_choice
from ..runtime.choices import OutputType
from .convert import check_channels, to_numpy, to_pil

Rendered = list[Image] | np.ndarray | Tensor  # By output_type.


def check_output(output_type: OutputType, n: int, img_channels: int) -> None:
    """Raise InputError unless n images with this number of channels can be returned as this type."""
    check_choice(output_type, what="output_type", choices=get_args(OutputType))
    if output_type == "pil":
        check_channels(img_channels)
    if n == 0:
        raise InputError("nothing to render: ws has no rows")


def render(
    images: Callable[[slice], Tensor], n: int, *, batch_size: int, output_type: OutputType, progress: bool | None
) -> Rendered:
    """Compute n images batch by batch.

    images: slice of range(n) -> [N, C, H, W] in [-1, 1]. For the rest see `Generator.sample`.
    """
    results: list[Any] = []
    with torch.no_grad():
        for i in batches(n, batch_size, progress):
            img = images(i)
            if output_type == "pil":
                results += to_pil(img)
            else:
                results.append(img if output_type == "pt" else to_numpy(img))
    if output_type == "pil":
        return results
    return torch.cat(results) if output_type == "pt" else np.concatenate(results)
