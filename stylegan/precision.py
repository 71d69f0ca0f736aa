"""float32 means float32: on GPUs too, whatever torch's switch for cuDNN's convolutions says.

torch lets cuDNN round the factors of float32 convolutions to TF32, 10 bits, unless it is told otherwise. An image
would then differ from the CPU's by a thousand times the rounding of float32. Those who want tensor cores ask for
dtype "float16" or "bfloat16", whose statistics stay float32.
"""

import contextlib
import threading
from collections.abc import Iterator

import torch
from torch import Tensor, nn

_lock = threading.Lock()
_blocks = 0  # Under way, in all threads.
_was_allowed = False  # Before the first of them.


def full_float32(network: nn.Module, x: Tensor) -> contextlib.AbstractContextManager[None]:
    """Until the end of the block, no convolution of float32 tensors on a GPU takes TF32.

    The switch is one of the whole process: it is turned back when the last of all threads leaves its block. It is left
    as it is for other inputs x, for networks in training mode, and while a compiler looks on.
    """
    if network.training or x.dtype != torch.float32 or x.device.type != "cuda" or torch.compiler.is_compiling():
        return contextlib.nullcontext()
    return _tf32_off()


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
    before = cudnn.conv.fp32_precision == "tf32"
    if before != allow:
        cudnn.conv.fp32_precision = "tf32" if allow else "ieee"
    return before
