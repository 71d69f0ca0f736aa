"""Noise inputs: their effect in all layers and in single bands, the paper's figures 4 and 5."""

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from ..errors import InputError
from ..generator import Generator
from ..images.convert import to_pil
from ..images.grids import display_size, resize
from ..latents.bands import bands, resolutions
from ..latents.labels import Labels
from ..latents.seeds import Seeds, check_seeds
from ..runtime.batching import batches
from ..runtime.checks import typed
from ..runtime.device import FLOAT32_CPU
from ..runtime.tensors import check_tensor
from .layout import column, finish, gap_size, row, seeds_text, text, text_size

EFFECT = 4  # The last row of `noise_layers` shows the effect of the noise this many times as strong.

Box = tuple[int, int, int, int]  # Left, top, right, bottom.


@typed
def noise_examples(
    G: Generator,
    *,
    seeds: Seeds = (5, 6),
    noise_seed: int = 0,
    realizations: int = 100,
    truncation_psi: float = 1.0,
    truncation_cutoff: int | None = None,
    labels: Labels = None,
    size: int | None = None,
    batch_size: int | None = None,
    progress: bool | None = None,
) -> Image.Image:
    """An image, a detail under four draws of the noise, and each pixel's standard deviation, as in figure 4.

    seeds: one per row. noise_seed: the first noise seed of the draws.
    realizations: number of draws for the deviation, 4 or more. The detail is the square, 3/8 of the image wide, where
        the deviation is greatest.
    The other arguments are those of `style_mixing`. Raises InputError likewise, and for networks without noise.
    """
    size, numbers = display_size(G.img_resolution, size), check_seeds(seeds)
    _check_noise(G)
    if not numbers or not 4 <= realizations <= 100_000:
        raise InputError(
            f"a noise figure needs a seed and 4 to 100,000 realizations, got {len(numbers)} and {realizations}"
        )
    ws = G.ws(numbers, labels=labels, truncation_psi=truncation_psi, truncation_cutoff=truncation_cutoff)
    draws = range(noise_seed, noise_seed + realizations)
    deviations = [
        noise_deviation(G, one, noise_seeds=draws, batch_size=batch_size, progress=progress) for one in ws.split(1)
    ]
    white = max(1, round(float(np.percentile(deviations, 99.5))))

    gap, letters = gap_size(size), text_size(size)
    headings = ("(a) generated image", "(b) four draws of the noise", "(c) standard deviation")
    lines = [row([text(heading, size=letters, width=size) for heading in headings], gap=gap)]
    for one, deviation in zip(ws.split(1), deviations, strict=True):
        shown = G.render(one.expand(4, -1, -1), noise_mode="random", noise_seed=list(draws[:4]), batch_size=batch_size)
        lines.append(_example(shown, deviation, size=size, white=white))
    caption = (
        f"Noise inputs (figure 4). (b) is the framed part of (a). (c) is over {realizations} draws of the noise: black "
        f"= 0, white = {white} of 255 or more. {G.name}, {seeds_text(numbers)}, "
        f"truncation psi {truncation_psi:g}."
    )
    settings = {
        "figure": "noise",
        "seeds": numbers,
        "noise_seed": noise_seed,
        "realizations": realizations,
        "truncation_psi": truncation_psi,
        "truncation_cutoff": truncation_cutoff,
        "labels": labels,
        "size": size,
    }
    return finish(G, column(lines, gap=gap), caption, size=letters, settings=settings)


@typed
def noise_deviation(
    G: Generator,
    ws: Tensor,
    *,
    noise_seeds: Sequence[int] = range(100),
    batch_size: int | None = None,
    progress: bool | None = None,
) -> np.ndarray:
    """Standard deviation of each pixel of one image over draws of the noise (figure 4c).

    ws: [1, num_ws, w_dim]. noise_seeds: one per draw; memory is constant in their number. batch_size, progress: see
    `G.sample`. Returns [H, W], float64: of the mean over colours, in units of the image's 255 levels.
    """
    check_tensor(ws, (1, G.num_ws, G.w_dim), what="ws")
    if len(noise_seeds) < 1:
        raise InputError("a deviation needs at least one noise seed")
    total = squares = torch.zeros(1, **FLOAT32_CPU)
    batch_size = batch_size or G.default_batch_size(len(noise_seeds))
    for i in batches(len(noise_seeds), batch_size, progress):
        some = noise_seeds[i]
        img = G.render(
            ws.expand(len(some), -1, -1), noise_mode="random", noise_seed=list(some), output_type="pt", progress=False
        )
        grey = img.cpu().double().clamp(-1, 1).mean(dim=1) * 127.5  # [N, H, W]
        total, squares = total + grey.sum(dim=0), squares + grey.square().sum(dim=0)
    mean = total / len(noise_seeds)
    return (squares / len(noise_seeds) - mean.square()).clamp(min=0).sqrt().numpy()


@typed
def noise_layers(
    G: Generator,
    *,
    seeds: Seeds = (5, 6),
    noise_seed: int = 0,
    truncation_psi: float = 1.0,
    truncation_cutoff: int | None = None,
    labels: Labels = None,
    size: int | None = None,
    progress: bool | None = None,
) -> Image.Image:
    """Images with noise in all layers, in the fine ones, in the coarse ones, and in none, as in figure 5.

    Below each are a detail, where all and none differ most, and the effect of the noise, 4 times as strong.

    seeds: one per row. noise_seed: of the one draw of the noise. Fine is the band of `latents.bands`, coarse all
    below. The other arguments are those of `style_mixing`. Raises InputError likewise, and for networks without noise.
    """
    size, numbers = display_size(G.img_resolution, size), check_seeds(seeds)
    _check_noise(G)
    if not numbers:
        raise InputError("a noise figure needs at least one seed")
    ws = G.ws(numbers, labels=labels, truncation_psi=truncation_psi, truncation_cutoff=truncation_cutoff)
    fine = bands(G.synthesis.num_layers)["fine"]
    maps, nothing = G.noise(noise_seed), [None] * G.synthesis.num_layers
    choices = {
        "(a) all layers": maps,
        f"(b) fine, {resolutions(fine)}": [noise if i in fine else None for i, noise in enumerate(maps)],
        f"(c) coarse, {resolutions(range(fine[0]))}": [None if i in fine else noise for i, noise in enumerate(maps)],
        "(d) no noise": nothing,
    }

    gap, letters = gap_size(size), text_size(size)
    lines = [row([text(heading, size=letters, width=size) for heading in choices], gap=gap)]
    for i in batches(len(ws), 1, progress):
        with torch.no_grad():
            img = torch.cat([G.synthesis(ws[i], noise=noise) for noise in choices.values()])
        box, shown = _busiest((img[0] - img[-1]).abs().mean(dim=0).cpu().numpy()), to_pil(img)
        lines += [row([_framed(image, box, size) for image in shown], gap=gap)]
        lines += [row([_detail(image, box, size) for image in shown], gap=gap)]
        lines += [row([resize(image, size) for image in noise_effect(img, times=EFFECT)], gap=gap)]
    caption = (
        "One draw of the noise in some of the layers (figure 5); below each image its framed part, and what the noise "
        f"adds to (d), {EFFECT} times as strong: grey = nothing. {G.name}, "
        f"{seeds_text(numbers)}, truncation psi {truncation_psi:g}."
    )
    settings = {
        "figure": "noise-layers",
        "seeds": numbers,
        "noise_seed": noise_seed,
        "truncation_psi": truncation_psi,
        "truncation_cutoff": truncation_cutoff,
        "labels": labels,
        "size": size,
    }
    return finish(G, column(lines, gap=gap), caption, size=letters, settings=settings)


def noise_effect(img: Tensor, *, times: float) -> list[Image.Image]:
    """The difference of images [N, C, H, W] from the last, which has no noise, times a factor."""
    grey = (img - img[-1:]).mean(dim=1, keepdim=True) * times
    return to_pil(grey.expand(-1, 3, -1, -1))


def _check_noise(G: Generator) -> None:
    if all(getattr(layer, "noise_strength", None) is None for layer in G.synthesis.layers):
        raise InputError("this network has no noise inputs (use_noise=False)")


def _example(shown: list[Image.Image], deviation: np.ndarray, *, size: int, white: float) -> Image.Image:
    """One row of figure 4: the first of four draws, a detail of all four, and the deviation; white: its white level."""
    box, gap = _busiest(deviation), gap_size(size)
    details = [_detail(image, box, (size - gap) // 2) for image in shown]
    four = column([row(details[:2], gap=gap), row(details[2:], gap=gap)], gap=gap)
    levels = Image.fromarray((deviation * (255 / white)).clip(0, 255).astype(np.uint8)).convert("RGB")
    return row([_framed(shown[0], box, size), four, resize(levels, size)], gap=gap)


def _busiest(levels: np.ndarray) -> Box:
    """The square, 3/8 of the image wide, with the greatest sum."""
    side = 3 * levels.shape[-1] // 8
    step = max(1, side // 4)
    windows = np.lib.stride_tricks.sliding_window_view(levels, (side, side))[::step, ::step]
    i, j = np.unravel_index(windows.sum(axis=(2, 3)).argmax(), windows.shape[:2])
    x, y = int(j) * step, int(i) * step
    return x, y, x + side, y + side


def _detail(image: Image.Image, box: Box, size: int) -> Image.Image:
    """A part of the image, enlarged."""
    return image.crop(box).resize((size, size), Image.Resampling.LANCZOS)


def _framed(image: Image.Image, box: Box, size: int) -> Image.Image:
    """The image at this size, with a frame around a part of it if there is room."""
    shown, scale = resize(image, size), size / image.width
    x0, y0, x1, y1 = (round(edge * scale) for edge in box)
    line, draw = max(1, size // 128), ImageDraw.Draw(shown)
    # White inside black, to be visible on any image.
    for inset, colour in ((0, "black"), (line, "white")):
        if x1 - x0 > 4 * line:
            draw.rectangle((x0 + inset, y0 + inset, x1 - 1 - inset, y1 - 1 - inset), outline=colour, width=line)
    return shown
