"""Gradients for functions that need them, whatever the caller has set."""

import contextlib
from collections.abc import Iterator

import torch


@contextlib.contextmanager
def with_gradients() -> Iterator[None]:
    """In the block, or in the decorated function, torch records gradients: no_grad and inference mode are off."""
    with torch.inference_mode(False), torch.enable_grad():
        yield
