"""Validation: whether a fast path works on this device, and computes what the modules define.

CPU kernels are compiled and tested in advance: a path is abandoned only if it fails. GPU kernels are compiled, or
chosen by cuDNN, at run time, on hardware and drivers not tested with this version. There a network's first call
therefore renders two images both ways.
"""

import copy
import logging
from collections.abc import Callable
from math import isnan
from typing import TypeVar

import torch
from torch import Tensor

from ..errors import RenderError
from ..networks.synthesis import SynthesisNetwork
from ..runtime.forks import ForkLock
from .kernels import Kernels

# Accepted RMS error of a path against the modules in float32, relative to the images' deviation. Random weights enlarge
# rounding: 0.05 at 1024x1024 in bfloat16. Wrong results are off by far more.
ERROR_LIMITS = {torch.float32: 0.01, torch.float16: 0.05, torch.bfloat16: 0.25}

T = TypeVar("T")

# Two images of a network: (kernels, ws, noise) -> img.
Render = Callable[[Kernels, Tensor, list[Tensor | None]], Tensor]


class Trust:
    """What is known of one network's paths."""

    def __init__(self) -> None:
        self._lock = ForkLock()
        self._faults: dict[tuple[type, torch.device, torch.dtype], str | None] = {}

    def choose(
        self, candidates: list[Kernels], network: SynthesisNetwork, ws: Tensor, render: Render, *, explicit: bool
    ) -> Kernels | None:
        """The first of the kernels that compute the right images; None = only the modules do.

        explicit: this path was requested by name: raise RenderError instead of taking another.
        """
        for kernels in candidates:
            key = type(kernels), ws.device, ws.dtype
            with self._lock:
                if key not in self._faults:
                    self._faults[key] = _compare(kernels, network, ws[:2], render)
                    _tell(kernels, ws, self._faults[key])
                fault = self._faults[key]
            if fault is None:
                return kernels
            _refuse(ws, fault, explicit)
        return None

    def attempt(
        self, candidates: list[Kernels], ws: Tensor, work: Callable[[Kernels], T], *, explicit: bool
    ) -> T | None:
        """The work's result from the first of the kernels that do not fail; the rest is as in `choose`."""
        for kernels in candidates:
            key = type(kernels), ws.device, ws.dtype
            fault = self._faults.get(key)
            if fault is None:
                try:
                    return work(kernels)
                except MemoryError:
                    raise
                except Exception as error:  # Missing features of a CPU or build show as many kinds of errors.
                    if "DefaultCPUAllocator" in str(error):
                        raise
                    fault = _described(error)
                with self._lock:
                    if self._faults.get(key) is None:
                        self._faults[key] = fault
                        _tell(kernels, ws, fault)
            _refuse(ws, fault, explicit)
        return None


def _tell(kernels: Kernels, ws: Tensor, fault: str | None) -> None:
    if fault is not None:
        message = "%s are not used for this network on %s: %s"
        logging.getLogger(__name__).warning(message, type(kernels).__name__, ws.device, fault)


def _refuse(ws: Tensor, fault: str, explicit: bool) -> None:
    if explicit:
        raise RenderError(f"this path does not work on {ws.device}: {fault}; use path 'auto' or 'plain'")


def _described(error: Exception) -> str:
    return f"{type(error).__name__}: {(str(error).splitlines() or [''])[0][:300]}"


def _compare(kernels: Kernels, network: SynthesisNetwork, ws: Tensor, render: Render) -> str | None:
    """What is wrong with images from ws [N, num_ws, w_dim], at full resolution with the network's own noise."""
    noise = [layer.noise_const for layer in network.layers]
    try:
        given = render(kernels, ws, noise)
    except torch.OutOfMemoryError:
        raise
    except Exception as error:  # Compilers and drivers may raise anything.
        return _described(error)
    exact = network if ws.dtype == torch.float32 else copy.deepcopy(network).float()
    maps = [None if n is None else n.float() for n in noise]
    with torch.no_grad():
        [expected] = exact.images(ws.float(), maps, [network.img_resolution])
    difference, deviation = (given - expected).square().mean().sqrt().item(), expected.std().item()
    # NaN or infinite weights or ws say nothing about the kernels.
    if isnan(deviation) or difference <= ERROR_LIMITS[ws.dtype] * deviation:
        return None
    return f"its images differ from the modules' by {difference / max(deviation, 1e-30):.2g} of their deviation"
