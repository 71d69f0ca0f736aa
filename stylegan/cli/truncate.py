"""stylegan truncate: the same faces at several truncation psi, as in the paper's figure 8."""

from pathlib import Path

import click

from stylegan.cli.arguments import recorded
from stylegan.cli.faces import choose_faces, count_rows
from stylegan.cli.options import ModelOptions, image_options, psis_option, seeds_option
from stylegan.cli.output import check_image, check_output
from stylegan.cli.photos import Photos, faces_options
from stylegan.latents.ranges import SeedRanges


@click.command()
@seeds_option("1-4", "--seeds", help="Seeds of the images, one row each.")
@faces_options("Faces from this file instead of seeds.")
@psis_option("The columns: 1 = full variety, 0 = the average image, below 0 the opposite.")
@image_options("truncate.png")
def truncate(
    seeds: SeedRanges,
    latents: Path | Photos | None,
    truncation_psi: list[float],
    truncation_cutoff: int | None,
    out: Path,
    options: ModelOptions,
) -> None:
    """Sweep the truncation psi: one row for each seed or PHOTO, one column for each psi.

    \b
    Examples:
      stylegan truncate
      stylegan truncate photo.jpg
      stylegan truncate --seeds 5,42 --truncation-psi 1,0,-1 --out sweep.png
    """
    import torch

    from stylegan import images
    from stylegan.latents.styles import check_cutoff

    check_output(out)
    G = options.load(out)
    check_image(out, columns=len(truncation_psi), rows=count_rows(seeds, latents), tile=G.img_resolution)
    faces = choose_faces(G, seeds, latents, label=options.label, truncation_psi=1.0, truncation_cutoff=None)
    cutoff = check_cutoff(truncation_cutoff, G.num_ws)
    sweep = torch.stack([G.truncate(faces.ws, psi, cutoff) for psi in truncation_psi], dim=1).flatten(0, 1)
    noise = faces.noise_for(torch.arange(len(faces.ws), device="cpu").repeat_interleave(len(truncation_psi)))
    grid = images.grid(
        G.render(sweep, noise=noise, batch_size=options.batch_size),
        column_headings=[f"psi {psi:g}" for psi in truncation_psi],
        row_headings=faces.names,
        padding=2,
    )
    settings = faces.settings | {"faces": faces.names, "truncation_psi": truncation_psi} | recorded()
    if truncation_cutoff is not None:
        settings["truncation_cutoff"] = truncation_cutoff
    images.save(images.remember(grid, settings), out)
    click.echo(f"wrote {len(faces.ws)} x {len(truncation_psi)} images to {out.resolve()}")
