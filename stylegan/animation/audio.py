"""Sound files, through PyAV: decoded to samples, and encoded as the sound track of an MP4."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError
from .pyav import require_av

LONGEST = 3600  # Seconds.

# The sound track's samples and bits per second.
STEREO_RATE, BIT_RATE = 48_000, 192_000


@contextmanager
def _opened(path: Path) -> Iterator[tuple[Any, Any]]:
    """The container and its first audio stream; raises InputError if none can be decoded."""
    require_av("sound")
    import av

    with path.open("rb") as file:
        try:
            with av.open(file) as container:
                if not container.streams.audio:
                    raise InputError(f"{path} has no sound; give a song, such as .mp3, .wav or .flac")
                yield container, container.streams.audio[0]
        except av.FFmpegError as error:
            raise InputError(f"{path} cannot be decoded ({error}); give a song, such as .mp3, .wav or .flac") from error


def _decoded(path: Path, **form: Any) -> Iterator[Any]:
    """The sound in chunks, resampled; form: `format`, `layout` and `rate` of av.AudioResampler."""
    with _opened(path) as (container, stream):
        from av import AudioResampler

        resampler = AudioResampler(**form)
        for frame in container.decode(stream):
            yield from resampler.resample(frame)
        yield from resampler.resample(None)


def read_samples(path: Path, *, rate: int, seconds: float | None = None) -> np.ndarray:
    """The sound as one channel [samples], float32 in [-1, 1], at `rate` samples a second.

    seconds: from the start, if it is as long; None = all. Raises InputError for no sound, or more than an hour.
    """
    parts, n, wanted = [], 0, rate * LONGEST + 1 if seconds is None else round(rate * seconds)
    for part in _decoded(path, format="flt", layout="mono", rate=rate):
        parts.append(part.to_ndarray()[0])
        n += len(parts[-1])
        if n >= wanted:
            break
    if not n:
        raise InputError(f"{path} has no sound: its stream is empty")
    if n > rate * LONGEST and seconds is None:
        raise InputError(f"{path} lasts more than {LONGEST} seconds; cut it, or say how many of its seconds to take")
    return np.concatenate(parts)[:wanted]


class Soundtrack:
    """The audio stream of an MP4: AAC, stereo."""

    def __init__(self, path: Path, container: Any):
        self._container, self._samples = container, 0
        self._stream = container.add_stream("aac", rate=STEREO_RATE, layout="stereo")
        self._stream.bit_rate = BIT_RATE
        self._parts = _decoded(path, format="fltp", layout="stereo", rate=STEREO_RATE)

    def add_until(self, end: float) -> None:
        """Encode the sound that starts before a time, in seconds."""
        while self._samples < end * STEREO_RATE and (part := next(self._parts, None)) is not None:
            part.pts = self._samples
            self._samples += part.samples
            self._container.mux(self._stream.encode(part))

    def close(self) -> None:
        """Flush the encoder."""
        self._container.mux(self._stream.encode(None))
