"""Photos instead of seeds: cropped to their faces and encoded."""

import functools
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from stylegan.cli.options import latents_option
from stylegan.cli.types import EncoderType, PhotoType
from stylegan.errors import InputError

if TYPE_CHECKING:  # Help needs no torch: commands import what they need when they run.
    from PIL import Image

    from stylegan.generator import Generator
    from stylegan.images.decoding import Crop
    from stylegan.latents.files import Latents

encoder_option = click.option(
    "--encoder",
    type=EncoderType(),
    metavar="FILE|MODEL",
    help="Encoder of the photos: a file, a training run, or the name of a model with one.  [default: the model's]",
)

BATCH_SIZE = 16  # Photos encoded together; the rounding of their latents depends on it.


@dataclass(frozen=True)
class Photos:
    """The photos given to a command, and their encoder."""

    paths: tuple[Path, ...]
    encoder: Path | str | None  # None = the model's.

    def latents(self, G: "Generator") -> "tuple[Latents, dict[str, object]]":
        """The latents of their faces, and what images made from them store; prints where each face is."""
        from stylegan import projection
        from stylegan.projection.encoded import find_encoder

        encoder = find_encoder(G, self.encoder)  # First, as the search for faces takes seconds.
        advice = "project this photo with `stylegan project --crop` or --points, and give its --latents"
        crops = []
        for path in self.paths:
            crop, place = cut_out(path, G, advice=advice)
            click.echo(f"{path}: {place}")
            crops.append(crop)
        latents = projection.project(
            crops, G, names=names_of(self.paths), method="encoder", encoder=encoder, batch_size=BATCH_SIZE
        ).latents
        settings: dict[str, object] = {"photos": [path.name for path in self.paths]}
        settings["encoder_sha256"] = encoder.weights_sha256
        return replace(latents, ws=latents.ws.to(G.device)), settings


def faces_options(latents_help: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command PHOTO..., --encoder and --latents, as one argument `latents`: Photos, a path or None."""

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @click.argument("photos", nargs=-1, type=PhotoType(), metavar="[PHOTO]...")
        @latents_option("--latents", help=latents_help)
        @encoder_option
        @functools.wraps(command)
        def wrapper(
            photos: tuple[Path, ...], latents: Path | None, encoder: Path | str | None, out: Path | None, **rest: Any
        ) -> None:
            if not photos and encoder is not None:
                raise InputError("--encoder is for photos, and none is given")
            if photos and latents is not None:
                raise InputError("photos and --latents both choose the faces; give one of them")
            for path in photos:
                if not path.exists():
                    is_seed = re.fullmatch(r"[\d,.-]+", str(path))
                    raise InputError(f"{path}: no such photo" + ("; seeds are given by --seeds" if is_seed else ""))
                if out is not None and out.exists() and out.samefile(path):
                    raise InputError(f"--out {out} is one of the photos; name another file")
            command(latents=Photos(photos, encoder) if photos else latents, out=out, **rest)

        return wrapper

    return decorate


def cut_out(
    path: Path,
    G: "Generator",
    *,
    crop: "Crop | None" = None,
    points: tuple[int, ...] | None = None,
    detect: bool | None = None,
    template: str | None = None,
    advice: str = "give --crop or --points, or --no-detect for the centre of the photo",
) -> "tuple[Image.Image, str]":
    """A photo cropped for the model, and a description of the crop; errors name the photo.

    advice: what to do if no face is found, or the detector is missing.
    """
    from stylegan import projection
    from stylegan.projection import faces
    from stylegan.projection.photos import MAX_ENLARGEMENT

    photo = projection.load_photo(path, channels=4 if G.img_channels in (2, 4) else 3)
    size = G.img_resolution
    try:
        if points is not None:
            pairs = list(zip(points[::2], points[1::2], strict=True))
            chosen = template or projection.template_of(G)
            return projection.align(photo, pairs, size, template=chosen), "aligned by its five points"
        if crop is not None:
            return projection.to_square(photo, size, crop=crop), "cropped to {},{},{},{}".format(*crop)
        cropped = faces.crop_photo(photo, G, detect=detect)
        if cropped.lacks == "face":
            raise InputError(f"no frontal face of {size // MAX_ENLARGEMENT} pixels or more found; {advice}")
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    if cropped.lacks == "detector":
        click.echo(
            f"note: {path}: no face detector is installed, so the centre is used; a face must be cropped like the "
            f'model\'s data: pip install "stylegan[alignment]", or {advice}',
            err=True,
        )
    return cropped.picture, cropped.place


def names_of(photos: tuple[Path, ...]) -> list[str]:
    """A distinct name for each photo, valid in file names."""
    stems = [re.sub(r"[^\w-]", "_", photo.stem) for photo in photos]
    counts = Counter(stems)
    return [stem if counts[stem] == 1 else f"{stem}-{i}" for i, stem in enumerate(stems)]
