"""The words of neighbours, the official scripts above all: understood, with a note of ours."""

from collections.abc import Sequence

import click

# Options of other programs, and ours. --trunc and --network are of StyleGAN2-ADA and 3, --psi of many ports.
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

_MEANS = {"--styles": "; here they are those of the rows, put into the images of the columns"}


def our_command(name: str) -> str:
    """Our name of a command."""
    if name in COMMANDS:
        _note(name, COMMANDS[name])
    return COMMANDS.get(name, name)


def our_arguments(command: click.Command, arguments: Sequence[str]) -> list[str]:
    """The arguments of a command, with options of ours in the place of those that it does not have."""
    inner = command
    if isinstance(command, click.Group) and arguments:
        inner = command.commands.get(arguments[0], command)
    own = {name for option in inner.params for name in option.opts}
    return [_ours(argument, own) for argument in arguments]


def _ours(argument: str, own: set[str]) -> str:
    name, equals, value = argument.partition("=")
    ours = OPTIONS.get(name)
    if ours is None or name in own or ours not in own:
        return argument
    _note(name, ours)
    return f"{ours}{equals}{value}"


def _note(given: str, ours: str) -> None:
    click.echo(f"note: {given} is called {ours} here{_MEANS.get(given, '')}", err=True)
