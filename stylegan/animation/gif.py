"""Animated GIF, written frame by frame (the GIF89a specification).

Pillow encodes every frame as a separate file, and the parts are joined here: its own writer of animations holds all
frames in memory.
"""

import io
import struct
from fractions import Fraction
from typing import BinaryIO

from PIL import Image

from .timing import tick

# Blocks of the format: 0x21 starts an extension, 0x2C an image, 0x3B ends the file.
_EXTENSION, _IMAGE, _TRAILER = 0x21, 0x2C, b"\x3b"


class GIFWriter:
    """Every frame has its own palette of 256 colours; shown for hundredths of a second that add up to the rate."""

    def __init__(self, file: BinaryIO, size: tuple[int, int], fps: Fraction, comment: str):
        self._file, self._fps, self._frames = file, fps, 0
        file.write(b"GIF89a" + struct.pack("<HHBBB", *size, 0x70, 0, 0))  # no global palette
        file.write(b"\x21\xff\x0bNETSCAPE2.0\x03\x01" + struct.pack("<H", 0) + b"\x00")  # repeat for ever
        file.write(b"\x21\xfe" + _sub_blocks(comment.encode()))

    def add(self, image: Image.Image) -> None:
        """Encode and write one frame."""
        palette, descriptor, pixels = _encode(image)
        self._file.write(b"\x21\xf9\x04\x04" + struct.pack("<H", self._delay()) + b"\x00\x00")
        # The palette follows the descriptor, whose flags give its size: 2^(n + 1) colours of 3 bytes.
        flags = 0x80 | ((len(palette) // 3).bit_length() - 2)
        self._file.write(descriptor + bytes([flags]) + palette + pixels)
        self._frames += 1

    def close(self) -> None:
        """Write the trailer."""
        self._file.write(_TRAILER)

    def _delay(self) -> int:
        return tick(self._frames + 1, self._fps, 100) - tick(self._frames, self._fps, 100)


def _encode(image: Image.Image) -> tuple[bytes, bytes, bytes]:
    """The palette, the image descriptor without its flags, and the compressed pixels of a frame."""
    data = io.BytesIO()
    # Median cut takes 100 times as long, and without dithering octrees leave bands on skin.
    octree = image.quantize(256, method=Image.Quantize.FASTOCTREE)
    plain = image.quantize(palette=octree, dither=Image.Dither.FLOYDSTEINBERG)
    plain.info.clear()
    plain.save(data, format="GIF", interlace=0)
    encoded = data.getvalue()
    start = 13 + 3 * 2 ** ((encoded[10] & 7) + 1)
    palette, i = encoded[13:start], start
    while encoded[i] == _EXTENSION:
        i += 2
        while encoded[i]:
            i += encoded[i] + 1
        i += 1
    assert encoded[i] == _IMAGE
    return palette, encoded[i : i + 9], encoded[i + 10 : -1]


def _sub_blocks(data: bytes) -> bytes:
    """Bytes in blocks of at most 255, each after its length, and an empty one."""
    return b"".join(bytes([len(part := data[i : i + 255])]) + part for i in range(0, len(data), 255)) + b"\x00"
