"""Pictures to make data sets of, and what is in those."""

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


def noise(width: int = 16, height: int = 16, seed: int = 0) -> Image.Image:
    return Image.fromarray(np.random.RandomState(seed).randint(0, 256, (height, width, 3)).astype(np.uint8))


def encoded(image: Image.Image, format: str = "PNG", **options: object) -> bytes:
    data = io.BytesIO()
    image.save(data, format=format, **options)
    return data.getvalue()


def images_of(path: Path) -> list[Image.Image]:
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if name != "labels.json"]
        return [Image.open(io.BytesIO(archive.read(name))) for name in names]


def labels_of(path: Path) -> dict[str, Any]:
    with zipfile.ZipFile(path) as archive:
        labels: dict[str, Any] = json.loads(archive.read("labels.json"))
        return labels


def make_zip(path: Path, files: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


def nothing_left(out: Path) -> bool:
    return not out.parent.exists() or not list(out.parent.iterdir())


def rows(labels: Tensor | None) -> list[list[float]]:
    """Label vectors as lists; there must be some."""
    assert labels is not None
    return [[float(x) for x in row] for row in labels]
