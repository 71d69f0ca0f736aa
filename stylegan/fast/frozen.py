"""Fixed 3x3 convolutions with ReLU, as in perceptual networks, by the compiled kernels; with gradients of the input."""

from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from ..runtime.forks import ForkLock
from .choice import is_ordinary_call
from .convolution import Convolution
from .native import NativeKernels, native_kernels
from .prepared import Fingerprint, parameters_and_buffers
from .workspace import Workspace, WorkspacePool

# Channels that the compiled convolutions take at a time: others are filled up with zeros.
_GROUP = 16

# Fewer rows than this take the direct convolution: few pixels for the size of transformed weights.
_SMALL = 16


class _Layer(NamedTuple):
    """One convolution, and that of its gradient."""

    forward: Convolution
    backward: Convolution
    bias: Tensor


class RectifiedConvs(nn.Module):
    """Convolutions with 3x3 kernels that keep the size, each followed by ReLU: [N, C_in, H, W] -> [N, C, H, W].

    With fixed weights, in float32 on a CPU, the compiled kernels compute them, if there are any here; torch otherwise.
    The results are equal up to rounding. The compiled kernels have no second derivatives.
    """

    def __init__(self, *convs: nn.Conv2d):
        super().__init__()
        self.convs = nn.ModuleList(convs)
        self._own = _Own()

    def forward(self, x: Tensor) -> Tensor:
        """[N, C_in, H, W] -> [N, C, H, W]."""
        kernels = native_kernels()
        if kernels is None or not kernels.has_convolutions or not self._is_supported(x):
            for conv in self.convs:
                x = F.relu(conv(x))
            return x
        return _Rectified.apply(kernels, self._own.layers(self.convs, x.shape[2] < _SMALL), self._own.workspaces, x)

    def _is_supported(self, x: Tensor) -> bool:
        tensors = list(parameters_and_buffers(self))
        return (
            is_ordinary_call([x])
            and all(t.is_cpu and t.dtype == torch.float32 for t in (x, *tensors))
            and not any(t.requires_grad or t.is_inference() for t in tensors)
            and all(cast(nn.Conv2d, conv).out_channels % _GROUP == 0 for conv in self.convs)
            and x.numel() > 0
        )


class _Own:
    """What the compiled kernels keep of some convolutions between calls. A copy of a network prepares its own."""

    def __init__(self) -> None:
        self.workspaces = WorkspacePool()
        self._lock = ForkLock()
        self._fingerprint: Fingerprint | None = None
        self._layers: dict[bool, list[_Layer]] = {}

    def __deepcopy__(self, memo: dict[int, Any]) -> "_Own":
        return _Own()

    def __reduce__(self) -> tuple[Any, ...]:
        return _Own, ()

    def layers(self, convs: nn.ModuleList, small: bool) -> list[_Layer]:
        """The convolutions, prepared for images with few or many rows."""
        tensors = list(parameters_and_buffers(convs))
        with self._lock, torch.inference_mode(False), torch.no_grad():
            if self._fingerprint is None or not self._fingerprint.fits(tensors):
                self._layers.clear()
                self._fingerprint = Fingerprint(tensors)
            if small not in self._layers:
                self._layers[small] = [_prepare(conv, small) for conv in convs]
            return self._layers[small]


def _prepare(conv: nn.Module, small: bool) -> _Layer:
    conv = cast(nn.Conv2d, conv)
    assert conv.bias is not None
    weight = F.pad(conv.weight, (0, 0, 0, 0, 0, -conv.in_channels % _GROUP)).contiguous()
    size = 1 if small else _SMALL
    turned = weight.flip(2, 3).transpose(0, 1).contiguous()
    forward, backward = (Convolution(kernel, 1.0, size, torch.float32, up=False) for kernel in (weight, turned))
    return _Layer(forward, backward, conv.bias.clone())


class _Rectified(torch.autograd.Function):
    """All convolutions of a `RectifiedConvs`. Features are [N, H, W, C], with a row of zeros above and below."""

    apply: ClassVar[Callable[..., Tensor]]

    @staticmethod
    def forward(ctx: Any, kernels: NativeKernels, layers: list[_Layer], pool: WorkspacePool, x: Tensor) -> Tensor:
        ctx.kernels, ctx.layers, ctx.pool, ctx.channels = kernels, layers, pool, x.shape[1]
        n, _, height, width = x.shape
        kind, outs = (x.dtype, x.device), []
        with pool.lend() as workspace:
            rows = _bordered(workspace.take("input", (n, height + 2, width, layers[0].forward.in_channels), *kind))
            rows[..., x.shape[1] :] = 0
            rows[:, 1:-1, :, : x.shape[1]] = x.permute(0, 2, 3, 1)
            for layer in layers:
                out = _bordered(x.new_empty(n, height + 2, width, len(layer.bias)))
                kernels.convolve_and_rectify(layer.forward, rows, layer.bias, out[:, 1:-1], workspace)
                outs.append(out)
                rows = out
        ctx.save_for_backward(*outs)
        return rows[:, 1:-1].permute(0, 3, 1, 2)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[None, None, None, Tensor]:
        gradient = gradients[0].permute(0, 2, 3, 1)
        with ctx.pool.lend() as workspace:
            for layer, out in zip(reversed(ctx.layers), reversed(ctx.saved_tensors), strict=True):
                gradient = _before(ctx.kernels, layer, out, gradient, workspace)
            return None, None, None, gradient[..., : ctx.channels].permute(0, 3, 1, 2).clone()


def _before(kernels: NativeKernels, layer: _Layer, out: Tensor, gradient: Tensor, workspace: Workspace) -> Tensor:
    """The gradient of a layer's input from that of its output, in a buffer of the workspace."""
    rows = _bordered(workspace.take("gradient", tuple(out.shape), out.dtype, out.device))
    torch.ops.aten.threshold_backward.grad_input(gradient, out[:, 1:-1], 0, grad_input=rows[:, 1:-1])
    return kernels.convolve(layer.backward, rows, workspace)


def _bordered(rows: Tensor) -> Tensor:
    """The same features, with zeros in the first and the last row."""
    rows[:, 0] = rows[:, -1] = 0
    return rows
