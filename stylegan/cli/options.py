"""Options shared by several commands."""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, get_args

import click

from stylegan.cli.types import Label, LabelType, NumbersType, SeedsType
from stylegan.errors import InputError
from stylegan.runtime.choices import NoiseMode, RenderPath
from stylegan.weights.manifest import DEFAULT_MODEL

if TYPE_CHECKING:  # Help needs no torch: commands import what they need when they run.
    from stylegan.generator import Generator

CommandT = TypeVar("CommandT", bound=Callable[..., Any])

# Accepted by `runtime.device.check_dtype`.
DTYPES = ("float32", "float16", "bfloat16")


def choice_option(
    name: str, choices: Sequence[str] | Any, default: str, help: str | None = None
) -> Callable[[CommandT], CommandT]:
    """An option with given choices, or those of a Literal."""
    words = get_args(choices) or choices
    return click.option(name, type=click.Choice(words), default=default, show_default=True, help=help)


def noise_mode_option(default: NoiseMode) -> Callable[[CommandT], CommandT]:
    """--noise-mode."""
    return choice_option("--noise-mode", NoiseMode, default)


def seeds_option(default: str, *names: str, help: str, may_be_empty: bool = False) -> Callable[[CommandT], CommandT]:
    """An option that takes seeds; --seeds may also be written --seed."""
    if "--seeds" in names:
        names = (*names, "--seed")
    kind = SeedsType(may_be_empty=may_be_empty)
    return click.option(*names, type=kind, default=default, show_default=True, metavar="SEEDS", help=help)


def output_option(default: str, help: str) -> Callable[[CommandT], CommandT]:
    """--out."""
    path = click.Path(path_type=Path)
    return click.option("--out", type=path, default=default, show_default=True, metavar="PATH", help=help)


truncation_cutoff_option = click.option(
    "--truncation-cutoff",
    type=int,
    metavar="LAYER",
    help="Truncate only the layers below this one.  [default: all]",
)


truncation_psi_option = click.option(
    "--truncation-psi",
    type=float,
    metavar="PSI",
    help="1 = full variety, 0 = the average image.  [default: 0.7 for seeds, 1 for photos and --latents]",
)


def psis_option(help: str) -> Callable[[CommandT], CommandT]:
    """--truncation-psi of a sweep; the default is that of the paper's figure 8."""
    psis = "1,0.7,0.5,0,-0.5,-1"
    return click.option(
        "--truncation-psi", type=NumbersType(), default=psis, show_default=True, metavar="PSI,PSI...", help=help
    )


def size_option(default: str = "the model's, and 256 at least") -> Callable[[CommandT], CommandT]:
    """--size; default: how the help describes the default."""
    return click.option(
        "--size",
        type=click.IntRange(min=1),
        metavar="PIXELS",
        help=f"Width of each image: a multiple or a fraction of the model's.  [default: {default}]",
    )


resolution_option = click.option(
    "--resolution",
    type=int,
    metavar="PIXELS",
    help="Resolution of the network, for files without it (rosinality, huangzh13).  [default: from the file]",
)


def latents_option(*names: str, help: str) -> Callable[[CommandT], CommandT]:
    """An option that takes a file of latents: from `stylegan project`, or .npy, .npz or .pt from other tools."""
    path = click.Path(path_type=Path, dir_okay=False)
    return click.option(*names, type=path, metavar="FILE", help=help)


ACCESS_OPTIONS = (
    click.option(
        "--cache-dir", metavar="FOLDER", help="Where downloads are kept.  [default: STYLEGAN_CACHE, or the hub's]"
    ),
    click.option("--token", help="Token for the hub.  [default: HF_TOKEN, or that of `hf auth login`]"),
    click.option("--offline", is_flag=True, help="Use only the cache."),
)


def apply_options(options: Sequence[Callable[[Any], Any]]) -> Callable[[CommandT], CommandT]:
    """Give a command several options."""
    return lambda command: functools.reduce(lambda inner, option: option(inner), reversed(options), command)


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
        """The generator; prints the licence of its images.

        out: the file that they will be written to. Raises InputError if it would lose their alpha.
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
    """Give a command the options of ModelOptions, as one argument `options`."""

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
        help="Index or name of the class, for conditional models, or one for each seed: 0,1,2 or cat,dog,cat.",
    )
    @click.option("--device", default="cpu", show_default=True, help="cpu, cuda, cuda:1...")
    @choice_option("--dtype", DTYPES, "float32", "Data type of the synthesis network.")
    @choice_option("--path", RenderPath, "auto", "How images are computed; results differ only by rounding.")
    @click.option(
        "--batch-size",
        type=click.IntRange(min=1),
        help="Images in a batch.  [default: by resolution and free memory]",
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


def image_options(default: str) -> Callable[[CommandT], CommandT]:
    """--truncation-cutoff, --out and the options of ModelOptions, for a command that writes one image."""
    return apply_options([truncation_cutoff_option, output_option(default, "The image file to write."), model_options])
