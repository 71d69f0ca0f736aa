"""Options and commands of other programs, above all the official scripts, are understood, with a note on ours."""

import re
import shlex
from collections.abc import Collection, Sequence

import click

from stylegan.cli.types import LabelType, LayersType, NumbersType, PhotoType, SeedsType

# Other programs' options, and ours. --trunc and --network are from StyleGAN2-ADA and 3, --psi from many ports.
OPTIONS = {
    "--psi": "--truncation-psi",
    "--trunc": "--truncation-psi",
    "--truncation": "--truncation-psi",
    "--network": "--model",
    "--ckpt": "--model",
    "--outdir": "--out",
    "--output": "--out",
    "--cols": "--columns",
    "--styles": "--layers",
    "--class": "--label",
}
COMMANDS = {"generate": "sample", "style-mixing": "mix", "style_mixing": "mix", "projector": "project"}

# Types of options that take several values, separated by commas.
LISTS = (SeedsType, NumbersType, LayersType, LabelType)
_ITEM = re.compile(r"(?!.*\.[a-zA-Z])-?\.?\d[\w.,:-]*|[a-z]+,?")  # No name of a file, such as 1.jpg.

_MEANS = {"--styles": "; here they are those of the rows, put into the images of the columns"}


def our_command(name: str) -> str:
    """Our name of a command."""
    if name in COMMANDS:
        _note(name, COMMANDS[name])
    return COMMANDS.get(name, name)


def our_arguments(command: click.Command, arguments: Sequence[str]) -> list[str]:
    """The arguments of a command, with options that it lacks replaced by ours."""
    inner = command
    if isinstance(command, click.Group) and arguments:
        inner = command.commands.get(arguments[0], command)
    own = {name for option in inner.params for name in option.opts}
    ours = [_ours(argument, own) for argument in arguments]
    names = [param for param in inner.params if isinstance(param, click.Argument)]
    if any(not isinstance(param.type, PhotoType) for param in names):  # What follows a list may be one of them.
        return ours
    return _joined(ours, {name for param in inner.params if isinstance(param.type, LISTS) for name in param.opts})


def _ours(argument: str, own: set[str]) -> str:
    name, equals, value = argument.partition("=")
    ours = OPTIONS.get(name)
    if ours is None or name in own or ours not in own:
        return argument
    _note(name, ours)
    return f"{ours}{equals}{value}"


def _joined(arguments: Sequence[str], lists: Collection[str]) -> list[str]:
    """With lists written as several arguments, --seeds 1 2 3, joined: --seeds 1,2,3."""
    joined: list[str] = []
    in_list = False
    for argument in arguments:
        if in_list and joined[-1] not in lists and _ITEM.fullmatch(argument):
            joined[-1] = f"{joined[-1].rstrip(',')},{argument}"
            continue
        is_value = in_list and joined[-1] in lists and not argument.startswith("--")
        in_list = is_value or argument.partition("=")[0] in lists
        joined.append(argument)
    if len(joined) < len(arguments):
        click.echo(f"note: read as {shlex.join(joined)}", err=True)
    return joined


def _note(given: str, ours: str) -> None:
    click.echo(f"note: {given} is called {ours} here{_MEANS.get(given, '')}", err=True)
