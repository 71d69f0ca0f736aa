"""A visitor's photo: read, cropped and reconstructed. No web code; the photo may come from a stranger."""

import base64
import binascii
from dataclasses import dataclass

import torch
from PIL import Image

from .. import images, projection
from ..encoder import Encoder
from ..errors import DatasetError, InputError
from ..generator import Generator
from ..images.decoding import decode
from ..latents.files import Latents
from ..projection.faces import crop_photo
from .kept import PHOTO

# A photo is averaged down until its shorter side is below twice this, or eight times the model's.
_SEARCHED = 1024

_UNREADABLE = "this photo cannot be read: it is damaged, too large, or in a format that the browser does not know"


# What a person should know about a crop, by what was missing.
_NOTES = {
    "": "",
    "face": "No frontal face of a usable size was found, so the centre is used. Crop the photo to the face.",
    "detector": "No face detector is installed, so the centre is used: crop the photo to the face, or "
    'pip install "stylegan[alignment]".',
}

_UNLIKE = "The model knows nothing like this photo, and its image hardly resembles it: crop it like the model's data."


@dataclass(frozen=True, eq=False)
class Photo:
    """A photo and its reconstruction by a model."""

    model: str  # Its name on the page.
    square: Image.Image  # What was encoded, cropped to the model's size.
    note: str  # What a person should know about the crop and the reconstruction; "" = nothing.
    made: Image.Image  # The reconstruction.
    latents: Latents  # One row, on the model's device.


class Photos:
    """The current photo of each session; the longest unused ones go first."""

    def __init__(self, *, limit: int):
        self.limit = limit
        self._of: dict[str, Photo] = {}

    def __len__(self) -> int:
        return len(self._of)

    def put(self, session: str, photo: Photo) -> None:
        """Keep the photo instead of the session's last one."""
        self.forget(session)
        self._of[session[:64]] = photo
        for oldest in list(self._of)[: max(0, len(self._of) - self.limit)]:
            self.forget(oldest)

    def get(self, session: str, model: str) -> Photo | None:
        """The session's photo, if it was made by that model."""
        photo = self._of.get(session[:64])
        return photo if photo is not None and photo.model == model else None

    def forget(self, session: str) -> None:
        """Drop the session's photo."""
        self._of.pop(session[:64], None)


def read_photo(data: bytes, G: Generator) -> Image.Image:
    """The bytes of an image file -> a photo for the model: upright, 8 bits, without metadata.

    Raises InputError for data that are no image, damaged or too large.
    """
    try:
        photo = decode(data, channels=4 if G.img_channels in (2, 4) else 3, animated="first").image
    except DatasetError as error:
        raise InputError(f"this photo cannot be read: {error}") from error
    photo.info.clear()  # The file's metadata, such as a place.
    factor = min(photo.size) // max(_SEARCHED, 4 * G.img_resolution)
    return photo.reduce(factor) if factor > 1 else photo


def read_data_url(url: object) -> bytes:
    """The bytes in a browser's data URL. Raises InputError for anything else: the browser could not read the photo."""
    head, _, text = url.partition(",") if isinstance(url, str) else ("", "", "")
    if not head.startswith("data:") or not head.endswith(";base64"):
        raise InputError(_UNREADABLE)
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise InputError(_UNREADABLE) from error


@torch.no_grad()
def encode_photo(data: bytes, G: Generator, encoder: Encoder, *, model: str) -> Photo:
    """The bytes of an image file -> the photo and its reconstruction. model: the model's name on the page.

    Raises InputError for a photo that cannot be read or is too small.
    """
    square, _, lacks = crop_photo(read_photo(data, G), G)
    found = projection.project(square, G, method="encoder", encoder=encoder, names=[PHOTO], progress=False)
    notes = (_NOTES[lacks], _UNLIKE if any(found.is_far) else "")
    return Photo(model, square, " ".join(filter(None, notes)), images.to_pil(found.img)[0], found.latents)
