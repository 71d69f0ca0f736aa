"""The group of all commands: errors without tracebacks, and cleanup on SIGTERM."""

import signal
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from types import FrameType
from typing import Any

import click

from stylegan.cli.neighbours import our_arguments, our_command
from stylegan.errors import DatasetError, DownloadError, IntegrityError, LicenseWarning, StyleGANError
from stylegan.runtime.atomic_files import FULL, why_not_written
from stylegan.runtime.progress import in_lines


class Group(click.Group):
    """Shows the library's errors as one line with exit code 1, and commands in the order of use."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """As they were added."""
        return list(self.commands)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """With other programs' words replaced by ours."""
        name, command, rest = super().resolve_command(ctx, [our_command(args[0]), *args[1:]])
        return name, command, rest if command is None else our_arguments(command, rest)

    def invoke(self, ctx: click.Context) -> Any:
        def show(message: Warning | str, *rest: Any, **named: Any) -> None:
            click.echo(f"note: {message}", err=True)

        try:
            with warnings.catch_warnings(), in_lines():
                warnings.showwarning = show
                warnings.simplefilter("always", LicenseWarning)
                return super().invoke(ctx)
        except click.NoSuchOption as error:
            if not error.possibilities:
                raise
            nearest = get_close_matches(error.option_name, error.possibilities, n=1, cutoff=0)[0]
            message = f"no such option {error.option_name}; did you mean {nearest}?"
            raise click.UsageError(message, error.ctx) from error
        except BrokenPipeError:  # The reader, such as `head`, has closed the pipe: click exits silently.
            raise
        except (StyleGANError, OSError) as error:
            text = str(error)
            if not isinstance(error, StyleGANError) and error.errno in FULL:
                text = why_not_written(error, error.filename or "the output")
            # A list of files or sources keeps one line each.
            keeps_lines = isinstance(error, DatasetError | DownloadError | IntegrityError)
            raise click.ClickException(text if keeps_lines else " ".join(text.split())) from error


@contextmanager
def clean_up_on_sigterm() -> Iterator[None]:
    """On SIGTERM, exit as after an error, so that temporary files are deleted."""

    def end(number: int, frame: FrameType | None) -> None:
        sys.exit(128 + number)

    if threading.current_thread() is not threading.main_thread():  # Only the main thread may set handlers.
        yield
        return
    previous = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)
