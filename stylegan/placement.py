"""Devices and types by name."""

import torch

from .errors import InputError


def check_dtype(dtype: str | torch.dtype | None) -> torch.dtype:
    """The torch type of that name; None = float32."""
    if isinstance(dtype, str):
        dtype = getattr(torch, dtype, None) or dtype
    dtype = torch.float32 if dtype is None else dtype
    if dtype not in (torch.float32, torch.float16, torch.bfloat16):
        raise InputError(f"dtype must be 'float32', 'float16' or 'bfloat16', got {dtype!r}")
    return dtype


def check_device(device: str | torch.device | None) -> torch.device:
    """The torch device of that name, if this machine has it; None = the CPU."""
    try:
        checked = torch.device(device or "cpu")
        torch.empty(0, device=checked)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise InputError(f"no device {str(device)!r} here: {str(error).splitlines()[0][:200]}") from None
    return checked
