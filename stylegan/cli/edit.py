"""stylegan edit: faces moved along directions, as a labelled strip."""

from pathlib import Path

import click

from stylegan.cli.arguments import recorded
from stylegan.cli.faces import choose_faces, count_rows, is_default
from stylegan.cli.options import ModelOptions, image_options, seeds_option, truncation_psi_option
from stylegan.cli.output import check_image, check_output
from stylegan.cli.photos import Photos, faces_options
from stylegan.cli.types import LayersType, NumbersType
from stylegan.latents.bands import Layers
from stylegan.latents.ranges import SeedRanges


@click.command()
@seeds_option("9,22,21", "--seeds", help="Seeds of the faces, one row each.")
@faces_options("Faces from this file instead of seeds.")
@click.option(
    "--direction",
    "names",
    multiple=True,
    default=["sefa:0"],
    show_default=True,
    help="sefa:N, pca:N, or a name in the file of directions (bundled faces: age, + is older; gender, + is female). "
    "Repeatable, one row each.",
)
@click.option(
    "--directions",
    "file",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="A file from `stylegan directions`, or a boundary as .npy, .npz or .pt; without --direction, all in it."
    "  [default: those of the model]",
)
@click.option(
    "--strengths",
    type=NumbersType(),
    default="-3:3:7",
    show_default=True,
    metavar="FROM:TO:COUNT",
    help="The columns, in standard deviations of w along the direction; or a list, -2,0,2.",
)
@click.option("--layers", type=LayersType(), help="Layers to move: a band, 6, 4:8.  [default: the direction's]")
@truncation_psi_option
@image_options("strip.png")
def edit(
    seeds: SeedRanges,
    latents: Path | Photos | None,
    names: tuple[str, ...],
    file: Path | None,
    strengths: list[float],
    layers: Layers | None,
    truncation_psi: float | None,
    truncation_cutoff: int | None,
    out: Path,
    options: ModelOptions,
) -> None:
    """Move faces along directions in latent space: one row per face and direction, one column per strength.

    Each PHOTO is cropped to its face and encoded at once; `stylegan project` takes longer and gets closer to it.

    \b
    Examples:
      stylegan edit --direction age
      stylegan edit photo.jpg --direction age
      stylegan edit --seed 9 --direction sefa:2 --strengths -3:3:7 --out strip.png
      stylegan edit --latents run/latents.safetensors --direction age --direction gender
    """
    import torch

    from stylegan import images
    from stylegan.editing import directions_in, find_direction

    check_output(out)
    G = options.load(out)
    if file is not None and is_default("names"):
        names = tuple(directions_in(G, file))
    directions = [find_direction(G, name, path=file) for name in names]
    row_count = count_rows(seeds, latents) * len(directions)
    check_image(out, columns=len(strengths), rows=row_count, tile=G.img_resolution)
    faces = choose_faces(
        G,
        seeds,
        latents,
        label=options.label,
        truncation_psi=truncation_psi,
        truncation_cutoff=truncation_cutoff,
    )

    # Rows: for each face, each direction. Columns: the strengths.
    count = len(strengths)
    rows = [G.edit(ws.expand(count, -1, -1), d, strengths, layers) for ws in faces.ws for d in directions]
    noise = faces.noise_for(torch.arange(len(faces.ws), device="cpu").repeat_interleave(len(directions) * count))
    headings = [[name, direction.name] for name in faces.names for direction in directions]
    if len(directions) == 1:
        headings = [heading[:1] for heading in headings]
    elif len(faces.ws) == 1:
        headings = [heading[1:] for heading in headings]
    strip = images.grid(
        G.render(torch.cat(rows), noise=noise, batch_size=options.batch_size),
        column_headings=[f"{strength:+.3g}" if strength else "0" for strength in strengths],
        row_headings=["\n".join(heading) for heading in headings],
        padding=2,
    )
    settings = faces.settings | {"faces": faces.names, "directions": list(names), "strengths": strengths}
    settings |= {"layers": layers, "directions_file": file and file.name, **recorded()}
    settings = {key: value for key, value in settings.items() if value is not None}
    images.save(images.remember(strip, settings), out)
    click.echo(f"wrote {len(rows)} x {count} images to {out.resolve()}")
