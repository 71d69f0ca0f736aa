"""stylegan sample: images from seeds, as a grid or one file each."""

import re
from pathlib import Path

import click
import torch
from PIL import Image
from tqdm import tqdm

from stylegan import images
from stylegan.cli.common import (
    ModelOptions,
    check_output,
    choose_faces,
    latents_option,
    model_options,
    output_option,
    seeds_option,
    truncation_cutoff_option,
    truncation_psi_option,
)
from stylegan.sampling import default_batch_size
from stylegan.synthesis import NoiseMode


@click.command()
@seeds_option("0-31", "--seeds", help="Seeds of the images: numbers and ranges, as in 0-15,42.")
@latents_option("--latents", help="Faces of this file, in place of seeds: `stylegan project` writes such files.")
@truncation_psi_option
@truncation_cutoff_option
@click.option("--noise-mode", type=click.Choice(["const", "random", "none"]), default="const", show_default=True)
@click.option("--noise-seed", type=int, help="Seed of the random noise.  [default: fresh noise]")
@click.option("--columns", type=click.IntRange(min=1), help="Images in a row of the grid.  [default: 8, or fewer]")
@output_option("samples.png", help="A picture file for a grid, or a folder/ for one PNG for each seed.")
@model_options
def sample(
    seeds: list[int],
    latents: Path | None,
    truncation_psi: float | None,
    truncation_cutoff: int | None,
    noise_mode: NoiseMode,
    noise_seed: int | None,
    columns: int | None,
    out: Path,
    options: ModelOptions,
) -> None:
    """Make images from seeds, or from the latents of a file: a grid, or one PNG for each.

    \b
    Examples:
      stylegan sample
      stylegan sample --seeds 0-15,42 --truncation-psi 0.5 --out faces.png
      stylegan sample --seeds 0-999 --out faces/
      stylegan sample --latents run/latents.safetensors
    """
    as_folder = not out.suffix or out.is_dir()
    if not as_folder:
        check_output(out)
    G = options.load()
    batch_size = options.batch_size or default_batch_size(G.img_resolution, G.device)
    if as_folder:
        out.mkdir(parents=True, exist_ok=True)

    if latents is None:
        names = [f"seed{seed:04d}" for seed in seeds]
    else:
        faces = choose_faces(
            G,
            seeds,
            latents,
            label=options.label,
            truncation_psi=truncation_psi,
            truncation_cutoff=truncation_cutoff,
        )
        # Names come from a file: they name nothing outside the folder.
        names = [re.sub(r"[^\w-]", "_", name) for name in faces.names]

    def batch(i: slice) -> list[Image.Image]:
        if latents is None:
            return G.sample(
                seeds=seeds[i],
                truncation_psi=0.7 if truncation_psi is None else truncation_psi,
                truncation_cutoff=truncation_cutoff,
                noise_mode=noise_mode,
                noise_seed=noise_seed,
                labels=options.label,
                batch_size=batch_size,
                progress=False,
            )
        return G.render(
            faces.ws[i],
            noise=faces.noise_for(torch.arange(len(names))[i]) if noise_mode == "const" else None,
            noise_mode=noise_mode,
            noise_seed=noise_seed,
            batch_size=batch_size,
            progress=False,
        )

    tiles = []
    for start in tqdm(range(0, len(names), batch_size), unit="batch", disable=None):
        i = slice(start, start + batch_size)
        if as_folder:
            for name, image in zip(names[i], batch(i), strict=True):
                images.save(image, out / f"{name}.png")
        else:
            tiles += batch(i)
    if as_folder:
        click.echo(f"wrote {len(names)} images to {out.resolve()}")
        return
    images.save(images.grid(tiles, columns=columns or min(8, len(tiles))), out)
    click.echo(f"wrote a grid of {len(names)} images to {out.resolve()}")
