"""Networks that commands write: the options, metadata, the file or folder."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from stylegan.cli.options import CommandT, apply_options, choice_option
from stylegan.cli.output import check_writable
from stylegan.errors import InputError

if TYPE_CHECKING:  # Help needs no torch: commands import what they need when they run.
    from stylegan.generator import Generator

stored_dtype_option = choice_option(
    "--dtype", ["float32", "float16"], "float32", "Data type in the file; float16 halves its size."
)
force_option = click.option("--force", is_flag=True, help="Overwrite existing files.")


def metadata_option(what: str) -> Callable[[CommandT], CommandT]:
    """--metadata; what: the help text."""
    return click.option("--metadata", multiple=True, metavar="KEY=VALUE", help=f"{what} Repeatable.")


def network_options(command: CommandT) -> CommandT:
    """--out, --dtype, --metadata and --force of a command that makes a network: the arguments of `write_network`."""
    out = click.option(
        "--out",
        type=click.Path(path_type=Path),
        required=True,
        metavar="PATH",
        help="A .safetensors file, or a folder for a model hub.",
    )
    recorded = metadata_option("What to record: name, limits...")
    return apply_options([out, stored_dtype_option, recorded, force_option])(command)


def add_metadata(metadata: dict[str, Any], items: tuple[str, ...]) -> None:
    """Record the KEY=VALUE items of --metadata."""
    for item in items:
        key, equals, value = item.partition("=")
        if not key or not equals:
            raise InputError(f"--metadata {item!r}: expected KEY=VALUE")
        metadata[key] = value


def check_target(target: Path, *, force: bool, what: str) -> Path:
    """The file that weights are written to; raises before any work. what: the name of the target in messages."""
    if target.suffix.lower() not in (".safetensors", ""):
        raise InputError(f"{what} is {target}; expected a .safetensors file or a folder without a suffix")
    written = target if target.suffix else target / "model.safetensors"
    if written.exists() and not force:
        raise InputError(f"{written} exists; --force overwrites it")
    return written


def write_network(
    make: "Callable[[], Generator]", out: Path, *, dtype: str, metadata: tuple[str, ...], force: bool
) -> None:
    """Make a network, write it, and print its licence."""
    written = check_target(out, force=force, what="--out")
    check_writable(written)
    G = make()
    add_metadata(G.metadata, metadata)
    (G.save if out.suffix else G.save_pretrained)(out, dtype=dtype)
    click.echo(f"{G.name}: {G.metadata.get('license', 'licence unknown')}", err=True)
    click.echo(f"wrote the {G.source} to {written.resolve()}")
