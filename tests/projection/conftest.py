"""A perceptual network that costs nothing, for tests of what does not depend on it."""

import pytest
import torch.nn.functional as F
from torch import Tensor

from stylegan import Generator

from ..conftest import gentle_generator


class Blocks:
    """Embeds images as their averages over blocks of 4x4 pixels: squared distances are mean squared differences."""

    name = "blocks"

    def embed(self, images: Tensor) -> Tensor:
        small = F.avg_pool2d(images, 4)
        vectors: Tensor = small.flatten(1) / small[0].numel() ** 0.5
        return vectors


@pytest.fixture(scope="session")
def blocks() -> Blocks:
    return Blocks()


@pytest.fixture(scope="session")
def gentle() -> Generator:
    return gentle_generator()
