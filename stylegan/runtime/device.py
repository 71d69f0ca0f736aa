"""Devices and data types by name."""

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

import torch

from ..errors import InputError
from .checks import check_choice, shown

# Passed for every new tensor without its own type and device: torch's global defaults must not change an image.
FLOAT32_CPU: dict[str, Any] = {"dtype": torch.float32, "device": "cpu"}

_weights_device: ContextVar[str] = ContextVar("weights_device", default="cpu")


def for_weights() -> dict[str, Any]:
    """Type and device of the weights of a new network."""
    return FLOAT32_CPU | {"device": _weights_device.get()}


def new_weight(*shape: int) -> torch.Tensor:
    """Uninitialised weights of a new generator or discriminator; `initialize` moves them off the meta device."""
    is_meta = torch.get_default_device().type == "meta"
    return torch.empty(shape, **for_weights() | ({"device": "meta"} if is_meta else {}))


@contextlib.contextmanager
def without_memory() -> Iterator[None]:
    """In the block, weights of new networks are on the meta device: they have only shapes."""
    token = _weights_device.set("meta")
    try:
        yield
    finally:
        _weights_device.reset(token)


# Device types without float64: Apple's.
WITHOUT_FLOAT64 = {"mps"}


def to_float64(x: torch.Tensor) -> torch.Tensor:
    """Convert to float64, on the CPU if the device lacks it."""
    return (x.cpu() if x.device.type in WITHOUT_FLOAT64 else x).double()


def check_dtype(dtype: str | torch.dtype | None) -> torch.dtype:
    """The torch dtype of that name; None = float32."""
    known = {str(kind).removeprefix("torch."): kind for kind in (torch.float32, torch.float16, torch.bfloat16)}
    if dtype is None:
        return torch.float32
    if isinstance(dtype, torch.dtype) and dtype in known.values():
        return dtype
    return known[check_choice(dtype, what="dtype", choices=known)]


def check_device(device: str | int | torch.device | None) -> torch.device:
    """The torch device of that name, if this machine has it; None = the CPU."""
    if device is None:
        return torch.device("cpu")
    if isinstance(device, bool) or not isinstance(device, str | int | torch.device):
        raise InputError(f"device must be a name such as 'cpu', 'cuda' or 'cuda:1', got {shown(device)}")
    try:
        checked = torch.device(device)
    except (RuntimeError, ValueError, OverflowError):
        raise InputError(f"no device {str(device)!r} is known; expected cpu, cuda, cuda:1, mps...") from None
    try:
        torch.empty(0, device=checked, dtype=torch.float32)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        why = str(error).splitlines()[0][:200]
        if checked.type == "cuda" and not torch.backends.cuda.is_built():
            why = "this PyTorch has no CUDA; install one with it from pytorch.org, or leave the device at cpu"
        raise InputError(f"no device {str(device)!r} here: {why}") from None
    return checked
