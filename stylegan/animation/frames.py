"""Animations: walks through latents, rendered one small batch of frames at a time."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from math import tau
from typing import Any, get_args

import torch
from PIL import Image
from torch import Tensor

from ..errors import InputError
from ..generator import Generator
from ..images.convert import to_pil
from ..images.grids import display_size, grid, resize
from ..images.settings import remember
from ..latents.bands import Layers
from ..latents.labels import Labels
from ..latents.seeds import Seeds, check_seeds
from ..latents.styles import check_cutoff, check_psi
from ..runtime.batching import check_batch_size
from ..runtime.checks import check_integer, check_integers, typed
from ..runtime.choices import Easing, NoiseKind, NoiseMode, Space
from .music import Music, dance
from .noise import NoisePath, noise_loop
from .walks import Walk, mix_walks, seed_walk, stay, ws_walk


class Animation:
    """Frames that are computed lazily, anew in every iteration.

    Iterate with `for image in animation`; there are `len(animation)`. Memory is constant in their number.
    """

    def __init__(
        self,
        G: Generator,
        walks: Sequence[Walk],  # One for each cell of the grid, at least one.
        num_frames: int,
        *,
        loop: bool = True,  # The frame after the last would be the first; else the last is at the end of the walk.
        truncation_psi: float | Callable[[Tensor], Tensor] = 0.7,  # Or a function of times [F] that returns psi [F].
        truncation_cutoff: int | None = None,
        noise: NoisePath | NoiseMode = "const",
        columns: int | None = None,  # Of the grid; None = about the square root of the number of walks.
        size: int | None = None,  # Width of each cell; None = the model's, at least 256.
        batch_size: int | None = None,  # Images computed together; None = by resolution.
        settings: dict[str, object] | None = None,  # Stored in the frames: how they were made.
    ):
        check_cutoff(truncation_cutoff, G.num_ws)
        if not walks or num_frames < 1:
            raise InputError(f"an animation needs a walk and a frame, got {len(walks)} and {num_frames}")
        self.G, self.walks, self.num_frames, self.loop = G, list(walks), num_frames, loop
        self.truncation_psi, self.truncation_cutoff = truncation_psi, truncation_cutoff
        self.noise, self.columns = noise, columns
        self.size = display_size(G.img_resolution, size)
        self.batch_size = batch_size or G.default_batch_size(num_frames * len(self.walks))
        self.settings = G.provenance() | {key: value for key, value in (settings or {}).items() if value is not None}

    def __len__(self) -> int:
        return self.num_frames

    def __iter__(self) -> Iterator[Image.Image]:
        together = max(1, self.batch_size // len(self.walks))
        for start in range(0, self.num_frames, together):
            frames = torch.arange(start, min(start + together, self.num_frames), dtype=torch.float64, device="cpu")
            # Integers are divided, so that a frame at a seed is exactly there.
            yield from self._render(frames / self._steps())

    def at(self, time: float) -> Image.Image:
        """The image at a time: 0 = start, 1 = end, which in a loop is the start again."""
        return self._render(torch.tensor([time], dtype=torch.float64, device="cpu"))[0]

    def _steps(self) -> int:
        return self.num_frames if self.loop else max(1, self.num_frames - 1)

    @torch.no_grad()
    def _render(self, times: Tensor) -> list[Image.Image]:
        ws = torch.stack([walk(times) for walk in self.walks], dim=1).flatten(0, 1)  # [F * walks, num_ws, w_dim]
        psi = self._psi(times).repeat_interleave(len(self.walks))[:, None]
        ws = self.G.truncate(ws, psi.expand(-1, self.G.num_ws), self.truncation_cutoff)
        maps = None if isinstance(self.noise, str) else self.noise(times)

        cells: list[Image.Image] = []
        for i in torch.arange(len(ws), device="cpu").split(self.batch_size):
            noise = None if maps is None else [noise[i // len(self.walks)] for noise in maps]
            mode = self.noise if isinstance(self.noise, str) else "const"
            cells += to_pil(self.G.synthesis(ws[i], noise_mode=mode, noise=noise))
        cells = [resize(cell, self.size) for cell in cells]
        step = len(self.walks)
        return [self._frame(cells[i : i + step]) for i in range(0, len(cells), step)]

    def _psi(self, times: Tensor) -> Tensor:
        """truncation_psi at times [F], float32."""
        if callable(self.truncation_psi):
            return self.truncation_psi(times).float()
        return check_psi(self.truncation_psi, [()]).expand(len(times))

    def _frame(self, cells: list[Image.Image]) -> Image.Image:
        frame = cells[0] if len(cells) == 1 else grid(cells, columns=self.columns, padding=max(2, self.size // 64))
        return remember(frame, self.settings)


@typed
def interpolate(
    G: Generator,
    seeds: Seeds | Sequence[Seeds] | None = None,
    *,
    ws: Tensor | None = None,
    num_frames: int = 120,
    space: Space = "w",
    loop: bool = True,
    easing: Easing = "smooth",
    layers: Layers | None = None,
    base_seeds: Seeds | None = None,
    truncation_psi: float = 0.7,
    breathe_to: float | None = None,
    breaths: int = 1,
    truncation_cutoff: int | None = None,
    noise: NoiseKind = "const",
    noise_seed: int = 0,
    noise_turns: int = 1,
    music: Music | None = None,
    labels: Labels = None,
    columns: int | None = None,
    size: int | None = None,
    batch_size: int | None = None,
) -> Animation:
    """An animation that walks from seed to seed; at a seed, the frame equals `G.sample` of that seed.

    seeds: of one walk, or a list of several for a grid of walks with `columns` per row (None = nearly square).
    ws: instead of seeds, styles [N, num_ws, w_dim] to walk through in W, such as those of projected photos.
    num_frames: total number of frames; with `fps=30`, each lasts 1/30 s.
    space, loop, easing, labels: see `walks.seed_walk`.
    layers: only these walk (a band, a crossover, a slice or a list, as in `mix_styles`); None = all of them.
    base_seeds: seeds between which the other layers walk; None = they stay at the first seed.
    truncation_psi, truncation_cutoff: see `G.truncate`.
    breathe_to: psi swings from truncation_psi to this value and back, `breaths` times; None = it stays.
    noise: "const" = the model's own maps in all frames; "smooth" = maps that change gently in a loop, `noise_turns`
        times around, see `noise.noise_loop`; "none" = no noise.
    music: a song from `animation.listen`, as long as the animation: walks move faster where it is louder, and their
        fine layers advance at each onset; None = they follow `easing` alone.
    size: width of each image in pixels; None = the model's, at least 256; see `images.display_size`.
    batch_size: images per batch; None = by resolution. It changes memory and time, not the images.

    Raises InputError for settings that do not fit the model.
    """
    if (seeds is None) == (ws is None) or (ws is not None and (space != "w" or labels is not None)):
        raise InputError("an animation needs seeds, or ws in their place, which go with space 'w' and without labels")
    if noise not in get_args(NoiseKind):
        raise InputError(f"noise must be one of {', '.join(map(repr, get_args(NoiseKind)))}; got {noise!r}")
    if base_seeds is not None and layers is None:
        raise InputError("base_seeds are for the layers that do not walk: give layers, such as 'coarse'")

    def in_time(walk: Walk, n: int) -> Walk:
        return walk if music is None or n == 1 else dance(G, walk, music, stops=n - (not loop), loop=loop)

    def through(some: list[int]) -> Walk:
        return in_time(seed_walk(G, some, space=space, loop=loop, easing=easing, labels=labels), len(some))

    if columns is not None:
        check_integer(columns, what="columns", low=1, high=1000)
    if batch_size is not None:
        check_batch_size(batch_size)
    several = [] if seeds is None else _seed_lists(seeds)
    if ws is not None:
        G.synthesis.check_ws(ws)
        walks = [in_time(ws_walk(ws, loop=loop, easing=easing), len(ws))]
    else:
        walks = [through(some) for some in several]
    if layers is not None:
        stays = [stay(walk) for walk in walks]
        bases = stays if base_seeds is None else [through(check_seeds(base_seeds))] * len(walks)
        walks = [mix_walks(G, base, walk, layers) for base, walk in zip(bases, walks, strict=True)]
    # Only whole numbers close a loop.
    check_integers([breaths, noise_turns], what="breaths or noise_turns", limit=2**16)
    check_psi([truncation_psi, truncation_psi if breathe_to is None else breathe_to], [(2,)])
    settings: dict[str, object] = {"seeds": several[0] if len(several) == 1 else several or None}
    settings |= {"num_frames": num_frames}
    settings |= {"space": space, "loop": loop, "easing": easing, "layers": layers, "base_seeds": base_seeds}
    settings |= {"truncation_psi": truncation_psi, "truncation_cutoff": truncation_cutoff, "labels": labels}
    settings |= {"noise": noise, "columns": columns, "size": size}
    if breathe_to is not None:
        settings |= {"breathe_to": breathe_to, "breaths": breaths}
    if music is not None:
        settings |= {"music": music.path.name}
    if noise == "smooth":
        settings |= {"noise_seed": noise_seed, "noise_turns": noise_turns}
    return Animation(
        G,
        walks,
        num_frames,
        loop=loop,
        truncation_psi=truncation_psi if breathe_to is None else breathing(truncation_psi, breathe_to, breaths),
        truncation_cutoff=truncation_cutoff,
        noise=noise_loop(G, noise_seed, turns=noise_turns) if noise == "smooth" else noise,
        columns=columns,
        size=size,
        batch_size=batch_size,
        settings=settings,
    )


@typed
def breathing(low: float, high: float, breaths: int = 1) -> Callable[[Tensor], Tensor]:
    """A truncation psi that goes smoothly from `low` to `high` and back, `breaths` times: times [F] -> psi [F]."""
    return lambda times: low + (high - low) * (1 - torch.cos(tau * breaths * times)) / 2


def _seed_lists(seeds: Seeds | Sequence[Seeds]) -> list[list[int]]:
    """The seeds of one walk or several, as lists."""
    given: Any = list(seeds) if isinstance(seeds, Iterable) and getattr(seeds, "ndim", 1) != 0 else [seeds]
    if given and all(isinstance(some, Iterable) for some in given):
        return [check_seeds(some) for some in given]
    return [check_seeds(given)]
