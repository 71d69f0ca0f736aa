"""Readers that may take little memory and time."""

import os
import re
import signal
from collections.abc import Callable
from pathlib import Path

from stylegan.errors import WeightsError


def read_within_limits(read: Callable[[], object], *, megabytes: int, seconds: int = 20) -> str:
    """What a reader raises, or how it ends, in a forked child that may take so much more than it has.

    In a fork, nothing is imported anew: torch takes seconds.
    """
    output, into = os.pipe()
    child = os.fork()
    if child == 0:
        _read_and_leave(read, into, megabytes, seconds)
    os.close(into)
    with os.fdopen(output) as file:
        said = file.read()
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return said if code >= 0 else f"killed by {signal.Signals(-code).name}"


def _read_and_leave(read: Callable[[], object], into: int, megabytes: int, seconds: int) -> None:
    import resource  # Which Windows has not.

    said = "no error"
    try:
        used = re.search(r"VmSize:\s+(\d+)", Path("/proc/self/status").read_text())
        assert used
        resource.setrlimit(resource.RLIMIT_AS, (int(used[1]) * 1024 + megabytes * 2**20,) * 2)
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, resource.RLIM_INFINITY))
        read()
    except WeightsError as error:
        said = type(error).__name__
    except BaseException as error:
        said = repr(error)
    finally:
        os.write(into, said.encode())
        os._exit(0)
