"""What the commands share: option types, the model options, and errors without tracebacks."""

import functools
import math
import signal
import sys
import tempfile
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, TypeVar, get_args

import click
from click.core import ParameterSource

from stylegan.errors import (
    DatasetError,
    DownloadError,
    InputError,
    IntegrityError,
    LicenseWarning,
    StyleGANError,
)
from stylegan.latents.bands import Layers, parse_layers
from stylegan.latents.ranges import SeedRanges
from stylegan.runtime.atomic_files import FULL, why_not_written
from stylegan.runtime.choices import RenderPath
from stylegan.weights import manifest
from stylegan.weights.manifest import DEFAULT_MODEL

if TYPE_CHECKING:  # Help is shown without torch: commands import what they run when they run.
    from torch import Tensor

    from stylegan.discriminator import Discriminator
    from stylegan.generator import Generator
    from stylegan.latents.files import Latents
    from stylegan.weights.hub.cache import Cache
    from stylegan.weights.loading import Loaded

PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
MAX_PIXELS = 2**29  # Of one picture; in memory, it is three bytes for each.
MAX_NUMBERS = 1000

Label = int | str | list[int | str]  # One class for all images, or one for each.
CommandT = TypeVar("CommandT", bound=Callable[..., Any])


class Group(click.Group):
    """Shows the errors of the library as one line and exit code 1."""

    def invoke(self, ctx: click.Context) -> Any:
        def show(message: Warning | str, *rest: Any, **named: Any) -> None:
            click.echo(f"note: {message}", err=True)

        try:
            with warnings.catch_warnings():
                warnings.showwarning = show
                warnings.simplefilter("always", LicenseWarning)
                return super().invoke(ctx)
        except BrokenPipeError:  # Who reads has had enough, as `head` has: click ends without a word.
            raise
        except (StyleGANError, OSError) as error:
            text = str(error)
            if not isinstance(error, StyleGANError) and error.errno in FULL:
                text = why_not_written(error, error.filename or "the output")
            # A list of files or sources stays one: a line for each.
            keeps_lines = isinstance(error, DatasetError | DownloadError | IntegrityError)
            raise click.ClickException(text if keeps_lines else " ".join(text.split())) from error


@contextmanager
def clean_up_on_sigterm() -> Iterator[None]:
    """End like an error where a scheduler or user sends SIGTERM, so that temporary files are deleted on the way."""

    def end(number: int, frame: FrameType | None) -> None:
        sys.exit(128 + number)

    if threading.current_thread() is not threading.main_thread():  # No other may have handlers.
        yield
        return
    previous = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


class SeedsType(click.ParamType):
    """Seeds such as 0-15,42: numbers and ranges, both ends included."""

    name = "seeds"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> SeedRanges:
        if isinstance(value, SeedRanges):
            return value
        try:
            return SeedRanges.parse(value) if value else SeedRanges([])
        except InputError as error:
            self.fail(str(error), param, ctx)


class NumbersType(click.ParamType):
    """Numbers separated by commas, such as 1,0.7,0,-1, or so many from one to another: -3:3:7."""

    name = "numbers"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> list[float]:
        if isinstance(value, list):
            return value
        try:
            if ":" not in value:
                numbers = [float(part) for part in value.split(",")]
            else:
                first, last, count = value.split(":")
                low, high, steps = float(first), float(last), max(1, int(count) - 1)
                numbers = [low + (high - low) * i / steps for i in range(min(int(count), MAX_NUMBERS + 1))]
            if not 1 <= len(numbers) <= MAX_NUMBERS or not all(map(math.isfinite, numbers)):
                raise ValueError
            return numbers
        except ValueError:
            message = f"{value!r} is no list of 1 to {MAX_NUMBERS} numbers such as 1,0.7,0,-1 or -3:3:7 (from:to:count)"
            self.fail(message, param, ctx)


class LayersType(click.ParamType):
    """Layers as `bands.parse_layers` reads them: a band, 6, 4:8, 4-7 or 0,3,5."""

    name = "layers"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Layers:
        if not isinstance(value, str):
            return value
        try:
            return parse_layers(value)
        except InputError as error:
            self.fail(str(error), param, ctx)


class LabelType(click.ParamType):
    """A class, by its index or its name, or several of them, separated by commas."""

    name = "class"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Label:
        if not isinstance(value, str):
            return value
        names = [part.strip() for part in value.split(",")]
        if not all(names):
            self.fail(f"{value!r} is no class such as 2 or cat, nor a list of them such as 0,1 or cat,dog", param, ctx)
        classes = [int(name) if name.removeprefix("-").isdecimal() else name for name in names]
        return classes[0] if len(classes) == 1 else classes


def seeds_option(default: str, *names: str, help: str) -> Callable[[CommandT], CommandT]:
    """An option that takes seeds; what is called --seeds may be written --seed."""
    if "--seeds" in names:
        names = (*names, "--seed")
    return click.option(*names, type=SeedsType(), default=default, show_default=True, metavar="SEEDS", help=help)


def output_option(default: str, help: str) -> Callable[[CommandT], CommandT]:
    """--out."""
    path = click.Path(path_type=Path)
    return click.option("--out", type=path, default=default, show_default=True, metavar="PATH", help=help)


def truncation_cutoff_option(command: CommandT) -> CommandT:
    """--truncation-cutoff."""
    return click.option(
        "--truncation-cutoff",
        type=int,
        metavar="LAYER",
        help="Truncate only the layers below this one.  [default: all]",
    )(command)


def truncation_psi_option(command: CommandT) -> CommandT:
    """--truncation-psi."""
    return click.option(
        "--truncation-psi",
        type=float,
        metavar="PSI",
        help="1 = full variety, 0 = the average image.  [default: 0.7 for seeds, 1 for --latents]",
    )(command)


def size_option(default: str = "the model's, and 256 at least") -> Callable[[CommandT], CommandT]:
    """--size; default: what the help says of it."""
    return click.option(
        "--size",
        type=click.IntRange(min=1),
        metavar="PIXELS",
        help=f"Width of each image: a multiple or a part of the model's.  [default: {default}]",
    )


def resolution_option(command: CommandT) -> CommandT:
    """--resolution."""
    return click.option(
        "--resolution",
        type=int,
        metavar="PIXELS",
        help="Of the network, for a file that does not tell it (rosinality's, huangzh13's).  [default: from the file]",
    )(command)


def latents_option(*names: str, help: str) -> Callable[[CommandT], CommandT]:
    """An option that takes a file of latents: as `stylegan project` writes it, or .npy, .npz, .pt of other tools."""
    path = click.Path(path_type=Path, dir_okay=False)
    return click.option(*names, type=path, metavar="FILE", help=help)


@dataclass(frozen=True)
class Faces:
    """The images that a command begins with."""

    ws: "Tensor"  # [N, num_ws, w_dim], truncated.
    noise: "list[Tensor] | None"  # A map for each layer, [N, 1, R, R]; None = those stored in the model.
    names: list[str]  # "seed 3", or the names in the file.
    psi: float  # That they were truncated with.
    settings: dict[str, object]  # What pictures of them remember: seeds or file, psi, cutoff, label.

    def noise_for(self, order: "Tensor") -> "list[Tensor] | None":
        """The noise of the images with these indices."""
        return None if self.noise is None else [noise[order.to(noise.device)] for noise in self.noise]


def is_default(parameter: str) -> bool:
    """Whether a parameter of the command that runs was left at its default."""
    return click.get_current_context().get_parameter_source(parameter) is not ParameterSource.COMMANDLINE


def load_latents(G: "Generator", latents: Path, *, label: Label | None, option: str = "seeds") -> "Latents":
    """The latents of a file, which stand in place of the seeds of an option."""
    if not is_default(option):
        raise InputError(f"--{option} and a file of latents are two choices of the same faces; give one of them")
    if label is not None:
        raise InputError(f"--label {label} is for seeds; the latents of {latents} are what they are")
    from stylegan.latents.files import Latents

    return Latents.load(latents, G)


def choose_faces(
    G: "Generator",
    seeds: SeedRanges,
    latents: Path | None,
    *,
    option: str = "seeds",  # That the seeds come from.
    label: Label | None,
    truncation_psi: float | None,  # None = 0.7 for seeds; what is in a file stays as it is.
    truncation_cutoff: int | None,
) -> Faces:
    """The faces of seeds, or of a file of latents in their place."""
    from stylegan.latents.styles import check_cutoff

    psi = (0.7 if latents is None else 1.0) if truncation_psi is None else truncation_psi
    settings: dict[str, object] = {"truncation_psi": psi}
    if truncation_cutoff is not None:
        settings["truncation_cutoff"] = truncation_cutoff
    if label is not None:
        settings["label"] = label
    if latents is None:
        ws = G.ws(seeds, labels=label, truncation_psi=psi, truncation_cutoff=truncation_cutoff)
        return Faces(ws, None, [f"seed {seed}" for seed in seeds], psi, settings | {"seeds": seeds})
    loaded = load_latents(G, latents, label=label, option=option)
    ws = G.truncate(loaded.ws, psi, check_cutoff(truncation_cutoff, G.num_ws))
    return Faces(ws, loaded.noise, loaded.names, psi, settings | latents_settings(latents))


def latents_settings(path: Path) -> dict[str, object]:
    """What pictures made of a file of latents remember of it."""
    from stylegan.weights.hub.cache import sha256_of

    return {"latents": path, "latents_sha256": sha256_of(path)}


@dataclass(frozen=True)
class ModelOptions:
    """--model, --resolution, --label, --device, --dtype, --path and --batch-size."""

    model: str
    resolution: int | None
    label: Label | None
    device: str
    dtype: str
    path: RenderPath
    batch_size: int | None

    def load(self, out: Path | None = None) -> "Generator":
        """The generator; tells under which licence its images stand.

        out: the picture that its images shall go to. Raises InputError if that would lose their alpha.
        """
        from stylegan.generator import Generator
        from stylegan.images.decoding import MODES
        from stylegan.images.encoding import format_of

        if not self.model:
            raise InputError("--model is empty; `stylegan list` shows the models known by name")
        G = Generator.from_pretrained(
            self.model, resolution=self.resolution, device=self.device, dtype=self.dtype, path=self.path
        )
        if out is not None:
            format_of(out.suffix, MODES.get(G.img_channels, "RGB"))
        click.echo(f"{G.name}: {G.metadata.get('license', 'licence unknown')}", err=True)
        return G


def model_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of ModelOptions, as its one argument `options`."""

    @click.option(
        "--model",
        default=DEFAULT_MODEL,
        show_default=True,
        metavar="NAME|PATH|REPO|URL",
        help="A name from `stylegan list`, a weight file or folder, a hub repository user/name, or a URL.",
    )
    @resolution_option
    @click.option(
        "--label",
        type=LabelType(),
        metavar="CLASS,...",
        help="Index or name of the class, for conditional models; or one for each seed: 0,1,2 or cat,dog,cat.",
    )
    @click.option("--device", default="cpu", show_default=True, help="cpu, cuda, cuda:1...")
    @click.option(
        "--dtype",
        type=click.Choice(["float32", "float16", "bfloat16"]),
        default="float32",
        show_default=True,
        help="Type that the synthesis network computes in.",
    )
    @click.option(
        "--path",
        type=click.Choice(get_args(RenderPath)),
        default="auto",
        show_default=True,
        help="How images are computed; all give the same but for rounding.",
    )
    @click.option(
        "--batch-size",
        type=click.IntRange(min=1),
        help="Images computed together.  [default: by resolution and free memory]",
    )
    @functools.wraps(command)
    def wrapper(
        model: str,
        resolution: int | None,
        label: Label | None,
        device: str,
        dtype: str,
        path: RenderPath,
        batch_size: int | None,
        **rest: Any,
    ) -> None:
        command(options=ModelOptions(model, resolution, label, device, dtype, path, batch_size), **rest)

    return wrapper


ACCESS_OPTIONS = (
    click.option(
        "--cache-dir", metavar="FOLDER", help="Where downloads are kept.  [default: STYLEGAN_CACHE, or the hub's]"
    ),
    click.option("--token", help="Token of the hub.  [default: HF_TOKEN, or that of `hf auth login`]"),
    click.option("--offline", is_flag=True, help="Use the cache alone."),
)


def apply_options(options: Sequence[Callable[[Any], Any]]) -> Callable[[CommandT], CommandT]:
    """Give a command several options."""
    return lambda command: functools.reduce(lambda inner, option: option(inner), reversed(options), command)


def build(loaded: "Loaded") -> "Generator | Discriminator":
    """The network of a checkpoint, of whichever class it is."""
    from stylegan.discriminator import Discriminator
    from stylegan.generator import Generator
    from stylegan.weights.loading import build_network

    if loaded.checkpoint.network == "Discriminator":
        return build_network(Discriminator, loaded)
    return build_network(Generator, loaded)


def where_is(entry: manifest.Entry, cache: "Cache") -> str:
    """Where a model of the manifest is: "bundled", "cached" or "to download"."""
    from stylegan.weights import hub

    if entry.is_bundled:
        return "bundled"
    return "cached" if any(hub.cached_path(file.source, cache) for file in entry.files) else "to download"


def show_table(rows: Sequence[Sequence[str]]) -> None:
    """Print rows in columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def check_output(path: Path) -> None:
    """Fail before the work, not after it, if a picture could not be written there."""
    if path.suffix.lower() not in PICTURE_SUFFIXES:
        raise InputError(f"--out {path}: no picture format has the suffix {path.suffix!r}; use .png, .jpg or .webp")
    check_writable(path)


def check_writable(path: Path) -> None:
    """Fail before the work, not after it, if no file could be written there."""
    if path.is_dir():
        raise InputError(f"--out {path} is a folder; name a file in it")
    folder = path.parent
    while not folder.exists():
        folder = folder.parent
    try:  # What may be written is found out by writing: /proc looks as if it could be.
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError:
        raise InputError(f"--out {path}: cannot write into {folder}") from None


def check_picture(out: Path, *, columns: int, rows: int, tile: int) -> None:
    """Fail before the work, not after it, if images of a width make no picture that can be written and looked at."""
    width, height = columns * tile, rows * tile
    side = {".webp": 16_383, ".jpg": 65_535, ".jpeg": 65_535}.get(out.suffix.lower(), 1_000_000)
    if max(width, height) > side or width * height > MAX_PIXELS:
        raise InputError(
            f"--out {out}: {columns * rows:,} images of {tile}x{tile} make {width:,}x{height:,} pixels, too "
            "large for one picture; `stylegan sample --out faces/` writes a picture for each seed, --format tar many"
        )
