"""Video files, written frame by frame: MP4, GIF and WebP."""

import json
import os
from collections.abc import Callable, Iterable
from fractions import Fraction
from functools import partial
from itertools import chain
from operator import length_hint
from pathlib import Path
from typing import BinaryIO, Protocol

import numpy as np
from PIL import Image

from ..errors import InputError
from ..images.convert import opaque
from ..images.decoding import MODES
from ..runtime.atomic_files import new_file
from ..runtime.checks import typed
from ..runtime.progress import is_hidden, progress_bar
from .gif import GIFWriter
from .mp4 import MP4Writer
from .pyav import require_av
from .webp import WebPWriter

Frame = Image.Image | np.ndarray
MAX_SIDE = 16383  # WebP's limit, the strictest.


class Writer(Protocol):
    """Writes the frames of a file one by one; width, height, rate and comment are known from the start."""

    def add(self, image: Image.Image) -> None:
        """Encode and write one frame, an RGB image."""

    def close(self) -> None:
        """Write what comes after the last frame."""


WRITERS: dict[str, Callable[[BinaryIO, tuple[int, int], Fraction, str], Writer]] = {
    ".mp4": MP4Writer,
    ".gif": GIFWriter,
    ".webp": WebPWriter,
}


@typed
def save_video(
    frames: Iterable[Frame],
    path: str | os.PathLike[str],
    *,
    fps: float = 30.0,
    audio: str | os.PathLike[str] | None = None,
    progress: bool | None = None,
) -> None:
    """Write frames to a file, complete or not at all, with only a few of them in memory.

    frames: PIL images or uint8 arrays [H, W] or [H, W, C], C of 1 to 4, of equal size; an iterator works, too.
        Transparent frames are composited over white. The settings of the first image (`images.remember`) are stored as
        JSON, in the comment of MP4 and GIF and the image description (EXIF) of WebP.
    path: .mp4 (H.264, `pip install "stylegan[video]"`), .gif (256 colours a frame, at most 50 frames a second) or
        .webp. GIF and WebP loop forever. MP4 needs even sizes: an odd edge is repeated once.
    fps: frames per second.
    audio: a file whose sound the video gets (AAC, stereo), cut at its end; None = a silent video. Only for .mp4.
    progress: show a bar; None = on a terminal.

    Raises InputError for no frames, frames of different sizes, or a format that is unknown or not installed.
    """
    path = Path(path)
    rate = check_video(path, fps, has_sound=audio is not None)
    images = map(_as_image, frames)
    first = next(images, None)
    if first is None:
        raise InputError("a video needs at least one frame")
    if max(first.size) > MAX_SIDE:
        raise InputError(f"frames of a video may have {MAX_SIDE} pixels on a side, got {first.size}; make them smaller")
    settings = {key: value for key, value in first.info.items() if isinstance(value, str)}
    hidden = is_hidden(progress)
    with new_file(path) as file:
        make = WRITERS[path.suffix.lower()] if audio is None else partial(MP4Writer, audio=Path(audio))
        writer = make(file, first.size, rate, json.dumps(settings))
        for image in progress_bar(
            chain([first], images), total=length_hint(frames) or None, unit="frame", hidden=hidden
        ):
            if image.size != first.size:
                raise InputError(f"frames of a video must have one size, got {first.size} and {image.size}")
            writer.add(opaque(image).convert("RGB"))
        writer.close()


def check_video(path: Path, fps: float, *, has_sound: bool = False) -> Fraction:
    """The exact rate; raises InputError, before any frame is made, if the file could not be written."""
    suffix = path.suffix.lower()
    if suffix not in WRITERS:
        raise InputError(f"{path}: unknown kind of video {suffix!r}; use {', '.join(WRITERS)}")
    if has_sound and suffix != ".mp4":
        raise InputError(f"{path}: {suffix} has no sound; write an .mp4 file")
    if not 0 < fps <= 240:
        raise InputError(f"fps must be above 0 and at most 240, got {fps}")
    if suffix == ".gif" and fps > 50:
        raise InputError(f"GIF shows 50 frames a second at most, got fps {fps}; use .webp or .mp4")
    if suffix == ".mp4":
        require_av("MP4")
    return Fraction(fps).limit_denominator(1001)


def _as_image(frame: Frame) -> Image.Image:
    if isinstance(frame, Image.Image):
        return frame
    if frame.dtype != np.uint8 or frame.ndim not in (2, 3) or (frame.ndim == 3 and frame.shape[2] not in MODES):
        raise InputError(f"a frame must be uint8 [H, W] or [H, W, 1 to 4], got {frame.dtype} {list(frame.shape)}")
    return Image.fromarray(frame[:, :, 0] if frame.ndim == 3 and frame.shape[2] == 1 else frame)
