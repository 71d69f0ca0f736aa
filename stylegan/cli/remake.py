"""stylegan remake: make an image again from its stored text."""

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from stylegan.cli.options import resolution_option
from stylegan.cli.output import check_writable
from stylegan.cli.remake_images import Source, render_again
from stylegan.errors import InputError
from stylegan.runtime.json_yaml import parse_json

if TYPE_CHECKING:  # Help needs no torch: commands import what they need when they run.
    from PIL import Image

# Commands that are called again with the options in an image, which anyone may have written.
COMMANDS = ("mix", "truncate", "edit", "video", "figure")

# How much uint8 values may differ on another processor or with another batch size.
MOST_ROUNDING, SHARE_ROUNDING = 2, 0.01


@click.command()
@click.argument("picture", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--out", type=click.Path(path_type=Path), metavar="PATH", help="[default: NAME-remade, in this folder]")
@click.option("--model", metavar="NAME|PATH|REPO|URL", help="The model to use.  [default: the image's]")
@click.option(
    "--file",
    "files",
    multiple=True,
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="A photo, or a file of latents or directions, used for it. Repeatable.  [default: next to it, or here]",
)
@resolution_option
def remake(picture: Path, out: Path | None, model: str | None, files: tuple[Path, ...], resolution: int | None) -> None:
    """Make an image again from its stored text, and compare the two: PNG, JPEG, WebP and videos, grids and figures.

    On the same machine with the same software, the pixels are the same bit for bit; elsewhere they differ by rounding,
    and the command says by how much. Weights and other files are recognized by sha256. An image without all the
    information is refused, with a list of what is missing.

    \b
    Examples:
      stylegan remake samples.png
      stylegan remake faces/seed0005.png --out again.png
      stylegan remake mix.webp --model runs/photos/network.safetensors
      stylegan remake strip.png --file run/latents.safetensors
    """
    from stylegan.images.settings import recall

    out = Path(f"{picture.stem}-remade{picture.suffix}") if out is None else out
    if out.suffix.lower() != picture.suffix.lower():
        raise InputError(f"--out {out}: expected the suffix of the image, {picture.suffix}")
    if out.exists() and out.samefile(picture):
        raise InputError(f"--out {out} is the image itself; name another file")
    check_writable(out)
    source = Source(picture, recall(picture), model, files, resolution)
    if "weights_sha256" not in source.text:
        raise InputError(
            f"{picture} does not say how it was made: it has no text by this library, or a program has removed it"
        )
    if "arguments" in source.text:
        _call_again(source, out)
    else:
        render_again(source, lambda made: _keep(made, out, picture))
    differences, words = compare(picture, out)
    if differences is None:
        by = source.text.get("Software", "an unknown version")
        raise InputError(f"wrote {out.resolve()}, which is unlike {picture}, made by {by}: {words}")
    click.echo(f"wrote {out.resolve()}: {words}")


def _keep(made: "Image.Image", out: Path, picture: Path) -> bool:
    from stylegan import images

    images.save(made, out)
    return compare(picture, out)[0] == 0


def _call_again(source: Source, out: Path) -> None:
    """Call the command that made the image, with its options."""
    where = f"{source.picture}: its text"
    arguments = parse_json(source.text["arguments"], where=where, error=InputError)
    files = parse_json(source.text.get("files", "{}"), where=where, error=InputError)
    if not isinstance(arguments, list) or not isinstance(files, dict):
        raise InputError(f"{where} is damaged: expected a list of arguments and a dictionary of files")
    group, command = _command(source)
    source.load()  # Other weights are refused.
    with tempfile.TemporaryDirectory() as folder:
        own = [_placed(str(argument), files, source, Path(folder)) for argument in arguments]
        own += [f"--out={out}", *([f"--resolution={source.resolution}"] if source.resolution else [])]
        try:
            with command.make_context(command.name, own, parent=group) as context:
                command.invoke(context)
        except click.UsageError as error:
            raise InputError(f"{where} does not fit this version: {error.format_message()}") from error


def _command(source: Source) -> tuple[click.Context, click.Command]:
    """The command that made an image, if it is one that only makes images, and its group."""
    context = click.get_current_context().find_root()
    words = source.text.get("command", "").split()
    for word in words:
        found = context.command.commands.get(word) if isinstance(context.command, click.Group) else None
        if words[0] not in COMMANDS or found is None:
            break
        if not isinstance(found, click.Group):
            return context, found
        context = click.Context(found, parent=context, info_name=word)
    raise InputError(f"{source.picture}: there is no `stylegan {' '.join(words)}` that makes images again")


def _placed(argument: str, files: Mapping[str, Any], source: Source, folder: Path) -> str:
    """An argument, with the path of the model or file that it names. folder: for copies."""
    if argument in files:
        return _place_photo(source.find(argument, str(files[argument])), Path(argument).name, folder)
    option, equals, value = argument.partition("=")
    if option == "--model":
        return f"--model={source.where()}"
    return f"{option}={source.find(value, str(files[value]))}" if equals and value in files else argument


def _place_photo(path: Path, name: str, folder: Path) -> str:
    """A photo as an argument that never looks like an option, with the name that headings show."""
    if path.name != name:
        path = Path(shutil.copyfile(path, Path(tempfile.mkdtemp(dir=folder)) / name))
    return str(path.absolute())


def compare(picture: Path, made: Path) -> tuple[int | None, str]:
    """How many values of two images differ, also in words; None = they are unlike each other."""
    import numpy as np
    from PIL import Image

    if picture.read_bytes() == made.read_bytes():
        return 0, "the same file, bit for bit"
    if picture.suffix.lower() in (".mp4", ".gif"):
        return None, "the files differ"
    with Image.open(picture) as ours, Image.open(made) as theirs:
        kinds = [(image.mode, image.size, getattr(image, "n_frames", 1)) for image in (ours, theirs)]
        if kinds[0] != kinds[1]:
            return (
                None,
                f"{kinds[1]}, not {kinds[0]} (mode, size, frames); texts tell of no headings and no padding",
            )
        a, b = (np.asarray(image).astype(int) for image in (ours, theirs))
    difference = abs(a - b)
    count, most = int((difference > 0).sum()), int(difference.max())
    if not count:
        return 0, "the same pixels, bit for bit"
    words = f"{count:,} of {difference.size:,} values differ, by {most} at most"
    if most > MOST_ROUNDING and count > SHARE_ROUNDING * difference.size:
        return None, words
    return count, f"the same but for rounding: {words}"
