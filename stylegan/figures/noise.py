"""Noise inputs: their effect on the image, and that of single bands, the paper's figures 4 and 5."""

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from ..errors import InputError
from ..generator import Generator, Labels
from ..images import display_size, resize, to_pil
from ..latents import Seeds, check_seeds
from ..sampling import batches, default_batch_size
from .bands import bands, resolutions
from .layout import column, finish, row, seeds_text, text, text_size

Point = tuple[int, int]


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
    """An image, its details under four draws of the noise, and each pixel's standard deviation, as in figure 4.

    seeds: one for each row. noise_seed: the draws are those of the noise seeds from this one on.
    realizations: draws that the deviation is computed over, 4 or more. The details are from the square, 3/8 of
    the image wide, where it is greatest. The other arguments are those of `style_mixing`. Raises InputError likewise,
    and for networks without noise.
    """
    size, numbers = display_size(G.img_resolution, size), check_seeds(seeds)
    _check_noise(G)
    if not numbers or realizations < 4:
        raise InputError(
            f"a noise figure needs a seed and 4 realizations or more, got {len(numbers)} and {realizations}"
        )
    ws = G.ws(numbers, labels=labels, truncation_psi=truncation_psi, truncation_cutoff=truncation_cutoff)
    draws = range(noise_seed, noise_seed + realizations)
    deviations = [
        noise_deviation(G, one, noise_seeds=draws, batch_size=batch_size, progress=progress) for one in ws.split(1)
    ]
    white = max(1, round(float(np.percentile(deviations, 99.5))))

    gap, side = max(2, size // 64), 3 * G.img_resolution // 8
    letters, lines = text_size(size), []
    headings = ("(a) generated image", "(b) four draws of the noise", "(c) standard deviation")
    lines.append(row([text(heading, size=letters, width=size) for heading in headings], gap=gap))
    for one, deviation in zip(ws.split(1), deviations, strict=True):
        shown = G.render(one.expand(4, -1, -1), noise_mode="random", noise_seed=list(draws[:4]), batch_size=batch_size)
        corner = _busiest(deviation, side)
        details = [_detail(image, corner, side, (size - gap) // 2) for image in shown]
        levels = Image.fromarray((deviation * (255 / white)).clip(0, 255).astype(np.uint8)).convert("RGB")
        pair = column([row(details[:2], gap=gap), row(details[2:], gap=gap)], gap=gap)
        framed = _framed(resize(shown[0], size), corner, side, size / G.img_resolution)
        lines.append(row([framed, pair, resize(levels, size)], gap=gap))
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
    }
    return finish(G, column(lines, gap=gap), caption, size=letters, settings=settings)


def noise_deviation(
    G: Generator,
    ws: Tensor,
    *,
    noise_seeds: Sequence[int] = range(100),
    batch_size: int | None = None,
    progress: bool | None = None,
) -> np.ndarray:
    """Standard deviation of each pixel of one image over draws of the noise (figure 4c).

    ws: [1, num_ws, w_dim]. noise_seeds: one for each draw. batch_size, progress: see `G.sample`; memory does not grow
    with the number of draws. Returns [H, W], float64: of the mean over colours, in units of the image's 255 levels.
    """
    total = squares = torch.zeros(1)
    batch_size = batch_size or default_batch_size(G.img_resolution, G.device)
    for i in batches(len(noise_seeds), batch_size, progress):
        some = noise_seeds[i]
        img = G.render(
            ws.expand(len(some), -1, -1), noise_mode="random", noise_seed=list(some), output_type="pt", progress=False
        )
        grey = img.double().clamp(-1, 1).mean(dim=1).cpu() * 127.5  # [N, H, W]
        total, squares = total + grey.sum(dim=0), squares + grey.square().sum(dim=0)
    mean = total / len(noise_seeds)
    return (squares / len(noise_seeds) - mean.square()).clamp(min=0).sqrt().numpy()


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
    """Images with noise in all layers, in the fine ones, in the coarse ones, in none, and details, as in figure 5.

    seeds: one for each row; noise_seed: of the one draw of the noise. Fine is the band of `bands.bands`, coarse all
    below. The details are from the square where all and none differ most. The other arguments are those of
    `style_mixing`. Raises InputError likewise, and for networks without noise.
    """
    size, numbers = display_size(G.img_resolution, size), check_seeds(seeds)
    _check_noise(G)
    if not numbers:
        raise InputError("a noise figure needs at least one seed")
    ws = G.ws(numbers, labels=labels, truncation_psi=truncation_psi, truncation_cutoff=truncation_cutoff)
    fine = bands(G)["fine"]
    maps, nothing = G.noise(noise_seed), [None] * G.synthesis.num_layers
    choices = {
        "(a) all layers": maps,
        f"(b) fine, {fine.resolutions}": [noise if i in fine.layers else None for i, noise in enumerate(maps)],
        f"(c) coarse, {resolutions(range(fine.layers[0]))}": [
            None if i in fine.layers else noise for i, noise in enumerate(maps)
        ],
        "(d) no noise": nothing,
    }

    gap, side, letters = max(2, size // 64), 3 * G.img_resolution // 8, text_size(size)
    lines = [row([text(heading, size=letters, width=size) for heading in choices], gap=gap)]
    for i in batches(len(ws), 1, progress):
        with torch.no_grad():
            img = torch.cat([G.synthesis(ws[i], noise=noise) for noise in choices.values()])
        corner = _busiest((img[0] - img[-1]).abs().mean(dim=0).cpu().numpy(), side)
        shown = to_pil(img)
        framed = [_framed(resize(image, size), corner, side, size / G.img_resolution) for image in shown]
        details = [_detail(image, corner, side, size) for image in shown]
        lines += [row(framed, gap=gap), row(details, gap=gap)]
    caption = (
        f"One draw of the noise in some of the layers (figure 5), and below each image its framed part. {G.name}, "
        f"{seeds_text(numbers)}, truncation psi {truncation_psi:g}."
    )
    settings = {
        "figure": "noise-layers",
        "seeds": numbers,
        "noise_seed": noise_seed,
        "truncation_psi": truncation_psi,
        "truncation_cutoff": truncation_cutoff,
    }
    return finish(G, column(lines, gap=gap), caption, size=letters, settings=settings)


def _check_noise(G: Generator) -> None:
    if all(getattr(layer, "noise_strength", None) is None for layer in G.synthesis.layers):
        raise InputError("this network has no noise inputs (use_noise=False)")


def _busiest(levels: np.ndarray, side: int) -> Point:
    """The upper left corner (x, y) of the square of this side with the greatest sum."""
    step = max(1, side // 4)
    windows = np.lib.stride_tricks.sliding_window_view(levels, (side, side))[::step, ::step]
    y, x = np.unravel_index(windows.sum(axis=(2, 3)).argmax(), windows.shape[:2])
    return int(x) * step, int(y) * step


def _detail(image: Image.Image, corner: Point, side: int, size: int) -> Image.Image:
    """A square of the image, enlarged."""
    x, y = corner
    return image.crop((x, y, x + side, y + side)).resize((size, size), Image.Resampling.LANCZOS)


def _framed(image: Image.Image, corner: Point, side: int, scale: float) -> Image.Image:
    """The image, enlarged by `scale` before, with a frame around a square of it."""
    x, y, side = round(corner[0] * scale), round(corner[1] * scale), round(side * scale)
    line, draw = max(1, image.width // 128), ImageDraw.Draw(image)
    # White within black: seen on any image.
    for inset, colour in ((0, "black"), (line, "white")):
        box = (x + inset, y + inset, x + side - 1 - inset, y + side - 1 - inset)
        draw.rectangle(box, outline=colour, width=line)
    return image
