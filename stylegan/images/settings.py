"""The settings of an image, stored in its file: attached, written and read."""

import json
import logging
import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from torch import Tensor

from ..errors import InputError
from ..runtime.checks import typed
from ..runtime.json_yaml import parse_json
from .encoding import ENCODINGS

# The EXIF tag that holds the settings, in ASCII.
IMAGE_DESCRIPTION = 0x010E
# The limit of JPEG is 65,533 bytes.
_MAX_EXIF = 65_000


@typed
def remember(image: Image.Image, settings: Mapping[str, object]) -> Image.Image:
    """Attach settings to an image, in `image.info` and in every PNG, JPEG and WebP saved from it; returns it.

    Earlier settings are kept. Copies made by Pillow (crop, resize) keep `info` but do not save it.
    `recall` reads them from a file, where they are JSON in the image description (EXIF), and in PNGs also text.
    """
    image.info |= {key: setting_text(value) for key, value in settings.items()}
    png = PngInfo()
    for key, value in settings_of(image).items():
        png.add_itxt(key, value)
    image.encoderinfo = {"pnginfo": png, "exif": _exif(image)} | ENCODINGS["PNG"]
    return image


@typed
def recall(path: str | os.PathLike[str]) -> dict[str, str]:
    """The settings that `remember` stored in a PNG, JPEG, WebP, GIF or MP4; {} if there are none, as in a photo.

    Raises InputError if the file does not exist or is neither an image nor an MP4, or if PyAV, which reads MP4, is not
    installed.
    """
    try:
        if _is_mp4(path):
            stored = _comment_of_mp4(path)
        else:
            with Image.open(path) as image:
                if image.format == "PNG":
                    return settings_of(image)
                gif = image.format == "GIF"
                stored = image.info.get("comment", "") if gif else image.getexif().get(IMAGE_DESCRIPTION, "")
    except InputError:
        raise
    except Exception as error:  # Pillow and PyAV may raise anything for damaged files.
        raise InputError(f"{os.fspath(path)}: not a readable image: {error}") from error
    try:
        settings = parse_json(stored, where=os.fspath(path), error=InputError)
    except InputError:  # A description by another program.
        return {}
    return {key: str(value) for key, value in settings.items()} if isinstance(settings, dict) else {}


def _is_mp4(path: str | os.PathLike[str]) -> bool:
    """Whether a file is an MP4; AVIF images differ only in the brand."""
    with open(path, "rb") as file:
        head = file.read(12)
    return head[4:8] == b"ftyp" and head[8:12] not in (b"avif", b"avis")


def _comment_of_mp4(path: str | os.PathLike[str]) -> str:
    try:
        import av
    except ImportError as error:
        what = f"{os.fspath(path)}: the settings of an MP4 are read with PyAV ({error})"
        raise InputError(f'{what}: pip install "stylegan[video]"') from error
    with av.open(os.fspath(path)) as container:
        return container.metadata.get("comment", "")


def settings_of(image: Image.Image) -> dict[str, str]:
    """The settings attached to an image."""
    return {str(key): value for key, value in image.info.items() if isinstance(value, str)}


def sample_settings(
    seeds: Sequence[int], *, psi: Tensor, cutoff: int | None, labels: Tensor | None
) -> list[dict[str, Any]]:
    """The settings of images of `Generator.sample`, except noise. psi: [] or [num_ws]; labels: [N, label_dim]."""
    truncation: dict[str, Any] = {"truncation_psi": _rounded(psi.tolist())}
    if cutoff is not None:
        truncation["truncation_cutoff"] = cutoff
    classes = [{}] * len(seeds) if labels is None else [{"label": vector} for vector in labels.tolist()]
    return [{"seed": seed, **truncation, **label} for seed, label in zip(seeds, classes, strict=True)]


def _rounded(psi: Any) -> Any:
    """Numbers without the rounding of float32."""
    return [_rounded(x) for x in psi] if isinstance(psi, list) else round(psi, 6)


def setting_text(value: object) -> str:
    """A setting as stored in images; layers as in commands: 4:8."""
    if isinstance(value, slice):
        return ":".join("" if part is None else str(part) for part in (value.start, value.stop))
    return str(value.tolist() if isinstance(value, Tensor | np.ndarray) else value)


def _exif(image: Image.Image) -> bytes:
    """The settings of an image as EXIF; empty if there are none, or too many."""
    settings = settings_of(image)
    exif = Image.Exif()
    exif[IMAGE_DESCRIPTION] = json.dumps(settings)
    data = exif.tobytes() if settings else b""
    if len(data) > _MAX_EXIF:
        logging.getLogger(__name__).warning(
            "%d bytes of settings are too many for JPEG and WebP, which will have none", len(data)
        )
        return b""
    return data
