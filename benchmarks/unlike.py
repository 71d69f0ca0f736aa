"""How often encoded pictures are said to be unlike a face: python -m benchmarks.unlike faces.zip [--count 100]

Of photos of a data set, of images that the model made, and of drawings of what is no face: noise, gradients between
colours, lines of text and landscapes.
"""

import logging
import random
from collections.abc import Callable

import click
import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFilter
from torch import Tensor

from stylegan import Encoder, Generator, images, project
from stylegan.data.dataset import ImageDataset
from stylegan.weights.manifest import DEFAULT_MODEL

SIZE = 256  # Of the drawings.


def colour(draw: random.Random) -> tuple[int, int, int]:
    """Any colour."""
    return draw.randrange(256), draw.randrange(256), draw.randrange(256)


def noise(draw: random.Random) -> Image.Image:
    """Squares of random colours, of 2 to 32 pixels."""
    side = 2 ** draw.randint(3, 7)
    return Image.frombytes("RGB", (side, side), draw.randbytes(3 * side * side))


def gradient(draw: random.Random) -> Image.Image:
    """From one colour to two others, downwards and to the right."""
    first, right, down = (np.array(colour(draw)) for _ in range(3))
    y, x = np.mgrid[:SIZE, :SIZE, :1][:2] / (2 * SIZE)
    return Image.fromarray((first + (right - first) * x + (down - first) * y).astype(np.uint8))


def text(draw: random.Random) -> Image.Image:
    """Lines of letters on paper of any colour."""
    picture = Image.new("RGB", (SIZE, SIZE), draw.choice([(255, 255, 255), (255, 255, 240), colour(draw)]))
    for y in range(8, SIZE - 6, 14):
        line = "".join(draw.choices("abcdefghij klmnop qrstu", k=40))
        ImageDraw.Draw(picture).text((8, y), line, fill=draw.choice(["black", "navy"]))
    return picture


def landscape(draw: random.Random) -> Image.Image:
    """A sky with the sun, and three ranges of hills."""
    picture = Image.new("RGB", (SIZE, SIZE))
    pen = ImageDraw.Draw(picture)
    for y in range(SIZE):
        pen.line((0, y, SIZE, y), fill=(90 + y // 3, 140 + y // 4, 235 - y // 8))
    pen.ellipse((x := draw.randrange(SIZE - 50), 20, x + 40, 60), fill=(255, 240, 190))
    for k in range(3):
        heights = [110 + 45 * k + 25 * np.sin(x / 30 + draw.uniform(0, 1)) for x in range(0, SIZE + 9, 8)]
        ridge = [(8.0 * i, height) for i, height in enumerate(heights)]
        shade = draw.randrange(20)
        fill = (60 + 20 * k - shade, 90 + 25 * k, 70 - 20 * k + shade)
        pen.polygon([(0.0, SIZE), *ridge, (SIZE + 8.0, SIZE)], fill=fill)
    return picture.filter(ImageFilter.GaussianBlur(1))


DRAWINGS: dict[str, Callable[[random.Random], Image.Image]] = {
    "noise": noise,
    "gradients": gradient,
    "text": text,
    "landscapes": landscape,
}


@click.command()
@click.argument("data")
@click.option("--model", default=DEFAULT_MODEL, show_default=True)
@click.option("--count", default=100, show_default=True, help="Of photos; of each other kind a third.")
@click.option("--seed", default=1000, show_default=True, help="Of the first drawing, and of the first image.")
def main(data: str, model: str, count: int, seed: int) -> None:
    """Count the warnings of `stylegan project --fast`."""
    logging.getLogger("stylegan").setLevel(logging.ERROR)  # The warnings are counted, not shown.
    G, others = Generator.from_pretrained(model), -(-count // 3)
    encoder = Encoder.of(G)
    dataset = ImageDataset(data, resolution=G.img_resolution, memory_limit=0)
    chosen = [(2 * i + 1) * len(dataset) // (2 * count) for i in range(count)]
    kinds: dict[str, list[Image.Image] | Tensor] = {"photos": images.from_uint8(dataset.batch(chosen)[0])}
    kinds["images of the model, psi 1"] = G.sample(
        seeds=range(seed, seed + others), truncation_psi=1, output_type="pt"
    ).clamp(-1, 1)
    for name, make in DRAWINGS.items():
        side = (G.img_resolution, G.img_resolution)
        kinds[name] = [
            make(random.Random(seed + i)).convert("RGB").resize(side, Image.Resampling.LANCZOS) for i in range(others)
        ]
    click.echo(f"torch {torch.__version__}\n\n| pictures | warned of |\n|---|---|")
    for name, pictures in kinds.items():
        found = project(pictures, G, method="encoder", encoder=encoder, batch_size=16)
        click.echo(f"| {len(found.target)} {name} | {sum(found.is_far)} |")


if __name__ == "__main__":
    main()
