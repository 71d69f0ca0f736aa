"""What the commands share: option types, the model options, and errors without tracebacks."""

import functools
import os
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

from stylegan.discriminator import Discriminator
from stylegan.errors import InputError, StyleGANError
from stylegan.fast import RENDER_PATHS, RenderPath
from stylegan.generator import DEFAULT_MODEL, Generator
from stylegan.latents import BANDS, Layers
from stylegan.weights import hub, manifest
from stylegan.weights.cache import Cache
from stylegan.weights.loading import LicenseWarning, Loaded, build_network

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
        except (StyleGANError, OSError) as error:
            raise click.ClickException(" ".join(str(error).split())) from error


class SeedsType(click.ParamType):
    """Seeds such as 0-15,42: numbers and ranges, both ends included."""

    name = "seeds"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> list[int]:
        if isinstance(value, list):
            return value
        seeds: list[int] = []
        for part in value.split(","):
            first, dash, last = part.strip().partition("-")
            if not first.isdecimal() or (dash and not last.isdecimal()):
                self.fail(f"{part!r} is no seed or range; write seeds like 0-15,42", param, ctx)
            low, high = int(first), int(last or first)
            if high < low or high >= 2**32:
                self.fail(f"{part!r} is no range of seeds from 0 to 4294967295; write seeds like 0-15,42", param, ctx)
            seeds.extend(range(low, high + 1))
        return seeds


class NumbersType(click.ParamType):
    """Numbers separated by commas, such as 1,0.7,0,-1."""

    name = "numbers"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> list[float]:
        if isinstance(value, list):
            return value
        try:
            return [float(part) for part in value.split(",")]
        except ValueError:
            self.fail(f"{value!r} is no list of numbers such as 1,0.7,0,-1", param, ctx)


class LayersType(click.ParamType):
    """A band, a crossover (6), a range (4:8, the end left out) or a list of layers (0,3,5)."""

    name = "layers"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Layers:
        if not isinstance(value, str) or value in BANDS:
            return value
        try:
            if ":" in value:
                first, last = value.split(":")
                return slice(int(first) if first else None, int(last) if last else None)
            return [int(part) for part in value.split(",")] if "," in value else int(value)
        except ValueError:
            self.fail(f"{value!r} is neither {', '.join(BANDS)} nor layers like 6, 4:8 or 0,3,5", param, ctx)


def seeds_option(default: str, *names: str, help: str) -> Callable[[CommandT], CommandT]:
    """An option that takes seeds."""
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
        default=0.7,
        show_default=True,
        metavar="PSI",
        help="1 = full variety, 0 = the average image.",
    )(command)


@dataclass(frozen=True)
class ModelOptions:
    """--model, --label, --device, --dtype, --path and --batch-size."""

    model: str
    label: int | None
    device: str
    dtype: str
    path: RenderPath
    batch_size: int | None

    def load(self) -> Generator:
        """The generator; tells under which licence its images stand."""
        G = Generator.from_pretrained(self.model, device=self.device, dtype=self.dtype, path=self.path)
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
    @click.option("--label", type=int, metavar="CLASS", help="Class index, for conditional models.")
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
        type=click.Choice(RENDER_PATHS),
        default="auto",
        show_default=True,
        help="How images are computed; all give the same but for rounding.",
    )
    @click.option(
        "--batch-size",
        type=click.IntRange(min=1),
        help="Images computed together.  [default: by resolution]",
    )
    @functools.wraps(command)
    def wrapper(
        model: str, label: int | None, device: str, dtype: str, path: RenderPath, batch_size: int | None, **rest: Any
    ) -> None:
        command(options=ModelOptions(model, label, device, dtype, path, batch_size), **rest)

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


def build(loaded: Loaded) -> Generator | Discriminator:
    """The network of a checkpoint, of whichever class it is."""
    if loaded.checkpoint.network == "Discriminator":
        return build_network(Discriminator, loaded)
    return build_network(Generator, loaded)


def where_is(entry: manifest.Entry, cache: Cache) -> str:
    """Where a model of the manifest is: "bundled", "cached" or "to download"."""
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
    if path.suffix.lower() not in (".png", ".jpg", ".jpeg", ".webp"):
        raise InputError(f"--out {path}: no picture format has the suffix {path.suffix!r}; use .png, .jpg or .webp")
    if path.is_dir():
        raise InputError(f"--out {path} is a folder; name a file in it")
    folder = path.parent
    while not folder.exists():
        folder = folder.parent
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        raise InputError(f"--out {path}: cannot write into {folder}")
