"""Walks that follow a song: their speed follows its loudness, the fine layers its onsets.

Onsets are peaks of the spectral flux above its moving mean (Bello et al. 2005, A tutorial on onset detection in music
signals, sections III and IV).
"""

import os
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from ..generator import Generator
from ..runtime.checks import check_number, typed
from .audio import LONGEST, read_samples
from .walks import Walk, mix_walks

# Samples per second, per hop (10 ms), and per window (32 ms).
RATE, HOP, WINDOW = 16_000, 160, 512
VALUES = RATE // HOP  # Per second.

SECONDS_PER_STOP = 4.0  # From one seed to the next, on average.
STILL = 0.15  # Speed in silence, relative to the loudest parts.
GLIDE = 0.2  # Seconds for which the fine layers advance at an onset.


@dataclass(frozen=True)
class Music:
    """What a walk needs to know about a song."""

    path: Path
    seconds: float
    loudness: Tensor  # [T], 0 to 1, `VALUES` a second
    onsets: Tensor  # [K], in seconds, rising


@typed
def listen(path: str | os.PathLike[str], *, seconds: float | None = None) -> Music:
    """Analyse a song: loudness over time, and the onsets of its notes and beats.

    path: an audio or video file that PyAV decodes: mp3, wav, flac, m4a, mp4... seconds: how much of it, from the
        start, padded with silence; None = all.

    Raises InputError for a file without sound, or with more than an hour of it.
    """
    if seconds is not None:
        check_number(seconds, what="seconds", low=0, high=LONGEST)
    samples = torch.from_numpy(read_samples(Path(path), rate=RATE, seconds=seconds))
    if seconds is not None:
        samples = F.pad(samples, (0, max(0, round(seconds * RATE) - len(samples))))
    return Music(Path(path), len(samples) / RATE, loudness(samples), onsets(samples))


def loudness(samples: Tensor) -> Tensor:
    """The root mean square over a third of a second, relative to loud parts (95th percentile). [N] -> [T]."""
    power = F.pad(samples.double().square(), (0, -len(samples) % HOP)).reshape(-1, HOP).mean(dim=1)  # [T]
    rms = _moving_mean(power, VALUES // 3).sqrt()
    return (rms / rms.quantile(0.95).clamp(min=1e-4)).clamp(0, 1)


def onsets(samples: Tensor) -> Tensor:
    """Times at which notes and beats begin, at least 0.1 s apart. [N] -> [K], in seconds."""
    padded = F.pad(samples, (0, max(0, WINDOW - len(samples))))
    window = torch.hann_window(WINDOW, device="cpu")
    spectrum = torch.stft(padded, WINDOW, HOP, window=window, pad_mode="constant", return_complex=True).abs()  # [B, T]
    # The loudest bin is 1: bins 60 dB below count for little.
    spectrum = torch.log1p(1000 * spectrum / spectrum.max().clamp(min=1e-4)).double()
    flux = F.pad(spectrum.diff(dim=1).clamp(min=0).mean(dim=0), (1, 0))  # [T]
    near = F.max_pool1d(flux[None], 2 * (VALUES // 10) + 1, 1, VALUES // 10)[0]
    threshold = 1.5 * _moving_mean(flux, VALUES) + 0.1 * flux.max()
    return torch.nonzero((flux == near) & (flux > threshold))[:, 0].double() / VALUES


def _moving_mean(x: Tensor, width: int) -> Tensor:
    """The moving mean over about `width` values, fewer at the edges. [T] -> [T]."""
    half = width // 2
    return F.avg_pool1d(x[None], 2 * half + 1, 1, half, count_include_pad=False)[0]


def dance(G: Generator, walk: Walk, music: Music, *, stops: int, loop: bool) -> Walk:
    """A walk in time with a song: the fine layers advance at each onset, all others move faster where it is louder.

    stops: stretches of the walk. At time 1, the end of the song, a loop has gone around a whole number of times.
    """
    rounds = max(1, round(music.seconds / SECONDS_PER_STOP / stops)) if loop else 1
    flow = _flow(music)
    slow = retime(walk, rounds * flow, loop=loop)
    if not len(music.onsets):
        return slow
    beats = -(-len(music.onsets) // stops) if loop else 1
    return mix_walks(G, slow, retime(walk, beats * _steps(music, len(flow)), loop=loop), "fine")


def _flow(music: Music) -> Tensor:
    """Positions of a walk, from 0 to 1, at equal times [T + 1]: its speed is the loudness."""
    speed = STILL + (1 - STILL) * music.loudness
    return F.pad(speed.cumsum(0) / speed.sum(), (1, 0))


def _steps(music: Music, n: int) -> Tensor:
    """Positions from 0 to 1 at n equal times, if every onset advances the walk equally."""
    times = torch.linspace(0, music.seconds, n, dtype=torch.float64, device="cpu")
    # Steps near the end are cut off; the remainder is spread over all.
    begun = ((times[:, None] - music.onsets) / GLIDE).clamp(0, 1)
    steps = (begun * begun * (3 - 2 * begun)).sum(dim=1)
    return steps / steps[-1].clamp(min=1e-9)


def retime(walk: Walk, positions: Tensor, *, loop: bool) -> Walk:
    """A walk with these positions at equal times [n] from 0 to 1; in a loop, 1 is once around."""

    def at(times: Tensor) -> Tensor:
        x = times.double().clamp(0, 1) * (len(positions) - 1)
        i = x.floor().long().clamp(max=len(positions) - 2)
        position = torch.lerp(positions[i], positions[i + 1], x - i)
        return walk(position % 1 if loop else position.clamp(0, 1))

    return at
