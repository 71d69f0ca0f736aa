"""stylegan sample: images from seeds, as a grid or one file each."""

from pathlib import Path

import click
from tqdm import tqdm

from stylegan import images
from stylegan.cli.common import (
    ModelOptions,
    check_output,
    model_options,
    output_option,
    seeds_option,
    size_option,
    truncation_cutoff_option,
    truncation_psi_option,
)
from stylegan.sampling import default_batch_size
from stylegan.synthesis import NoiseMode


@click.command()
@seeds_option("0-31", "--seeds", help="Seeds of the images: numbers and ranges, as in 0-15,42.")
@truncation_psi_option
@truncation_cutoff_option
@click.option("--noise-mode", type=click.Choice(["const", "random", "none"]), default="const", show_default=True)
@click.option("--noise-seed", type=int, help="Seed of the random noise.  [default: fresh noise]")
@click.option("--columns", type=click.IntRange(min=1), help="Images in a row of the grid.  [default: 8, or fewer]")
@size_option("the model's")
@output_option("samples.png", help="A picture file for a grid, or a folder/ for one PNG for each seed.")
@model_options
def sample(
    seeds: list[int],
    truncation_psi: float,
    truncation_cutoff: int | None,
    noise_mode: NoiseMode,
    noise_seed: int | None,
    columns: int | None,
    size: int | None,
    out: Path,
    options: ModelOptions,
) -> None:
    """Make images from seeds: a grid, or one PNG for each seed.

    \b
    Examples:
      stylegan sample
      stylegan sample --seeds 0-15,42 --truncation-psi 0.5 --out faces.png
      stylegan sample --seeds 0-999 --out faces/
    """
    as_folder = not out.suffix or out.is_dir()
    if not as_folder:
        check_output(out)
    G = options.load()
    size = images.display_size(G.img_resolution, size or G.img_resolution)
    batch_size = options.batch_size or default_batch_size(G.img_resolution, G.device)
    if as_folder:
        out.mkdir(parents=True, exist_ok=True)

    tiles = []
    for i in tqdm(range(0, len(seeds), batch_size), unit="batch", disable=None):
        batch = G.sample(
            seeds=seeds[i : i + batch_size],
            truncation_psi=truncation_psi,
            truncation_cutoff=truncation_cutoff,
            noise_mode=noise_mode,
            noise_seed=noise_seed,
            labels=options.label,
            batch_size=batch_size,
            progress=False,
        )
        batch = [images.resize(image, size) for image in batch]
        if as_folder:
            for seed, image in zip(seeds[i:], batch, strict=False):
                images.save(image, out / f"seed{seed:04d}.png")
        else:
            tiles += batch
    if as_folder:
        click.echo(f"wrote {len(seeds)} images to {out.resolve()}")
        return
    images.save(images.grid(tiles, columns=columns or min(8, len(tiles))), out)
    click.echo(f"wrote a grid of {len(seeds)} images to {out.resolve()}")
