"""The group of all commands: errors without tracebacks, and an orderly end."""

import signal
import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import click

from stylegan.errors import DatasetError, DownloadError, IntegrityError, LicenseWarning, StyleGANError
from stylegan.runtime.atomic_files import FULL, why_not_written


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
