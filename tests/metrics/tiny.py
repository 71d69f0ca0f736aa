"""A tiny model, tiny pictures, and an evaluation that takes a second."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from stylegan import Generator
from stylegan.metrics import Settings, evaluate

from ..conftest import tiny_generator

METRICS = "fid24,kid24,pr24,ppl_w100,ppl_zend100,ls24"


class Bright:
    """An attribute: whether the picture is bright."""

    name = "bright"

    def logits(self, images: Tensor) -> Tensor:
        return images.mean(dim=(1, 2, 3)) * 10


def tiny_pictures(folder: Path, n: int = 20, size: int = 16, *, seed: int = 0) -> Path:
    """A folder of random pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.RandomState(seed)
    for i in range(n):
        coarse = Image.fromarray(random.randint(0, 256, (4, 4, 3), dtype=np.uint8))
        coarse.resize((size, size), Image.Resampling.BICUBIC).save(folder / f"{i:03d}.png")
    return folder


def tiny_settings(data: Path | None, cache_dir: Path | None, **options: Any) -> Settings:
    defaults = {"metrics": METRICS, "extractor": "random-conv", "distance": "random-conv", "classifiers": [Bright()]}
    return Settings(data=data, cache_dir=cache_dir, **{**defaults, **options})


def values(G: Generator, settings: Settings, **options: Any) -> dict[str, float]:
    result = evaluate(G, settings, progress=False, **options)
    return {name: entry["value"] for name, entry in result["metrics"].items()}


def well_spread() -> Generator:
    """A tiny generator whose images differ, so that no rounding is blown up."""
    G = tiny_generator()
    source: Any = G.synthesis.layers[0].source
    const: Tensor = source.const
    const.copy_(torch.randn(const.shape, generator=torch.Generator().manual_seed(3)))
    return G
