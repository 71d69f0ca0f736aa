"""Which path a call takes."""

import functools
import importlib.util
import logging
from typing import cast, get_args

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.nn.modules import module as hooks
from torch.utils._python_dispatch import _get_current_dispatch_mode

from ..errors import InputError
from ..networks.synthesis import SynthesisNetwork
from ..runtime.checks import check_choice
from ..runtime.choices import RenderPath
from .kernels import Kernels
from .native import native_kernels
from .prepared import is_supported, parameters_and_buffers
from .torch_kernels import TorchKernels

RENDER_PATHS: tuple[str, ...] = get_args(RenderPath)

# Types of stored features. CPUs have no float16 arithmetic.
_TYPES = {
    "cpu": (torch.float32, torch.bfloat16),
    "cuda": (torch.float32, torch.bfloat16, torch.float16),
}


def check_path(path: str) -> RenderPath:
    """Return the path if it is available here, else raise InputError."""
    check_choice(path, what="path", choices=RENDER_PATHS)
    if path == "native" and native_kernels() is None and not (torch.cuda.is_available() and triton_kernels()):
        raise InputError(
            "path 'native' needs the compiled kernels, which the installed stylegan lacks; use 'auto', or install a "
            "wheel for this platform, or from source with a C compiler"
        )
    return cast(RenderPath, path)


def compiled_kernels(device: torch.device) -> Kernels | None:
    """The kernels of the path "native" on a device, if there are any."""
    return native_kernels() if device.type == "cpu" else triton_kernels()


@functools.cache
def triton_kernels() -> Kernels | None:
    """The kernels for GPUs, if Triton is installed; torch for CUDA on Linux includes it."""
    if importlib.util.find_spec("triton") is None:
        logging.getLogger(__name__).info("no Triton here: images take the path 'fast' on GPUs, not 'native'")
        return None
    try:
        from .triton_kernels import TritonKernels
    except Exception as error:  # An incompatible version of Triton may raise anything.
        logging.getLogger(__name__).warning("Triton cannot be imported, the path on GPUs is 'fast': %s", error)
        return None
    return TritonKernels()


def resolve_path(path: RenderPath, device: torch.device) -> RenderPath:
    """The path that "auto" means on a device, for calls that the fast paths support."""
    if path != "auto":
        return path
    return "fast" if compiled_kernels(device) is None else "native"


def candidates(path: RenderPath, network: SynthesisNetwork, inputs: list[Tensor]) -> list[Kernels]:
    """The kernels that support this call of a network on that path, the fastest first; empty = the plain path.

    inputs: the inputs of the call besides the parameters.
    """
    if path == "plain" or not takes_fast_path(network, inputs):
        return []
    compiled = None if path == "fast" else compiled_kernels(inputs[0].device)
    return [compiled or TorchKernels()] if path != "auto" or compiled is None else [compiled, TorchKernels()]


def takes_fast_path(network: SynthesisNetwork, inputs: list[Tensor]) -> bool:
    """Whether the fast paths support a call: evaluation mode, known options, no gradients, hooks or tracing."""
    device = inputs[0].device
    if network.training or network.dtype not in _TYPES.get(device.type, ()) or not is_ordinary_call(inputs):
        return False
    inner = (module for module in network.modules() if module is not network)
    if hooks._global_forward_hooks or hooks._global_forward_pre_hooks:
        return False
    if any(module._forward_hooks or module._forward_pre_hooks for module in inner):
        return False
    tensors = [*inputs, *parameters_and_buffers(network)]
    if torch.is_grad_enabled() and any(t.requires_grad for t in tensors):
        return False
    if any(type(t) not in (Tensor, nn.Parameter) or t.device != device or t.layout != torch.strided for t in tensors):
        return False
    # Changes to inference tensors cannot be detected.
    if any(t.is_inference() for t in tensors[len(inputs) :]):
        return False
    return all(map(is_supported, network.layers))


def is_ordinary_call(inputs: list[Tensor]) -> bool:
    """Whether no compiler, tracer, function transform or CUDA graph capture is active."""
    device = inputs[0].device.type
    return not (
        torch.compiler.is_compiling()
        or torch.jit.is_tracing()
        or (device == "cuda" and torch.cuda.is_current_stream_capturing())
        or _get_current_dispatch_mode() is not None
        or forward_ad._current_level >= 0
        or any(torch._C._functorch.is_functorch_wrapped_tensor(t) for t in inputs)
    )
