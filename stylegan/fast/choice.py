"""Which path a call takes."""

from typing import Any, Literal, cast, get_args

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.nn.modules.module import _has_any_global_hook
from torch.utils._python_dispatch import _get_current_dispatch_mode

from .. import ops
from ..errors import InputError
from ..layers import Conv2d, DenseInput, LearnedConstant, SynthesisLayer
from .kernels import Kernels, TorchKernels
from .native import native_kernels
from .prepared import parameters_and_buffers

RenderPath = Literal["auto", "plain", "fast", "native"]
RENDER_PATHS: tuple[str, ...] = get_args(RenderPath)


def check_path(path: str) -> RenderPath:
    """Return the path if there is one of that name here, else raise InputError."""
    if path not in RENDER_PATHS:
        raise InputError(f"path must be one of {', '.join(map(repr, RENDER_PATHS))}; got {path!r}")
    if path == "native" and native_kernels() is None:
        raise InputError(
            "path 'native' was not compiled when stylegan was installed; use 'auto', or install a C compiler"
        )
    return cast(RenderPath, path)


def resolve_path(path: RenderPath) -> RenderPath:
    """The path that "auto" stands for on this machine, of calls that the fast paths can serve."""
    if path != "auto":
        return path
    return "fast" if native_kernels() is None else "native"


def kernels_for(path: RenderPath, network: nn.Module, inputs: list[Tensor]) -> Kernels | None:
    """The kernels that serve a call of a network on that path; None = the plain path.

    inputs: what the call depends on besides the parameters.
    """
    if path == "plain" or not takes_fast_path(network, inputs):
        return None
    return TorchKernels() if path == "fast" else native_kernels() or TorchKernels()


def takes_fast_path(network: nn.Module, inputs: list[Tensor]) -> bool:
    """Whether a call needs nothing but the numbers, of a network in evaluation mode that the fast paths know."""
    if network.training or not _is_ordinary_call(inputs):
        return False
    inner = (module for module in network.modules() if module is not network)
    if _has_any_global_hook() or any(module._forward_hooks or module._forward_pre_hooks for module in inner):
        return False
    tensors = [*inputs, *parameters_and_buffers(network)]
    if torch.is_grad_enabled() and any(t.requires_grad for t in tensors):
        return False
    # Changes of inference tensors cannot be noticed.
    if any(
        type(t) not in (Tensor, nn.Parameter) or t.device.type != "cpu" or t.layout != torch.strided for t in tensors
    ):
        return False
    if any(t.is_inference() for t in tensors[len(inputs) :]):
        return False
    known_dtype = network.dtype in (torch.float32, torch.bfloat16)
    return known_dtype and all(map(is_supported, cast(nn.ModuleList, network.layers)))


def _is_ordinary_call(inputs: list[Tensor]) -> bool:
    """No compiler, tracer, autocast or function transform looks on."""
    return not (
        torch.compiler.is_compiling()
        or torch.jit.is_tracing()
        or torch.is_autocast_enabled("cpu")
        or _get_current_dispatch_mode() is not None
        or forward_ad._current_level >= 0
        or any(torch._C._functorch.is_functorch_wrapped_tensor(t) for t in inputs)
    )


def is_supported(layer: Any) -> bool:
    """Whether the fast paths know the options of a synthesis layer."""
    if type(layer) is not SynthesisLayer or layer.use_pixel_norm or layer.bias_before_blur:
        return False
    if layer.blur_kernel is not None and layer.blur_kernel.shape[-1] != 3:
        return False
    source = layer.source
    if type(source) is Conv2d:
        return source.convolve in (ops.conv2d, ops.upscale_conv2d) and source.weight.shape[-1] == 3
    return type(source) in (LearnedConstant, DenseInput)
