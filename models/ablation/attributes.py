"""Classifiers of what a rendered head shows, for linear separability: the renderer's own attributes are the labels."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stylegan.data.dataset import ImageDataset
from stylegan.images.convert import from_uint8

CHANNELS = (32, 64, 128)
BATCH = 64


def is_light(colour: str) -> bool:
    """Whether a colour such as "#f5c5e3" is lighter than grey."""
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return 0.3 * red + 0.59 * green + 0.11 * blue > 127


# What DiceBear says of a head -> yes or no.
ATTRIBUTES: dict[str, Callable[[Mapping[str, Any]], bool]] = {
    "beard": lambda head: "beard" in head,
    "long hair": lambda head: "rearHair" in head,
    "light hair": lambda head: is_light(head["hairColor"]),
    "light skin": lambda head: is_light(head["skinColor"]),
    "light clothes": lambda head: is_light(head["clothesColor"]),
    "open mouth": lambda head: head["mouth"] in ("agape", "laugh"),
    "wink": lambda head: head["eyes"] == "wink",
    "bun": lambda head: head["hair"] == "bun",
}


class Classifiers(nn.Module):
    """One network for all attributes: [N, 3, R, R] in [-1, 1] -> log-odds [N, A]."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for i, o in zip((3, *CHANNELS), CHANNELS, strict=False):
            layers += [nn.Conv2d(i, o, 3, stride=2, padding=1), nn.BatchNorm2d(o), nn.LeakyReLU(0.1)]
        self.convs, self.head = nn.Sequential(*layers), nn.LazyLinear(len(ATTRIBUTES))

    def forward(self, images: Tensor) -> Tensor:
        """The log-odds."""
        logits: Tensor = self.head(self.convs(images).flatten(1))
        return logits


class One:
    """The classifier of one attribute, as `stylegan.metrics.Settings` takes it."""

    def __init__(self, network: Classifiers, column: int):
        self.name, self._network, self._column = list(ATTRIBUTES)[column], network, column

    def logits(self, images: Tensor) -> Tensor:
        """Log-odds, [N]."""
        logits: Tensor = self._network(images)[:, self._column]
        return logits


def labels_of(names: list[str], heads: Mapping[str, Mapping[str, Any]]) -> Tensor:
    """The attributes of images, float32 [N, A]."""
    return torch.tensor([[float(is_so(heads[name])) for is_so in ATTRIBUTES.values()] for name in names])


def fit(dataset: ImageDataset, labels: Tensor, *, epochs: int) -> tuple[Classifiers, dict[str, float]]:
    """Train on nine tenths of the images; returns the network, and its accuracy on the others."""
    count = len(dataset)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        order, network = torch.randperm(count), Classifiers()
        test, train = order[: count // 10], order[count // 10 :]
        network(batch(dataset, train[:2]))  # Gives the last layer its size.
        steps = max(1, epochs * (len(train) // BATCH))
        optimizer = torch.optim.AdamW(network.parameters(), lr=2e-3, weight_decay=0.02)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=steps)
        for _ in range(steps):
            some = train[torch.randint(len(train), (min(BATCH, len(train)),))]
            loss = F.binary_cross_entropy_with_logits(network(batch(dataset, some)), labels[some])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    network.eval().requires_grad_(False)
    found = torch.cat([network(batch(dataset, some)) for some in test.split(256)]) > 0
    right = (found == (labels[test] > 0.5)).float().mean(0).tolist()
    return network, dict(zip(ATTRIBUTES, right, strict=True))


def batch(dataset: ImageDataset, indices: Tensor) -> Tensor:
    """Images in [-1, 1]."""
    return from_uint8(dataset.batch(indices.tolist())[0])
