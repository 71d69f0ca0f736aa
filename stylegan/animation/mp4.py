"""MP4 with H.264, which plays everywhere, through PyAV: an extra, `pip install "stylegan[video]"`."""

from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image

from .audio import Soundtrack

_BT709 = 1  # HD video's number in each of H.264's tables of colours.
# Constant quality, from 0 = lossless to 51: 18 is hard to tell from the frames.
CRF = 18


class MP4Writer:
    """H.264 in 4:2:0 with HD video's colours, and the index in front, for all kinds of players."""

    def __init__(
        self, file: BinaryIO, size: tuple[int, int], fps: Fraction, comment: str, *, audio: Path | None = None
    ):
        import av

        self._container: Any = av.open(file, mode="w", format="mp4", options={"movflags": "+faststart"})
        self._container.metadata["comment"] = comment
        self._stream: Any = self._container.add_stream("libx264", rate=fps, options={"crf": str(CRF)})
        self._stream.width, self._stream.height = (side + side % 2 for side in size)
        self._stream.pix_fmt = "yuv420p"
        context = self._stream.codec_context
        context.colorspace = context.color_primaries = context.color_trc = _BT709
        self._fps, self._frames = fps, 0
        self._soundtrack = None if audio is None else Soundtrack(audio, self._container)

    def add(self, image: Image.Image) -> None:
        """Encode one frame; it is written once the encoder has seen later ones."""
        from av.video.frame import VideoFrame

        pixels = np.asarray(image)
        height, width, _ = pixels.shape
        even = np.pad(pixels, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
        frame = VideoFrame.from_ndarray(even, format="rgb24")
        self._container.mux(self._stream.encode(frame.reformat(format="yuv420p", dst_colorspace="ITU709")))
        self._frames += 1
        if self._soundtrack:
            self._soundtrack.add_until(float(self._frames / self._fps))

    def close(self) -> None:
        """Flush the encoders, and write the index."""
        self._container.mux(self._stream.encode(None))
        if self._soundtrack:
            self._soundtrack.close()
        self._container.close()
