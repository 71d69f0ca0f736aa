"""Progress bars: tqdm's on a terminal; in a command's log, a line every half minute."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TextIO

from tqdm import tqdm

from .checks import check_flag

LINE_SECONDS = 30.0

# The bar of a training run, in thousands of images.
KIMG_BAR = "{l_bar}{bar}| {n:.1f}/{total:g} kimg [{elapsed}<{remaining}{postfix}]"

_in_lines = False


def progress_bar(iterable: Any = None, *, hidden: bool | None, **options: Any) -> Any:
    """tqdm's bar. hidden: None = unless on a terminal, or inside `in_lines`."""
    if hidden is None and _in_lines and not sys.stderr.isatty():
        return _Lines(iterable, mininterval=LINE_SECONDS, delay=LINE_SECONDS, miniters=0, **options)
    return tqdm(iterable, disable=hidden, **options)


def start_at(bar: Any, n: float) -> None:
    """Continue a bar from n, as of an earlier run: speed and remaining time are those from now on."""
    bar.n = bar.initial = bar.last_print_n = n
    bar.unpause()


def is_hidden(progress: bool | None) -> bool | None:
    """An argument `progress` as `hidden`; None = on a terminal only."""
    return None if progress is None else not check_flag(progress, what="progress, if not None,")


@contextmanager
def in_lines() -> Iterator[None]:
    """In the context, bars without a terminal print lines, so that the log of a long command shows progress."""
    global _in_lines
    before, _in_lines = _in_lines, True
    try:
        yield
    finally:
        _in_lines = before


class _Lines(tqdm):  # type: ignore[misc]  # tqdm has no types.
    """A line for each state that tqdm would draw over the last one; work shorter than the delay prints none."""

    @staticmethod
    def status_printer(file: TextIO) -> Callable[[str], None]:
        def write(text: str) -> None:
            file.write(f"{text}\n")
            file.flush()

        return write

    def moveto(self, n: int) -> None:
        pass

    def close(self) -> None:
        if not self.disable:
            self.disable: bool = True
            self._decr_instances(self)
