"""What `Generator.sample` decides before it renders: which seeds, which noise, how many images at once."""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from .checks import check_integers
from .errors import InputError
from .latents import Seeds, check_seeds
from .memory import free_memory

# While a layer runs, about this many tensors of its size are alive: 5 to 8 for each image of a batch, on a CPU.
_LIVE_TENSORS = 8


def steady_batch_size(img_resolution: int, device: torch.device) -> int:
    """How many images are computed together, by resolution alone: the same wherever a job is run again.

    On a CPU, few enough to stay in its caches: from 256x256 up, batches bring nothing there.
    """
    pixels = 2**15 if device.type == "cpu" else 2**22
    return min(32, max(1, pixels // img_resolution**2))


def default_batch_size(n: int, img_resolution: int, device: torch.device, layer_bytes: int) -> int:
    """How many of n images are computed together: fast, and in at most half of the memory that is free now.

    layer_bytes: size of the features of one image at the largest layer.
    """
    wanted = min(n, 32 if device.type == "cuda" else steady_batch_size(img_resolution, device))
    free = free_memory(device) if wanted > 1 else None
    if free is None:
        return wanted
    fitting = free // 2 // (layer_bytes * _LIVE_TENSORS)
    return min(wanted, 1 << (max(1, fitting).bit_length() - 1))


def batches(n: int, batch_size: int, progress: bool | None) -> Iterator[slice]:
    """Slices of at most batch_size covering range(n), with a progress bar over the images."""
    if check_integers(batch_size, what="batch_size", limit=2**32) == [0]:
        raise InputError("batch_size must be 1 or more, got 0")
    hidden = not progress if progress is not None else None if n > batch_size else True
    with tqdm(total=n, unit="img", disable=hidden) as bar:
        for start in range(0, n, batch_size):
            stop = min(start + batch_size, n)
            yield slice(start, stop)
            bar.update(stop - start)


def choose_seeds(n: int, seeds: Seeds | None) -> list[int]:
    """The seeds that n or seeds ask for, at least one."""
    check_integers(n, what="n", limit=2**32)
    checked = list(range(n)) if seeds is None else check_seeds(seeds)
    if not checked or (seeds is not None and n not in (1, len(checked))):
        given = f"n={n}" if seeds is None else f"n={n} and {len(checked)} seeds"
        raise InputError(f"ask for one image or more, by n or by seeds; got {given}")
    return checked


def choose_noise_seeds(noise_seed: int | Sequence[int] | None, noise_mode: str, n: int) -> list[int]:
    """The noise seed of each of n images; none of them = no seeds."""
    if noise_seed is None:
        return []
    if noise_mode != "random":
        raise InputError(f"noise_seed goes with noise_mode 'random', got noise_mode {noise_mode!r}")
    seeds = check_seeds(noise_seed)
    if len(seeds) not in (1, n):
        raise InputError(f"noise_seed must be one integer or one for each of {n} images, got {len(seeds)}")
    return seeds if len(seeds) == n else seeds * n


def check_noise(
    noise: Sequence[Tensor | None], noise_mode: str, noise_seed: int | Sequence[int] | None, n: int
) -> Sequence[Tensor | None]:
    """Return noise maps that are given in place of noise_mode if each is for one image or for all n, else raise."""
    if (noise_mode, noise_seed) != ("const", None):
        raise InputError(f"noise goes in place of noise_mode and noise_seed, got {noise_mode!r} and {noise_seed!r}")
    for i, given in enumerate(noise):
        if given is not None and (given.ndim != 4 or len(given) not in (1, n)):
            raise InputError(f"noise of layer {i} must be [{n} or 1, 1, R, R], got {list(given.shape)}")
    return noise


def rounded(psi: Any) -> Any:
    """Numbers that went through float32, as they were written."""
    return [rounded(x) for x in psi] if isinstance(psi, list) else round(psi, 6)
