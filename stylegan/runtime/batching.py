"""What `Generator.sample` decides before rendering: seeds, noise, batch size."""

from collections.abc import Iterator

import torch

from ..errors import InputError
from .checks import check_integer
from .memory import free_host_memory, free_memory


def steady_batch_size(img_resolution: int, device: torch.device) -> int:
    """Batch size by resolution only, so that a job repeated anywhere uses the same.

    On a CPU, batches must fit its caches: from 256x256 up, they bring nothing there.
    """
    pixels = 2**15 if device.type == "cpu" else 2**22
    return min(32, max(1, pixels // img_resolution**2))


def default_batch_size(n: int, img_resolution: int, device: torch.device, image_bytes: int) -> int:
    """Batch size for n images: fast, and within half of the memory that is free now.

    image_bytes: memory that one image needs while it is computed.
    """
    wanted = min(n, 32 if device.type == "cuda" else steady_batch_size(img_resolution, device))
    free = free_memory(device) if wanted > 1 else None
    if free is None:
        return wanted
    fitting = free // 2 // image_bytes
    return min(wanted, 1 << (max(1, fitting).bit_length() - 1))


def batches(n: int, batch_size: int, progress: bool | None) -> Iterator[slice]:
    """Slices of at most batch_size covering range(n), with a progress bar over the images."""
    from .progress import is_hidden, progress_bar  # Imported late, with tqdm.

    batch_size = check_batch_size(batch_size)
    hidden = is_hidden(progress) if progress is not None or n > batch_size else True
    with progress_bar(total=n, unit="img", hidden=hidden) as bar:
        for start in range(0, n, batch_size):
            stop = min(start + batch_size, n)
            yield slice(start, stop)
            bar.update(stop - start)


def check_batch_size(batch_size: int) -> int:
    """Return batch_size as an int if it is an integer of 1 or more, else raise InputError."""
    return check_integer(batch_size, what="batch_size", low=1, high=2**31)


def check_room(n: int, image_bytes: int) -> None:
    """Raise InputError if n images of this many bytes each do not fit into this machine's memory."""
    if n * image_bytes < 2**30:
        return
    free = free_host_memory()
    if n * image_bytes > (2**44 if free is None else free):
        size = f"{n * image_bytes / 2**30:,.0f} GiB"
        raise InputError(f"{n:,} images at once take {size}, more than there is; make fewer, or write them to a folder")
