"""Real images are varied by the seed alone, most of them a little."""

import numpy as np
import pytest
import torch

from stylegan.encoder.augment import augment


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_most_images_are_varied_by_the_seed(channels: int) -> None:
    img = torch.rand(64, channels, 16, 16, generator=torch.Generator().manual_seed(0)) * 2 - 1
    varied = augment(img, np.random.RandomState(1))
    assert varied.shape == img.shape
    assert varied.abs().max() <= 1
    assert torch.equal(varied, augment(img, np.random.RandomState(1)))
    same = (varied == img).flatten(1).all(dim=1)
    assert 8 < same.sum() < 32


@pytest.mark.parametrize("channels", [2, 4])
def test_light_leaves_opaque_images_opaque(channels: int) -> None:
    img = torch.zeros(64, channels, 16, 16)
    img[:, -1] = 1
    varied = augment(img, np.random.RandomState(1))
    assert torch.allclose(varied[:, -1], img[:, -1])
    assert not torch.allclose(varied[:, :-1], img[:, :-1])


def test_a_varied_image_is_still_the_same() -> None:
    """A blob in the centre stays near it, and dark stays darker than light."""
    y, x = torch.meshgrid(torch.linspace(-1, 1, 32), torch.linspace(-1, 1, 32), indexing="ij")
    img = (torch.exp(-8 * (x.square() + y.square())) - 0.5).expand(50, 3, 32, 32)
    varied = augment(img, np.random.RandomState(2))
    peaks = varied[:, 0].flatten(1).argmax(dim=1)
    assert (peaks // 32 - 15.5).abs().max() < 4
    assert (peaks % 32 - 15.5).abs().max() < 4
