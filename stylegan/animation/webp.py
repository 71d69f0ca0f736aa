"""Animated WebP, written frame by frame (the WebP container specification).

Pillow encodes every frame as a separate file, and the parts are joined here: its own writer of animations holds all
frames in memory.
"""

import io
import struct
from fractions import Fraction
from typing import BinaryIO

from PIL import Image

from .timing import tick

_ANIMATION, _EXIF, _NO_BLEND = 0x02, 0x08, 0x02
_IMAGE_DESCRIPTION = 0x010E
QUALITY = 85


class WebPWriter:
    """Every frame is a whole lossy image of quality 85, shown for milliseconds that add up to the rate."""

    def __init__(self, file: BinaryIO, size: tuple[int, int], fps: Fraction, comment: str):
        self._file, self._size, self._fps, self._frames = file, size, fps, 0
        self._comment = comment
        file.write(b"RIFF" + bytes(4) + b"WEBP")  # the length is written at the end
        file.write(_chunk(b"VP8X", bytes([_ANIMATION | _EXIF, 0, 0, 0]) + self._extent()))
        file.write(_chunk(b"ANIM", struct.pack("<IH", 0xFFFFFFFF, 0)))  # white below, repeat for ever

    def add(self, image: Image.Image) -> None:
        """Encode and write one frame."""
        data = io.BytesIO()
        image.save(data, format="WEBP", quality=QUALITY, exif=b"", icc_profile=b"", xmp=b"")
        duration = tick(self._frames + 1, self._fps, 1000) - tick(self._frames, self._fps, 1000)
        header = bytes(6) + self._extent() + duration.to_bytes(3, "little") + bytes([_NO_BLEND])
        # After "RIFF", the length and "WEBP", a plain image has only one chunk.
        self._file.write(_chunk(b"ANMF", header + data.getvalue()[12:]))
        self._frames += 1

    def close(self) -> None:
        """Write the settings, and fill in the total length."""
        exif = Image.Exif()
        exif[_IMAGE_DESCRIPTION] = self._comment
        self._file.write(_chunk(b"EXIF", exif.tobytes()))
        length = self._file.tell()
        self._file.seek(4)
        self._file.write(struct.pack("<I", length - 8))

    def _extent(self) -> bytes:
        return b"".join((side - 1).to_bytes(3, "little") for side in self._size)


def _chunk(name: bytes, data: bytes) -> bytes:
    return name + struct.pack("<I", len(data)) + data + bytes(len(data) % 2)
