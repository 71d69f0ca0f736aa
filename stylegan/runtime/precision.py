"""float32 means float32, also on GPUs, with any setting of torch's TF32 switch, and under autocast.

By default, torch lets cuDNN round the inputs of float32 convolutions to TF32, 10 bits. An image
would then differ from the CPU's by a thousand times the rounding of float32. To use tensor cores, choose dtype
"float16" or "bfloat16", whose statistics stay float32.

In bfloat16, autocast would change an image by 40 of 255 levels, so networks compute in their own types.
"""

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from .forks import ForkLock

_lock = ForkLock()
_blocks = 0  # Active blocks, in all threads.
_was_allowed = False  # The switch before the first of them.


@contextlib.contextmanager
def full_float32(network: nn.Module, x: Tensor) -> Iterator[None]:
    """In the block, nothing is autocast, and convolutions of float32 tensors on a GPU do not use TF32.

    Networks in training mode, and calls under a compiler, are left alone. The TF32 switch is global to the process: it
    is restored when the last thread leaves its block, and not touched for other inputs x.
    """
    with contextlib.ExitStack() as stack:
        if not network.training and not torch.compiler.is_compiling():
            stack.enter_context(no_autocast())
            if x.dtype == torch.float32 and x.device.type == "cuda":
                stack.enter_context(_tf32_off())
        yield


@contextlib.contextmanager
def no_autocast() -> Iterator[None]:
    """In the block, or in the decorated function, autocast is off in this thread."""
    with contextlib.ExitStack() as stack:
        for device in ("cpu", "cuda", "mps"):
            if torch.is_autocast_enabled(device):
                stack.enter_context(torch.autocast(device, enabled=False))
        yield


@contextlib.contextmanager
def _tf32_off() -> Iterator[None]:
    global _blocks, _was_allowed
    with _lock:
        _blocks += 1
        if _blocks == 1:
            _was_allowed = _allow_tf32(False)
    try:
        yield
    finally:
        with _lock:
            _blocks -= 1
            if _blocks == 0 and _was_allowed:
                _allow_tf32(True)


def _allow_tf32(allow: bool) -> bool:
    """Set torch's switch; returns whether TF32 was allowed before. Newer versions warn of the old name."""
    cudnn = torch.backends.cudnn
    if not hasattr(cudnn, "conv"):
        before, cudnn.allow_tf32 = cudnn.allow_tf32, allow
        return before
    before = bool(cudnn.conv.fp32_precision == "tf32")
    if before != allow:
        cudnn.conv.fp32_precision = "tf32" if allow else "ieee"
    return before
